"""
Where prices begin: each agent's by what it is like, found on a sample of the tasks.

Who can do much of what is asked for, and does it well, is dearer by the hour.  A few features of
each agent say most of that, so a few steps in their weights come near to the best prices, where as
many steps in the prices of all agents, from nothing, do not.
"""

from __future__ import annotations

import numpy as np

from engines.assign.problem import Dense, Floats, Problem

_PAIRS = 1 << 17  # of tasks and agents that are looked at
_LEAST = 256  # tasks
_FLAT = 9  # prices that are the same for all agents, and tried first
_ROUNDS = 24
_KEPT = 0.4  # share of the last direction in the next
_STEP = 0.3  # of the price, and what it is multiplied by where a step does not help
_SHORTER = 0.8
_FEWEST = 1e-3  # hours, as a share of the most that any has
_EPS = 1e-9
_SHORTEST = 1e-12  # hours; prices of less are too high for single precision
_NEW = 1e-6  # of a feature; less says nothing that others do not
_PATIENCE = 6  # steps until the best weights are gone back to


def first_prices(problem: Problem) -> Floats:
    """Prices of hours to begin with."""
    tasks, agents = problem.shape
    _, hours = problem.pairs(np.arange(tasks), np.zeros(tasks, np.int64))
    every = max(1, tasks // max(_LEAST, _PAIRS // agents))
    rows = np.argsort(hours, kind="stable")[every // 2 :: every]  # as long as all are
    value, hours = problem.rows(rows)
    share = problem.capacity * len(rows) / tasks
    part = Dense(value, hours, share, np.ones(len(rows), np.int64)).rough()
    features = _features(part)
    best, bound = np.zeros(agents), np.inf
    weights = np.zeros(features.shape[1])
    able = value > -np.inf
    most = float(np.where(able, value / np.maximum(hours, _SHORTEST), 0.0).max(axis=1).mean())
    for level in np.geomspace(most / 2 ** (_FLAT - 1), most, _FLAT).tolist() if most > 0 else ():
        prices = np.full(agents, level)
        found, _ = _asked(part, prices)
        if found < bound:
            best, bound = prices, found
            weights[0] = level
    kept, step = weights, _STEP * weights[0]
    _, excess = _asked(part, best)
    direction = np.zeros_like(weights)
    for turn in range(_ROUNDS if bound < np.inf else 0):
        direction = features.T @ excess + _KEPT * direction
        norm = float(np.linalg.norm(direction))
        if norm <= 0:
            break
        weights = weights + step / norm * direction
        prices = np.maximum(features @ weights, 0.0)
        found, excess = _asked(part, prices)
        if found < bound:
            best, bound, kept = prices, found, weights
        else:
            step *= _SHORTER
        if turn % _PATIENCE == _PATIENCE - 1:
            weights, direction = kept, np.zeros_like(weights)
            _, excess = _asked(part, best)
    return best


def _asked(part: Dense, prices: Floats) -> tuple[float, Floats]:
    """The bound of a part, and the hours asked for beyond those there are."""
    answers = part.responses(prices)
    excess = answers.load - part.capacity
    return float(answers.worth.sum() + prices @ part.capacity), np.where(prices > 0, excess, 0.0)


def _features(part: Dense) -> Floats:
    """
    Agents by features, each of length √agents and at a right angle to the others: the same for
    all, mean value, share of tasks it can do, the inverse of its hours.
    """
    able = part.value > -np.inf
    agents = len(part.capacity)
    columns = [
        np.ones(agents),
        np.where(able, part.value, 0.0).mean(axis=0),
        able.mean(axis=0),
        1 / np.maximum(part.capacity, _FEWEST * part.capacity.max() + _EPS),
    ]
    kept: list[Floats] = []
    for column in columns:
        size = float(np.linalg.norm(column))
        rest = column / size if 0 < size < np.inf else np.zeros(agents)
        for other in kept:
            rest = rest - other * float(rest @ other)
        length = float(np.linalg.norm(rest))
        if length > _NEW:
            kept.append(rest / length)
    found: Floats = np.stack(kept, axis=1) * np.sqrt(agents)
    return found
