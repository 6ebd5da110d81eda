"""
What a call of a skill costs more when a model makes it: the loop, the policy, the record.

    python bench/agent.py [CALLS]        default: 10 in each of 20 runs

The model answers at once.  The bare runs of the same skill and the library's own loop, with a tool
that does nothing, are taken in turns with ours.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.usage import UsageLimits
from side_by_side import timed, verdict

from dino_os.agent.limits import Limits
from dino_os.agent.running import run_goal
from dino_os.workspace import Workspace

ROUNDS = 20
SKILL = '''
from dino_os import skill

@skill
def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b
'''


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        root = Path(folder)
        (root / "config.yaml").write_text("system:\n  name: bench\n")
        (root / "skills").mkdir()
        (root / "skills" / "mine.py").write_text(SKILL)
        tool_calls(root, calls)


class Quick:
    """A model that calls `add` so often, and answers at once; notes when it was asked."""

    def __init__(self, calls: int) -> None:
        self._calls = calls
        self.asked: list[float] = []

    def __call__(self, *_: object, **__: object) -> FunctionModel:
        return FunctionModel(self._answer)

    def _answer(self, *_: object) -> ModelResponse:
        self.asked.append(time.perf_counter())
        if len(self.asked) <= self._calls:
            return ModelResponse([ToolCallPart("add", {"a": len(self.asked)})])
        return ModelResponse([TextPart("done")])

    @property
    def step_s(self) -> list[float]:
        """From one question to the next; the first has a start of the sandbox in it."""
        return [b - a for a, b in zip(self.asked[1:], self.asked[2:], strict=False)]


def tool_calls(root: Path, calls: int) -> None:
    home = Workspace(root)
    home.stays = True
    skill = home.plugins.skills().find("add")
    bare: list[float] = []
    ours: list[float] = []
    library: list[float] = []
    limits = Limits(calls + 1)
    for _ in range(ROUNDS):
        home.runner.run(skill, {"a": 0})
        bare += [timed(lambda: home.runner.run(skill, {"a": 1})) for _ in range(calls)]
        model = Quick(calls)
        run_goal(home, "add", model=model, limits=limits).check()
        ours += model.step_s
        library += _library(calls)
    home.sandbox.close()
    ran, step, own = (statistics.median(taken) * 1000 for taken in (bare, ours, library))
    more = step - ran
    print(
        f"a call of a skill    bare {ran:5.1f} ms   by a model {step:5.1f} ms   {more:+5.1f} ms, "
        f"{more / own:.1f} x pydantic-ai's own {own:.1f} ms   "
        f"{verdict(more / own, 4, at_least=False)}"
    )


def _library(calls: int) -> list[float]:
    def add(a: int) -> int:
        return a + 1

    model = Quick(calls)
    agent = Agent(model(), tools=[add])
    agent.run_sync("add", usage_limits=UsageLimits(request_limit=calls + 1))
    return model.step_s


if __name__ == "__main__":
    main()
