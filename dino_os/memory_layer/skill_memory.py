"""The memory as a sandboxed skill has it: what a run read and wrote is told when it is over."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dino_os.memory_layer.store import MemoryStore

_MOST = 1000
_READING = frozenset({"get", "get_all", "search", "versions"})
_WRITING = frozenset({"add", "add_many", "tag"})
_DELETING = "delete"


_OTHER = {"read": "wrote", "wrote": "read"}
_Entry = tuple[str, str, str | None]


class SkillMemory:
    """*store* for one run."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._touched: dict[str, dict[_Entry, None]] = {}
        self._more = 0

    def __getattr__(self, method: str) -> Any:
        function = getattr(self._store, method)
        if method not in _READING | _WRITING | {_DELETING}:
            return function

        @functools.wraps(function)
        def noted(**arguments: Any) -> Any:
            if method == _DELETING:
                gone = self._found(method, arguments, None)
                answer = function(**arguments)
                self._note("deleted", gone)
            else:
                answer = function(**arguments)
                verb = "read" if method in _READING else "wrote"
                self._note(verb, self._found(method, arguments, answer))
            return answer

        return noted

    def run_ended(self) -> dict[str, Any]:
        """
        For the record of the run: lists of [namespace, key, SHA-256 of the value or None].

        The value is the one that stood there right behind the call; what was deleted, before it.
        """
        told: dict[str, Any] = {verb: [*map(list, found)] for verb, found in self._touched.items()}
        if self._more:
            told["more"] = self._more
        return {"memory": told} if told else {}

    def _found(self, method: str, arguments: Mapping[str, Any], answer: Any) -> list[_Entry]:
        return [
            (namespace, key, self._store.digest(key, namespace=namespace))
            for namespace, key in _entries(method, arguments, answer)
        ]

    def _note(self, verb: str, entries: Iterable[_Entry]) -> None:
        # What a run finds as it left it, or leaves as it found it, did not lead to itself.
        known = self._touched.get(_OTHER.get(verb, ""), {})
        for entry in entries:
            if entry in known:
                continue
            found = self._touched.setdefault(verb, {})
            if len(found) >= _MOST:
                self._more += 1
            else:
                found[entry] = None


def _entries(method: str, arguments: Mapping[str, Any], answer: Any) -> Iterator[tuple[str, str]]:
    """Namespace and key of each entry whose value a call took or gave."""
    namespace = arguments.get("namespace") or ""
    if method == "add_many":
        yield from ((one.get("namespace") or "", one["key"]) for one in arguments["items"])
    elif method == "search":
        yield from ((one.get("namespace") or namespace, one["key"]) for one in answer)
    elif method == "get_all":
        yield from ((namespace, key) for key in answer)
    else:
        yield namespace, arguments["key"]
