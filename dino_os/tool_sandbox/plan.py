"""
What a keeper is told and how it is started, from a policy and the walls there are: pure data.

The parent plans everything and the far side only does it, so that what runs there needs no tables
and makes no choices.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dino_os.tool_sandbox import bubblewrap, view, wire
from dino_os.tool_sandbox.kernel import call_filter, landlock
from dino_os.tool_sandbox.policy import Policy, Walls

_KEEPER = Path(__file__).with_name("inside") / "keeper.py"
_STAGE = Path(__file__).with_name("stage.py")
_INTERPRETER = ("-I", "-S", "-B", "-u", "-X", "utf8")
# What a program needs to find its way; everything else of the parent's environment may be secret.
_PASSED_ON = ("USER", "LOGNAME", "LANG", "LANGUAGE", "LC_ALL", "TZ", "TERM")
_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class Plan:
    """
    How to start one keeper.

    Attributes:
        control: The descriptor of its socket, in the keeper.
        scratch: The private folders as it sees them, the home of its jobs first.
        user: Who it becomes where root starts it.
    """

    policy: Policy
    walls: Walls
    seen: tuple[view.Place, ...]
    control: int
    scratch: tuple[str, ...]
    user: int | None

    @property
    def descriptors(self) -> list[int]:
        """What the far side has to inherit beside its socket."""
        return [place.descriptor for place in self.seen if place.descriptor is not None]

    @property
    def command(self) -> list[str]:
        python = [view.interpreter(), *_INTERPRETER]
        command = [*python, str(_KEEPER), str(self.control)]
        if self.walls.bubblewrap and self.user is not None:
            command = [*bubblewrap.around_own_root(self.walls.bubblewrap), *command]
        elif self.walls.bubblewrap:
            size = self.policy.limits.scratch_bytes
            around = bubblewrap.arguments(self.walls.bubblewrap, self.seen, scratch_bytes=size)
            command = [*around, *command]
        if self.user is not None:
            command = [*python, str(_STAGE), str(self.control), *command]
        return command

    @property
    def environment(self) -> dict[str, str]:
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        own = {"PATH": _PATH, "DINO_HOME": str(self.policy.folder), "DINO_DOOR": "skill"}
        return {**passed_on, **own}

    def messages(self, preload: Iterable[str]) -> Iterator[bytes]:
        """What is sent to it before it answers: to root's launcher, and to the keeper."""
        if self.user is not None:
            stage = marshal.dumps(self.stage(self.user))
            yield len(stage).to_bytes(4, "big") + stage
        yield wire.encode({"confine": self._confine(preload)})

    @property
    def _own_network(self) -> bool:
        """Whether the launcher makes what bubblewrap is not there to make."""
        return bool(self.policy.reaches) and not self.walls.bubblewrap

    def stage(self, user: int) -> dict[str, Any]:
        limits = self.policy.limits
        sources = [_source(place) for place in self.seen]
        sources += [_made("device", path) for path in view.DEVICES]
        if program := self.walls.bubblewrap:
            shown = [place.path for place in self.seen if place.kind is not view.Kind.FOLDER]
            if not any(Path(program).is_relative_to(path) for path in shown):
                sources.append(_made("read", program))
            sources.append(_made("processes", "/proc"))  # it needs them, and puts others there
        temporary = [
            {"path": folder, "bytes": limits.scratch_bytes, "files": limits.scratch_files}
            for folder in self.scratch
        ]
        return {
            "sources": sources,
            "temporary": temporary,
            "user": user,
            "own_network": self._own_network,
        }

    def _confine(self, preload: Iterable[str]) -> dict[str, Any]:
        walls, policy = self.walls, self.policy
        own_view = bool(walls.bubblewrap) or self.user is not None
        allowed = call_filter.Allowed(
            programs=policy.programs, network=bool(policy.reaches), metadata=own_view
        )
        rules = view.rules(self.seen, mounted=own_view, programs=policy.programs)
        rules += view.own_rules(self.scratch, processes=bool(walls.bubblewrap))
        return {
            "sys_path": view.search_path(),
            "prefix": sys.prefix,
            "preload": list(preload),
            "environment": self.environment,
            "own_network": self._own_network and self.user is None,
            "network": bool(policy.reaches),
            "landlock": rules if walls.landlock else None,
            "seccomp": call_filter.program(allowed).hex() if walls.seccomp else None,
            "scratch": list(self.scratch),
            "alone": self._alone(),
            "parent": os.getpid(),
            "pid_namespace": os.stat("/proc/self/ns/pid").st_ino,
            "keep": [self.control],
        }

    def _alone(self) -> str | None:
        """Why a signal to everybody reaches none but the keeper's own."""
        if self.walls.bubblewrap:
            return "namespace"
        if self.walls.landlock >= landlock.SCOPES_SINCE:
            return "scoped"
        return None if self.user is None else "user"


def _source(place: view.Place) -> Mapping[str, Any]:
    return {**asdict(place), "kind": place.kind.value}


def _made(kind: str, path: str) -> Mapping[str, Any]:
    return {"kind": kind, "path": path, "source": path, "descriptor": None, "granted": False}
