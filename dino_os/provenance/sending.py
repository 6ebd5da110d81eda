"""Spans, sent to an OpenTelemetry collector by its own exporter: the extra `otel`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dino_os.errors import InvalidInput
from engines.errors import DinoError

if TYPE_CHECKING:
    from engines.provenance import Span

_TOGETHER = 512


class NotSent(DinoError):
    """The collector did not take the spans."""

    exit_code = 4


def send(found: Sequence[Span], url: str, resource: Mapping[str, str]) -> int:
    """
    Send spans to the collector at *url*, as in `http://localhost:4318/v1/traces`; how many.

    Raises:
        InvalidInput: What sends them is not installed.
        NotSent: The collector cannot be reached, or refused them.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415  an extra
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415  an extra
    except ImportError:
        raise InvalidInput(
            "what sends spans is not installed", hint="pip install 'dino-os[otel]'"
        ) from None
    exporter = OTLPSpanExporter(endpoint=url, timeout=10)
    try:
        for at in range(0, len(found), _TOGETHER):
            some = [_readable(span, resource) for span in found[at : at + _TOGETHER]]
            if exporter.export(some) is not SpanExportResult.SUCCESS:
                raise NotSent(f"{url} did not take the spans", hint="is a collector there?")
    finally:
        exporter.shutdown()
    return len(found)


def _readable(span: Span, resource: Mapping[str, str]) -> Any:
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  an extra
    from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415  an extra
    from opentelemetry.trace import SpanContext, TraceFlags  # noqa: PLC0415  an extra
    from opentelemetry.trace.status import Status, StatusCode  # noqa: PLC0415  an extra

    def context(span_id: str) -> Any:
        flags = TraceFlags(TraceFlags.SAMPLED)
        return SpanContext(int(span.trace_id, 16), int(span_id, 16), False, flags)  # noqa: FBT003  its signature

    return ReadableSpan(
        name=span.name,
        context=context(span.span_id),
        parent=context(span.parent_span_id) if span.parent_span_id else None,
        resource=Resource({"service.name": "dino", **resource}),
        attributes=dict(span.attributes),
        status=Status(StatusCode(span.status)),
        start_time=span.start_ns,
        end_time=span.end_ns,
    )
