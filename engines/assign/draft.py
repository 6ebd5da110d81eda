"""
A plan under construction, and how prices fill it.

Each open task proposes to the best agent, at the prices, that still has the hours; each agent takes
the proposals worth most per hour.  Repeated until nobody proposes: vectors all through.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.assign.problem import Candidates, Flags, Floats, Ints, Problem

_WORTHY = 0.5  # of the mean price of its hours
_FINENESS = 2.0  # lengths of tasks to each doubling
_SHORTEST = 1e-9  # hours


@dataclass(slots=True)
class Draft:
    """
    A plan: for tasks of one the agent's column, -1 for nobody; for those of several, the team.

    Attributes:
        left: Hours each agent has left.
    """

    column: Ints
    left: Floats
    teams: dict[int, Ints]

    @classmethod
    def empty(cls, problem: Problem) -> Draft:
        return cls(np.full(len(problem.team), -1), problem.capacity.astype(float), {})

    def copy(self) -> Draft:
        return Draft(self.column.copy(), self.left.copy(), dict(self.teams))

    def value(self, problem: Problem) -> float:
        """What it is worth, as the sum over rows in their order."""
        row, column = self.pairs()
        return float(problem.pairs(row, column)[0].sum())

    def pairs(self) -> tuple[Ints, Ints]:
        """Rows and columns of all that is assigned, ordered by row."""
        single = np.flatnonzero(self.column >= 0)
        rows = [single, *(np.full(len(team), row) for row, team in self.teams.items())]
        columns = [self.column[single], *self.teams.values()]
        row, column = np.concatenate(rows), np.concatenate(columns)
        order = np.argsort(row, kind="stable")
        return row[order], column[order]

    def fits(self, column: int, hours: float) -> bool:
        return bool(self.left[column] >= hours)

    def put(self, row: int, column: int, hours: float) -> None:
        self.column[row] = column
        self.left[column] -= hours

    def put_team(self, row: int, team: Ints, hours: Floats) -> None:
        self.teams[row] = team
        self.left[team] -= hours


def fill_teams(problem: Problem, draft: Draft, prices: Floats) -> None:
    """Give each open task of several its best team that still has the hours, dearest first."""
    rows = [row for row in np.flatnonzero(problem.team > 1).tolist() if row not in draft.teams]
    offers = []
    for row in rows:
        value, hours = (each[0] for each in problem.rows(np.array([row])))
        offers.append((-float(np.partition(-value, 0)[0]), row, value, hours))
    for _, row, value, hours in sorted(offers, key=lambda offer: (-offer[0], offer[1])):
        able = np.flatnonzero((value > -np.inf) & (hours <= draft.left))
        size = int(problem.team[row])
        if len(able) >= size:
            best = able[np.argsort(-(value - hours * prices)[able], kind="stable")[:size]]
            team = np.sort(best)
            draft.put_team(row, team, hours[team])


def fill(pairs: Candidates, draft: Draft, prices: Floats, single: Flags) -> None:
    """Give open tasks of one (where *single*) to agents among *pairs* that have the hours."""
    row = pairs.row
    keep = np.flatnonzero((draft.column[row] < 0) & single[row])
    row, column = row[keep], pairs.column[keep]
    hours = pairs.hours[keep]
    reduced = pairs.value[keep] - hours * prices[column]
    while True:
        fits = draft.left[column] >= hours
        fits &= draft.column[row] < 0
        row, column, hours, reduced = row[fits], column[fits], hours[fits], reduced[fits]
        if not len(row):
            return
        begin = np.flatnonzero(np.r_[True, row[1:] != row[:-1]])
        best = np.repeat(np.maximum.reduceat(reduced, begin), np.diff(np.r_[begin, len(row)]))
        at = np.flatnonzero(reduced == best)
        at = at[np.r_[True, row[at][1:] != row[at][:-1]]]
        # Best per hour first within each agent; what does not fit then proposes elsewhere.
        each = np.maximum(hours[at], _SHORTEST)
        order = np.lexsort((row[at], -(reduced[at] / each), column[at]))
        at = at[order]
        first = np.r_[True, column[at][1:] != column[at][:-1]]
        total = np.cumsum(hours[at])
        before = np.maximum.accumulate(np.where(first, total - hours[at], 0.0))
        taken = at[first | (total - before <= draft.left[column[at]])]
        draft.column[row[taken]] = column[taken]
        np.subtract.at(draft.left, column[taken], hours[taken])


def fill_by_length(pairs: Candidates, draft: Draft, prices: Floats, single: Flags) -> None:
    """As `fill`, long tasks first: short ones find the hours that these leave."""
    worthy, length = lengths(pairs, prices, single)
    for each in np.unique(length[worthy])[::-1].tolist():
        fill(pairs, draft, prices, worthy & (length == each))
    fill(pairs, draft, prices, single)


def lengths(pairs: Candidates, prices: Floats, single: Flags) -> tuple[Flags, Floats]:
    """Tasks that are worth their hours, and which of them are about as long, on a scale."""
    row = pairs.row
    hours, worth = np.zeros(len(single)), np.zeros(len(single))
    hours[row] = pairs.hours
    filled = np.flatnonzero(np.diff(pairs.start))
    if len(filled):
        reduced = pairs.value - pairs.hours * prices[pairs.column]
        worth[filled] = np.maximum.reduceat(reduced, pairs.start[filled])
    worthy = single & (worth > _WORTHY * float(prices.mean()) * hours)
    return worthy, np.floor(_FINENESS * np.log2(np.maximum(hours, _SHORTEST)))
