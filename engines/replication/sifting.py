"""
Many together, and those that fail alone: one that a peer cannot cope with holds up no other.

A peer that breaks over one of many says so of all of them.  Half of them, and half of that, goes
through: so the one is found.  A peer that breaks over whatever it is given is no matter of one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from engines.replication.errors import PeerUnreachable, ReplicationError, TooLarge

_IN_VAIN = 64
T = TypeVar("T")
R = TypeVar("R")
Blame = Callable[[ReplicationError], None]
"""Returns where an error is of what was asked alone; else raises it."""


def sift(
    items: Sequence[T],
    do: Callable[[Sequence[T]], R],
    blame: Blame,
    prove: Callable[[], None] | None = None,
) -> Iterator[tuple[Sequence[T], R | ReplicationError]]:
    """
    Do it for all of *items*, in as few parts as will do: each part and what came of it.

    What comes of one alone may be the error that it met, where that is of this one.

    Args:
        prove: Called once, when it was tried often and nothing went through; raises where that
            cannot be the items'.

    Raises:
        ReplicationError: The peer is not there, or fails whatever it is asked.
    """
    failures: int | None = 0  # None once it is known that some may go through
    parts = deque([items])  # all of a size before those of half of it: soon one goes through
    while parts:
        some = parts.popleft()
        alone = len(some) == 1
        try:
            result = do(some)
        except (TooLarge, PeerUnreachable) as error:
            if isinstance(error, PeerUnreachable):
                if not (alone or error.status):  # it was cut off, and not answered
                    raise
                if alone or failures == 0:
                    blame(error)
                failures = None if failures is None else failures + 1
                if failures == _IN_VAIN and prove:
                    prove()
                    failures = None
            if alone:
                yield some, error
            else:
                half = len(some) // 2
                parts += (some[:half], some[half:])
        else:
            failures = None
            yield some, result
