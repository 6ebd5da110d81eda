"""The graph as text that others draw: DOT (Graphviz) and Mermaid; effects above their causes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from engines.provenance.model import Edge, Kind, Node

# As the PROV primer draws them: entities round and yellow, activities blue boxes, agents orange.
_DOT = {
    Kind.ENTITY: 'shape=ellipse, style=filled, fillcolor="#fffc87"',
    Kind.ACTIVITY: 'shape=box, style=filled, fillcolor="#9fb1fc"',
    Kind.AGENT: 'shape=house, style=filled, fillcolor="#fed37f"',
}
_MERMAID = {Kind.ENTITY: ('(["', '"])'), Kind.ACTIVITY: ('["', '"]'), Kind.AGENT: ('{{"', '"}}')}
_QUOTED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": " "})
# Mermaid knows no escapes but entities, and would read markup.
_ENTITIES = str.maketrans({c: f"#{ord(c)};" for c in '"#<>&`\n[]{}()|\\'})
_LONGEST = 40


def to_dot(nodes: Iterable[Node], edges: Iterable[Edge]) -> str:
    """A digraph."""
    lines = [f"  {_quoted(node.id)} [{_DOT[node.kind]}, {_label(node)}];" for node in nodes]
    for edge in edges:
        if edge.effect and edge.cause:
            ends = f"{_quoted(edge.effect)} -> {_quoted(edge.cause)}"
            lines.append(f"  {ends} [label={_quoted(said_of(edge))}];")
    head = ["digraph provenance {", "  rankdir=BT;", '  node [fontname="sans-serif"];']
    return "\n".join([*head, *lines, "}", ""])


def to_mermaid(nodes: Sequence[Node], edges: Iterable[Edge]) -> str:
    """A flowchart."""
    numbers: Mapping[str, int] = {node.id: number for number, node in enumerate(nodes)}
    lines = ["flowchart BT"]
    for node in nodes:
        before, behind = _MERMAID[node.kind]
        text = shortened(node.id).translate(_ENTITIES)
        lines.append(f"  n{numbers[node.id]}{before}{text}{behind}")
    for edge in edges:
        effect, cause = (numbers.get(id_ or "") for id_ in (edge.effect, edge.cause))
        if effect is not None and cause is not None:
            said = said_of(edge).translate(_ENTITIES)
            lines.append(f'  n{effect} -->|"{said}"| n{cause}')
    return "\n".join([*lines, ""])


def said_of(edge: Edge) -> str:
    """What an edge says, for people: its relation, and the rule where there is one."""
    rule = edge.attributes.get("rule")
    return f"{edge.relation.value}: {rule}" if rule else edge.relation.value


def shortened(id_: str, longest: int = _LONGEST) -> str:
    """An identifier in few characters: of digests, which tell people nothing, the beginning."""
    if len(id_) <= longest:
        return id_
    return f"{id_[: longest - 1]}…"


def _label(node: Node) -> str:
    return f"label={_quoted(shortened(node.id))}, tooltip={_quoted(node.id)}"


def _quoted(text: str) -> str:
    return f'"{text.translate(_QUOTED)}"'
