"""Running tasks in this process's own workers: `start`, `run_cycle`, `stop`; functions by name."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from engines.checks import name as checked_name
from engines.errors import InvalidInput
from engines.resource_engine.crew import Crew
from engines.resource_engine.worker import calling, wait_readable
from engines.resource_engine.workers import forking

_LOOK_S = 0.2  # others may have cancelled what runs

if TYPE_CHECKING:
    from engines.resource_engine.engine import ResourceEngine


class Running:
    """What a program of one's own does with the queue; `dino engine work` does it for skills."""

    _crew: Crew | None = None

    def register(self, name: str, function: Callable[..., Any]) -> None:
        """
        Have tasks with the payload {"call": *name*} run *function* in a worker process.

        Workers are forks of this process as it is when they start: register first.

        Raises:
            InvalidInput: The name is taken by another function.
        """
        functions = self.functions
        if functions.setdefault(checked_name(name, "a function's name"), function) is not function:
            raise InvalidInput(f"another function is registered as {name!r}")

    @property
    def functions(self) -> dict[str, Callable[..., Any]]:
        """Those that were registered."""
        found: dict[str, Callable[..., Any]] = vars(self).setdefault("_functions", {})
        return found

    def start(self) -> None:
        """Begin to work; done by the first `run_cycle` too."""
        if self._crew is None:
            functions = self.functions
            self._crew = Crew(
                cast("ResourceEngine", self),
                forking(calling(functions)),
                runs=lambda does: does.removeprefix("call:") in functions,
            )

    def stop(self) -> None:
        """End the workers and give back what they had."""
        if self._crew:
            self._crew.close()
            self._crew = None

    def run_cycle(self) -> int:
        """
        Run, in worker processes, all that may start now, and wait for it.

        Returns:
            How many attempts ended.
        """
        self.start()
        crew = cast("Crew", self._crew)
        before = crew.ended
        claim = True
        while crew.turn(claim=claim) or crew.busy:
            claim = False  # one round: what it brings about is the next one's
            wait = min(max(crew.wake_at() - time.monotonic(), 0.0), _LOOK_S)
            if crew.busy:
                wait_readable(crew.sockets(), wait)
        return crew.ended - before
