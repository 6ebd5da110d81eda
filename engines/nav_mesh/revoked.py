"""
What was revoked, and whom that means: told by numbers that the gate log gives out, by no clock.

Each token that is issued and each revocation takes the next number, under the journal's lock.  So a
revocation means what has a lower number than its own, whatever the clocks said meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

ANY = "*"
Whom = tuple[str, str]
"""A domain and a subject, each may be ANY; or "" and the id of a token."""

MOST = 10_000
_MOST_OF_ONE = 100


@dataclass(frozen=True, slots=True)
class Revocation:
    """
    Taken back is what was given out before it.

    Attributes:
        before: Of that only what was issued before then; None is all of it.
        at: When it was made, for what has no number.
    """

    number: int
    before: float | None
    at: float


@dataclass(slots=True)
class Revocations:
    """
    All that there were, the last one last.

    They are not forgotten because a clock says that nothing can be alive that they mean.  Of very
    many the first ones are dropped; all that has a lower number than those counts as revoked.

    Attributes:
        lost: The highest number of those that were dropped; `lost_at`: the latest of their times.
    """

    made: dict[Whom, list[Revocation]] = field(default_factory=dict)
    lost: int = 0
    lost_at: float = 0.0

    def add(self, whom: Whom, made: Revocation) -> None:
        known = self.made.pop(whom, [])
        if made.before is not None:
            kept = [one for one in known if one.before is None or one.before > made.before]
            self._lose(kept[:-_MOST_OF_ONE])
            known = kept[-_MOST_OF_ONE:]
        else:
            known = []  # none of them means more
        self.made[whom] = [*known, made]
        if len(self.made) > MOST:
            self._lose(self.made.pop(next(iter(self.made))))

    def mean(
        self, domain: str, subject: str, token_ids: Iterable[str], *, issued: float, number: int
    ) -> bool:
        """Whether what has that number was taken back."""
        return number < self.lost or any(
            number < one.number and (one.before is None or issued < one.before)
            for one in self._of(domain, subject, token_ids)
        )

    def since(self, domain: str, subject: str, at: float) -> bool:
        """Whether what has no number, and counts as issued *at* that time, was taken back."""
        return at <= self.lost_at or any(
            at <= one.at if one.before is None else at < one.before
            for one in self._of(domain, subject, ())
        )

    def _of(self, domain: str, subject: str, token_ids: Iterable[str]) -> Iterator[Revocation]:
        for where in (domain, ANY):
            for whom in (subject, ANY):
                yield from self.made.get((where, whom), ())
        for token_id in token_ids:
            yield from self.made.get(("", token_id), ())

    def _lose(self, dropped: list[Revocation]) -> None:
        self.lost = max([self.lost, *(one.number for one in dropped)])
        self.lost_at = max([self.lost_at, *(one.at for one in dropped)])
