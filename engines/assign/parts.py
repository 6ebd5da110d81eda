"""
First prices of a problem too large to hold: from parts of it, drawn at random.

Each part has its share of tasks and agents.  With some hundred agents a task finds nearly as good a
one as among all, and prices of hours come out nearly as they are in the whole.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engines.assign.problem import Dense, Floats, Problem

_AGENTS = 250  # of a part


def prices_of_parts(problem: Problem, seed: int, priced: Callable[[Dense], Floats]) -> Floats:
    """Each agent's price in its part."""
    tasks, agents = problem.shape
    count = max(1, agents // _AGENTS)
    random = np.random.default_rng(seed)
    rows, columns = random.permutation(tasks), random.permutation(agents)
    prices = np.zeros(agents)
    for number in range(count):
        mine = np.sort(columns[number::count])
        prices[mine] = priced(problem.part(np.sort(rows[number::count]), mine))
    return prices
