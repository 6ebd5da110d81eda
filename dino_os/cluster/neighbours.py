"""
The nodes that this one vouches for and is vouched for by: their keys, and what was refused.

Its state is a fold over `neighbours.jsonl`.  A node's keys are taken on its first word and pinned:
others are refused until the operator here trusts them.
"""

from __future__ import annotations

from dataclasses import dataclass

from engines.audit import VerifierKey
from engines.engine import Engine
from engines.errors import NotFound
from engines.journal import Event


@dataclass(frozen=True, slots=True)
class Keys:
    """
    What a node says of itself.

    Attributes:
        origin: What all its journals' origins begin with.
        log: The key that signs its checkpoints; `witness`: the one of its cosignatures.
    """

    origin: str
    log: str
    witness: str

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey.parse(self.log)

    @property
    def cosigner(self) -> VerifierKey:
        return VerifierKey.parse(self.witness)

    def as_dict(self) -> dict[str, str]:
        return {"origin": self.origin, "log": self.log, "witness": self.witness}


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    A checkpoint that was not countersigned.

    Attributes:
        node: The other node.
        by_us: Whether we refused its checkpoint, or it refused ours.
        why: What does not fit.
        at: When this was recorded.
    """

    node: str
    journal: str
    by_us: bool
    why: str
    at: float


class Neighbours(Engine):
    """Whose keys are pinned, whose are refused, and which checkpoints were."""

    def reset(self) -> None:
        self.pinned: dict[str, Keys] = {}
        self.refused_keys: dict[str, Keys] = {}
        self.refusals: dict[tuple[str, str, bool], Refusal] = {}

    # --- commands ----------------------------------------------------------------------------

    def meet(self, node: str, keys: Keys) -> bool:
        """
        Pin the keys of a node that was not known; whether they are those that are pinned.

        That somebody comes with others, or under an origin that is another's, is recorded once.
        """
        if self.pinned.get(node) == keys:
            return True
        with self.deciding():
            known = self.pinned.get(node)
            if known is None and not self._is_taken(keys):
                self.record("neighbour_met", node=node, **keys.as_dict())
            elif known != keys and self.refused_keys.get(node) != keys:
                self.record("neighbour_key_refused", node=node, **keys.as_dict())
            return self.pinned.get(node) == keys

    def trust(self, node: str) -> Keys:
        """
        Pin the keys with which that node came last.

        Raises:
            NotFound: It came with none that were refused.
        """
        with self.deciding():
            keys = self.refused_keys.get(node)
            if keys is None:
                raise NotFound(f"no keys of a node {node!r} are refused")
            self.record("neighbour_trusted", node=node, **keys.as_dict())
            return keys

    def refuse(self, node: str, journal: str, why: str, *, by_us: bool) -> bool:
        """Record that a checkpoint is not countersigned; False where that is known."""
        known = self.refusals.get((node, journal, by_us))
        if known and known.why == why:
            return False
        with self.deciding():
            self.record("countersign_refused", node=node, journal=journal, by_us=by_us, why=why)
        return True

    def agree(self, node: str, journal: str, *, by_us: bool) -> None:
        """Record that one is countersigned again, where it was refused before."""
        if (node, journal, by_us) in self.refusals:
            with self.deciding():
                self.record("countersign_agreed", node=node, journal=journal, by_us=by_us)

    # --- folding -----------------------------------------------------------------------------

    def apply_neighbour_met(self, event: Event) -> None:
        self.pinned[event["node"]] = _keys(event)

    def apply_neighbour_trusted(self, event: Event) -> None:
        self.pinned[event["node"]] = _keys(event)
        self.refused_keys.pop(event["node"], None)

    def apply_neighbour_key_refused(self, event: Event) -> None:
        self.refused_keys[event["node"]] = _keys(event)

    def apply_countersign_refused(self, event: Event) -> None:
        node, journal, by_us = event["node"], event["journal"], event["by_us"]
        refusal = Refusal(node, journal, by_us, event["why"], event["timestamp"])
        self.refusals[node, journal, by_us] = refusal

    def apply_countersign_agreed(self, event: Event) -> None:
        self.refusals.pop((event["node"], event["journal"], event["by_us"]), None)

    # --- below the face ----------------------------------------------------------------------

    def _is_taken(self, keys: Keys) -> bool:
        """Whether another node has that origin, with another key."""
        return any(known.origin == keys.origin and known != keys for known in self.pinned.values())


def _keys(event: Event) -> Keys:
    return Keys(event["origin"], event["log"], event["witness"])
