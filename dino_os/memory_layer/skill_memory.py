"""The memory as a sandboxed skill has it: what a run read and wrote is told when it is over."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dino_os.memory_layer.store import MemoryStore

_MOST = 1000
_READING = frozenset({"get", "get_all", "search", "versions"})
_WRITING = frozenset({"add", "add_many", "delete", "tag"})


class SkillMemory:
    """*store* for one run."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._touched: dict[str, dict[tuple[str, str, str | None], None]] = {}
        self._more = 0

    def __getattr__(self, method: str) -> Any:
        function = getattr(self._store, method)
        verb = "read" if method in _READING else "wrote" if method in _WRITING else None
        if verb is None:
            return function

        @functools.wraps(function)
        def noted(**arguments: Any) -> Any:
            answer = function(**arguments)
            self._note(verb, method, arguments, answer)
            return answer

        return noted

    def run_ended(self) -> dict[str, Any]:
        """
        For the record of the run: lists of [namespace, key, SHA-256 of the value or None].

        The value is the one that stood there right behind the call.
        """
        told: dict[str, Any] = {verb: [*map(list, found)] for verb, found in self._touched.items()}
        if self._more:
            told["more"] = self._more
        return {"memory": told} if told else {}

    def _note(self, verb: str, method: str, arguments: Mapping[str, Any], answer: Any) -> None:
        for namespace, key in _entries(method, arguments, answer):
            found = self._touched.setdefault(verb, {})
            if len(found) >= _MOST:
                self._more += 1
            else:
                found[namespace, key, self._store.digest(key, namespace=namespace)] = None


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
