"""What a bundle of evidence shows, and what it does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engines.journal import Event, Fault

_NEVER_PROVEN = (
    "that what the lines say is so: they are what was recorded, at the time of the writer's clock",
    "what lies beside the lines (summary, graph): signed, but the maker's own reading of them",
)


@dataclass(frozen=True, slots=True)
class PartFound:
    """
    What was found of one journal in a bundle.

    Attributes:
        size: How many lines the checkpoint covers.
        lines: How many lines, or hashes of withheld ones, lead to its root.
        signed_by: Names of those who signed the checkpoint, by keys from elsewhere; where none was
            given by those in the bundle.
        witnesses: Names of those who countersigned, by keys from anywhere.
        witnessed: Whether one of them did by a key from elsewhere.
        complete: Whether it shows every line of the period that the bundle is about, by the
            writers' clocks and up to the checkpoint; None where it is about none, or has no line
            of it.
    """

    journal: str
    withheld: bool
    size: int
    lines: int
    signed_by: tuple[str, ...]
    witnesses: tuple[str, ...]
    witnessed: bool
    complete: bool | None


@dataclass(slots=True)
class BundleFound:
    """
    What a bundle shows.

    Attributes:
        faults: What is wrong with it, up to a thousand things.
        manifest: What it says that it is; empty where that cannot be read.
        anchored: Whether keys came from elsewhere.
        signed_by: Whose signature the manifest has.
        signed_by_given: Whether that is by a key from elsewhere.
        events: Journal → its events, as far as their lines hold.
    """

    anchored: bool
    faults: list[Fault] = field(default_factory=list)
    manifest: dict[str, Any] = field(default_factory=dict)
    parts: list[PartFound] = field(default_factory=list)
    signed_by: tuple[str, ...] = ()
    signed_by_given: bool = False
    events: dict[str, list[Event]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.faults

    @property
    def verdict(self) -> str:
        """One sentence for people."""
        if self.faults:
            return ", ".join(dict.fromkeys(fault.kind for fault in self.faults))
        lines = sum(part.lines for part in self.parts)
        names = dict.fromkeys(name for part in self.parts for name in part.signed_by)
        signed = f"{lines:,} lines are what {', '.join(names)} signed"
        return signed if self.anchored else f"{signed}, unanchored: no key from elsewhere"

    @property
    def unproven(self) -> list[str]:
        """What nobody can take from it, whether it holds or not."""
        found = []
        if not self.anchored:
            found.append(
                "whose it is (unanchored): no key from elsewhere was given, and the keys in the "
                "report are its maker's own word"
            )
        elif not self.signed_by_given:
            found.append(
                "who put it together: the key that was given is a witness's, who signed the "
                "checkpoints alone"
            )
        if alone := [part.journal for part in self.parts if not part.witnessed]:
            found.append(
                "that the signer showed nobody another history: no witness whose key was given "
                f"countersigned {', '.join(alone)}"
            )
        found += [
            f"what stands on the {part.lines:,} lines of {part.journal}: only their hashes are here"
            for part in self.parts
            if part.withheld
        ]
        return [*found, self._left_out, *_NEVER_PROVEN]

    @property
    def _left_out(self) -> str:
        complete = {part.complete for part in self.parts}
        if True in complete and False not in complete:
            return (
                "that nothing else belongs to it: no line of that time is missing in the journals "
                "here, as long as no clock was set back; of other journals it says nothing"
            )
        return (
            "that nothing else belongs to it: a proof shows that a line is there, not that none is "
            "missing"
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "verdict": self.verdict,
            "anchored": self.anchored and self.ok,
            "origin": self.manifest.get("origin"),
            "about": self.manifest.get("about"),
            "signed_by": list(self.signed_by),
            "journals": [
                {
                    "journal": part.journal,
                    "withheld": part.withheld,
                    "proven_lines": part.lines,
                    "signed_lines": part.size,
                    "complete": part.complete,
                    "signed_by": list(part.signed_by),
                    "witnesses": list(part.witnesses),
                    "witnessed": part.witnessed,
                }
                for part in self.parts
            ],
            "faults": [
                {"kind": f.kind, "file": f.file or None, "line": f.line or None, "what": f.what}
                for f in self.faults
            ],
            "unproven": self.unproven,
        }
