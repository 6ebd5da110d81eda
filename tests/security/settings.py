"""The sandbox in settings: behind each wall alone, behind all, and plainly outside."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from dino_os.errors import SandboxError
from dino_os.tool_sandbox import layers
from dino_os.tool_sandbox.kernel.landlock import SCOPES_SINCE
from dino_os.tool_sandbox.policy import Limits, Policy, Walls
from dino_os.tool_sandbox.sandbox import Outcome, Sandbox
from tests.security.attack import Attack
from tests.security.world import INTERPRETER, World

ROOT = os.geteuid() == 0
# What a refusal looks like from inside.  Anything else that an attack raises is its own mistake.
_REFUSALS = frozenset(
    [
        "OSError",
        "PermissionError",
        "FileNotFoundError",
        "ProcessLookupError",
        "ConnectionError",
        "TimeoutError",
        "ConnectionRefusedError",
        "NotADirectoryError",
        "BlockingIOError",
        "FileExistsError",
        "MemoryError",
        "HTTPError",
        "URLError",
        "RuntimeError",
        "CalledProcessError",
        "error",
        "UnsupportedOperation",
    ]
)
_USUAL: Mapping[str, Any] = {
    "timeout_s": 20.0,
    "memory_bytes": 2**30,
    "scratch_bytes": 16 * 2**20,
    "scratch_files": 2000,
}


@cache
def there() -> Walls:
    """All that this machine has."""
    return layers.possible()


@cache
def namespaces() -> str | None:
    """The program that makes them, where it works here."""
    if there().bubblewrap is None:
        return None
    try:
        with Sandbox(Walls(there().bubblewrap, 0, seccomp=True)) as sandbox:
            sandbox.run(Policy(Path("/")), {"kind": "python", "arguments": {"code": "1"}})
    except SandboxError:
        return None
    return there().bubblewrap


def walls(setting: str) -> Walls | str:
    """Those of *setting*, or why this machine does not have them."""
    nothing = Walls(None, 0, seccomp=False, limits=False)
    landlock = there().landlock
    if setting in {"namespaces", "whole"} and namespaces() is None:
        return "no namespaces can be made here: bubblewrap is not installed, or may not"
    if setting in {"landlock", "without namespaces"} and landlock < SCOPES_SINCE:
        return f"Landlock is of version {landlock} here, and it takes {SCOPES_SINCE} to stand alone"
    if setting == "own-user" and not ROOT:
        return "only root runs its sandboxes as another user"
    return {
        "bare": nothing,
        "namespaces": replace(nothing, bubblewrap=namespaces()),
        "own-user": replace(nothing, own_user=True),
        "landlock": replace(nothing, landlock=landlock),
        "seccomp": replace(nothing, seccomp=True),
        # The kernel does not count root's processes: its limits need the user as well.
        "limits": replace(nothing, limits=True, own_user=ROOT),
        "whole": there(),
        "without namespaces": replace(there(), bubblewrap=None),
    }[setting]


def stops(attack: Attack, setting: str) -> bool:
    """Whether the walls of *setting* are to stop it."""
    if setting == "limits" and ROOT:
        return bool(attack.stopped_by & {"bare", "limits", "own-user"})
    return bool(attack.stopped_by & {"bare", setting})


def policy(attack: Attack, world: World) -> Policy:
    given = {"reads": ["data/"], "writes": ["out/"], **attack.policy}
    lists = {name: tuple(given.get(name, ())) for name in ("reads", "writes", "reaches")}
    limits = Limits(**{**_USUAL, **attack.limits})
    return Policy(world.workspace, **lists, programs=bool(given.get("programs")), limits=limits)


@dataclass(frozen=True)
class Told:
    """What came of an attack, and whether it got through."""

    through: bool
    outcome: Outcome | str

    def __bool__(self) -> bool:
        return self.through


def attempt(attack: Attack, world: World, sandbox: Sandbox) -> Told:
    """Try *attack* in *sandbox*."""
    job = {"kind": "python", "arguments": {"code": attack.text(world.facts)}}
    outcome = sandbox.run(policy(attack, world), job)
    kind = outcome.error.get("type")
    assert kind is None or kind in _REFUSALS, (kind, outcome.error)
    return Told(_proof(attack, world, outcome.result), outcome)


def attempt_plainly(attack: Attack, world: World) -> Told:
    """Try it in an ordinary process that is given everything which a careless parent would."""
    code = attack.text(world.facts)
    body, _, last = code.rstrip().rpartition("\n")
    handed = [os.open(world.outside / "secret", os.O_RDONLY), os.open(world.outside, os.O_RDONLY)]
    try:
        done = subprocess.run(
            [INTERPRETER, "-I", "-S", "-c", f"{body}\nprint(json.dumps({last}))", world.canary],
            cwd=world.workspace,
            env={"HOME": world.facts["home"], "SECRET": world.canary, "PATH": os.defpath},
            input=world.canary,
            capture_output=True,
            text=True,
            pass_fds=handed,
            timeout=60,
            check=False,
        )
    finally:
        for descriptor in handed:
            os.close(descriptor)
    said = done.stdout.strip()
    result = json.loads(said.splitlines()[-1]) if said and done.returncode == 0 else None
    return Told(_proof(attack, world, result), f"{done.stderr}\n{done.stdout}"[:2000])


def _proof(attack: Attack, world: World, result: Any) -> bool:
    return bool(getattr(world, attack.proof)() if attack.proof else result)


def ended_well(sandbox: Sandbox, world: World) -> bool:
    """Whether another job of the same permissions runs, and finds its folder empty."""
    code = "import os; os.listdir(os.environ['HOME'])"
    job = {"kind": "python", "arguments": {"code": code}}
    given = Policy(world.workspace, reads=("data/",), writes=("out/",), limits=Limits(**_USUAL))
    return sandbox.run(given, job).result == []
