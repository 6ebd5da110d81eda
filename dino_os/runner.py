"""
The one path on which skills run: admitted as far as it was granted, confined, recorded.

`runs.jsonl` holds each run by hash: what went in and what came out can be proved later by whoever
has it, and nothing that may be secret is written down.
"""

from __future__ import annotations

import builtins
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from dino_os import errors, run_context
from dino_os.errors import Denied, NotConfined, SkillFailed, SkillTimedOut
from dino_os.grants import Request
from dino_os.run_context import RunContext
from dino_os.skill_index import Skill
from dino_os.tool_sandbox.policy import Limits, Policy

if TYPE_CHECKING:
    from dino_os.admission import Admission
    from dino_os.broker import Broker
    from dino_os.redaction import RedactedStream
    from dino_os.skill_sources import Sources
    from dino_os.tool_sandbox.egress.carrying import Carrier
    from dino_os.tool_sandbox.sandbox import Outcome, Sandbox
    from engines.journal import Journal

OnOutput = Callable[[bytes], None]

_MOST_CONNECTIONS = 1000  # refused ones of one run that are recorded one by one
_TRACE = "--trace shows where it came from"
_HINTS = {
    "FileNotFoundError": "a skill sees only the files that it asks for in @skill(reads=[…])",
    "PermissionError": "a skill may only what it asks for in @skill(…)",
}


@dataclass(frozen=True, slots=True)
class Run:
    """
    How a run ended.

    Attributes:
        outcome: ok, error, timeout, denied or cancelled.
        cause: Why its process ended: finished, timeout, cancelled, memory, killed or denied.
        result: What the function returned (JSON), where it was ok.
        output: What it printed, standard output and error together, up to the limit.
        output_cut: How many bytes of output were dropped.
        error: type, message, where and trace, where it was not ok.
        walls: What held it.
        peak_bytes: The largest resident memory of one of its processes.
    """

    run_id: str
    skill: str
    outcome: str
    duration_s: float
    cause: str = "finished"
    result: Any = None
    output: str = ""
    output_cut: int = 0
    error: Mapping[str, Any] = field(default_factory=dict)
    walls: tuple[str, ...] = ()
    peak_bytes: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "skill": self.skill,
            "outcome": self.outcome,
            "cause": self.cause,
            "duration_s": round(self.duration_s, 6),
            "peak_memory_bytes": self.peak_bytes,
            "sandbox": list(self.walls),
            "result": self.result,
            "output": self.output,
            "output_cut_bytes": self.output_cut,
            "error": dict(self.error) or None,
        }

    def check(self) -> Run:
        """
        Return the run if it was ok.

        Raises:
            SkillTimedOut: It was stopped at its time limit.
            Denied: It wanted what it may not.
            SkillFailed: It raised, exited, was killed, or returned what is not JSON.
        """
        if self.outcome == "ok":
            return self
        text = f"skill {self.skill!r}: {self.error.get('message')}"
        if self.outcome == "timeout":
            raise SkillTimedOut(text, hint='give it longer with --timeout or @skill(timeout="5m")')
        kind, where = self.error.get("type"), self.error.get("where")
        if kind:
            text = f"skill {self.skill!r} failed at {where}: {kind}: {self.error.get('message')}"
        own = self.error.get("hint")
        if self.outcome == "denied":
            usual = "what it needs it asks for in @skill(…), and `dino grant` allows"
            raise Denied(text, hint=own or usual)
        raise SkillFailed(text, hint=own or (_HINTS.get(kind, _TRACE) if kind else None))


