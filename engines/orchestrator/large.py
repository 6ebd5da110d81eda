"""The tasks of a very large cycle: read from a file when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar, overload

from engines.assign import (
    AssignableTask,
    AssignmentDecision,
    AssignmentPlan,
    CrowdPlan,
    UnassignedTask,
)
from engines.names import Names

T = TypeVar("T")
_TOGETHER = 200_000  # left over ones whose names are looked up in one go


class _Read(Sequence[T]):
    """A row that is read from its beginning, or where it is asked for."""

    def _at(self, places: Sequence[int]) -> Iterator[T]:
        raise NotImplementedError

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> list[T]: ...
    def __getitem__(self, place: int | slice) -> T | list[T]:
        if isinstance(place, slice):
            return list(self._at(range(*place.indices(len(self)))))
        return next(self._at([range(len(self))[place]]))


class PlannedTasks(_Read[AssignableTask]):
    """
    All tasks of a cycle, in the signals' order.

    Args:
        names: Their identifiers.
        read: Makes those of the places that it is given.
    """

    def __init__(
        self, names: Names, read: Callable[[Sequence[int]], Iterator[AssignableTask]]
    ) -> None:
        self._names = names
        self._read = read

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[AssignableTask]:
        return self._at(range(len(self)))

    def _at(self, places: Sequence[int]) -> Iterator[AssignableTask]:
        return self._read(places)

    def named(self, wanted: Collection[str]) -> dict[str, AssignableTask]:
        """Those of these identifiers, by identifier."""
        places = [place for place, name in enumerate(self._names) if name in wanted]
        return {task.identifier: task for task in self._at(places)}


class LeftOver(_Read[UnassignedTask]):
    """The tasks of a cycle that nobody gets, by falling priority."""

    def __init__(self, plan: CrowdPlan, names: Names) -> None:
        self._plan = plan
        self._names = names

    def __len__(self) -> int:
        return len(self._names) - len(self._plan.decisions)

    def __iter__(self) -> Iterator[UnassignedTask]:
        places = self._plan.left_over()
        while some := list(islice(places, _TOGETHER)):
            yield from self._told(some)

    def counts(self) -> dict[str, int]:
        """Cause → how many tasks it left over."""
        return self._plan.counts()

    def outcome(self, place: int, _: str) -> dict[str, Any]:
        """As `outcomes_of` has it."""
        if (number := self._plan.given.get(place)) is not None:
            return _given(self._plan.decisions[number])
        return _left(*self._plan.causes[self._plan.cause_of[place]])

    def _at(self, places: Sequence[int]) -> Iterator[UnassignedTask]:
        if not places:
            return
        first, last = min(places), max(places)
        found = list(islice(self._plan.left_over(), first, last + 1))
        yield from self._told([found[place - first] for place in places])

    def _told(self, places: Sequence[int]) -> Iterator[UnassignedTask]:
        wanted = set(places)
        names = {place: name for place, name in enumerate(self._names) if place in wanted}
        for place in places:
            yield UnassignedTask(names[place] or "", *self._plan.causes[self._plan.cause_of[place]])


def outcomes_of(plan: AssignmentPlan) -> Callable[[int, str], dict[str, Any]]:
    """What the record says of who gets the task of a place and a name."""
    if isinstance(plan.unassigned, LeftOver):
        return plan.unassigned.outcome
    known = {decision.task_id: _given(decision) for decision in plan.decisions}
    known |= {task.task_id: _left(task.cause, task.reason) for task in plan.unassigned}
    return lambda _, name: known.get(name, {})


def _given(decision: AssignmentDecision) -> dict[str, Any]:
    return {
        "agent": decision.agent,
        "rationale": decision.rationale,
        "confidence": decision.confidence,
    }


def _left(cause: str, reason: str) -> dict[str, Any]:
    return {"agent": None, "cause": cause, "rationale": reason}
