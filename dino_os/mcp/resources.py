"""
Journals and memory for a client to read: in pages, and redacted on the way out.

    dino://journals                           which there are
    dino://journal/NAME{?from}                a page of one: its last lines, or from a number on
    dino://memory{?namespace,from}            a page of keys
    dino://memory/entry{?namespace,key}       what is under one

A name is looked up among those there are; none is ever made a path.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from dino_os.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from mcp_types import Resource, ResourceTemplate

    from dino_os.workspace import Workspace

MIME = "application/json"
_LINES, _KEYS = 100, 200
_MOST_BYTES = 256 * 1024
_LONGEST_URI = 2_000
_TEMPLATES = {
    "dino://journal/{name}{?from}": (
        "journal",
        "A page of a journal: its last lines, or from one.",
    ),
    "dino://memory{?namespace,from}": ("memory keys", "A page of the keys in a namespace."),
    "dino://memory/entry{?namespace,key}": ("memory entry", "What is remembered under a key."),
}


def listed(workspace: Workspace) -> list[Resource]:
    from mcp_types import Resource  # noqa: PLC0415  where something is served

    found = [
        Resource(name="journals", uri="dino://journals", mime_type=MIME),
        Resource(name="memory", uri="dino://memory", mime_type=MIME),
    ]
    found += [
        Resource(name=f"journal {path.stem}", uri=_journal_uri(path.stem), mime_type=MIME)
        for path in workspace.journals()
    ]
    return found


def templates() -> list[ResourceTemplate]:
    from mcp_types import ResourceTemplate  # noqa: PLC0415  as above

    return [
        ResourceTemplate(name=name, uri_template=uri, description=text, mime_type=MIME)
        for uri, (name, text) in _TEMPLATES.items()
    ]


def read(workspace: Workspace, uri: str) -> str:
    """
    The page at *uri*, as JSON.

    Raises:
        InvalidInput: It is no address of ours, or there is nothing there.
    """
    path, asked = _parsed(uri)
    match path:
        case ["journals"]:
            page = _journals(workspace, asked)
        case ["journal", name]:
            page = _journal(workspace, name, asked)
        case ["memory"]:
            page = _keys(workspace, asked)
        case ["memory", "entry"]:
            page = _entry(workspace, asked)
        case _:
            raise InvalidInput(f"no resource {uri[:80]!r}", hint="dino://journals, dino://memory")
    text = json.dumps(_clean(workspace, page), ensure_ascii=False)
    if len(text) > 2 * _MOST_BYTES:
        raise InvalidInput(f"{uri[:80]}: more than {_MOST_BYTES:,} bytes")
    return text


def _parsed(uri: str) -> tuple[list[str], dict[str, str]]:
    """The path's parts, which are not decoded, and what is asked, each once."""
    try:
        parts = urlsplit(uri) if len(uri) <= _LONGEST_URI else urlsplit("")
        query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise InvalidInput(f"not an address: {uri[:80]!r}") from None
    twice = any(len(values) > 1 for values in query.values())
    if parts.scheme != "dino" or parts.fragment or twice or "@" in parts.netloc:
        raise InvalidInput(f"not an address of this server: {uri[:80]!r}")
    rest = parts.path.split("/")[1:]
    return [parts.netloc, *rest], {name: value for name, (value,) in query.items()}


def _only(asked: dict[str, str], names: Sequence[str]) -> None:
    for name in asked:
        if name not in names:
            raise InvalidInput(
                f"{name[:80]!r} is not asked here; {', '.join(names) or 'nothing'} is"
            )


def _number(asked: dict[str, str], default: int | None) -> int | None:
    text = asked.get("from")
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 15:  # noqa: PLR2004  fits an integer
        raise InvalidInput(f"from: expected a number, found {text[:80]!r}")
    return int(text)


# --- journals ----------------------------------------------------------------------------------


def _journals(workspace: Workspace, asked: dict[str, str]) -> dict[str, Any]:
    from engines.journal import RecordedJournal  # noqa: PLC0415  on first use

    _only(asked, ())
    rows = [
        {"name": path.stem, "lines": RecordedJournal(path).length(), "uri": _journal_uri(path.stem)}
        for path in workspace.journals()
    ]
    return {"journals": rows}


def _journal(workspace: Workspace, name: str, asked: dict[str, str]) -> dict[str, Any]:
    from engines.journal import RecordedJournal  # noqa: PLC0415  on first use

    _only(asked, ("from",))
    (path,) = workspace.named_journals([name])
    journal = RecordedJournal(path)
    length = journal.length()
    first = _number(asked, max(length - _LINES, 0)) or 0
    events: list[dict[str, Any]] = []
    room = _MOST_BYTES
    for event, size in islice(_events(journal, first), _LINES):
        room -= size
        if room < 0 and events:
            break
        events.append(dict(event) if size <= _MOST_BYTES else _too_long(event, size))
    behind = events[-1]["seq"] + 1 if events else first
    following = _journal_uri(name, behind) if events and behind < length else None
    return {"journal": name, "lines": length, "events": events, "next": following}


def _events(journal: Any, first: int) -> Iterator[tuple[dict[str, Any], int]]:
    """The events from number *first* on, and their sizes."""
    for block in journal.blocks(journal.file_with(first)):
        for line, event in zip(block.lines, block.events, strict=True):
            if event["seq"] >= first:
                yield event, len(line)


def _too_long(event: dict[str, Any], size: int) -> dict[str, Any]:
    kept = {name: event[name] for name in ("seq", "event_type", "timestamp", "event_hash")}
    return {**kept, "left_out_bytes": size}


def _journal_uri(name: str, first: int | None = None) -> str:
    return f"dino://journal/{quote(name)}" + ("" if first is None else f"?from={first}")


# --- memory ------------------------------------------------------------------------------------


def _keys(workspace: Workspace, asked: dict[str, str]) -> dict[str, Any]:
    _only(asked, ("namespace", "from"))
    namespace, first = asked.get("namespace", ""), _number(asked, 0) or 0
    store = workspace.memory_store
    keys = store.list(namespace=namespace, limit=first + _KEYS + 1)[first:]
    more = {"namespace": namespace, "from": str(first + _KEYS)}
    return {
        "namespace": namespace,
        "namespaces": store.namespaces(),
        "keys": keys[:_KEYS],
        "next": f"dino://memory?{urlencode(more)}" if len(keys) > _KEYS else None,
    }


def _entry(workspace: Workspace, asked: dict[str, str]) -> dict[str, Any]:
    _only(asked, ("namespace", "key"))
    namespace, key = asked.get("namespace", ""), asked.get("key", "")
    text = workspace.memory_store.find(key, namespace)
    if text is None:
        raise NotFound(f"nothing is remembered under {key!r}")
    if len(text) > _MOST_BYTES:
        raise InvalidInput(f"what is under {key!r} has more than {_MOST_BYTES:,} bytes")
    return {"namespace": namespace, "key": key, "value": json.loads(text)}


def _clean(workspace: Workspace, page: dict[str, Any]) -> dict[str, Any]:
    """*page* without the vault's secrets, nor what else the policy keeps from clients."""
    from dino_os.provenance.redacting import WorkspaceRedactor  # noqa: PLC0415  where one is read

    cleaned: dict[str, Any] = WorkspaceRedactor(workspace).redact_json(page, destination="mcp")
    return cleaned
