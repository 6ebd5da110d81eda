"""The best plan found so far, and what is proven of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.assign.draft import Draft
from engines.assign.hours import rounding
from engines.assign.model import CLOSE
from engines.assign.problem import Candidates, Flags, Floats, Problem


@dataclass(slots=True)
class Solution:
    """
    Attributes:
        price_bound: What *prices* prove; *bound* may be lower, where a search proved more.
        finished: False where the time limit cut work off.
    """

    draft: Draft
    value: float
    bound: float
    price_bound: float
    prices: Floats
    finished: bool = True

    @property
    def proven(self) -> bool:
        return self.bound <= self.value + CLOSE * max(abs(self.value), 1.0)

    def take(self, problem: Problem, draft: Draft) -> None:
        """Keep *draft* where it is better."""
        if within_hours(problem, draft):
            value = draft.value(problem)
            if value > self.value + CLOSE * abs(self.value):
                self.draft, self.value = draft, value


def within_hours(problem: Problem, draft: Draft) -> bool:
    """Whether it is a plan: the exact solver is exact to a millionth only."""
    return bool((draft.left >= -rounding(problem.capacity)).all())


def drafted(problem: Problem, pairs: Candidates, taken: Flags) -> Draft:
    """The plan of the *pairs* that are *taken*."""
    draft = Draft.empty(problem)
    row, column, hours = pairs.row[taken], pairs.column[taken], pairs.hours[taken]
    several = problem.team[row] > 1
    for at in np.flatnonzero(~several).tolist():
        draft.put(int(row[at]), int(column[at]), float(hours[at]))
    for task in np.unique(row[several]).tolist():
        members = np.flatnonzero(row == task)
        if len(members) == problem.team[task]:
            draft.put_team(task, column[members], hours[members])
    return draft
