"""What the lines of a report come to: when, who, how it ended, what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engines.checks import time_text
from engines.journal import RESERVED, Event
from engines.orders import Money

Row = tuple[str, Event]
"""A journal, and one of its events."""
_ABSURD = 1e15
_WHOSE = {"journal_created", "segment_started", "key_introduced"}
_PAID_BACK = {"payment": "paid", "refund": "given back"}


@dataclass(frozen=True, slots=True)
class Sums:
    """
    Attributes:
        first, last: Seconds since the epoch, by the writers' clocks.
        who: By whom and through which door, with how many lines.
        happened: Event types with how many, and how they ended.
        cost: What → how much, as text.
    """

    first: float
    last: float
    who: Mapping[str, int]
    happened: Mapping[str, int]
    cost: Mapping[str, str]


def timeline(events: Mapping[str, Sequence[Event]]) -> list[Row]:
    """All events by time; of one journal always in their order."""
    rows = [(journal, event) for journal, found in events.items() for event in found]
    return sorted(rows, key=lambda row: (row[1]["timestamp"], row[0], row[1]["seq"]))


def sums(rows: Sequence[Row]) -> Sums:
    """What *rows* come to; those that say whose a journal is, and who signs, only if alone."""
    rows = [row for row in rows if row[1]["event_type"] not in _WHOSE] or rows
    who = Counter(str(event.get("by", "not said")) for _, event in rows)
    happened = Counter(_kind(event) for _, event in rows)
    times = [event["timestamp"] for _, event in rows]
    return Sums(min(times), max(times), dict(who.most_common()), dict(happened), _cost(rows))


def when(seconds: float) -> str:
    """A line's time as RFC 3339; the number where no calendar has it."""
    try:
        return time_text(seconds) or ""
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def payload(event: Event) -> dict[str, Any]:
    """What an event says besides when, where and by whom."""
    return {name: item for name, item in event.items() if name not in RESERVED and name != "by"}


def _kind(event: Event) -> str:
    ended = event.get("outcome") or event.get("result")
    return f"{event['event_type']}: {ended}" if isinstance(ended, str) else str(event["event_type"])


def _cost(rows: Iterable[Row]) -> dict[str, str]:
    rows = list(rows)
    runs = [event for journal, event in rows if event["event_type"] == "run_finished"]
    tries = [event for _, event in rows if event["event_type"] == "task_failed"]
    planned = [event for journal, event in rows if journal == "cycles" and event.get("agent")]
    found = {
        "time of runs": _sum(runs, "duration_s", "s"),
        "largest memory of a run": _largest(runs, "peak_memory_bytes", "bytes"),
        "attempts that failed": str(len(tries)) if tries else None,
        "planned effort": _sum(planned, "estimated_effort_hours", "h"),
        **_money(event for journal, event in rows if journal == "orders"),
    }
    return {name: text for name, text in found.items() if text}


def _money(events: Iterable[Event]) -> dict[str, str]:
    """What was paid and given back, per currency, as far as an answer says that it was."""
    currency: dict[Any, str] = {}
    wanted: dict[tuple[Any, Any, str], tuple[int, str]] = {}
    sums: Counter[tuple[str, str]] = Counter()
    for event in events:
        order = event.get("order_id")
        kind, _, step = str(event["event_type"]).partition("_")
        transfer = (order, event.get("number"), kind)
        if event["event_type"] == "order_created":
            currency[order] = str(event.get("currency"))
        elif step == "wanted" and type(event.get("amount")) is int:
            sandbox = ", where no money moves" if event.get("live") is False else ""
            wanted[transfer] = event["amount"], f"{_PAID_BACK.get(kind, kind)}{sandbox}"
        elif step == "answered" and event.get("state") == "confirmed" and transfer in wanted:
            amount, what = wanted[transfer]
            sums[what, currency.get(order, "")] += amount
    return {f"{what} ({code})": _amount(amount, code) for (what, code), amount in sums.items()}


def _amount(minor: int, currency: str) -> str:
    try:
        return str(Money(minor, currency))
    except KeyError:  # the line that says which it is was pruned, or is a year's before
        return f"{minor:,} minor units"


def _sum(events: Sequence[Event], member: str, unit: str) -> str | None:
    numbers = _numbers(events, member)
    return f"{sum(numbers):,.3f} {unit} in {len(numbers)}" if numbers else None


def _largest(events: Sequence[Event], member: str, unit: str) -> str | None:
    numbers = _numbers(events, member)
    return f"{max(numbers):,.0f} {unit}" if numbers else None


def _numbers(events: Sequence[Event], member: str) -> list[float]:
    found: list[Any] = [event.get(member) for event in events]
    return [item for item in found if type(item) in {int, float} and abs(item) < _ABSURD]
