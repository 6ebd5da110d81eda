"""
Vertex elimination: what must hold of the edges of a graph so that those chosen make no cycle.

Vertices are taken out one by one, those with the fewest ways through first; each way through
(u → v → w) leaves an edge u → w behind, which must be chosen where both of its halves are.  Then
every cycle comes down to a pair of opposite edges, of which one at most may be chosen.

Source: Rankooh and Rintanen, "Efficient Computation and Informative Estimation of h+ by Integer and
Linear Programming", ICAPS 2022.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

Edge = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Elimination:
    """
    Attributes:
        edges: Those given that lie on a cycle, and those that elimination left behind.
        triangles: (u, v, w): who chooses u → v and v → w chooses u → w.
        pairs: (u, v): not both of u → v and v → u.
    """

    edges: tuple[Edge, ...]
    triangles: tuple[tuple[int, int, int], ...]
    pairs: tuple[Edge, ...]


def eliminated(edges: Iterable[Edge], *, most: int) -> Elimination | None:
    """Of the graph with these edges; None where there would be more than *most* triangles."""
    graph = _Graph(_on_cycles(edges))
    heap = [(graph.ways(v), v) for v in graph.after]
    heapify(heap)
    while heap:
        ways, v = heappop(heap)
        if v not in graph.after:
            continue
        if ways != graph.ways(v):  # it changed since
            heappush(heap, (graph.ways(v), v))
            continue
        for near in graph.eliminate(v):
            heappush(heap, (graph.ways(near), near))
        if len(graph.triangles) > most:
            return None
    return Elimination(tuple(sorted(graph.edges)), tuple(graph.triangles), tuple(graph.pairs))


class _Graph:
    """What is left of a graph, and what was noted of what was taken out."""

    def __init__(self, edges: list[Edge]) -> None:
        self.edges = set(edges)
        self.triangles: list[tuple[int, int, int]] = []
        self.pairs: list[Edge] = []
        self.after: dict[int, set[int]] = {}
        self.ahead: dict[int, set[int]] = {}
        for u, v in edges:
            self.after.setdefault(u, set()).add(v)
            self.ahead.setdefault(v, set()).add(u)

    def ways(self, v: int) -> int:
        """How many ways lead through."""
        return len(self.ahead[v]) * len(self.after[v])

    def eliminate(self, v: int) -> set[int]:
        """Take out a vertex; its neighbours."""
        sources, targets = sorted(self.ahead.pop(v)), sorted(self.after.pop(v))
        for u in sources:
            self.after[u].discard(v)
        for w in targets:
            self.ahead[w].discard(v)
        for u in sources:
            for w in targets:
                if u == w:
                    self.pairs.append((u, v))
                    continue
                self.triangles.append((u, v, w))
                self.after[u].add(w)
                self.ahead[w].add(u)
                self.edges.add((u, w))
        return {*sources, *targets}


def _on_cycles(edges: Iterable[Edge]) -> list[Edge]:
    """The edges within strongly connected components."""
    import numpy as np  # noqa: PLC0415  where a task is solved by a program
    from scipy.sparse import coo_array  # noqa: PLC0415
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    found = sorted(set(edges))
    if not found:
        return []
    ends = np.array(found)
    size = int(ends.max()) + 1
    graph = coo_array((np.ones(len(found)), (ends[:, 0], ends[:, 1])), shape=(size, size))
    _, component = connected_components(graph, directed=True, connection="strong")
    return [(u, v) for u, v in found if component[u] == component[v]]
