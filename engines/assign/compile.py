"""
From tasks, agents and rules to the problem that is solved.

    value = urgency(priority) · (score + affinity + keep)
    score = Σ weight · component        skill match, hours left free, confidence, focus

A match is a product of two 0/1 matrices (tasks by skills, skills by agents), and so are the other
components: 10⁹ pairs are looked at in blocks, by matrix multiplication, and never held.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from engines.assign.hours import counted_in, rounding, whole_units
from engines.assign.model import AgentProfile, AssignableTask
from engines.assign.problem import (
    Candidates,
    Dense,
    Floats,
    Ints,
    Problem,
    Responses,
    blocks,
)
from engines.assign.rules import AssignmentRules
from engines.assign.threads import one_thread
from engines.assign.weights import Weights, urgency
from engines.errors import InvalidInput

_HELD = 4_000_000  # pairs that are held in memory at once
_FOND = 1e-6  # among equals, who prefers the place
_UNITS = (1, 2, 4, 5, 10, 20, 60, 100)  # parts of an hour
_MOST = 1e9  # hours of a task, and of a way
_ANY = 1e-300  # a match above 0
_NOWHERE = np.zeros((1, 1))
_AT_ONCE = 1 << 17  # single pairs
_LEAST = 1e-9  # what the worst match that is allowed is worth at least: more than nothing


@dataclass(slots=True)
class Compiled:
    """
    Tasks, agents and rules as arrays; it is a `Problem` over all pairs.

    Rows and columns stand in the order of identifiers, so that the order given does not matter.
    """

    tasks: Sequence[AssignableTask]
    agents: Sequence[AgentProfile]
    rules: AssignmentRules
    weights: Weights
    needs: Floats = field(repr=False)  # tasks by skills, 0/1
    has: Floats = field(repr=False)  # skills by agents, 0/1
    place: Ints = field(repr=False)  # of each task, the number of its zone and sector
    by_place: tuple[Floats, Floats, Floats] = field(repr=False)  # by agents: fond, affinity, travel
    effort: Floats = field(repr=False)
    urgency: Floats = field(repr=False)
    least_match: Floats = field(repr=False)
    hours: Floats = field(repr=False)
    confidence: Floats = field(repr=False)
    barred: Mapping[int, Ints] = field(repr=False)
    kept: Mapping[int, Ints] = field(repr=False)
    capacity: Floats = field(repr=False)
    team: Ints = field(repr=False)
    pinned: list[tuple[AssignableTask, int, float, float]] = field(default_factory=list, repr=False)
    _held: Dense | None = field(default=None, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.tasks), len(self.agents)

    @property
    def held(self) -> Problem:
        """The same problem, in memory where it is not too large."""
        if len(self.tasks) * len(self.agents) > _HELD:
            return self
        if self._held is None:
            self._held = self.dense()
        return self._held

    def dense(self) -> Dense:
        value = np.empty(self.shape)
        hours = np.broadcast_to(self.effort[:, None], self.shape)
        if self.rules.travel_hours:
            hours = hours.copy()
        for part in blocks(*self.shape):
            rows = np.arange(part.start, part.stop)
            value[part], spent = self._rows(rows, self.shared(rows))
            if self.rules.travel_hours:
                hours[part] = spent
        return Dense(value, hours, self.capacity, self.team)

    def shared(self, rows: Ints) -> Floats:
        """How many skills each task of *rows* and each agent have in common."""
        with one_thread(self):
            return self.needs[rows] @ self.has

    def part(self, rows: Ints, columns: Ints) -> Dense:
        """Some tasks and some agents, in memory; both in their order."""

        def within(pairs: Mapping[int, Ints]) -> dict[int, Ints]:
            return {
                at: np.flatnonzero(np.isin(columns, pairs[row]))
                for at, row in enumerate(rows.tolist())
                if row in pairs
            }

        return Compiled(
            tasks=[self.tasks[row] for row in rows.tolist()],
            agents=[self.agents[column] for column in columns.tolist()],
            rules=self.rules,
            weights=self.weights,
            needs=self.needs[rows],
            has=self.has[:, columns],
            place=self.place[rows],
            by_place=tuple(each[:, columns] for each in self.by_place),  # type: ignore[arg-type]
            effort=self.effort[rows],
            urgency=self.urgency[rows],
            least_match=self.least_match[rows],
            hours=self.hours[columns],
            confidence=self.confidence[columns],
            barred=within(self.barred),
            kept=within(self.kept),
            capacity=self.capacity[columns],
            team=self.team[rows],
        ).dense()

    def rows(self, rows: Ints) -> tuple[Floats, Floats]:
        return self._rows(rows, self.shared(rows))

    def _rows(self, rows: Ints, shared: Floats) -> tuple[Floats, Floats]:
        count = self.needs[rows].sum(axis=1, keepdims=True)
        places = self.place[rows]
        felt = [each[places] if at else _NOWHERE for each, at in self._felt()]
        return self._valued(rows[:, None], slice(None), shared, count, felt)

    def _felt(self) -> Iterator[tuple[Floats, bool]]:
        """What places change, and whether they change anything at all."""
        rules = self.rules
        focus = any(agent.focus_areas for agent in self.agents)
        yield from zip(
            self.by_place, (focus, bool(rules.affinity), bool(rules.travel_hours)), strict=True
        )

    def pairs(self, rows: Ints, columns: Ints) -> tuple[Floats, Floats]:
        value, hours = np.empty(len(rows)), np.empty(len(rows))
        has = np.ascontiguousarray(self.has.T)
        for first in range(0, len(rows), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            row, column = rows[part], columns[part]
            needs = self.needs[row]
            shared = np.einsum("ps,ps->p", needs, has[column])
            place = [each[self.place[row], column] for each in self.by_place]
            value[part], hours[part] = self._valued(row, column, shared, needs.sum(axis=1), place)
        return value, hours

    def _valued(
        self,
        rows: Ints,
        columns: Ints | slice,
        shared: Floats,
        count: Floats,
        place: Sequence[Floats],
    ) -> tuple[Floats, Floats]:
        """Values and hours, of all agents for a column of rows, or of pairs."""
        fond, affinity, travel = place
        # In double precision: 7 of 10 skills are to be enough where 0.7 is asked for.
        match = shared / np.maximum(count, 1.0, dtype=float)
        if not count.all():
            match = np.where(count > 0, match, 1.0)
        has = self.hours[columns]
        hours = self.effort[rows] + travel
        able = hours <= np.where(has > 0, has + rounding(has), -1.0)
        able &= match >= np.maximum(self.least_match[rows], _ANY)
        with np.errstate(over="ignore"):
            load = hours / np.where(has > 0, has, 1.0)
        np.minimum(load, 1.0, out=load)
        load *= self.weights.free
        score = match * self.weights.skill
        score -= load
        score += self.weights.free + self.weights.confidence * self.confidence[columns]
        score += (self.weights.focus + _FOND) * fond
        score += affinity
        if isinstance(columns, slice):
            for at, row in enumerate(rows[:, 0].tolist()):
                if row in self.kept:
                    score[at, self.kept[row]] += self.rules.keep
                if row in self.barred:
                    able[at, self.barred[row]] = False
        elif self.kept or self.barred:
            for at, (row, column) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
                if column in self.kept.get(row, ()):
                    score[at] += self.rules.keep
                if column in self.barred.get(row, ()):
                    able[at] = False
        np.maximum(score, _LEAST, out=score)
        score *= self.urgency[rows]
        return np.where(able, score, -np.inf), np.broadcast_to(hours, score.shape)

    def responses(self, prices: Floats) -> Responses:
        from engines.assign.sweep import responses  # noqa: PLC0415  for large problems

        return responses(self, prices)

    def near(self, prices: Floats, most: int, rows: Ints | None = None) -> Candidates:
        from engines.assign.sweep import near  # noqa: PLC0415

        return near(self, prices, most, rows)


def compiled(
    tasks: Sequence[AssignableTask],
    agents: Sequence[AgentProfile],
    *,
    rules: AssignmentRules,
    weights: Weights,
    min_match: float,
    last: Mapping[str, Collection[str]],
) -> Compiled:
    """
    The problem.

    Args:
        last: Task → its agents in the last plan.

    Raises:
        InvalidInput: A task, or the way to it, takes longer than can be reckoned with.
    """
    _reckoned(tasks, rules)
    tasks = sorted(tasks, key=lambda task: task.identifier)
    agents = sorted(agents, key=lambda agent: agent.name)
    column_of = {agent.name: column for column, agent in enumerate(agents)}
    skills = {s: n for n, s in enumerate(sorted({s for t in tasks for s in t.required_skills}))}
    has = np.zeros((len(skills), len(agents)), np.float32)
    for at, agent in enumerate(agents):
        has[[skills[skill] for skill in agent.skills if skill in skills], at] = 1
    needs = np.zeros((len(tasks), len(skills)), np.float32)
    count = [len(task.required_skills) for task in tasks]
    column = [skills[skill] for task in tasks for skill in task.required_skills]
    needs[np.repeat(np.arange(len(tasks)), count), column] = 1
    places, place = _places(tasks)
    barred, kept = _exceptions(tasks, rules, column_of, last)
    hours = np.array([agent.available_hours for agent in agents], float)
    there = np.array([agent.name not in rules.absent for agent in agents], bool)
    hours = np.where(there, hours, 0.0)
    return Compiled(
        tasks=tasks,
        agents=agents,
        rules=rules,
        weights=weights,
        needs=needs,
        has=has,
        place=place,
        by_place=(
            np.array(
                [[bool(words & set(a.focus_areas)) for a in agents] for words in places], float
            ).reshape(len(places), len(agents)),
            _at_places(places, column_of, rules.affinity),
            _at_places(places, column_of, rules.travel_hours),
        ),
        effort=np.array([task.estimated_effort_hours for task in tasks], float),
        urgency=urgency(np.array([task.priority for task in tasks], float)),
        least_match=np.array(
            [max(min_match, rules.min_match.get(t.identifier, 0.0)) for t in tasks], float
        ),
        hours=hours,
        confidence=np.array([agent.confidence for agent in agents], float),
        barred=barred,
        kept=kept,
        capacity=usable(hours, tasks, rules),
        team=np.array([rules.teams.get(task.identifier, 1) for task in tasks], np.int64),
    )


def _reckoned(tasks: Sequence[AssignableTask], rules: AssignmentRules) -> None:
    """Refuse hours that cannot be reckoned with."""
    hours = {f"task {task.identifier!r}": task.estimated_effort_hours for task in tasks}
    for pair, way in rules.travel_hours.items():
        hours[f"travel_hours of {pair}"] = way
    for what, long in hours.items():
        if long > _MOST:
            raise InvalidInput(
                f"{what}: {long:g} h cannot be planned", hint=f"at most {_MOST:g} h can"
            )


def usable(hours: Floats, tasks: Sequence[AssignableTask], rules: AssignmentRules) -> Floats:
    """
    Hours of each agent that whole tasks can fill: where all take whole quarters of an hour, say,
    nobody can use more than a whole number of quarters.  The bound is lower for it.  Nor can
    anybody use more hours than there is work.
    """
    every = np.array([task.estimated_effort_hours for task in tasks], float)
    farthest = sum(rules.travel_hours.values())
    hours = np.minimum(hours, every.sum() + len(tasks) * farthest)
    efforts = np.unique(every)
    part = None if rules.travel_hours else counted_in(efforts, _UNITS)
    if part is not None:
        hours = whole_units(hours, part)
    room: Floats = hours + rounding(hours)
    return room


def _places(tasks: Sequence[AssignableTask]) -> tuple[list[set[str]], Ints]:
    """The different places of tasks, as the words that name each, and which is whose."""
    numbers: dict[frozenset[str], int] = {frozenset(): 0}
    place = [numbers.setdefault(frozenset(places_of(task)), len(numbers)) for task in tasks]
    return [set(words) for words in numbers], np.array(place, np.int64)


def places_of(task: AssignableTask) -> list[str]:
    """A task's zone and sector, in lower case."""
    metadata = task.metadata
    if not metadata:
        return []
    found = (metadata.get(key) for key in ("zone", "sector"))
    words = (str(place).strip().lower() for place in found if place is not None)
    return [word for word in words if word]


