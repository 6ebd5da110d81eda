"""
The one path on which skills run: record that it begins, run it in a process of its own, record how
it ended.

`runs.jsonl` holds each run by hash: what went in and what came out can be proved later by whoever
has it, and nothing that may be secret is written down.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from dino_os.errors import SkillFailed, SkillTimedOut
from dino_os.skill_index import Skill
from engines.journal import Journal

_WORKER = Path(__file__).with_name("worker.py")
# What a program needs to find its way; everything else of the parent's environment may be secret.
_PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TERM")
_REPLY_LIMIT = 64 * 2**20
_AFTER_EXIT_S = 1.0  # how long output of a process that has ended may still be on its way

OnOutput = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may use where the skill asks for nothing else."""

    timeout_s: float = 60.0
    output_bytes: int = 2**20


@dataclass(frozen=True, slots=True)
class Run:
    """
    How a run ended.

    Attributes:
        outcome: ok, error, timeout or cancelled.
        result: What the function returned (JSON), where it was ok.
        output: What it printed, standard output and error together, up to the limit.
        output_cut: How many bytes of output were dropped.
        error: type, message, where and trace, where it was not ok.
    """

    run_id: str
    skill: str
    outcome: str
    duration_s: float
    result: Any = None
    output: str = ""
    output_cut: int = 0
    error: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "skill": self.skill,
            "outcome": self.outcome,
            "duration_s": round(self.duration_s, 6),
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
        raise SkillFailed(text, hint="--trace shows where it came from" if kind else None)


class Runner:
    """
    Runs skills and keeps the record.

    Args:
        journal: `runs.jsonl`.
        workspace: The folder that skills find their files in.
        limits: Defaults for skills that ask for none.
    """

    def __init__(self, journal: Journal, workspace: Path, limits: Limits | None = None) -> None:
        self._journal = journal
        self._workspace = workspace
        self._limits = limits or Limits()

    def run(
        self,
        skill: Skill,
        params: Mapping[str, Any],
        *,
        timeout_s: float | None = None,
        on_output: OnOutput | None = None,
    ) -> Run:
        """
        Run *skill* with *params* (validated already) and return how it ended; never raises for
        what the skill does.

        Args:
            timeout_s: Instead of the skill's own limit.
            on_output: Given what the skill prints, as it comes.
        """
        run_id = uuid4().hex
        limit = timeout_s or skill.timeout_s or self._limits.timeout_s
        self._journal.append(
            "run_started",
            {
                "run_id": run_id,
                "skill": skill.name,
                "source_sha256": skill.sha256,
                "params_sha256": _digest(params),
                "timeout_s": limit,
            },
        )
        began = time.monotonic()
        child = _Child(self._command(), self._request(skill, params), self._workspace)
        try:
            ended = child.wait(limit, self._limits.output_bytes, on_output)
        except BaseException:
            child.kill()
            self._finish(run_id, skill, "cancelled", time.monotonic() - began)
            raise
        run = self._judge(run_id, skill, ended, limit, time.monotonic() - began)
        self._finish(
            run_id,
            skill,
            run.outcome,
            run.duration_s,
            result_sha256=_digest(run.result) if run.outcome == "ok" else None,
            # The message may hold anything; its type cannot.
            error_type=run.error.get("type"),
            output_bytes=len(ended.output) + ended.cut,
        )
        return run

    def _command(self) -> list[str]:
        # -I: nothing from the environment or the current folder decides what is imported.
        # -B: nothing compiled is left beside people's skills.  -u: output comes when it is printed.
        return [sys.executable, "-I", "-B", "-u", "-X", "utf8", str(_WORKER)]

    def _request(self, skill: Skill, params: Mapping[str, Any]) -> bytes:
        return json.dumps(
            {
                "file": str(skill.file.resolve()),
                "sha256": skill.sha256,
                "name": skill.name,
                "params": dict(params),
                "workspace": str(self._workspace),
                "memory_bytes": skill.memory_bytes,
            }
        ).encode()

    def _judge(
        self, run_id: str, skill: Skill, ended: _Ended, limit: float, duration_s: float
    ) -> Run:
        outcome, result, error = "error", None, {}
        if ended.timed_out:
            outcome, error = "timeout", {"message": f"stopped after {limit:g} s"}
        elif reply := ended.reply:
            if reply.get("ok"):
                outcome, result = "ok", reply.get("result")
            else:
                error = reply.get("error", {})
        elif ended.code < 0:
            name = signal.Signals(-ended.code).name
            error = {"message": f"its process was killed by {name}"}
        else:
            error = {"message": f"its process exited with code {ended.code} without a result"}
        text = ended.output.decode("utf-8", "replace")
        return Run(run_id, skill.name, outcome, duration_s, result, text, ended.cut, error)

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


