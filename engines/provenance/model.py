"""
What the graph is made of: entities, activities and agents, and how they are related.

Terms and meanings are those of W3C PROV-DM (https://www.w3.org/TR/prov-dm/).  Each relation is kept
with its effect first, as PROV says it: `used(activity, entity)` is an activity that would have been
another without that entity.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from engines import checks
from engines.errors import InvalidInput, NotFound

_LONGEST_ID = 1_000
_is_hash = re.compile(r"[0-9a-f]{64}|[a-z][a-z0-9_-]{1,15}:(?:[0-9a-f]{2}){16,64}").fullmatch


class Kind(StrEnum):
    """What a node is."""

    ENTITY = "entity"
    ACTIVITY = "activity"
    AGENT = "agent"


class Relation(StrEnum):
    """The relations of PROV-DM, by their names in PROV-N and PROV-JSON."""

    USED = "used"
    GENERATED_BY = "wasGeneratedBy"
    INFORMED_BY = "wasInformedBy"
    STARTED_BY = "wasStartedBy"
    ENDED_BY = "wasEndedBy"
    INVALIDATED_BY = "wasInvalidatedBy"
    DERIVED_FROM = "wasDerivedFrom"
    ATTRIBUTED_TO = "wasAttributedTo"
    ASSOCIATED_WITH = "wasAssociatedWith"
    ACTED_FOR = "actedOnBehalfOf"
    INFLUENCED_BY = "wasInfluencedBy"
    SPECIALIZATION_OF = "specializationOf"
    ALTERNATE_OF = "alternateOf"
    MEMBER = "hadMember"


class Form(NamedTuple):
    """
    How a relation is written.

    Attributes:
        effect, cause: The names of its first two places in PROV-JSON.
        effect_kind, cause_kind: What stands there; None: anything.
        rest: Further places in PROV-N's order, with what stands there; None marks a time.
        attributes: Whether it can bear any, and an identifier of its own.
    """

    effect: str
    cause: str
    effect_kind: Kind | None
    cause_kind: Kind | None
    rest: tuple[tuple[str, Kind | None], ...] = ()
    attributes: bool = True


_E, _A, _G = Kind.ENTITY, Kind.ACTIVITY, Kind.AGENT
_TIME = ("prov:time", None)
FORMS: Mapping[Relation, Form] = {
    Relation.USED: Form("prov:activity", "prov:entity", _A, _E, (_TIME,)),
    Relation.GENERATED_BY: Form("prov:entity", "prov:activity", _E, _A, (_TIME,)),
    Relation.INFORMED_BY: Form("prov:informed", "prov:informant", _A, _A),
    Relation.STARTED_BY: Form(
        "prov:activity", "prov:trigger", _A, _E, (("prov:starter", _A), _TIME)
    ),
    Relation.ENDED_BY: Form("prov:activity", "prov:trigger", _A, _E, (("prov:ender", _A), _TIME)),
    Relation.INVALIDATED_BY: Form("prov:entity", "prov:activity", _E, _A, (_TIME,)),
    Relation.DERIVED_FROM: Form(
        "prov:generatedEntity",
        "prov:usedEntity",
        _E,
        _E,
        (("prov:activity", _A), ("prov:generation", _E), ("prov:usage", _E)),
    ),
    Relation.ATTRIBUTED_TO: Form("prov:entity", "prov:agent", _E, _G),
    Relation.ASSOCIATED_WITH: Form("prov:activity", "prov:agent", _A, _G, (("prov:plan", _E),)),
    Relation.ACTED_FOR: Form("prov:delegate", "prov:responsible", _G, _G, (("prov:activity", _A),)),
    Relation.INFLUENCED_BY: Form("prov:influencee", "prov:influencer", None, None),
    Relation.SPECIALIZATION_OF: Form(
        "prov:specificEntity", "prov:generalEntity", _E, _E, attributes=False
    ),
    Relation.ALTERNATE_OF: Form("prov:alternate1", "prov:alternate2", _E, _E, attributes=False),
    Relation.MEMBER: Form("prov:collection", "prov:entity", _E, _E, attributes=False),
}
# An end, and being another view of the same thing, led to nothing.
LINEAGE = tuple(
    one
    for one in Relation
    if one not in {Relation.INVALIDATED_BY, Relation.ENDED_BY, Relation.ALTERNATE_OF}
)


class Node(NamedTuple):
    """An entity, activity or agent, and what is said of it; names without a prefix are Dino's."""

    kind: Kind
    id: str
    attributes: Mapping[str, Any] = {}

    def as_row(self) -> list[Any]:
        return [self.kind.value, self.id, *([dict(self.attributes)] if self.attributes else ())]


