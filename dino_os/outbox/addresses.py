"""
Where a delivery goes: `file:PATH`, `bus:CHANNEL`, `webhook:URL`.

The form of an address is checked where it is read, so that nothing is queued for nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dino_os.errors import InvalidInput
from dino_os.message_bus.subject import check_channel
from dino_os.web_calls import checked_url
from engines.checks import did_you_mean

KINDS = ("file", "bus", "webhook")


@dataclass(frozen=True, slots=True)
class Address:
    """
    One place.

    Attributes:
        kind: file, bus or webhook.
        target: The path, the channel or the URL.
        key: Name of the key in the vault that signs what a webhook gets.
        key_url: Name of the key in the vault that is the URL, where it is a secret; then there is
            no target.
    """

    kind: str
    target: str
    key: str | None = None
    key_url: str | None = None

    @classmethod
    def parse(cls, text: str, key: str | None = None) -> Address:
        """
        Read an address.

        Raises:
            InvalidInput: It is none.
        """
        kind, colon, target = text.partition(":")
        if not colon or kind not in KINDS or not target.strip():
            raise InvalidInput(
                f"not an outbox: {text!r}{did_you_mean(kind, KINDS) if colon else ''}",
                hint="file:PATH, bus:CHANNEL or webhook:URL",
            )
        if kind == "bus":
            check_channel(target)
        elif kind == "webhook":
            checked_url(target)
        elif "\0" in target:
            raise InvalidInput("a path holds no NUL")
        if key is not None and kind != "webhook":
            raise InvalidInput(f"a key signs what a webhook gets, not a {kind}")
        return cls(kind, target, key)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Address:
        """From what `as_dict` made."""
        return cls(data["kind"], data["target"], data.get("key"), data.get("key_url"))

    def as_dict(self) -> dict[str, Any]:
        keys = {"key": self.key, "key_url": self.key_url}
        named = {name: key for name, key in keys.items() if key}
        return {"kind": self.kind, "target": self.target, **named}

    def __str__(self) -> str:
        return f"{self.kind}:{self.target or f'key {self.key_url}'}"

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the keys in the vault that it needs."""
        return tuple(key for key in (self.key, self.key_url) if key)

    def file(self, root: Path, memory: Path) -> Path:
        """
        The file that is meant, from the workspace at *root*.

        Raises:
            InvalidInput: It lies where the record is kept.
        """
        path = root / Path(self.target).expanduser()
        if path.resolve().is_relative_to(memory):
            raise InvalidInput(f"{self}: {memory} is kept for the record")
        return path
