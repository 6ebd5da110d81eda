"""
The task as a mixed-integer program, and its linear relaxation as a bound.

    minimise Σ cost_r x_r                               x_r: operator r is applied
    f_p = Σ_r y_rp,  y_rp ≤ x_r                         y_rp: r is who gives p;  f_p: p is had
    Σ over r that need q of y_rp ≤ f_q, or ≤ e_qp       e_qp: q is had before p
    the e_qp make no cycle                              by vertex elimination
    f_g = 1 for goals and what every plan needs;  Σ over a landmark of x_r ≥ 1

An operator that gives one fact only has x = y.  Sources as in `landmarks` and `elimination`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from engines.trajectory.elimination import Elimination, eliminated
from engines.trajectory.landmarks import fact_landmarks, first_given, needed_facts
from engines.trajectory.task import Task

_TRIANGLES = 60_000
_CHOSEN = 0.5
_INFINITY = float("inf")

# What scipy.optimize.milp says.
_OPTIMAL, _LIMIT, _INFEASIBLE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Answer:
    """
    Attributes:
        ops: The operators of the best plan found, None where there is none.
        bound: No plan within the limits costs less; infinite where there is none at all.
        closed: Whether the search came to its end.
    """

    ops: set[int] | None
    bound: float
    closed: bool


class Program:
    """
    The program of *task*.

    Args:
        landmarks: Sets of operators of which every plan has one.
    """

    def __init__(self, task: Task, landmarks: Iterable[Sequence[int]] = ()) -> None:
        self.task = task
        self._rows: list[tuple[list[int], list[float], float, float]] = []
        self._size = len(task.costs) + task.size
        self._given_by: dict[tuple[int, int], int] = {}
        facts = fact_landmarks(task)
        self.first = [first_given(task, op, facts) for op in range(len(task.costs))]
        self._needed = needed_facts(task, facts)
        self._place_gifts()
        self.acyclic = self._order()
        for landmark in landmarks:
            self._row([(op, 1.0) for op in landmark], 1, _INFINITY)
        self._plan_size = self._size

    @property
    def size(self) -> int:
        """Entries of its matrix."""
        return sum(len(columns) for columns, *_ in self._rows)

    def _fact(self, fact: int) -> int:
        return len(self.task.costs) + fact

    def _row(self, terms: Iterable[tuple[int, float]], low: float, high: float) -> None:
        given = list(terms)
        self._rows.append(([c for c, _ in given], [value for _, value in given], low, high))

    def _place_gifts(self) -> None:
        givers: dict[int, list[int]] = defaultdict(list)
        for op, facts in enumerate(self.first):
            for fact in facts:
                column = op
                if len(facts) > 1:
                    column, self._size = self._size, self._size + 1
                    self._row([(column, 1.0), (op, -1.0)], -_INFINITY, 0)
                self._given_by[op, fact] = column
                givers[fact].append(column)
        for fact in range(self.task.size):
            self._row([(self._fact(fact), -1.0), *((g, 1.0) for g in givers[fact])], 0, 0)

    def _order(self) -> bool:
        """Rows that make an order of who gives what; whether all of them found room."""
        users: dict[tuple[int, int], list[int]] = defaultdict(list)
        for (op, fact), column in self._given_by.items():
            for need in self.task.needs[op]:
                users[need, fact].append(column)
        order = eliminated(users, most=_TRIANGLES)
        places = self._edges(order) if order else {}
        for (need, fact), columns in users.items():
            above = places.get((need, fact), self._fact(need))
            self._row([(above, -1.0), *((column, 1.0) for column in columns)], -_INFINITY, 0)
        return order is not None

    def _edges(self, order: Elimination) -> dict[tuple[int, int], int]:
        places = {edge: self._size + number for number, edge in enumerate(order.edges)}
        self._size += len(places)
        for (u, _), column in places.items():
            self._row([(column, 1.0), (self._fact(u), -1.0)], -_INFINITY, 0)
        for u, v in order.pairs:
            self._row([(places[u, v], 1.0), (places[v, u], 1.0)], -_INFINITY, 1)
        for u, v, w in order.triangles:
            terms = [(places[u, v], 1.0), (places[v, w], 1.0), (places[u, w], -1.0)]
            self._row(terms, -_INFINITY, 1)
        return places

    # --- solving -----------------------------------------------------------------------------

    def relaxed(self, *, seconds: float | None = None) -> tuple[float, list[float]] | None:
        """
        The value of the linear relaxation, a lower bound, and each operator's reduced cost.

        None where it was not solved, infinite where no plan is possible.
        """
        if not self.task.goals:
            return 0.0, []
        import numpy as np  # noqa: PLC0415
        from scipy.optimize import linprog  # noqa: PLC0415
        from scipy.sparse import vstack  # noqa: PLC0415

        matrix, low, high = self._matrix(self._rows)
        equal = low == high
        upper, lower = ~equal & np.isfinite(high), ~equal & np.isfinite(low)
        options = {} if seconds is None else {"time_limit": max(seconds, 0.01)}
        found = linprog(
            self._objective(),
            A_ub=vstack([matrix[upper], -matrix[lower]]),
            b_ub=np.concatenate([high[upper], -low[lower]]),
            A_eq=matrix[equal],
            b_eq=low[equal],
            bounds=np.column_stack(self._bounds()),
            method="highs",
            options=options,
        )
        if found.status == _INFEASIBLE:
            return _INFINITY, []
        if found.status != _OPTIMAL:
            return None
        return float(found.fun), found.lower.marginals[: len(self.task.costs)].tolist()

    def solved(
        self,
        *,
        below: float = _INFINITY,
        cap: float = _INFINITY,
        aim: Sequence[float] | None = None,
        gap: float = 0.0,
        nodes: int | None = None,
        seconds: float | None = None,
    ) -> Answer:
        """
        The cheapest plan that costs at most *below* and lets no party bear more than *cap*.

        Args:
            aim: Minimised instead of the costs; *below* is about the costs all the same.
            gap: What is good enough, as a share of the bound.
            nodes: Of the search tree, at most.
        """
        if not self.task.goals:
            return Answer(set(), 0.0, closed=True)
        from scipy.optimize import Bounds, LinearConstraint, milp  # noqa: PLC0415

        rows = list(self._rows)
        if below < _INFINITY:
            columns = [op for op, cost in enumerate(self.task.costs) if cost]
            rows.append((columns, [self.task.costs[op] for op in columns], -_INFINITY, below))
        if cap < _INFINITY:
            rows += [(*row, -_INFINITY, cap) for row in self._borne()]
        options: dict[str, Any] = {"mip_rel_gap": gap}
        if nodes is not None:
            options["node_limit"] = nodes
        if seconds is not None:
            options["time_limit"] = max(seconds, 0.01)
        found = milp(
            self._objective(aim),
            integrality=self._integrality(),
            bounds=Bounds(*self._bounds()),
            constraints=LinearConstraint(*self._matrix(rows)),
            options=options,
        )
        if found.status == _INFEASIBLE:
            return Answer(None, _INFINITY, closed=True)
        ops = None
        if found.x is not None:
            ops = {op for op in range(len(self.task.costs)) if found.x[op] > _CHOSEN}
        bound = found.mip_dual_bound
        return Answer(
            ops, float(bound) if bound is not None else 0.0, closed=found.status == _OPTIMAL
        )

    def fairest(self, *, below: float, nodes: int | None, seconds: float | None) -> Answer:
        """The plan within *below* whose greatest burden is least; the bound is on that burden."""
        top = self._size
        self._size += 1
        kept = self._rows
        self._rows = [
            *kept,
            *(
                ([*columns, top], [*values, -1.0], -_INFINITY, 0.0)
                for columns, values in self._borne()
            ),
        ]
        try:
            return self.solved(below=below, aim=[0.0] * top + [1.0], nodes=nodes, seconds=seconds)
        finally:
            self._size -= 1
            self._rows = kept

    def _borne(self) -> list[tuple[list[int], list[float]]]:
        """Per party the operators it bears a part of, and how much."""
        found: dict[int, tuple[list[int], list[float]]] = {}
        for op, burden in enumerate(self.task.burdens):
            for party, amount in burden:
                columns, values = found.setdefault(party, ([], []))
                columns.append(op)
                values.append(amount)
        return [found[party] for party in sorted(found)]

    # --- as arrays ---------------------------------------------------------------------------

    def _objective(self, aim: Sequence[float] | None = None) -> Any:
        import numpy as np  # noqa: PLC0415

        objective = np.zeros(self._size)
        given = self.task.costs if aim is None else aim
        objective[: len(given)] = given
        return objective

    def _integrality(self) -> Any:
        import numpy as np  # noqa: PLC0415

        whole = np.zeros(self._size)
        whole[: len(self.task.costs)] = 1
        whole[list(self._given_by.values())] = 1
        return whole

    def _bounds(self) -> tuple[Any, Any]:
        import numpy as np  # noqa: PLC0415

        low, high = np.zeros(self._size), np.ones(self._size)
        for fact in range(self.task.size):
            low[self._fact(fact)] = self._needed >> fact & 1
        for op, facts in enumerate(self.first):
            if not facts:  # what it gives is there before it
                high[op] = 0
        high[self._plan_size :] = _INFINITY
        return low, high

    def _matrix(self, rows: Sequence[tuple[list[int], list[float], float, float]]) -> Any:
        import numpy as np  # noqa: PLC0415
        from scipy.sparse import csr_array  # noqa: PLC0415

        starts = np.cumsum([0, *(len(columns) for columns, *_ in rows)])
        columns = np.array([c for row in rows for c in row[0]], dtype=np.int32)
        values = np.array([v for row in rows for v in row[1]], dtype=float)
        matrix = csr_array((values, columns, starts), shape=(len(rows), self._size))
        low = np.array([row[2] for row in rows], dtype=float)
        high = np.array([row[3] for row in rows], dtype=float)
        return matrix, low, high
