"""What there is to show of a node: who leads its schedule, and who countersigns its checkpoints."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from engines import checks
from engines.audit import is_sealed
from engines.errors import DinoError

if TYPE_CHECKING:
    from dino_os.cluster.neighbours import Refusal
    from dino_os.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Countersigned:
    """
    How much of one of our journals others vouch for.

    Attributes:
        lines: How many its last checkpoint has.
        by: The nodes that signed that one.
        vouched: How many lines the last checkpoint has that any node signed; 0: none did.
    """

    journal: str
    lines: int
    by: tuple[str, ...]
    vouched: int


@dataclass(frozen=True, slots=True)
class Standing:
    """
    A node's checkpoints in its cluster.

    Attributes:
        signs: Whether it has a key to sign with; `sealed`: which opens with a passphrase only.
        refusals: Checkpoints that were not countersigned, and for which that still holds.
        refused_keys: Nodes that came with other keys than those that are pinned.
    """

    signs: bool
    sealed: bool
    journals: tuple[Countersigned, ...]
    refusals: tuple[Refusal, ...]
    refused_keys: tuple[str, ...]


def standing(workspace: Workspace) -> Standing:
    """What this workspace's own journals say; no server is asked."""
    log, neighbours = workspace.checkpoints, workspace.neighbours
    key_file = workspace.signing_key
    signs = key_file.exists()
    return Standing(
        signs,
        signs and is_sealed(key_file),
        tuple(_countersigned(workspace, journal) for journal in log),
        tuple(neighbours.refusals.values()),
        tuple(neighbours.refused_keys),
    )


def _countersigned(workspace: Workspace, journal: str) -> Countersigned:
    history = workspace.checkpoints.of(journal)
    keys = {name: keys.cosigner for name, keys in workspace.neighbours.pinned.items()}
    by = tuple(name for name, key in keys.items() if history[-1].note.is_signed_by(key))
    vouched = next(
        (
            signed.checkpoint.size
            for signed in reversed(history)
            if any(signed.note.is_signed_by(key) for key in keys.values())
        ),
        0,
    )
    return Countersigned(journal, history[-1].checkpoint.size, by, vouched)


def told(workspace: Workspace) -> dict[str, Any]:
    """
    What `dino cluster status` says of the schedule and the checkpoints, as JSON values.

    The leader is None also where nobody can be asked.
    """
    found = standing(workspace)
    return {
        "scheduler_leader": _leader(workspace),
        "checkpoints": {
            "signs": found.signs,
            "sealed": found.sealed,
            "journals": [asdict(one) for one in found.journals],
            "refused": [asdict(one) | {"at": checks.time_text(one.at)} for one in found.refusals],
            "refused_keys_of": list(found.refused_keys),
        },
    }


def _leader(workspace: Workspace) -> dict[str, Any] | None:
    occurrences = workspace.occurrences
    try:
        lease = occurrences.leader() if occurrences else None
    except DinoError:
        lease = None
    if lease is None:
        return None
    since = checks.time_text(lease.since)
    return {"node": lease.node, "epoch": lease.epoch, "since": since, "jobs": len(lease.jobs)}
