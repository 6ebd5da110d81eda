"""
What an address gives, as records: asked with what is remembered of the last answer.

The answer's own words never enter an error: they may be anything.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dino_os.errors import InvalidInput
from dino_os.planning.cycle_file import Source, Web
from dino_os.planning.sources import reader_for, shown_url, within
from dino_os.typed_files import Document
from dino_os.web_calls import Unreachable, call, fits_header
from engines.personas import Row

if TYPE_CHECKING:
    from dino_os.hookspecs import SignalReader

_UNCHANGED = 304
_ENDINGS = {
    "application/json": ".json",
    "text/csv": ".csv",
    "application/x-ndjson": ".jsonl",
    "application/jsonl": ".jsonl",
    "application/yaml": ".yaml",
    "text/yaml": ".yaml",
}


@dataclass(frozen=True, slots=True)
class Page:
    """An answer with records in it."""

    label: str
    ending: str
    body: bytes
    validators: dict[str, str]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    @property
    def is_json(self) -> bool:
        return self.ending == ".json"

    def data(self, steps: Sequence[str]) -> tuple[Any, Callable[[int], int]]:
        """
        What *steps* lead to in the JSON, and the line on which each of its items stands.

        Raises:
            InvalidInput: It is not JSON, or has nothing there.
        """
        document = Document(self._text(), self.label, is_json=True)
        data = within(document.data, steps, self.label)
        return data, lambda index: document.line_of((*steps, index)) or index + 1

    def rows(self, readers: Mapping[str, SignalReader]) -> list[tuple[int, Row]]:
        """
        The records, as a file of that ending is read.

        Raises:
            InvalidInput: It is none.
        """
        with tempfile.TemporaryDirectory(prefix="dino-") as folder:
            file = Path(folder) / f"answer{self.ending}"
            file.write_bytes(self.body)
            try:
                return list(reader_for(file, readers)(file))
            except InvalidInput as error:
                message = error.message.replace(str(file), self.label)
                raise InvalidInput(message, hint=error.hint) from None

    def _text(self) -> str:
        try:
            return self.body.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise InvalidInput(f"{self.label}: not UTF-8") from None


def fetch(source: Source, known: Mapping[str, str], secret: Callable[[str], str]) -> Page | None:
    """
    Ask the address of *source*; None where it has not changed.

    Args:
        known: Validators of the last answer.
        secret: Name of a key → its value.

    Raises:
        Unreachable: No answer, or one that is a refusal.
        DinoError: A key is not handed out.
    """
    web = source.web
    assert web  # noqa: S101  a source of this kind has one
    headers = {"Accept": "*/*", "User-Agent": "dino", **web.headers, **_asking(web, known)}
    for header, (prefix, key) in web.keys.items():
        headers[header] = _header(f"{prefix}{secret(key)}", key)
    answer = call(
        "GET", web.url, headers=headers, timeout_s=web.timeout_s, most_bytes=web.most_bytes
    )
    if answer.status == _UNCHANGED and known:
        return None
    if not answer.ok:
        to = answer.headers.get("location")
        leads = f", which leads to {shown_url(to)}" if to else ""
        said = f"{shown_url(web.url)}: answered with status {answer.status}{leads}"
        raise Unreachable(said, heard=True)
    validators = {
        name: answer.headers[name] for name in ("etag", "last-modified") if name in answer.headers
    }
    if validators:
        validators["of"] = _mark_of(web.url)
    return Page(source.name, _ending(web, answer.headers), answer.body, validators)


def _asking(web: Web, known: Mapping[str, str]) -> dict[str, str]:
    if known.get("of") != _mark_of(web.url):  # of another address
        return {}
    names = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
    return {
        header: known[name]
        for name, header in names.items()
        if name in known and fits_header(known[name])
    }


def _header(value: str, key: str) -> str:
    if not fits_header(value):
        raise InvalidInput(f"key {key!r} cannot stand in a header: printable ASCII only")
    return value


def _ending(web: Web, headers: Mapping[str, str]) -> str:
    if web.ending:
        return web.ending
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _ENDINGS:
        return _ENDINGS[kind]
    return Path(urlsplit(web.url).path).suffix.lower() or ".json"


def _mark_of(url: str) -> str:
    """By which an address is known again; what stands in it is not recorded."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]