def _at_places(
    places: Sequence[set[str]],
    column_of: Mapping[str, int],
    rule: Mapping[tuple[str, str], float],
) -> Floats:
    found = np.zeros((len(places), len(column_of)))
    for (word, agent), amount in sorted(rule.items()):
        if agent in column_of:
            for at, words in enumerate(places):
                if word in words:
                    found[at, column_of[agent]] += amount
    return found


def _exceptions(
    tasks: Sequence[AssignableTask],
    rules: AssignmentRules,
    column_of: Mapping[str, int],
    last: Mapping[str, Collection[str]],
) -> tuple[dict[int, Ints], dict[int, Ints]]:
    """Per row the agents who must not take it, and those it was with."""
    forbidden: dict[str, set[str]] = {}
    for named, agent in rules.forbidden:
        forbidden.setdefault(named, set()).add(agent)
    barred: dict[int, Ints] = {}
    kept: dict[int, Ints] = {}
    if not (forbidden or rules.when or last):
        return barred, kept
    for row, task in enumerate(tasks):
        name = task.identifier
        out = {agent for agent in forbidden.get(name, ()) if agent in column_of}
        if name in rules.when:
            out |= {
                agent
                for agent in rules.away
                if agent in column_of and not rules.can_be_there(name, agent)
            }
        if out:
            barred[row] = np.array(sorted(column_of[agent] for agent in out), np.int64)
        if stay := [column_of[agent] for agent in last.get(name, ()) if agent in column_of]:
            kept[row] = np.array(sorted(stay), np.int64)
    return barred, kept
