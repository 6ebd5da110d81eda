"""
Where the gates' private keys are: in memory, in a file beside the log, or where a plug-in says.

Public keys stand in the gate log; whoever only looks at tokens needs nothing of this but the key of
the pseudonyms.  A bare `NavigationMesh()` asks what is installed under the entry point group
`dino.gate_keys` (Dino's own is its vault), and keeps a file beside its log where nothing is.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Protocol

from engines.durable import create_file, make_folder, replace_file
from engines.errors import DinoError
from engines.installed import the_installed

GROUP = "dino.gate_keys"
KEY_SIZE = 32
_PSEUDONYMS = "pseudonyms"


class KeysBroken(DinoError):
    """What should hold the gates' keys does not."""


class Keys(Protocol):
    """Holds one private key for each domain, and the key of the pseudonyms; 32 bytes each."""

    def unlock(self) -> None:
        """Ask what must be asked, while no lock is held that others wait for."""

    def load(self, domain: str) -> bytes | None:
        """The private key of *domain*, or None where there is none."""

    def save(self, domain: str, private: bytes) -> None:
        """Keep *private* in place of the one before; it is durable on return."""

    def pseudonyms(self) -> bytes:
        """The key that makes names pseudonyms: the same for all processes, made by the first."""


class MemoryKeys:
    """Keys that last as long as the process."""

    def __init__(self) -> None:
        self._held: dict[str, bytes] = {}
        self._names = os.urandom(KEY_SIZE)

    def unlock(self) -> None:
        """Nothing is locked."""

    def load(self, domain: str) -> bytes | None:
        return self._held.get(domain)

    def save(self, domain: str, private: bytes) -> None:
        self._held[domain] = private

    def pseudonyms(self) -> bytes:
        return self._names


class FileKeys:
    """Keys in one file, mode 0600; who may read it may issue tokens."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def unlock(self) -> None:
        """Nothing is locked."""

    def load(self, domain: str) -> bytes | None:
        return self._read().get(domain)

    def save(self, domain: str, private: bytes) -> None:
        # Only within the gate log's `deciding()`: nobody else writes meanwhile.
        self.pseudonyms()  # makes the file
        self._write({**self._read(), domain: private})

    def pseudonyms(self) -> bytes:
        while (found := self._read().get(_PSEUDONYMS)) is None:
            make_folder(self.path.parent)
            fresh = _form({_PSEUDONYMS: os.urandom(KEY_SIZE)})
            with contextlib.suppress(FileExistsError):  # the first to make it wins
                create_file(self.path, fresh, mode=0o600)
        return found

    def _read(self) -> dict[str, bytes]:
        try:
            form = json.loads(self.path.read_bytes())
            found = {name: bytes.fromhex(key) for name, key in form.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError, TypeError, RecursionError):
            found = {}
        if _PSEUDONYMS not in found or any(len(key) != KEY_SIZE for key in found.values()):
            raise KeysBroken(
                f"{self.path}: not the gates' keys",
                hint="move it away; the gates make new keys, and tokens that are out stay good",
            )
        return found

    def _write(self, held: dict[str, bytes]) -> None:
        replace_file(self.path, _form(held), mode=0o600)


def installed_keys(memory: Path) -> Keys:
    """
    The keys of the workspace whose journals lie in *memory*: those of the plug-in, else a file.

    Raises:
        KeysBroken: There are several plug-ins, or the one there is cannot be loaded.
    """
    make = the_installed(GROUP, "hold the gates' keys", KeysBroken)
    keys: Keys = make(memory) if make else FileKeys(memory / "gate_log.keys")
    return keys


def _form(held: dict[str, bytes]) -> bytes:
    return json.dumps({name: key.hex() for name, key in held.items()}, indent=1).encode() + b"\n"
