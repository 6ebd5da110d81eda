"""
One thread for products of matrices.

Threads of a product wait for each other by spinning: beside other work on the same cores that takes
twice the time of one thread, and what they add up depends on how many there are.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from typing import TYPE_CHECKING

from engines.assign.problem import Problem

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

_FEW = 100_000  # pairs, whose products are too small for threads


def one_thread(problem: Problem) -> contextlib.AbstractContextManager[object]:
    """Within it, products that *problem* needs are made by one thread."""
    tasks, agents = problem.shape
    return _limit if tasks * agents > _FEW else contextlib.nullcontext()


class _Limit(contextlib.AbstractContextManager[None]):
    """
    For all who are within: the first in limits the threads, the last out lets them go.

    The limit is the whole process's.  Were it each caller's own, two that plan at once would undo
    each other's, and leave behind what the other had set.
    """

    def __init__(self) -> None:
        self._lock, self._within = threading.Lock(), 0
        self._limited = contextlib.ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._within:
                self._limited.enter_context(_controller().limit(limits=1, user_api="blas"))
            self._within += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within -= 1
            if not self._within:
                self._limited.close()


@functools.cache
def _controller() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController  # noqa: PLC0415  by large problems alone

    return ThreadpoolController()


_limit = _Limit()
