"""Provenance: what happened, what led to it, and what came of it."""

from engines.provenance import names
from engines.provenance.constraints import Violation, violations
from engines.provenance.diagrams import said_of, shortened, to_dot, to_mermaid
from engines.provenance.difference import Difference, Sides, compare
from engines.provenance.engine import EVENT_TAPPED, ProvenanceDomain
from engines.provenance.graph import Graph, Reached, described
from engines.provenance.model import (
    FORMS,
    LINEAGE,
    Edge,
    Kind,
    Link,
    Node,
    NodeNotFound,
    Relation,
    Tapped,
)
from engines.provenance.prov_json import Statements, from_prov_json, to_prov_json
from engines.provenance.prov_n import to_prov_n
from engines.provenance.ring import Ring
from engines.provenance.spans import Span, spans, to_otlp
from engines.provenance.tap import Tap
from engines.provenance.why import Explanation, Way, explain

__all__ = [
    "EVENT_TAPPED",
    "FORMS",
    "LINEAGE",
    "Difference",
    "Edge",
    "Explanation",
    "Graph",
    "Kind",
    "Link",
    "Node",
    "NodeNotFound",
    "ProvenanceDomain",
    "Reached",
    "Relation",
    "Ring",
    "Sides",
    "Span",
    "Statements",
    "Tap",
    "Tapped",
    "Violation",
    "Way",
    "compare",
    "described",
    "explain",
    "from_prov_json",
    "names",
    "said_of",
    "shortened",
    "spans",
    "to_dot",
    "to_mermaid",
    "to_otlp",
    "to_prov_json",
    "to_prov_n",
    "violations",
]
