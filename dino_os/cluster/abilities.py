"""
What this node can do for others, and what others said that they can.

A skill is known by its name and the hash of its text: who has another text has another skill.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from dino_os.cluster.jobs import Able, kind_token
from dino_os.errors import DinoError

if TYPE_CHECKING:
    from dino_os.workspace import Workspace

_LOOK_AGAIN_S = 5.0
FORGET_S = 7.0  # behind what a node said last


class Abilities:
    """
    What of *workspace* may be asked for by other nodes: skills that its operator granted what they
    ask for and that touch no files, and the functions that its settings name.

    A file is the machine's own: one of another node would be read, or written, instead.
    """

    def __init__(
        self, workspace: Workspace, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._workspace = workspace
        self._monotonic = monotonic
        self._looked_at = -_LOOK_AGAIN_S
        self._as_of: list[object] = []
        self._hashes: dict[str, str] = {}

    def hashes(self) -> Mapping[str, str]:
        """What is done ("skill:NAME", "call:NAME") → the hash of its text, empty for functions."""
        now = self._monotonic()
        if now - self._looked_at >= _LOOK_AGAIN_S:
            self._looked_at = now
            if (as_of := self._state()) != self._as_of:
                functions = self._workspace.config.settings.resources.functions
                self._hashes = {f"call:{name}": "" for name in functions} | dict(self._skills())
                self._as_of = as_of
        return self._hashes

    def token(self, does: str) -> str | None:
        """The token of that kind as this node has it; None where it has none."""
        found = self.hashes().get(does)
        return None if found is None else kind_token(does, found)

    def tokens(self) -> list[str]:
        return [kind_token(does, sha256) for does, sha256 in self.hashes().items()]

    def _state(self) -> list[object]:
        """What skills and grants come from: as long as it is the same, so are they."""
        folder, grants = self._workspace.skills_folder, self._workspace.memory / "security_log.head"
        files = [*sorted(folder.glob("*.py")), *([grants] if grants.exists() else [])]
        found: list[object] = []
        for file in files:
            with contextlib.suppress(OSError):  # it has just been removed
                about = file.stat()
                found.append((file.name, about.st_mtime_ns, about.st_size, about.st_ino))
        return found or [None]

    def _skills(self) -> Iterator[tuple[str, str]]:
        admission = self._workspace.admission
        for skill in self._workspace.plugins.skills():
            try:
                request, sources = admission.request(skill)
                asked = request.permissions
                if asked.reads or asked.writes or (asked and not admission.covers(request)):
                    continue
            except DinoError:  # whoever runs it is told
                continue
            yield f"skill:{skill.name}", sources.sha256


class Others:
    """What the other nodes said that they can, as long as they go on saying it."""

    def __init__(self, node: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._node = node
        self._monotonic = monotonic
        self._said: dict[str, tuple[float, Able]] = {}

    def hear(self, able: Able) -> None:
        if able.node != self._node:
            self._said[able.node] = (self._monotonic(), able)

    def _alive(self) -> list[Able]:
        since = self._monotonic() - FORGET_S
        for node in [node for node, (at, _) in self._said.items() if at < since]:
            del self._said[node]
        return [able for _, able in self._said.values() if able.places]

    def places(self) -> int:
        """How many tasks they run at once."""
        return sum(able.places for able in self._alive())

    def tokens(self) -> Collection[str]:
        """The kinds that at least one of them runs."""
        return {token for able in self._alive() for token in able.kinds}
