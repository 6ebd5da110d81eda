"""Detectors of plug-ins: each is kept from harming the others, and left out once it fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from engines.redaction import Detector, Hit

_is_kind = re.compile(r"[a-z][a-z0-9_]{1,47}").fullmatch


class Guarded:
    """
    *detector*, asked until it fails.

    Args:
        quarantine: Told of its name and of what went wrong; once.
    """

    def __init__(
        self, name: str, detector: Detector, quarantine: Callable[[str, Exception], None]
    ) -> None:
        self.name = name
        self._detector = detector
        self._quarantine = quarantine
        self._failed = False

    def find(self, text: str) -> Iterable[Hit]:
        if self._failed:
            return []
        try:
            return [_checked(hit, text) for hit in self._detector.find(text)]
        except Exception as error:  # noqa: BLE001  whatever a plug-in raises is its own
            self._failed = True
            self._quarantine(self.name, error)
            return []


def guarded(
    detectors: Mapping[str, Detector], quarantine: Callable[[str, Exception], None]
) -> list[Guarded]:
    return [Guarded(name, found, quarantine) for name, found in detectors.items()]


def _checked(hit: Hit, text: str) -> Hit:
    if not _is_kind(hit.kind):
        raise ValueError(f"a kind is a word in small letters, found {hit.kind!r}")
    if not 0 <= hit.start < hit.end <= len(text):
        raise ValueError(f"a hit of {hit.kind} from {hit.start} to {hit.end} is not in the text")
    if not 0 <= hit.score <= 1:
        raise ValueError(f"a score is from 0 to 1, found {hit.score}")
    return hit
