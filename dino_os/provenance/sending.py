"""Spans, sent to an OpenTelemetry collector: OTLP over HTTP, in JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from dino_os.web_calls import Answer, Unreachable, call
from engines.errors import DinoError
from engines.provenance import to_otlp

if TYPE_CHECKING:
    from engines.provenance import Span

TOGETHER = 512
"""Spans in one request, or on one line."""

_TIMEOUT_S = 10.0
_MOST_BYTES = 1 << 16
# https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes
_LATER = frozenset({429, 502, 503, 504})
_TRIES, _LONGEST_PAUSE_S = 4, 10.0
_SHOWN = 200


class NotSent(DinoError):
    """The collector did not take all the spans."""

    exit_code = 4


def requests(found: Iterable[Span], resource: Mapping[str, str]) -> Iterator[tuple[int, bytes]]:
    """Spans as `ExportTraceServiceRequest`s in JSON; how many are in each."""
    rest = iter(found)
    while some := list(islice(rest, TOGETHER)):
        yield len(some), json.dumps(to_otlp(some, resource), ensure_ascii=False).encode()


def send(
    found: Iterable[Span],
    url: str,
    resource: Mapping[str, str],
    *,
    headers: Mapping[str, str] | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> int:
    """
    Send spans to the collector at *url*, as in `http://localhost:4318/v1/traces`; how many.

    What it says it cannot take now is sent again; not what it may have taken and did not answer.

    Raises:
        InvalidInput: The address or a header cannot be one.
        NotSent: It cannot be reached, or did not take them; how many it has taken is said.
    """
    sent = 0
    for count, body in requests(found, resource):
        try:
            problem = _problem_of(_answer(url, body, headers or {}, sleep))
        except Unreachable as error:
            problem = error.message
        if problem:
            taken = f"; {sent} spans before these were taken" if sent else ""
            raise NotSent(
                f"{url} did not take the spans: {problem}{taken}",
                hint="a span that is sent again has the same id",
            )
        sent += count
    return sent


def _answer(
    url: str, body: bytes, headers: Mapping[str, str], sleep: Callable[[float], object]
) -> Answer:
    told = {**headers, "Content-Type": "application/json"}
    for again in range(1, _TRIES + 1):
        answer = call(
            "POST", url, headers=told, body=body, timeout_s=_TIMEOUT_S, most_bytes=_MOST_BYTES
        )
        pause_s = answer.retry_after_s
        pause_s = 2.0 ** (again - 1) if pause_s is None else pause_s
        if answer.status not in _LATER or again == _TRIES or pause_s > _LONGEST_PAUSE_S:
            break
        sleep(pause_s)
    return answer


def _problem_of(answer: Answer) -> str | None:
    """Why not all of them are with the collector."""
    if not answer.ok:
        return f"status {answer.status}"
    try:
        said = json.loads(answer.body or b"{}")
        partial = said.get("partialSuccess") or {}
        rejected, why = int(partial.get("rejectedSpans", 0)), partial.get("errorMessage", "")
    except (ValueError, TypeError, AttributeError, RecursionError):
        return "what answered is no collector"
    return f"{rejected} of them were rejected: {why!r:.{_SHOWN}}" if rejected else None