class Edge(NamedTuple):
    """
    A relation between two nodes; either end may be None, where PROV lets it be left out.

    `rule`, `run` and `cost` among the attributes are those of `add_provenance_edge`, `id` is the
    relation's own identifier.
    """

    relation: Relation
    effect: str | None
    cause: str | None
    attributes: Mapping[str, Any] = {}

    def as_row(self) -> list[Any]:
        more = [dict(self.attributes)] if self.attributes else []
        return [self.relation.value, self.effect, self.cause, *more]


class Link(NamedTuple):
    """Where an event stands in another journal."""

    journal: str
    seq: int


class Tapped(NamedTuple):
    """
    An event before it is redacted.

    Attributes:
        kind: What happened, in snake_case.
        at: Seconds since the epoch.
        run, parent: The run that it is of, and the one that led to that.
        outcome: One of Dino's words: ok, error, timeout, cancelled, denied, …
        inputs, outputs: Hashes of what went in and came out, as `checked_hashes` has them.
        traceparent: As the caller sent it (W3C Trace Context).
        data: Whatever else there is to say.
        source: Where it was recorded first.
    """

    kind: str
    at: float
    run: str | None = None
    parent: str | None = None
    outcome: str | None = None
    duration_s: float | None = None
    traceparent: str | None = None
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    data: Mapping[str, Any] = {}
    source: Link | None = None
    nodes: Sequence[Node] = ()
    edges: Sequence[Edge] = ()

    def as_payload(self) -> dict[str, Any]:
        """What the journal is told; what is not there is left out."""
        found: dict[str, Any] = {"kind": self.kind, "at": self.at}
        simple = zip(_SIMPLE, self[2:7], strict=True)
        found |= {name: value for name, value in simple if value is not None}
        if self.inputs:
            found["inputs"] = list(self.inputs)
        if self.outputs:
            found["outputs"] = list(self.outputs)
        if self.data:
            found["data"] = dict(self.data)
        if self.source:
            found["source"] = list(self.source)
        if self.nodes:
            found["nodes"] = [node.as_row() for node in self.nodes]
        if self.edges:
            found["edges"] = [edge.as_row() for edge in self.edges]
        return found


_SIMPLE = Tapped._fields[2:7]


class NodeNotFound(NotFound):
    """An identifier that nothing in the graph has."""


def checked_id(value: object, what: str) -> str:
    """
    *value* as the identifier of a node.

    Raises:
        InvalidInput: It is empty, too long, or no text.
    """
    found = checks.name(value, what)
    if len(found) > _LONGEST_ID:
        raise InvalidInput(f"{what} has {len(found)} characters; {_LONGEST_ID} are the most")
    return found


def checked_hashes(value: Collection[object], what: str) -> tuple[str, ...]:
    """
    *value* without doubles: SHA-256 in hex, or `ALGORITHM:HEX`.

    Raises:
        InvalidInput: One is none.
    """
    if isinstance(value, str) or not isinstance(value, Collection):
        raise InvalidInput(f"{what} are a list of hashes")
    found = tuple(one for one in value if isinstance(one, str) and _is_hash(one))
    if len(found) < len(value):
        raise InvalidInput(  # which is not said: it may be the content itself
            f"one of {what} is no hash: 64 digits in small hex, or ALGORITHM:HEX",
            hint="hashlib.sha256(content).hexdigest() makes one",
        )
    return tuple(dict.fromkeys(found))


def nodes_of(rows: Iterable[Iterable[Any]]) -> list[Node]:
    """The nodes of a line of the journal."""
    return [Node(Kind(kind), id_, *rest) for kind, id_, *rest in rows]


def edges_of(rows: Iterable[Iterable[Any]]) -> list[Edge]:
    """The edges of a line of the journal."""
    return [Edge(Relation(relation), *rest) for relation, *rest in rows]
