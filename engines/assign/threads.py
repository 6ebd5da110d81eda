"""
One thread for products of matrices.

Threads of a product wait for each other by spinning: beside other work on the same cores that takes
twice the time of one thread, and what they add up depends on how many there are.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING

from engines.assign.problem import Problem

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

_FEW = 100_000  # pairs, whose products are too small for threads


def one_thread(problem: Problem) -> contextlib.AbstractContextManager[object]:
    """Within it, products that *problem* needs are made by one thread."""
    tasks, agents = problem.shape
    if tasks * agents <= _FEW:
        return contextlib.nullcontext()
    one: contextlib.AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return one


@functools.cache
def _controller() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController  # noqa: PLC0415  by large problems alone

    return ThreadpoolController()
