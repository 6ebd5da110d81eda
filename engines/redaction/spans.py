"""Where hits overlap: which of them counts, and how far it reaches."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from engines.redaction.model import Hit


def merged(hits: Iterable[Hit], kept: Callable[[str], bool] = lambda _: False) -> list[Hit]:
    """
    Hits that do not overlap, in their order.

    Of some that overlap the surest counts, of equals the longest, and it reaches over all of them:
    nothing that any of them saw stays.  A hit of a kind that is *kept* shields what lies within it,
    where it is as sure as that.
    """
    found: list[Hit] = []
    cluster: list[Hit] = []
    end = 0
    for hit in sorted(hits, key=lambda h: (h.start, -h.end)):
        if cluster and hit.start >= end:
            found += _one(cluster, kept)
            cluster = []
        cluster.append(hit)
        end = max(end, hit.end)
    return found + (_one(cluster, kept) if cluster else [])


def outside(hits: Iterable[Hit], spans: Sequence[tuple[int, int]], text: str) -> list[Hit]:
    """Those of *hits* that hold more than *spans* do, which are in order, and signs."""
    return [hit for hit in hits if _adds(hit, spans, text)] if spans else list(hits)


def _one(cluster: list[Hit], kept: Callable[[str], bool]) -> list[Hit]:
    if len(cluster) == 1:
        return [] if kept(cluster[0].kind) else cluster
    shields = [hit for hit in cluster if kept(hit.kind)]
    left = [
        hit
        for hit in cluster
        if hit not in shields and not any(_shields(shield, hit) for shield in shields)
    ]
    if not left:
        return []
    best = max(left, key=lambda h: (h.score, h.end - h.start))
    start, end = min(h.start for h in left), max(h.end for h in left)
    whole = best if (best.start, best.end) == (start, end) else replace(best, value="")
    return [replace(whole, start=start, end=end)]


def _shields(shield: Hit, hit: Hit) -> bool:
    return shield.start <= hit.start and hit.end <= shield.end and shield.score >= hit.score


def _adds(hit: Hit, spans: Sequence[tuple[int, int]], text: str) -> bool:
    here = hit.start
    for at in range(max(0, bisect_left(spans, (hit.start, 0)) - 1), len(spans)):
        start, end = spans[at]
        if start >= hit.end:
            break
        if end > hit.start:
            if any(map(str.isalnum, text[here:start])):
                return True
            here = max(here, end)
    return any(map(str.isalnum, text[here : hit.end]))
