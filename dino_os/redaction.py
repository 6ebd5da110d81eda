"""
Finds secret values in what is about to be written, in whatever spelling, and blots them out.

A value is found raw, in base64 and base64url at each of the three alignments, in hex, URL-encoded,
escaped for JSON (also twice) or Python, and quoted for a shell; of a value with several lines each
long line counts as one.

Limits: values shorter than `SHORTEST` characters are not looked for (they would blot out ordinary
words), nor are values that were encrypted, compressed, split up or reversed.  Of a value in the
midst of a base64 text a few bits stay at its edges.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus

from engines.any_of import any_of

SHORTEST = 6
MARK = "[redacted]"
_LONG_LINE = 16
_BITS = 8, 6  # of a byte, and of a base64 character


class Redactor:
    """Blots out *values*; without any it hands back what it was given."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._forms = sorted({form for value in values for form in forms_of(value)})

    def __bool__(self) -> bool:
        return bool(self._forms)

    def redact(self, text: str) -> str:
        """*text* with a mark in place of each value."""
        return self._in_text.sub(MARK, text) if self._forms else text

    def redact_bytes(self, data: bytes) -> bytes:
        """As `redact`, for UTF-8."""
        return self._in_bytes.sub(MARK.encode(), data) if self._forms else data

    def redact_json(self, value: Any) -> Any:
        """As `redact`, for a JSON value: its texts and keys, and numbers that are a value."""
        if not self._forms:
            return value
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, dict):
            return {self.redact(str(k)): self.redact_json(item) for k, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.redact_json(item) for item in value]
        if isinstance(value, int | float) and self._in_text.search(str(value)):
            return MARK
        return value

    def stream(self) -> RedactedStream:
        """For what comes in chunks, at whose borders a value may be cut."""
        return RedactedStream(self._in_bytes if self._forms else None, self._byte_forms)

    @cached_property
    def _in_text(self) -> re.Pattern[str]:
        return re.compile(any_of(self._forms))

    @cached_property
    def _byte_forms(self) -> list[bytes]:
        return sorted(form.encode("utf-8", "surrogatepass") for form in self._forms)

    @cached_property
    def _in_bytes(self) -> re.Pattern[bytes]:
        # Latin-1 stands for each byte as one character, so that one builder makes both patterns.
        as_text = [form.decode("latin-1") for form in self._byte_forms]
        return re.compile(any_of(as_text).encode("latin-1"))


class RedactedStream:
    """Takes chunks and gives them back as soon as no value can begin in what is held back."""

    def __init__(self, pattern: re.Pattern[bytes] | None, forms: list[bytes]) -> None:
        self._pattern = pattern
        self._forms = forms
        self._longest = max(map(len, forms), default=0)
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """What may be written now."""
        if self._pattern is None:
            return chunk
        data, out, here = self._held + chunk, [], 0
        safe = self._begins_at(data, 0)
        for match in self._pattern.finditer(data):
            if match.start() >= safe:  # perhaps only the beginning of a longer one
                break
            out += [data[here : match.start()], MARK.encode()]
            here = match.end()
            if here > safe:
                safe = self._begins_at(data, here)
        out.append(data[here:safe])
        self._held = data[safe:]
        return b"".join(out)

    def close(self) -> bytes:
        """The rest."""
        rest, self._held = self._held, b""
        return self._pattern.sub(MARK.encode(), rest) if self._pattern else rest

    def _begins_at(self, data: bytes, here: int) -> int:
        """Where in *data* the first value begins whose end is still to come."""
        for at in range(max(here, len(data) - self._longest + 1), len(data)):
            tail = data[at:]
            near = bisect_left(self._forms, tail)
            # The forms that begin with it stand together, itself first.
            found = self._forms[near : near + 2]
            if any(len(form) > len(tail) and form.startswith(tail) for form in found):
                return at
        return len(data)


def forms_of(value: str) -> set[str]:
    """All that is looked for of a secret: it and its long lines, in every spelling."""
    return {form for part in _parts(value) for form in spellings(part)}


def spellings(value: str) -> set[str]:
    """The forms in which *value* is looked for."""
    raw = value.encode("utf-8", "surrogatepass")
    escaped = json.dumps(value)[1:-1]
    forms = {
        value,
        escaped,
        escaped.replace("/", r"\/"),
        json.dumps(escaped)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        raw.hex(),
        raw.hex().upper(),
        shlex.quote(value).strip("'"),
        value.replace("'", r"'\''"),
        *_url_encoded(raw),
        *_in_base64(raw),
    }
    forms |= {form.lower() for form in forms}  # as the name of a host has it
    # A lone surrogate can be in no text that is written.
    return {form for form in forms if len(form) >= SHORTEST}


def _parts(value: str) -> Iterator[str]:
    if len(value) < SHORTEST:
        return
    yield value
    lines = value.splitlines() if "\n" in value else []
    # The armour of a PEM file is no secret.
    yield from (line for line in lines if len(line) >= _LONG_LINE and not line.startswith("-----"))


def _url_encoded(raw: bytes) -> Iterator[str]:
    for encoded in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield encoded
        yield re.sub("%..", lambda found: found[0].lower(), encoded)


def _in_base64(raw: bytes) -> Iterator[str]:
    """What stays the same of it wherever in a base64 text it stands."""
    byte, digit = _BITS
    for before in range(3):
        first = -(-before * byte // digit)
        behind = (before + len(raw)) * byte // digit
        stable = base64.b64encode(bytes(before) + raw).decode()[first:behind]
        yield stable
        yield stable.translate(str.maketrans("+/", "-_"))
