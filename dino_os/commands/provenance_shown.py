"""What the commands of `dino provenance` share: the record caught up, names found, trees shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dino_os.commands import output
from dino_os.errors import NotFound

if TYPE_CHECKING:
    from dino_os.workspace import Workspace
    from engines.provenance import Explanation, ProvenanceDomain, Way

_COMPLETED = 200


def domain_of(workspace: Workspace) -> ProvenanceDomain:
    """The record of provenance, with all that the journals say by now."""
    from dino_os.provenance.following import follow  # noqa: PLC0415

    for name, problem in follow(workspace).problems.items():
        click.echo(f"dino: {name} is not followed further: {problem}", err=True)
    return workspace.provenance


def shown_id(domain: ProvenanceDomain, name: str) -> str:
    """
    The identifier that *name* means; personal data in it may be named as it is.

    Raises:
        NodeNotFound: It means none, or several.
    """
    try:
        return domain.graph.find(name).id
    except NotFound:
        redacted = domain.redactor.redact(name)
        if redacted == name:
            raise
        return domain.graph.find(redacted).id


def node_ids(workspace: Workspace, beginning: str = "") -> list[str]:
    """For completion: without following, which takes time."""
    ctx = click.get_current_context(silent=True)
    typed = (ctx.params.get("incomplete") if ctx else None) or beginning
    return [node.id for node in workspace.provenance.graph.nodes(typed or None, _COMPLETED)]


def show_why(found: Explanation) -> None:
    """The explanation as a tree; what was told already is not told again."""
    ways = {way.effect: way for way in found.steps}
    if not ways:
        output.say(f"{found.node.id} is where it began: nothing recorded led to it")
        return
    told: set[str] = set()
    _tell(found.node.id, ways, told, 0, "")
    if found.circular:
        output.say("it follows only from itself")
    if found.cut:
        output.say("more led to it than was looked at; there may be a shorter way")


def _tell(id_: str, ways: dict[str, Way], told: set[str], depth: int, how: str) -> None:
    again = " (as above)" if id_ in told and id_ in ways else ""
    output.say(f"{'  ' * depth}{how}{id_}{again}")
    if again or id_ not in ways:
        return
    told.add(id_)
    for edge in ways[id_].edges:
        rule = f" by {edge.attributes['rule']}" if edge.attributes.get("rule") else ""
        _tell(edge.cause or "", ways, told, depth + 1, f"{edge.relation.value}{rule} ")
