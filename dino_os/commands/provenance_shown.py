"""What the commands of `dino provenance` share: the record caught up, names found, trees shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from dino_os.commands import output
from dino_os.commands.workspace import open_workspace
from dino_os.errors import NotFound
from engines.errors import JournalWriteFailed

if TYPE_CHECKING:
    from dino_os.workspace import Workspace
    from engines.provenance import Explanation, ProvenanceDomain, Way

_COMPLETED = 200


def domain_of(workspace: Workspace) -> ProvenanceDomain:
    """
    The record of provenance, with all that the journals say by now.

    Where nothing can be written it is as it was, which is said.
    """
    from dino_os.provenance.following import follow  # noqa: PLC0415

    try:
        with output.progress(None, "following the journals") as step:
            problems = follow(workspace, step).problems
    except JournalWriteFailed as error:
        click.echo(f"dino: what came since is not taken over: {error}", err=True)
        problems = {}
    for name, problem in problems.items():
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


def complete_ids(beginning: str = "") -> Callable[..., list[str]]:
    """
    Shell completion of identifiers; silent where it finds nothing.

    It does not follow, which takes time.
    """

    def completer(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        del param
        typed = incomplete if incomplete.startswith(beginning) else f"{beginning}{incomplete}"
        try:
            graph = open_workspace(ctx).provenance.graph
            return [node.id for node in graph.nodes(typed or None, _COMPLETED)]
        except Exception:  # noqa: BLE001  a key press is no place for an error
            return []

    return completer


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
