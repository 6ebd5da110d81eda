"""
The graph of provenance of a report, as PROV-JSON: what its own lines say, and nothing besides.

It is made as `dino provenance` makes its graph of the same lines, so that it discloses no more than
they do, and whoever has them can make it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from dino_os.audit_report.collecting import About
from dino_os.provenance.mapping import FOLLOWED, taken_over
from engines.journal import Event
from engines.provenance import Edge, Kind, Node, Statements, to_prov_json


def graph_of(_: About, events: Mapping[str, Sequence[Event]]) -> bytes | None:
    """The graph of *events*, by journal; None where they say nothing of it."""
    nodes: dict[tuple[Kind, str], Node] = {}
    edges: dict[str, Edge] = {}
    for journal in sorted(events.keys() & FOLLOWED.keys()):
        for event in events[journal]:
            told = taken_over(journal, event)
            for node in told.nodes if told else ():
                known = nodes.get((node.kind, node.id), node)
                merged = {**known.attributes, **node.attributes}
                nodes[node.kind, node.id] = node._replace(attributes=merged)
            for edge in told.edges if told else ():
                edges[json.dumps(edge.as_row(), sort_keys=True)] = edge
    if not nodes:
        return None
    found = Statements(tuple(nodes.values()), tuple(edges.values()), {})
    return (json.dumps(to_prov_json(found), indent=1, sort_keys=True) + "\n").encode()
