"""
Runs as OpenTelemetry spans, in the JSON form of its protocol OTLP.

A file of them is one `ExportTraceServiceRequest` a line, which the collector's receiver `otlpjson`
reads (https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/).  What went in and came out
stands in them by hash alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from engines.journal import Event
from engines.trace import TraceContext, span_of, trace_context, trace_of

_OK, _ERROR, _UNSET = 1, 2, 0
_INTERNAL = 1
_LATEST_S = 2**63 / 1e9  # the protocol's numbers have 64 bits
GOOD = {"ok", "ok_no_action"}


class _Above(NamedTuple):
    """What led to a run: a trace that a caller sent, another run."""

    sent: TraceContext | None
    parent: str | None


@dataclass(frozen=True, slots=True)
class Span:
    """
    One run.

    Attributes:
        start_ns, end_ns: Since the epoch.
        parent_span_id: Empty where nothing led to it.
    """

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    start_ns: int
    end_ns: int
    outcome: str | None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """As the protocol counts them: 0 unset, 1 ok, 2 error."""
        if self.outcome is None:
            return _UNSET
        return _OK if self.outcome in GOOD else _ERROR

    def as_otlp(self) -> dict[str, Any]:
        """As a `Span` message in JSON: 64-bit numbers are texts there."""
        told = {
            "traceId": self.trace_id,
            "spanId": self.span_id,
            "name": self.name,
            "kind": _INTERNAL,
            "startTimeUnixNano": str(self.start_ns),
            "endTimeUnixNano": str(self.end_ns),
            "attributes": [_attribute(*item) for item in sorted(self.attributes.items())],
            "status": {"code": self.status},
        }
        return told | ({"parentSpanId": self.parent_span_id} if self.parent_span_id else {})


def spans(events: Callable[[], Iterable[Event]]) -> Iterator[Span]:
    """
    The spans of the runs that ended, of tapped events, in their order.

    A run is in the trace that its caller sent, else in that of the run that led to it.

    Args:
        events: Asked for them twice: what led to a run may be said behind it.
    """
    above: dict[str, _Above] = {}
    for event in events():
        if run := event.get("run"):
            sent, parent = trace_context(event.get("traceparent")), event.get("parent")
            if sent or parent or run not in above:
                above[run] = _Above(sent, parent)
    return (_span(event, above) for event in events() if "duration_s" in event and event.get("run"))


def _span(event: Event, above: Mapping[str, _Above]) -> Span:
    run, end_s = event["run"], min(max(event["at"], 0.0), _LATEST_S)
    end_ns, lasted_s = round(end_s * 1e9), min(max(event["duration_s"], 0.0), end_s)
    sent, parent = above[run]
    own, led = span_of(run), span_of(parent) if parent else sent.span_id if sent else ""
    if "source" not in event:  # what somebody tapped within the run
        own, led = span_of(f"{run} {event['seq']}"), own
    return Span(
        _trace(run, above),
        own,
        led,
        str(event.get("data", {}).get("skill") or event["kind"]),
        end_ns - round(lasted_s * 1e9),
        end_ns,
        event.get("outcome"),
        _facts(event),
    )


def _trace(run: str, above: Mapping[str, _Above]) -> str:
    """The trace that was sent to a run, or to the next above it to which any was."""
    seen: set[str] = set()
    while run not in seen:  # a record from elsewhere may go in circles
        seen.add(run)
        sent, parent = above.get(run, _Above(None, None))
        if sent:
            return sent.trace_id
        if not parent:
            break
        run = parent
    return trace_of(run)


def to_otlp(found: Iterable[Span], resource: Mapping[str, str]) -> dict[str, Any]:
    """One `ExportTraceServiceRequest`; *resource* says whose spans they are."""
    about = {"service.name": "dino", **resource}
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": [_attribute(*item) for item in sorted(about.items())]},
                "scopeSpans": [
                    {
                        "scope": {"name": "dino.provenance"},
                        "spans": [span.as_otlp() for span in found],
                    }
                ],
            }
        ]
    }


def _facts(event: Event) -> dict[str, Any]:
    told = {"dino.run": event["run"], "dino.kind": event["kind"]}
    if outcome := event.get("outcome"):
        told["dino.outcome"] = outcome
    for name in ("inputs", "outputs"):
        if event.get(name):
            told[f"dino.{name}"] = list(event[name])
    return told


def _attribute(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"key": name, "value": {"arrayValue": {"values": [_any(one) for one in value]}}}
    return {"key": name, "value": _any(value)}


def _any(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": str(value)}
