"""
What Prometheus' Alertmanager sends to a webhook (version 4 of the payload), as records.

Each alert is one record: `labels.NAME`, `annotations.NAME`, `startsAt`, `fingerprint` and so on are
its columns.  An alert is told again for as long as it fires, and once more when it is resolved; of
all that is told of one fingerprint the latest counts, in whatever order it is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dino_os.errors import InvalidInput
from dino_os.planning.sources import as_text, json_lines, refuse_halves
from dino_os.typed_files import Document, read_text
from engines.checks import utc
from engines.personas import RejectedRow, Row

_VERSION = "4"
_NEVER = "0001-01-01T00:00:00Z"  # Go's zero time: it has not ended
_OF_THE_GROUP = ("receiver", "groupKey", "externalURL")
_TABLES_OF_THE_GROUP = ("groupLabels", "commonLabels", "commonAnnotations")

Known = Mapping[str, tuple[float, bool]]
"""Fingerprint → when the last known alert began, and whether it is resolved."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert, as it was told once."""

    line: int
    fingerprint: str
    began: float
    resolved: bool
    row: Row

    @property
    def age(self) -> tuple[float, bool]:
        """What is told later of one fingerprint compares greater."""
        return self.began, self.resolved


@dataclass(frozen=True, slots=True)
class News:
    """
    What a source's alerts come to.

    Attributes:
        firing: Those that fire and were not known; one for each fingerprint.
        repeated: How many fire as they did before.
        resolved: How many are over.
        marks: What is known of each fingerprint from now on.
    """

    firing: tuple[Alert, ...]
    repeated: int
    resolved: int
    marks: Mapping[str, tuple[float, bool]]


def news(alerts: Iterable[Alert], known: Known) -> News:
    """Hold *alerts* against what is *known*."""
    latest: dict[str, Alert] = {}
    for alert in alerts:
        before = latest.get(alert.fingerprint)
        if before is None or alert.age > before.age:
            latest[alert.fingerprint] = alert
    never = (float("-inf"), False)
    newer = {f: a for f, a in latest.items() if a.age > known.get(f, never)}
    firing = tuple(alert for alert in newer.values() if not alert.resolved)
    return News(
        firing=firing,
        repeated=sum(not alert.resolved for alert in latest.values()) - len(firing),
        resolved=sum(alert.resolved for alert in latest.values()),
        marks={f: alert.age for f, alert in newer.items()},
    )


def read_file(path: Path) -> tuple[list[Alert], list[RejectedRow]]:
    """
    The alerts in a file: one payload (JSON), or one on each line (JSON lines).

    Raises:
        InvalidInput: It is no payload of Alertmanager.
    """
    if path.suffix.lower() in {".jsonl", ".ndjson"}:
        alerts: list[Alert] = []
        rejected: list[RejectedRow] = []
        for line, payload in json_lines(path):
            found, refused = _gather(_alerts(payload, f"{path}:{line}", lambda _, at=line: at))
            alerts += found
            rejected += refused
        return alerts, rejected
    return read_payload(read_text(path), str(path))


def read_payload(text: str, name: str) -> tuple[list[Alert], list[RejectedRow]]:
    """
    The alerts in the text of one payload.

    Raises:
        InvalidInput: It is none.
    """
    document = Document(text, name, is_json=True)

    def line_of(index: int) -> int:
        return document.line_of(("alerts", index)) or 1

    return _gather(_alerts(document.data, name, line_of))


def _alerts(payload: Any, name: str, line_of: Any) -> Iterator[Alert | RejectedRow]:
    if not isinstance(payload, dict) or not isinstance(payload.get("alerts"), list):
        raise InvalidInput(
            f"{name}: not what Alertmanager sends: no list of alerts",
            hint="expected a webhook's payload, version 4",
        )
    if payload.get("version", _VERSION) != _VERSION:
        raise InvalidInput(f"{name}: version {payload['version']!r} of the payload is not known")
    group = _group_columns(payload)
    for index, alert in enumerate(payload["alerts"]):
        try:
            yield _alert(alert, group, line_of(index))
        except InvalidInput as error:
            yield RejectedRow(line_of(index), error.message)


def _gather(
    found: Iterable[Alert | RejectedRow],
) -> tuple[list[Alert], list[RejectedRow]]:
    alerts: list[Alert] = []
    rejected: list[RejectedRow] = []
    for item in found:
        if isinstance(item, Alert):
            alerts.append(item)
        else:
            rejected.append(item)
    return alerts, rejected


def _alert(alert: Any, group: Row, line: int) -> Alert:
    if not isinstance(alert, dict):
        raise InvalidInput(f"an alert must be a mapping, found {alert!r:.60}")
    labels, status = _table(alert, "labels"), alert.get("status")
    if status not in ("firing", "resolved"):  # a tuple: it may be anything, also what has no hash
        raise InvalidInput(f"status must be firing or resolved, found {status!r:.60}")
    fingerprint = alert.get("fingerprint") or _fingerprint(labels)
    if not isinstance(fingerprint, str):
        raise InvalidInput(f"fingerprint must be text, found {fingerprint!r:.60}")
    ends = alert.get("endsAt")
    row = {
        **group,
        "status": status,
        "startsAt": as_text(alert.get("startsAt")),
        "endsAt": "" if ends == _NEVER else as_text(ends),
        "generatorURL": as_text(alert.get("generatorURL")),
        "fingerprint": fingerprint,
        **_columns("labels", labels),
        **_columns("annotations", _table(alert, "annotations")),
    }
    refuse_halves(row)
    return Alert(line, fingerprint, _moment(alert.get("startsAt")), status == "resolved", row)


def _group_columns(payload: Mapping[str, Any]) -> dict[str, str]:
    columns = {name: as_text(payload.get(name)) for name in _OF_THE_GROUP}
    for name in _TABLES_OF_THE_GROUP:
        table = payload.get(name)
        columns.update(_columns(name, table if isinstance(table, dict) else {}))
    return columns


def _columns(name: str, table: Mapping[str, Any]) -> dict[str, str]:
    return {f"{name}.{key}": as_text(value) for key, value in table.items()}


def _table(alert: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = alert.get(name) or {}
    if not isinstance(found, dict):
        raise InvalidInput(f"{name} must be a mapping, found {found!r:.60}")
    return found


def _moment(text: Any) -> float:
    try:
        return utc(datetime.fromisoformat(text)).timestamp()
    except (ValueError, TypeError):
        raise InvalidInput(f"startsAt must be a time in RFC 3339, found {text!r:.60}") from None


def _fingerprint(labels: Mapping[str, Any]) -> str:
    """Of an alert that brings none: as Alertmanager has it, the labels are what it is."""
    text = json.dumps(labels, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
