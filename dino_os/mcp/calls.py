"""
A client's call of a skill: on the one path, in a thread, told of as it goes on, stopped where the
client wants it no more.
"""

from __future__ import annotations

import contextlib
import functools
import json
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from dino_os.arguments import bind
from dino_os.errors import DinoError, SandboxError
from dino_os.skill_index import Skill
from dino_os.upkeep import after_writing

if TYPE_CHECKING:
    from mcp_types import CallToolResult

    from dino_os.runner import Run, Runner
    from dino_os.workspace import Workspace

T = TypeVar("T")
Report = Callable[[float, float | None, str], Coroutine[Any, Any, None]]
"""Told now and then what a run printed last: number of the report, of how many, the line."""

RUN_ID = "dino.local/run_id"
_AT_ONCE = 4
_LONGEST_TEXT = 1_000_000  # characters; a model has room for less
_LONGEST_LINE = 200
_TOLD_EVERY_S = 0.1
_UPKEEP_S = 60.0


class Caller:
    """Runs what clients of *workspace* call, a few at once; others wait for their turn."""

    def __init__(self, workspace: Workspace) -> None:
        from anyio import CapacityLimiter  # noqa: PLC0415  where something is served

        workspace.stays = True
        self._workspace = workspace
        self._room = CapacityLimiter(_AT_ONCE)
        self._guard = threading.Lock()
        self._kept = time.monotonic()

    async def turn(self, work: Callable[[], T]) -> T:
        """What *work*, which takes its time, answers when it had its turn."""
        from anyio import to_thread  # noqa: PLC0415  as above

        return await to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._room)

    async def call(
        self,
        skill: Skill,
        arguments: Mapping[str, Any],
        *,
        report: Report,
        traceparent: str | None = None,
    ) -> CallToolResult:
        """Run *skill* and say how it went; what it does wrong is an answer, and no fault here."""
        cancelled = threading.Event()
        progress = _Progress(report, cancelled)

        def run() -> Run:
            return self._runner().run(
                skill,
                bind(skill, arguments),
                on_output=progress.take,
                traceparent=traceparent,
                is_cancelled=cancelled.is_set,
            )

        try:
            finished = await self.turn(run)
        except DinoError as error:
            return failed(error)
        finally:
            cancelled.set()
        await self._keep_up()
        return _answer(finished)

    def _runner(self) -> Runner:
        """Made once, as are the parts that runs share, whichever call comes first."""
        with self._guard:
            for part in ("security", "sandbox"):
                with contextlib.suppress(DinoError):  # whoever needs it is told why
                    getattr(self._workspace, part)
            return self._workspace.runner

    async def _keep_up(self) -> None:
        """What is done behind commands that wrote, now and then."""
        if time.monotonic() - self._kept > _UPKEEP_S:
            self._kept = time.monotonic()
            await aside(functools.partial(after_writing, self._workspace))


async def aside(work: Callable[[], T]) -> T:
    """What *work*, which is quickly done, answers, while others are heard."""
    from anyio import to_thread  # noqa: PLC0415  where something is served

    return await to_thread.run_sync(work, abandon_on_cancel=True)


class _Progress:
    """Tells of what a run prints, in the thread of the run."""

    def __init__(self, report: Report, ended: threading.Event) -> None:
        self._report = report
        self._ended = ended
        self._told, self._told_at = 0, 0.0

    def take(self, data: bytes) -> None:
        from anyio import from_thread  # noqa: PLC0415  where something is served

        now = time.monotonic()
        text = data.decode("utf-8", "replace").strip().rpartition("\n")[2]
        if text and not self._ended.is_set() and now - self._told_at >= _TOLD_EVERY_S:
            self._told, self._told_at = self._told + 1, now
            from_thread.run(self._report, float(self._told), None, text[-_LONGEST_LINE:])


def failed(error: DinoError, run_id: str | None = None) -> CallToolResult:
    """The answer that says what went wrong, and what to do about it."""
    text = f"{error.message}\n{error.hint}" if error.hint else error.message
    told = {"code": error.code, "message": error.message, "hint": error.hint}
    return answer(text, {"error": told}, is_error=True, run_id=run_id)


def answer(
    text: str, structured: dict[str, Any], *, is_error: bool = False, run_id: str | None = None
) -> CallToolResult:
    """An answer as text and as JSON."""
    from mcp_types import CallToolResult, TextContent  # noqa: PLC0415  where something is served

    return CallToolResult(
        content=[TextContent(text=text)],
        structured_content=structured,
        is_error=is_error,
        _meta={RUN_ID: run_id} if run_id else None,
    )


def _answer(run: Run) -> CallToolResult:
    try:
        result = run.check().result
    except DinoError as error:
        return failed(error, run.run_id)
    text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
    if result is None and run.output:
        text = result = run.output
    if len(text) > _LONGEST_TEXT:
        why = f"skill {run.skill!r}: {len(text):,} characters; clients get {_LONGEST_TEXT:,}"
        return failed(SandboxError(why), run.run_id)
    structured = result if isinstance(result, dict) else {"result": result}
    return answer(text, structured, run_id=run.run_id)
