"""
What one run may do: pure data, made from what a skill asks for and the operator granted.

Nothing here widens anything: a field that is empty allows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What a run may use.

    Attributes:
        timeout_s: Wall-clock time.
        cpu_s: Processor time of each process; None is twice the wall-clock time.
        memory_bytes: Addresses of each process, and resident memory of all together.
        processes: Processes and threads at once.
        file_bytes: Size of any file written.
        open_files: Descriptors of each process.
        scratch_bytes: All that lies in the private temporary folder.
        scratch_files: How many files and folders lie there.
        output_bytes: What is kept of standard output and error.
        result_bytes: Longest result, and longest call to the broker.
    """

    timeout_s: float = 60.0
    cpu_s: int | None = None
    memory_bytes: int = 2048 * _MIB
    processes: int = 64
    file_bytes: int = 256 * _MIB
    open_files: int = 256
    scratch_bytes: int = 256 * _MIB
    scratch_files: int = 10_000
    output_bytes: int = _MIB
    result_bytes: int = 64 * _MIB

    def of_a_process(self) -> dict[str, int]:
        """The kernel's own limits, as `kernel.limits` takes them."""
        return {
            "cpu_s": self.cpu_s or int(2 * self.timeout_s) + 1,
            "memory_bytes": self.memory_bytes,
            "file_bytes": self.file_bytes,
            "files": self.open_files,
            "processes": self.processes,
        }


@dataclass(frozen=True, slots=True)
class Policy:
    """
    What a run may reach.

    Attributes:
        folder: Where it finds its files: relative paths begin there.
        reads: Files and folders it may read, absolute or relative to *folder*.
        writes: Files and folders it may change.
        reaches: Hosts it may talk to, as `tool_sandbox.egress.hosts` reads them.
        programs: Whether it may start other programs.
    """

    folder: Path
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    reaches: tuple[str, ...] = ()
    programs: bool = False
    limits: Limits = field(default_factory=Limits)

    def as_dict(self) -> dict[str, Any]:
        """For the record: what it allows, without where the workspace lies."""
        return {
            "reads": list(self.reads),
            "writes": list(self.writes),
            "reaches": list(self.reaches),
            "programs": self.programs,
            "limits": asdict(self.limits),
        }


@dataclass(frozen=True, slots=True)
class Walls:
    """
    What is to enforce a policy; each can be left out by the sandbox's own tests alone.

    Attributes:
        bubblewrap: Path of the program that makes the namespaces, or None.
        landlock: Version of the kernel's interface; 0 for none.
        seccomp: Whether system calls are filtered.
        limits: Whether resource limits are set.
        own_user: Whether it runs as a user of its own, as root's have to.
    """

    bubblewrap: str | None
    landlock: int
    seccomp: bool
    limits: bool = True
    own_user: bool = False

    @classmethod
    def none(cls) -> Walls:
        """No walls: for a skill that the operator lets run without, where there can be none."""
        return cls(bubblewrap=None, landlock=0, seccomp=False)

    @property
    def enforce(self) -> bool:
        """Whether together they keep unknown code in."""
        from dino_os.tool_sandbox.kernel.landlock import SCOPES_SINCE  # noqa: PLC0415

        return self.seccomp and (self.bubblewrap is not None or self.landlock >= SCOPES_SINCE)

    def names(self) -> list[str]:
        """For the record and for people."""
        there: Mapping[str, Any] = {
            "namespaces": self.bubblewrap,
            "landlock": self.landlock,
            "seccomp": self.seccomp,
            "limits": self.limits,
            "own-user": self.own_user,
        }
        return [name for name, stands in there.items() if stands]
