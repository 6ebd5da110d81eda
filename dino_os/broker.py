"""
What a sandboxed skill gets when it calls `MemoryLayer()`, `MessageBus()` and the others: each call
checked, limited, recorded and answered, in the parent.

A client may send anything.  Only what stands in the table below can be called; what it needs is
asked of the gateway for the skill by its own name, which no message can change; and what goes wrong
is answered, never raised.
"""

from __future__ import annotations

import inspect
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dino_os.errors import Denied, DinoError, InvalidInput
from dino_os.security_gateway.gateway import METHODS
from engines.checks import did_you_mean

if TYPE_CHECKING:
    from dino_os.redaction import Redactor
    from dino_os.security_gateway.gateway import Gateway

# part → method → the permission it needs; "" needs none.  The gateway has rules of its own.
_CALLS: Mapping[str, Mapping[str, str]] = {
    "memory": {
        "add": "memory_add",
        "add_many": "memory_add",
        "delete": "memory_add",
        "tag": "memory_add",
        "get": "memory_get",
        "get_all": "memory_get",
        "list": "memory_get",
        "namespaces": "memory_get",
        "search": "memory_get",
        "versions": "memory_get",
    },
    "bus": {
        "publish": "bus_publish",
        "publish_many": "bus_publish",
        "request": "bus_publish",
        "channel_history": "bus_read",
        "get_subscribers": "bus_read",
        "list_channels": "bus_read",
        "ping": "",
    },
    "scheduler": {
        "add_job": "schedule_write",
        "remove_job": "schedule_write",
        "pause": "schedule_write",
        "resume": "schedule_write",
        "run_now": "schedule_write",
        "list_jobs": "schedule_read",
        "job_count": "schedule_read",
        "running_jobs": "schedule_read",
        "history": "schedule_read",
        "next_runs": "schedule_read",
    },
    "tools": {"execute": "tool_sandbox", "list_tools": ""},
    "tap": {"tap": "provenance_tap", "flush": "provenance_tap"},
    "agent_core": {"run": "api_call", "chat": "api_call"},
}
_NAMES = {f"{part}.{method}" for part, methods in _CALLS.items() for method in methods} | {
    f"security.{method}" for method in METHODS
}
_MOST_RECORDED = 1000
_MOST_CALLS = 20_000
_MOST_BYTES = 64 * 2**20
_PER_SECOND, _BURST = 2000.0, 4000.0


class Broker:
    """
    Answers the calls of one run.

    Args:
        parts: Name → makes the part whose methods are called.
        gateway: Says whether the entity may, and answers for "security".
        entity: Who asks, as the gateway knows it: "skill:NAME".
        redactor: Finds the values of keys in what is to be kept, where the entity may get any.
        clock: Seconds, only ever forward.
    """

    def __init__(
        self,
        parts: Mapping[str, Callable[[], Any]],
        gateway: Gateway,
        entity: str,
        *,
        redactor: Callable[[], Redactor] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parts = parts
        self.redactor = redactor
        self._sent = 0
        self._gateway = gateway
        self._entity = entity
        self._clock = clock
        self._room, self._since = _BURST, clock()
        self._made: dict[str, Any] = {}
        self.calls: list[dict[str, str]] = []
        self.counted: Counter[str] = Counter()

    def answer(self, call: Mapping[str, Any]) -> dict[str, Any]:
        """What goes back for *call*: `answer`, or `error` with type, message and hint."""
        name, outcome = "?", "error"
        try:
            part, method, arguments = _read(call)
            name = f"{part}.{method}"
            self._admit(arguments)
            answer = self._call(part, method, arguments)
            outcome = "ok"
        except Denied as error:
            outcome = "denied"
            return _refusal(error)
        except DinoError as error:
            return _refusal(error)
        except Exception as error:  # noqa: BLE001  a part's fault ends no run
            return {"error": {"type": "SandboxError", "message": f"{name}: {type(error).__name__}"}}
        else:
            return {"answer": answer}
        finally:
            self._note(name, outcome)

    def _call(self, part: str, method: str, arguments: dict[str, Any]) -> Any:
        if part == "security":
            return self._gateway.answer(method, arguments, self._entity)
        methods = _CALLS.get(part)
        if methods is None or part not in self._parts:
            raise InvalidInput(f"there is no part {part!r}{did_you_mean(part, self._parts)}")
        if method not in methods:
            raise Denied(f"{part}.{method} is not for skills{did_you_mean(method, methods)}")
        if (needed := methods[method]) and not self._gateway.may(self._entity, needed):
            raise Denied(
                f"{self._entity} has no permission {needed!r}, which {part}.{method} needs",
                hint=f"allow it with: dino grant {self._entity.partition(':')[2]} "
                f"--permission {needed}",
            )
        function = getattr(self._part(part), method)
        if part == "memory":
            _refuse_vectors(method, arguments)
        try:
            inspect.signature(function).bind(**arguments)
        except TypeError as error:
            raise InvalidInput(f"{part}.{method}: {error}") from None
        return function(**(arguments if part == "tools" else self.clean(arguments)))

    def end(self) -> dict[str, Any]:
        """The run is over: what its parts, which are done with, have to tell of it."""
        found: dict[str, Any] = {}
        for part in self._made.values():
            if ended := getattr(part, "run_ended", None):
                found |= ended()
        return found

    def _part(self, part: str) -> Any:
        """The part of that name; the same one for all calls of the run."""
        if part not in self._made:
            self._made[part] = self._parts[part]()
        return self._made[part]

    def clean(self, value: Any) -> Any:
        """A JSON value without the values of keys."""
        return self.redactor().redact_json(value) if self.redactor else value

    def _admit(self, arguments: dict[str, Any]) -> None:
        """One call more, of so many a second and so many bytes in all; a burst may be longer."""
        self._sent += len(repr(arguments))
        if self._sent > _MOST_BYTES:
            raise Denied(f"more than {_MOST_BYTES // 2**20} MiB were sent in one run")
        now = self._clock()
        self._room = min(_BURST, self._room + (now - self._since) * _PER_SECOND)
        self._since = now
        if self._room < 1 or self.counted.total() >= _MOST_CALLS:
            raise Denied(f"too many calls; {_PER_SECOND:,.0f} a second are answered")
        self._room -= 1

    def _note(self, name: str, outcome: str) -> None:
        self.counted[outcome] += 1
        if len(self.calls) < _MOST_RECORDED:
            # What is no name of ours is the skill's own text, which is not for the record.
            self.calls.append({"call": name if name in _NAMES else "unknown", "outcome": outcome})


def _read(call: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    part, method, arguments = (call.get(name) for name in ("part", "method", "arguments"))
    if not isinstance(part, str) or not isinstance(method, str) or not isinstance(arguments, dict):
        raise InvalidInput("a call has a part, a method and arguments by name")
    return part[:50], method[:50], arguments


def _refuse_vectors(method: str, arguments: Mapping[str, Any]) -> None:
    """What a skill remembers is found by what it says, not by where the skill wants it found."""
    given = arguments.get("items") if method == "add_many" else [arguments]
    if method not in {"add", "add_many"} or not isinstance(given, list):
        return
    if any(isinstance(one, Mapping) and one.get("vector") is not None for one in given):
        raise Denied(f"memory.{method}: a skill brings no vectors along", hint="leave it out")


def _refusal(error: DinoError) -> dict[str, Any]:
    return {"error": {"type": type(error).__name__, "message": error.message, "hint": error.hint}}
