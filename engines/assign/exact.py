"""
Exact solution of small instances: a mixed-integer program for HiGHS, through scipy.

Pairs that a better plan cannot use are left out by the caller: where taking the pair would bring
the bound at its prices below the value of the plan in hand, no better plan takes it.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engines.assign.problem import Candidates, Flags, Floats, Ints

_HALF = 0.5  # whole numbers come as floats


@dataclass(slots=True)
class Answer:
    """
    What the solver says of the pairs it was given.

    Attributes:
        taken: Per candidate whether it is in the plan; None where it found none.
        bound: No plan over these pairs is worth more.
        proven: Whether the plan is one of the best over these pairs.
    """

    taken: Flags | None
    bound: float
    proven: bool


def integer_program(
    pairs: Candidates,
    capacity: Floats,
    team: Ints,
    *,
    nodes: int | None = None,
    seconds: float | None = None,
) -> Answer:
    """
    The best plan over *pairs*.

    Args:
        nodes: Work after which the best so far is returned; the same on every machine.
        seconds: Time after which it is.
    """
    from scipy.optimize import (  # noqa: PLC0415  slow to import
        Bounds,
        LinearConstraint,
        milp,
    )
    from scipy.sparse import csr_array  # noqa: PLC0415

    row, count = pairs.row, len(pairs.column)
    tasks, agents = len(team), len(capacity)
    if not count:
        return Answer(np.zeros(0, bool), 0.0, proven=True)
    whole = np.flatnonzero(team > 1)  # these have a variable each: the team is there or it is not
    each = np.arange(count)
    held = csr_array((pairs.hours, (pairs.column, each)), shape=(agents, count + len(whole)))
    rows = csr_array(
        (
            np.concatenate([np.ones(count), -team[whole].astype(float)]),
            (np.concatenate([row, whole]), np.arange(count + len(whole))),
        ),
        shape=(tasks, count + len(whole)),
    )
    single = team == 1
    options: dict[str, float] = {"mip_rel_gap": 1e-9}
    if nodes is not None:
        options["node_limit"] = nodes
    if seconds is not None:
        options["time_limit"] = max(seconds, 0.01)
    size = count + len(whole)
    with _elsewhere():
        found = milp(
            np.concatenate([-pairs.value, np.zeros(len(whole))]),
            integrality=np.ones(size),
            bounds=Bounds(0, 1),
            constraints=[
                LinearConstraint(held, -np.inf, capacity),
                LinearConstraint(rows, np.where(single, -np.inf, 0.0), single.astype(float)),
            ],
            options=options,
        )
    dual = -np.inf if found.mip_dual_bound is None else found.mip_dual_bound
    bound = -dual if math.isfinite(dual) else math.inf
    taken = None if found.x is None else np.asarray(found.x[:count] > _HALF)
    return Answer(taken, bound, proven=found.status == 0)


def linear_prices(pairs: Candidates, capacity: Floats) -> Floats:
    """The best prices of hours for tasks of one: the duals of the linear relaxation."""
    from scipy.optimize import linprog  # noqa: PLC0415
    from scipy.sparse import csr_array, vstack  # noqa: PLC0415

    tasks, each = len(pairs.start) - 1, np.arange(len(pairs.column))
    shape = (len(capacity), len(each))
    held = csr_array((pairs.hours, (pairs.column, each)), shape=shape)
    rows = csr_array((np.ones(len(each)), (pairs.row, each)), shape=(tasks, len(each)))
    with _elsewhere():
        found = linprog(
            -pairs.value,
            A_ub=vstack([held, rows]),
            b_ub=np.concatenate([capacity, np.ones(tasks)]),
            method="highs",
        )
    if found.ineqlin is None or found.status != 0:
        return np.zeros(len(capacity))
    prices: Floats = np.maximum(-found.ineqlin.marginals[: len(capacity)], 0.0)
    return prices


_one_at_a_time = threading.Lock()


@contextlib.contextmanager
def _elsewhere() -> Iterator[None]:
    """
    What the solver prints goes to standard error: HiGHS says a line now and then whatever it is
    told, and standard output belongs to our caller.
    """
    flush = ctypes.CDLL(None).fflush
    with _one_at_a_time:
        try:
            kept = os.dup(1)
        except OSError:  # nothing is open there
            yield
            return
        try:
            flush(None)
            os.dup2(2, 1)
            yield
        finally:
            flush(None)
            os.dup2(kept, 1)
            os.close(kept)
