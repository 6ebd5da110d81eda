"""
The values of a vault's secrets, as far as they are known without asking anybody, kept out of what
is stored.

There is a vault or not, and it is the same file as before or not: that is one look at the disk.
Only a changed one is opened, and never where somebody would be asked for a passphrase.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from engines.errors import DinoError

if TYPE_CHECKING:
    from dino_os.redaction import Redactor
    from dino_os.security_gateway.gateway import Gateway

_Seen: TypeAlias = tuple[int, int, int] | None


class KnownSecrets:
    """
    The secrets in the vault at *vault*.

    Args:
        gateway: Whose it is; asked for when there is one.
    """

    def __init__(self, vault: Path, gateway: Callable[[], Gateway]) -> None:
        self._vault = os.fspath(vault)
        self._gateway = gateway
        self._seen: _Seen = None
        self._redactor: Redactor | None = None

    def blotted_out(self, value: Any) -> Any:
        """
        A JSON value with a mark in place of each secret; the very same where none is known.

        Further detectors of what is not to be stored belong here, behind this one.
        """
        redactor = self._found()
        return redactor.redact_json(value) if redactor else value

    def _found(self) -> Redactor | None:
        if not os.access(self._vault, os.F_OK):  # as most are: an exception costs three times that
            return None
        try:
            found = os.stat(self._vault)  # noqa: PTH116  a third of the time
        except OSError:
            return None
        seen = found.st_ino, found.st_mtime_ns, found.st_size
        if seen != self._seen:
            try:
                gateway = self._gateway()
                if not gateway.opens_unasked():
                    return None  # it may be opened before the next one
                self._redactor = gateway.redactor()
            except (DinoError, OSError):  # locked, or broken: that is for others to say
                self._redactor = None
            self._seen = seen
        return self._redactor
