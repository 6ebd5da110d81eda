"""
One attack: a function that tries something and returns a proof where it got through.

The same text runs everywhere: plainly, behind each wall alone, behind all of them, and as a skill.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WALLS = ("bare", "namespaces", "own-user", "landlock", "seccomp", "limits")
_KIT = Path(__file__).with_name("kit.py").read_text()

Probe = Callable[[Any], Any]


@dataclass(frozen=True)
class Attack:
    """
    Attributes:
        stopped_by: The walls each of which alone is enough; "bare" is what every run has: scrubbed
            environment, closed descriptors, a clock, and a keeper that watches.
        control: Where it succeeds: "plain", "root" (as root alone), or why it cannot be shown.
        needs: Says why this machine cannot show it, where it cannot.
        alone: Behind which walls it is tried one by one; all, but for slow ones.
        without_namespaces: Whether it must fail without bubblewrap too.
        policy: What it is granted beside reading `data/` and writing to `out/`.
        limits: What it may use, where the usual will not do.
        proof: Name of a method of the world that says whether it got through, where it cannot.
    """

    name: str
    code: str
    stopped_by: frozenset[str]
    control: str = "plain"
    needs: Callable[[], str | None] = lambda: None
    alone: tuple[str, ...] = WALLS[:-1]
    without_namespaces: bool = True
    policy: dict[str, Any] = field(default_factory=dict, hash=False)
    limits: dict[str, Any] = field(default_factory=dict, hash=False)
    proof: str | None = None

    def text(self, facts: dict[str, Any]) -> str:
        """Its Python; the value of the last line is the proof."""
        world = f"json.loads({json.dumps(facts)!r})"
        return f"{_KIT}\n\n{self.code}\n\n{self.name}(World(**{world}))\n"

    def skill(self, facts: dict[str, Any]) -> str:
        """A file of a skill that does it; the secret is in it backwards, so as not to be found."""
        told = {name: value for name, value in facts.items() if name != "canary"}
        world = f"json.loads({json.dumps(told)!r}), canary={facts['canary'][::-1]!r}[::-1]"
        future, kit = _KIT.split("from __future__ import annotations\n")
        asked = {"reads": ["data/"], "writes": ["out/"], **self.policy}
        options = ", ".join(f"{name}={value!r}" for name, value in asked.items())
        return (
            f"{future}from dino_os import skill\n{kit}\n\n{self.code}\n\n"
            f"@skill({options})\ndef attack_{self.name}():\n"
            f"    return {self.name}(World(**{world}))\n"
        )


REGISTERED: list[Attack] = []


def attack(*stopped_by: str, **more: Any) -> Callable[[Probe], Probe]:
    """Make an attack of the function below; see `Attack`."""

    def register(function: Probe) -> Probe:
        unknown = set(stopped_by) - set(WALLS)
        assert not unknown, unknown
        code = _without_decorators(inspect.getsource(function))
        REGISTERED.append(Attack(function.__name__, code, frozenset(stopped_by), **more))
        return function

    return register


def _without_decorators(source: str) -> str:
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    return "\n".join(source.splitlines()[function.lineno - 1 :])


def all_attacks() -> Iterator[Attack]:
    """Every attack there is; importing their files registers them."""
    from tests.security.attacks import (  # noqa: F401
        environment,
        files,
        modes,
        network,
        processes,
        resources,
        system_calls,
    )

    names = [attack.name for attack in REGISTERED]
    assert len(set(names)) == len(names), "two attacks of one name"
    yield from REGISTERED