@dataclass(frozen=True, slots=True)
class _Ended:
    code: int
    timed_out: bool
    reply: Mapping[str, Any] | None
    output: bytes
    cut: int


class _Child:
    """A worker process, its output and its reply."""

    def __init__(self, command: list[str], request: bytes, workspace: Path) -> None:
        reply_read, reply_write = os.pipe()
        env = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
        env |= {"DINO_HOME": str(workspace), "DINO_DOOR": "skill"}
        try:
            self._process = subprocess.Popen(
                [*command, str(reply_write)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=workspace,
                env=env,
                pass_fds=(reply_write,),
                start_new_session=True,
            )
        except BaseException:
            os.close(reply_read)
            raise
        finally:
            os.close(reply_write)
        self._reply_fd = reply_read
        with contextlib.suppress(BrokenPipeError):
            _pipe(self._process.stdin).write(request)
        with contextlib.suppress(BrokenPipeError):
            _pipe(self._process.stdin).close()

    def wait(self, timeout_s: float, output_limit: int, on_output: OnOutput | None) -> _Ended:
        """Gather output and reply until the process has ended, or end it at its time limit."""
        output, reply = _Gathered(output_limit), _Gathered(_REPLY_LIMIT)
        deadline = time.monotonic() + timeout_s
        timed_out = False
        out_fd = _pipe(self._process.stdout).fileno()
        with selectors.DefaultSelector() as waiting:
            waiting.register(out_fd, selectors.EVENT_READ, output)
            waiting.register(self._reply_fd, selectors.EVENT_READ, reply)
            while waiting.get_map():
                left = deadline - time.monotonic()
                if left <= 0 and self._process.poll() is None:
                    timed_out = True
                    self.kill()
                    deadline = time.monotonic() + _AFTER_EXIT_S
                elif left <= 0:
                    break  # something it left behind holds the pipe open
                for key, _ in waiting.select(max(min(left, 0.5), 0)):
                    data = os.read(key.fd, 1 << 16)
                    if not data:
                        waiting.unregister(key.fd)
                    key.data.add(data)
                    if on_output and key.data is output and data:
                        on_output(data)
                if self._process.poll() is not None:
                    deadline = min(deadline, time.monotonic() + _AFTER_EXIT_S)
        self.kill()  # its session may hold processes it started
        code = self._process.wait()
        self._close()
        return _Ended(code, timed_out, _parse(reply), bytes(output.data), output.cut)

    def kill(self) -> None:
        """End the process and all it started that stayed in its session's group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _close(self) -> None:
        _pipe(self._process.stdout).close()
        os.close(self._reply_fd)


class _Gathered:
    """Bytes up to a limit, and how many came after it."""

    def __init__(self, limit: int) -> None:
        self.data = bytearray()
        self.cut = 0
        self._limit = limit

    def add(self, data: bytes) -> None:
        room = self._limit - len(self.data)
        self.data += data[:room]
        self.cut += max(len(data) - room, 0)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise RuntimeError("the worker was started without its pipes")
    return stream


def _parse(reply: _Gathered) -> Mapping[str, Any] | None:
    if reply.cut:
        limit = _REPLY_LIMIT // 2**20
        return {"ok": False, "error": {"message": f"its result is larger than {limit} MiB"}}
    try:
        parsed = json.loads(reply.data)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