class Runner:
    """
    Runs skills and keeps the record.

    Args:
        journal: `runs.jsonl`.
        folder: The workspace: where skills find their files.
        sandbox: Makes the sandbox, on the first run.
        admission: Says what a skill may.
        broker: Makes the other end of a run's inherited socket, for what it may.
        limits: Defaults for skills that ask for none.
        carrier: Makes who carries a skill's requests to hosts behind a gate.
    """

    def __init__(
        self,
        journal: Journal,
        folder: Path,
        *,
        sandbox: Callable[[], Sandbox],
        admission: Admission,
        broker: Callable[[Request, float], Broker],
        limits: Limits,
        carrier: Callable[[str], Carrier | None] = lambda _: None,
    ) -> None:
        self._journal = journal
        self._folder = folder
        self._sandbox = sandbox
        self._admission = admission
        self._broker = broker
        self._limits = limits
        self._carrier = carrier

    def run(
        self,
        skill: Skill,
        params: Mapping[str, Any],
        *,
        timeout_s: float | None = None,
        on_output: OnOutput | None = None,
        environment: Mapping[str, str] | None = None,
        traceparent: str | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> Run:
        """
        Run *skill* with *params* (validated already) and return how it ended; never raises for
        what the skill does.

        Args:
            timeout_s: Instead of the skill's own limit.
            on_output: Given what the skill prints, as it comes.
            environment: Variables that it finds besides its own.
            traceparent: The trace of whoever wants it, where they sent one.
            is_cancelled: Asked a few times a second whether nobody wants it any more.

        Raises:
            Denied: It asks for what it was not granted; it did not run.
            NotConfined: No sandbox can be made here; it did not run.
        """
        request, sources = self._admission.admit(skill)
        sandbox = self._sandbox_for(request)
        policy = self._policy(skill, request, timeout_s)
        run_id = uuid4().hex
        own = dict(environment or {})
        here, links = _context(run_id, own.get("DINO_TASK_ID"), traceparent)
        self._journal.append(
            "run_started",
            {
                "run_id": run_id,
                "skill": skill.name,
                "source_sha256": sources.sha256,
                "params_sha256": _digest(params),
                "permissions": request.permissions.as_dict(),
                "timeout_s": policy.limits.timeout_s,
                **links,
            },
        )
        began = time.monotonic()
        broker = self._broker(request, began + policy.limits.timeout_s)
        egress = _Refused()
        shown = _Shown(on_output, broker)
        try:
            ended = sandbox.run(
                policy,
                _job(skill, sources, params)
                | {"environment": {"TRACEPARENT": here.traceparent, **own}},
                on_output=shown.take,
                on_call=_answering(broker, here),
                on_egress=egress.take,
                carrier=self._carrier(skill.name) if policy.reaches else None,
                is_cancelled=is_cancelled,
            )
        except BaseException as error:
            stopped = "denied" if isinstance(error, NotConfined) else "cancelled"
            self._finish(run_id, skill, stopped, time.monotonic() - began, **broker.end())
            raise
        run = _without_secrets(shown.end(_as_run(run_id, skill, ended, time.monotonic() - began)))
        if refused := _refusals(run, ended, broker, egress):
            self._admission.note_refusals(skill.name, run_id, broker.clean(refused))
        self._finish(
            run_id,
            skill,
            run.outcome,
            run.duration_s,
            cause=run.cause,
            sandbox=list(run.walls),
            result_sha256=_digest(run.result) if run.outcome == "ok" else None,
            error_type=_kind(run.error),
            output_bytes=len(ended.output) + ended.output_cut,
            peak_memory_bytes=run.peak_bytes,
            calls=broker.calls,
            **broker.end(),
        )
        return run

    def _sandbox_for(self, request: Request) -> Sandbox:
        from dino_os.tool_sandbox import layers  # noqa: PLC0415  asked for by runs alone
        from dino_os.tool_sandbox.sandbox import Sandbox  # noqa: PLC0415

        try:
            return self._sandbox()
        except NotConfined:
            if not self._admission.may_run_unconfined(request):
                raise
            return Sandbox(replace(layers.possible(), bubblewrap=None))  # what there is

    def _policy(self, skill: Skill, request: Request, timeout_s: float | None) -> Policy:
        asked = request.permissions
        limits = replace(
            self._limits,
            timeout_s=timeout_s or skill.timeout_s or self._limits.timeout_s,
            memory_bytes=skill.memory_bytes or self._limits.memory_bytes,
        )
        return Policy(
            self._folder, asked.reads, asked.writes, asked.reaches, asked.programs, limits
        )

    def _finish(
        self, run_id: str, skill: Skill, outcome: str, duration_s: float, **more: Any
    ) -> None:
        self._journal.append(
            "run_finished",
            {
                "run_id": run_id,
                "skill": skill.name,
                "outcome": outcome,
                "duration_s": round(duration_s, 6),
                **more,
            },
        )


def _context(
    run_id: str, task: str | None, traceparent: str | None
) -> tuple[RunContext, dict[str, str]]:
    """What the run works in, and what the record says of what led to it."""
    from engines.trace import context_in, trace_context  # noqa: PLC0415  asked for by runs

    above = run_context.current()
    sent = traceparent or (above.traceparent if above else None)
    known = trace_context(sent)
    links = {
        "task_id": task,
        "parent_run": above.run_id if above else None,
        "traceparent": str(known) if known else None,
    }
    here = RunContext(run_id, str(context_in(run_id, sent)), sent=known is not None)
    return here, {name: value for name, value in links.items() if value}


def _answering(broker: Broker, here: RunContext) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """The broker, whose calls are then this run's."""

    def answer(call: Mapping[str, Any]) -> dict[str, Any]:
        with run_context.within(here):
            return broker.answer(call)

    return answer


class _Refused:
    """The connections that a run was refused; of a flood the first, and how many more."""

    def __init__(self) -> None:
        self.connections: list[dict[str, Any]] = []
        self.more = 0

    def take(self, event: Mapping[str, Any]) -> None:
        if event["allowed"]:
            return
        if len(self.connections) < _MOST_CONNECTIONS:
            self.connections.append(dict(event))
        else:
            self.more += 1


class _Shown:
    """
    What comes out of a run, with the values of keys blotted out where it was given any.

    The redactor is asked for late: a run may have changed a key.
    """

    def __init__(self, on_output: OnOutput | None, broker: Broker) -> None:
        self._on_output = on_output
        self._broker = broker
        self._stream: RedactedStream | None = None

    def take(self, data: bytes) -> None:
        if self._on_output is None:
            return
        if self._broker.redactor and self._stream is None:
            self._stream = self._broker.redactor().stream()
        self._on_output(self._stream.feed(data) if self._stream else data)

    def end(self, run: Run) -> Run:
        if self._on_output and self._stream:
            self._on_output(self._stream.close())
        if self._broker.redactor is None:
            return run
        result, output, error = self._broker.clean([run.result, run.output, dict(run.error)])
        return replace(run, result=result, output=output, error=error)


def _without_secrets(run: Run) -> Run:
    """*run*, whose error is shown and recorded, without what has the form of a secret in it."""
    if not run.error:
        return run
    from engines.redaction import Action, Policy, Redactor, Rules  # noqa: PLC0415  by what failed

    kept = dict.fromkeys(("personal", "network"), Action.KEEP)
    redactor = Redactor(Policy(Rules(Action.MASK, kinds=kept)))
    return replace(run, error=redactor.redact_dict(run.error))


def _refusals(run: Run, ended: Outcome, broker: Broker, egress: _Refused) -> dict[str, Any]:
    """What a run tried and was refused; nothing where it was refused nothing."""
    found = {
        "system_calls": dict(ended.refused),
        "connections": egress.connections,
        "more_connections": egress.more,
        "calls": [call for call in broker.calls if call["outcome"] == "denied"],
        "error_type": _kind(run.error) if run.outcome == "denied" else None,
    }
    return found if any(found.values()) else {}


def _kind(error: Mapping[str, Any]) -> str | None:
    """The type of an error if it is Python's or Dino's: another's name may hold anything."""
    name = str(error.get("type") or "")
    known = getattr(builtins, name, None) or getattr(errors, name, None)
    return name if isinstance(known, type) else ("other" if name else None)


def _job(skill: Skill, sources: Sources, params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": "skill",
        "file": str(skill.file),
        "sources": sources.texts,
        "name": skill.name,
        "params": dict(params),
    }


def _as_run(run_id: str, skill: Skill, ended: Outcome, duration_s: float) -> Run:
    stopped = ended.cause in {"timeout", "denied", "cancelled"}
    return Run(
        run_id,
        skill.name,
        "ok" if ended.ok else ended.cause if stopped else "error",
        duration_s,
        cause=ended.cause,
        result=ended.result,
        output=ended.output.decode("utf-8", "replace"),
        output_cut=ended.output_cut,
        error=ended.error,
        walls=tuple(ended.walls),
        peak_bytes=ended.peak_bytes,
    )


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
