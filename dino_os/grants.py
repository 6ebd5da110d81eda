"""
What skills ask for and what the operator grants: a run may do no more than both.

A grant names what it allows and the hash of the source that it was given for; a changed source or a
wider request needs another.  What a skill does not ask for it does not get, granted or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from dino_os.errors import Denied
from dino_os.skill_index import Skill

_LISTS = ("reads", "writes", "reaches", "keys")


@dataclass(frozen=True, slots=True)
class Permissions:
    """
    What a run may reach, whether asked for or granted.

    Attributes:
        reads: Files and folders, in the workspace unless absolute.
        writes: The same, to change.
        reaches: Hosts.
        keys: Names of secrets.
        programs: Whether it may start other programs.
    """

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    reaches: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    programs: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Permissions:
        """From a mapping with some of these names."""
        lists = {name: tuple(given.get(name, ())) for name in _LISTS}
        return cls(**lists, programs=bool(given.get("programs")))

    def __bool__(self) -> bool:
        return any(asdict(self).values())

    def as_dict(self) -> dict[str, Any]:
        """Only what is not empty."""
        return {
            name: value if isinstance(value, bool) else list(value)
            for name, value in asdict(self).items()
            if value
        }

    def words(self) -> list[str]:
        """For people, a line for each."""
        lines = [
            f"{what} {', '.join(items)}"
            for what, items in (
                ("read", self.reads),
                ("read and change", self.writes),
                ("talk to", self.reaches),
                ("use the key" if len(self.keys) == 1 else "use the keys", self.keys),
            )
            if items
        ]
        return lines + (["start other programs (in the same sandbox)"] if self.programs else [])

    def without(self, granted: Permissions) -> Permissions:
        """What of these *granted* does not cover."""
        return Permissions(
            reads=_left(self.reads, (*granted.reads, *granted.writes), _covers_path),
            writes=_left(self.writes, granted.writes, _covers_path),
            reaches=_left(self.reaches, granted.reaches, _covers_host),
            keys=_left(self.keys, granted.keys, str.__eq__),
            programs=self.programs and not granted.programs,
        )


@dataclass(frozen=True, slots=True)
class Request:
    """What the skill *name* asks for, in the source that has this hash."""

    name: str
    sha256: str
    permissions: Permissions

    @classmethod
    def of(cls, skill: Skill, sha256: str) -> Request:
        return cls(skill.name, sha256, Permissions.of(skill.options))


@dataclass(frozen=True, slots=True)
class Grant:
    """
    What the operator allows a skill.

    Attributes:
        sha256: The source it was given for; None for any.
        source: Where it stands: the record, or the settings.
    """

    permissions: Permissions
    sha256: str | None
    source: str = "record"

    def as_dict(self) -> dict[str, Any]:
        return {**self.permissions.as_dict(), "sha256": self.sha256, "source": self.source}


def decide(request: Request, grants: Iterable[Grant]) -> None:
    """
    Let *request* pass where it needs nothing, or where *grants* together cover it.

    Raises:
        Denied: They do not; says what is missing and the command that would grant it.
    """
    if not request.permissions:
        return
    there = list(grants)
    valid = [grant for grant in there if grant.sha256 in {None, request.sha256}]
    missing = request.permissions
    for grant in valid:
        missing = missing.without(grant.permissions)
    if not missing:
        return
    changed = len(valid) < len(there)
    why = "its source has changed since it was granted; it wants" if changed else "it may not"
    raise Denied(
        f"skill {request.name!r} was not run: {why} {'; '.join(missing.words())}",
        hint=f"allow it with: dino grant {request.name}",
    )


def check(permissions: Permissions) -> None:
    """
    Let pass what can be granted at all.

    Raises:
        InvalidInput: A path or a host cannot.
    """
    from dino_os.tool_sandbox.egress.hosts import Rule  # noqa: PLC0415
    from dino_os.tool_sandbox.paths import check as check_path  # noqa: PLC0415

    for host in permissions.reaches:
        Rule.parse(host)
    for path in permissions.writes:
        check_path(path, "writes", writes=True)
    for path in permissions.reads:
        check_path(path, "reads")


def _left(asked: Iterable[str], granted: tuple[str, ...], covers: Any) -> tuple[str, ...]:
    return tuple(item for item in asked if not any(covers(one, item) for one in granted))


def _covers_path(granted: str, asked: str) -> bool:
    return PurePosixPath(asked).is_relative_to(PurePosixPath(granted)) and (
        ".." not in PurePosixPath(asked).parts
    )


def _covers_host(granted: str, asked: str) -> bool:
    if granted == asked:
        return True
    return granted.startswith("*.") and asked.endswith(granted[1:]) and not asked.startswith("*")
