"""
When a job is due: what users may say, in one canonical form, and the next time after a moment.

    {"kind": "cron", "expr": "0 9 * * *", "tz": "Europe/Berlin"}      five fields, as cron has them
    {"kind": "interval", "everyMs": 60000}                            counted from when it was added
    {"kind": "at", "at": "2027-01-15T10:00:00Z"}                      once

Pure: what time it is, is an argument.  Where clocks are put forward or back, cron jobs run as
Debian's cron runs them (cronsim): what falls into the gap runs at its end, fixed times run once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, tzinfo
from itertools import count
from pathlib import Path
from typing import Any

from dino_os.errors import InvalidInput
from engines import checks

Trigger = dict[str, Any]

_UNITS_MS = {"weeks": 604_800_000, "days": 86_400_000, "hours": 3_600_000}
_UNITS_MS |= {"minutes": 60_000, "seconds": 1000, "everyMs": 1}
_CRON_FIELDS = ("minute", "hour", "day", "month", "day_of_week")
_FIRST = ("0", "0", "1")
_OPTIONS = {
    "cron": {"expr", "tz", *_CRON_FIELDS},
    "interval": {*_UNITS_MS},
    "at": {"at", "tz"},
}
_LONGEST_MS = 100 * 366 * 86_400_000
_LEAST_MS = 1000
_LONGEST_EXPR = 200
_weekdays = re.compile(r"[a-z*]+(?:[-,][a-z]+)*(?:#[1-5]|L)?", re.IGNORECASE).fullmatch


def read_trigger(trigger: object, options: Mapping[str, Any]) -> Trigger:
    """
    What the user said, `{"kind": …}` or a kind and its options by name, in canonical form.

    Raises:
        InvalidInput: It is no time that ever comes, or says something twice or unknown.
    """
    if isinstance(trigger, str):
        said: dict[str, Any] = {"kind": trigger, **options}
    elif isinstance(trigger, Mapping):
        said = {**trigger, **options}
        if twice := sorted(set(trigger) & set(options)):
            raise InvalidInput(f"the trigger says {twice[0]!r} twice")
    else:
        raise InvalidInput(f'a trigger must be like "cron" or a mapping, found {trigger!r}')
    kind = said.pop("kind", None)
    if not isinstance(kind, str) or kind not in _OPTIONS:
        close = checks.did_you_mean(str(kind), _OPTIONS)
        raise InvalidInput(f"a trigger's kind is cron, interval or at, found {kind!r}{close}")
    for name in said:
        if name not in _OPTIONS[kind]:
            known = _OPTIONS[kind]
            raise InvalidInput(
                f"a trigger of kind {kind!r} has no {name!r}{checks.did_you_mean(name, known)}",
                hint=f"it has {', '.join(sorted(known))}",
            )
    return {"kind": kind, **_READERS[kind](said)}


def refuse_too_often(trigger: Trigger) -> None:
    """
    Stop where *trigger* is an interval that only a program of one's own may ask for.

    Raises:
        InvalidInput: It is shorter than a second.
    """
    if trigger["kind"] == "interval" and trigger["everyMs"] < _LEAST_MS:
        raise InvalidInput(
            f"an interval of {trigger['everyMs']} ms is too short",
            hint="at least 1s; each due time is a record for good",
        )


def next_time(trigger: Trigger, *, after: float, since: float) -> float | None:
    """
    The first moment later than *after*, in seconds since the epoch; None where there is none.

    Args:
        since: From where intervals are counted.
    """
    return next(times_after(trigger, after=after, since=since), None)


def times_after(trigger: Trigger, *, after: float, since: float) -> Iterator[float]:
    """As `next_time`: that moment and all that follow, without end where there is none."""
    if trigger["kind"] == "interval":
        every, since_ms = trigger["everyMs"], round(since * 1000)
        # About there: what is due later in the same millisecond is still to come.
        passed = int((after * 1000 - since_ms) // every)
        for step in count(max(passed, 1)):
            due = float((since_ms + step * every) / 1000)
            if due > after:
                yield due
    elif trigger["kind"] == "at":
        moment = _moment(trigger["at"]).timestamp()
        if moment > after:
            yield moment
    else:
        yield from _times_of_cron(trigger["expr"], _zone(trigger["tz"]), after)


# --- cron ----------------------------------------------------------------------------------------


def _read_cron(said: dict[str, Any]) -> Trigger:
    fields = {name: said[name] for name in _CRON_FIELDS if name in said}
    if ("expr" in said) == bool(fields):
        raise InvalidInput('a cron trigger needs expr="0 9 * * *", or fields such as hour=9')
    expr = said["expr"] if "expr" in said else _expression(fields)
    if not isinstance(expr, str) or len(expr) > _LONGEST_EXPR:
        raise InvalidInput(f"a cron expression must be a short text, found {expr!r}"[:300])
    expr = " ".join(expr.split())
    if len(expr.split(" ")) != len(_CRON_FIELDS):
        raise InvalidInput(
            f"the cron expression {expr!r} must have five fields",
            hint="minute, hour, day of the month, month, day of the week",
        )
    tz = _zone_said(said)
    next(_times_of_cron(expr, _zone(tz), 0.0))
    return {"expr": expr, "tz": tz}


def _expression(fields: Mapping[str, Any]) -> str:
    """Fields finer than the finest that is named are at their first value, coarser ones any."""
    if "day_of_week" in fields:
        _check_weekdays(fields["day_of_week"])
    # A day of the week is as fine as a day.
    finest = min(_CRON_FIELDS.index("day" if n == "day_of_week" else n) for n in fields)
    values = [
        fields.get(name, _FIRST[index] if index < finest else "*")
        for index, name in enumerate(_CRON_FIELDS)
    ]
    for name, value in zip(_CRON_FIELDS, values, strict=True):
        if isinstance(value, bool) or not isinstance(value, int | str) or " " in str(value):
            raise InvalidInput(f"{name} must be a number or a field of cron, found {value!r}")
    return " ".join(map(str, values))


def _check_weekdays(value: object) -> None:
    if not (isinstance(value, str) and _weekdays(value)):
        raise InvalidInput(
            f"day_of_week must name days, such as mon-fri, found {value!r}",
            hint="0 is Sunday in cron's own language, and Monday in others",
        )


def _times_of_cron(expr: str, zone: tzinfo, after: float) -> Iterator[float]:
    from cronsim import CronSim  # noqa: PLC0415  where there is a cron job only

    last = after
    try:
        for moment in CronSim(expr, datetime.fromtimestamp(after, zone)):
            # In the second pass of an hour that comes twice, fixed times are those of the first.
            if moment.timestamp() > last:
                last = moment.timestamp()
                yield last
    except Exception as error:  # noqa: BLE001  some expressions trip its parser itself
        what = f": {error}" if str(error) else ""
        raise InvalidInput(f"not a cron expression: {expr!r}{what}") from None
    if last == after:
        raise InvalidInput(f"the cron expression {expr!r} names no day within 50 years")


# --- intervals and moments -----------------------------------------------------------------------


def _read_interval(said: dict[str, Any]) -> Trigger:
    if not said:
        raise InvalidInput("an interval trigger needs everyMs=60000, or units such as minutes=1")
    parts = [checks.at_least(value, 0, name) * _UNITS_MS[name] for name, value in said.items()]
    every = round(sum(parts), 3)  # 1.005 s are 1005 ms, whatever binary fractions make of it
    if every != int(every) or not 1 <= every <= _LONGEST_MS:
        raise InvalidInput(
            f"an interval must be 1 to {_LONGEST_MS} whole milliseconds, found {every:g}"
        )
    return {"everyMs": int(every)}


def _read_at(said: dict[str, Any]) -> Trigger:
    if not isinstance(said.get("at"), str):
        example = 'at="2027-01-15T10:00:00Z"'
        raise InvalidInput(f"an at trigger needs a time: {example}, found {said.get('at')!r}")
    moment = _moment(said["at"])
    if moment.tzinfo is None:
        tz = _zone_said(said)
        there = moment.replace(tzinfo=_zone(tz))
        if checks.utc(there).astimezone(there.tzinfo).replace(tzinfo=None) != moment:
            raise InvalidInput(f"{said['at']} does not exist in {tz}: the clocks go forward then")
        moment = there
    elif said.get("tz") is not None:
        raise InvalidInput(f"{said['at']} says its own zone; tz is one too many")
    return {"at": checks.rfc3339(checks.utc(moment))}


def read_moment(text: object) -> float:
    """
    A moment as people write it, in seconds since the epoch; without a zone it is this machine's.

    Raises:
        InvalidInput: It is none.
    """
    return _moment(_read_at({"at": text})["at"]).timestamp()


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            f"not a time: {text!r}", hint='write it as "2027-01-15T10:00:00Z"'
        ) from None


# --- zones ---------------------------------------------------------------------------------------


def local_zone(
    environ: Mapping[str, str] = os.environ,
    localtime: Path = Path("/etc/localtime"),
    timezone: Path = Path("/etc/timezone"),
) -> str:
    """
    The name of this machine's zone, so that a job stays at its hour when the clocks change.

    Raises:
        InvalidInput: Nothing here names it.
    """
    if said := environ.get("TZ", "").lstrip(":"):
        _, found, name = said.rpartition("zoneinfo/")
        name = name if found or not said.startswith("/") else ""
    else:
        _, found, name = os.path.realpath(localtime).rpartition("zoneinfo/")
        name = name if found else _first_line(timezone)
        name = name or ("" if localtime.exists() else "UTC")  # as the C library has it
    try:
        _zone(name)
    except InvalidInput:
        raise InvalidInput(
            "this machine does not name its time zone", hint='say which: tz="Europe/Berlin"'
        ) from None
    return name


def zone_of(trigger: Trigger) -> tzinfo:
    """In whose time people read when it is due."""
    return _zone(trigger.get("tz") or "UTC")


def _zone_said(said: Mapping[str, Any]) -> str:
    tz = said.get("tz")
    if tz is None:
        return local_zone()
    _zone(tz)
    return str(tz)


def _first_line(file: Path) -> str:
    try:
        return file.read_text("ascii").partition("\n")[0].strip()
    except (OSError, ValueError):
        return ""


def _zone(name: object) -> tzinfo:
    from zoneinfo import ZoneInfo  # noqa: PLC0415  reads the zones' data

    try:
        if isinstance(name, str) and name:
            return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, a path out of the folder, a folder
        pass
    raise InvalidInput(f"no time zone {name!r}", hint='names are like "Europe/Berlin" or "UTC"')


_READERS: dict[str, Callable[[dict[str, Any]], Trigger]] = {
    "cron": _read_cron,
    "interval": _read_interval,
    "at": _read_at,
}
