"""
Who is kept out for a while, by a clock that may step.

A block lasts for its length from where the clock stood when it was set.  Where that clock turns out
to be another than the one before or after, it lasts for its length on each of them: a step neither
ends it nor makes it longer on any one.  Nothing is recorded or dropped because its time is over:
a clock that is ahead may be set right again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engines.nav_mesh.rules import LEEWAY_S

Whom = tuple[str, str]
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Block:
    """
    Attributes:
        starts: From when on, for so long each time; in order.
    """

    length: float
    starts: tuple[float, ...]

    def until(self, now: float) -> float | None:
        """When it ends that holds now; None where none does."""
        if now < self.starts[0]:  # the clock was set back, and nothing was recorded since
            return self.starts[0] + self.length
        ends = (start + self.length for start in self.starts if start <= now + LEEWAY_S)
        return next((end for end in ends if now < end), None)

    def seen(self, at: float) -> Block:
        """It where something happened *at* that time."""
        if at < self.starts[0] - LEEWAY_S:
            return Block(self.length, (at, *self.starts))
        begun = tuple(start for start in self.starts if start <= at + LEEWAY_S)
        if begun and begun != self.starts and at >= begun[0] + self.length:
            return Block(self.length, begun)  # it has lasted as long as it should
        return self


@dataclass(slots=True)
class Blocks:
    """
    All of them.

    Attributes:
        last: When something was recorded last; `latest`: the latest of these times so far.
        doubtful: Those that more than one clock tells.
    """

    set_: dict[Whom, Block] = field(default_factory=dict)
    last: float = 0.0
    latest: float = 0.0
    doubtful: set[Whom] = field(default_factory=set)

    def until(self, domain: str, subject: str, now: float) -> float | None:
        """Until when somebody is kept out; None where he is not."""
        found = self.set_.get((domain, subject))
        return None if found is None else found.until(now)

    def add(self, whom: Whom, at: float, length: float) -> None:
        if len(self.set_) >= MOST:
            over = (one for one, block in self.set_.items() if block.until(at) is None)
            if (first := next(over, None)) is not None:
                self.drop(first)
        self.drop(whom)
        # Either that clock was ahead, or this one is behind.
        ahead = (self.latest,) if self.latest > at + LEEWAY_S else ()
        self._put(whom, Block(length, (at, *ahead)))

    def drop(self, whom: Whom) -> None:
        self.set_.pop(whom, None)
        self.doubtful.discard(whom)

    def pass_time(self, at: float) -> None:
        """Told of when each line was written."""
        if self.set_ and (at < self.last or self.doubtful):
            for whom in list(self.set_ if at < self.last else self.doubtful):
                self._put(whom, self.set_[whom].seen(at))
        self.last, self.latest = at, max(self.latest, at)

    def _put(self, whom: Whom, block: Block) -> None:
        self.set_[whom] = block
        if len(block.starts) > 1:
            self.doubtful.add(whom)
        else:
            self.doubtful.discard(whom)
