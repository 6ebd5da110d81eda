"""
What a job does when its time was missed, when it is still running, and how it runs.

One frozen type, read from keyword options and checked once; `as_dict` holds what was said that
differs from the defaults, so that a journal keeps what somebody chose and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from hashlib import sha256
from typing import Any, Self

from dino_os.errors import InvalidInput
from dino_os.units import seconds
from engines import checks

MISFIRES = ("fire_once", "skip", "fire_all")
OVERLAPS = ("skip", "queue_one", "queue_all", "cancel_other", "allow")
PRIORITIES = ("critical", "high", "normal", "low")
SCOPES = ("cluster", "node")

_LEAST_GRACE_S, _MOST_GRACE_S = 60.0, 7200.0
_MOST_FIRED = 1000
_MOST_ATTEMPTS = 100
_MOST_S = 10 * 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class Policies:
    """
    How a job's due times become runs.

    Attributes:
        misfire: What becomes of times that nobody was there for: the last of them runs (fire_once),
            none does (skip), or the last *misfire_limit* do (fire_all), one after the other.
        grace_s: Up to here late is not missed; None: half the time to the next, 60 s to 2 h.
        catchup_window_s: What was missed longer ago than this is never made good.
        catchup_spread_s: Over how long the runs that make good are spread.
        overlap: What becomes of a time at which the run before is not done: it is skipped, waits
            (one, or all), ends the other, or runs beside it.
        jitter_s: Up to how much later each starts; the same for the same job and time.
        start_deadline_s: How late after its time a run may still start.
        max_attempts: How often a run that fails is tried.
        timeout_s: How long each try may take; None: what the skill says.
        priority: critical, high, normal or low.
        scope: Whether nodes of a cluster that have the same job share its due times (cluster), or
            each has its own (node).
    """

    misfire: str = "fire_once"
    misfire_limit: int = 10
    grace_s: float | None = None
    catchup_window_s: float = 86_400.0
    catchup_spread_s: float = 0.0
    overlap: str = "skip"
    jitter_s: float = 0.0
    start_deadline_s: float | None = None
    max_attempts: int = 1
    timeout_s: float | None = None
    priority: str = "normal"
    scope: str = "cluster"

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> Self:
        """
        The policies that *options* say; what is None is as if it were not said.

        Raises:
            InvalidInput: One of them is unknown or does not fit.
        """
        said = {name: value for name, value in options.items() if value is not None}
        if unknown := sorted(set(said) - set(NAMES)):
            close = checks.did_you_mean(unknown[0], NAMES)
            raise InvalidInput(f"a job has no {unknown[0]!r}{close}", hint=", ".join(NAMES))
        return cls(**{name: _READERS[name](value, name) for name, value in said.items()})

    def as_dict(self) -> dict[str, Any]:
        """What differs from the defaults, in a form that `read` takes."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default
        }

    def grace(self, period_s: float | None) -> float:
        """Up to how late is not missed, where the next is due *period_s* later (None: never)."""
        if self.grace_s is not None:
            return self.grace_s
        half = _MOST_GRACE_S if period_s is None else period_s / 2
        return min(max(half, _LEAST_GRACE_S), _MOST_GRACE_S)

    def jitter(self, job_id: str, due: float) -> float:
        """How much later than *due* the run starts."""
        return self.jitter_s * share(job_id, due)


def share(job_id: str, due: float) -> float:
    """A number of [0, 1) that looks like chance, and is the same for the same job and time."""
    digest = sha256(f"{job_id}@{due!r}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _word(*known: str) -> Callable[[Any, str], str]:
    def read(value: Any, what: str) -> str:
        word = value.strip().lower().replace("-", "_") if isinstance(value, str) else value
        if word not in known:
            close = checks.did_you_mean(str(value), known)
            raise InvalidInput(f"{what} is one of {', '.join(known)}, found {value!r}{close}")
        return str(word)

    return read


def _number(least: float, most: float) -> Callable[[Any, str], int]:
    def read(value: Any, what: str) -> int:
        number = checks.whole(value, what)
        if not least <= number <= most:
            raise InvalidInput(f"{what} must be {least:g} to {most:g}, found {value!r}")
        return number

    return read


def _time(value: Any, what: str) -> float:
    """Seconds, or text such as "5m"; 0 too."""
    if value in (0, "0", "0s"):
        return 0.0
    found = seconds(value, what) if isinstance(value, str) else checks.at_least(value, 0, what)
    if found > _MOST_S:
        raise InvalidInput(f"{what} must be at most {_MOST_S:g} seconds, found {value!r}")
    return float(found)


def _span(value: Any, what: str) -> float:
    found = _time(value, what)
    if not found:
        raise InvalidInput(f"{what} must be more than 0, found {value!r}")
    return found


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "misfire": _word(*MISFIRES),
    "misfire_limit": _number(1, _MOST_FIRED),
    "grace_s": _time,
    "catchup_window_s": _time,
    "catchup_spread_s": _time,
    "overlap": _word(*OVERLAPS),
    "jitter_s": _time,
    "start_deadline_s": _span,
    "max_attempts": _number(1, _MOST_ATTEMPTS),
    "timeout_s": _span,
    "priority": _word(*PRIORITIES),
    "scope": _word(*SCOPES),
}
NAMES = tuple(field.name for field in fields(Policies) if field.default is not MISSING)
