"""`dino provenance`: what happened, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from dino_os.commands import options, output
from dino_os.commands.provenance_anomalies import anomalies
from dino_os.commands.provenance_escrow import escrow, forget, reveal
from dino_os.commands.provenance_files import check, export, graph, import_
from dino_os.commands.provenance_redact import redact
from dino_os.commands.provenance_shown import complete_ids, domain_of, show_why, shown_id
from dino_os.commands.workspace import pass_workspace
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from engines.provenance import Graph

_ids = complete_ids()
_runs = complete_ids("run:")


@click.group(
    epilog=options.example(
        "dino provenance", "dino provenance why memory:plan", "dino provenance tail"
    ),
    invoke_without_command=True,
)
@click.pass_context
@options.as_json
def provenance(ctx: click.Context, as_json: bool) -> None:
    """What happened, what led to it, and what came of it."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(status, as_json=as_json)


@provenance.command(epilog=options.example("dino provenance status --json"))
@options.as_json
@pass_workspace
def status(workspace: Workspace, as_json: bool) -> None:
    """
    How much is recorded, and of what.

    It verifies only what is new; `dino provenance audit` and `dino audit verify` verify all.
    """
    found = domain_of(workspace).get_status()
    if as_json:
        output.emit_json(found)
        return
    counted = output.counted
    odd = counted(found["anomalies"], "anomaly", "anomalies")
    size = f"{counted(found['nodes'], 'node')} and {counted(found['edges'], 'edge')}"
    output.say(f"{counted(found['events'], 'event')}, {odd}; a graph of {size}")
    if found["dropped"]:
        output.say(f"{counted(found['dropped'], 'event')} fell out before they could be recorded")
    if found["kinds"]:
        rows = [(kind, f"{n:,}") for kind, n in found["kinds"].items()]
        output.table(("event", "times"), rows, numbers=("times",))


@provenance.command(epilog=options.example("dino provenance tail --show 5", "dino provenance tail"))
@options.show
@click.option("--run", metavar="RUN", help="Only of that run.")
@click.option("--kind", metavar="KIND", help="Only of that kind.")
@options.as_json
@pass_workspace
def tail(workspace: Workspace, show: int, run: str | None, kind: str | None, as_json: bool) -> None:
    """The last events, latest first; of those that are remembered."""
    found = [
        event
        for event in sorted(domain_of(workspace).recent(), key=_at, reverse=True)
        if (run is None or event.get("run", "").startswith(run))
        and (kind is None or event["kind"] == kind)
    ]
    shown, left = output.first_of(found, show)
    if as_json:
        output.emit_json({"events": list(shown)})
        return
    output.table(("time", "event", "run", "outcome", "what"), [_row(one) for one in shown])
    output.more(left, "event")


@provenance.command(
    epilog=options.example(
        "dino provenance why memory:plan", "dino provenance why run:3f2a --from memory:tide/7"
    )
)
@click.argument("id_", metavar="ID", shell_complete=_ids)
@click.option(
    "--from", "source", metavar="ID", shell_complete=_ids, help="Only how that led to it."
)
@options.as_json
@pass_workspace
def why(workspace: Workspace, id_: str, source: str | None, as_json: bool) -> None:
    """
    Why something is as it is: the shortest explanation.

    With --from the fewest steps from there to it; exits 1 where the one did not lead to the other.
    """
    from engines.provenance import explain  # noqa: PLC0415

    domain = domain_of(workspace)
    node = shown_id(domain, id_)
    if source is None:
        found = explain(domain.graph, node)
        if as_json:
            output.emit_json(found.as_dict())
        else:
            show_why(found)
        return
    cause = shown_id(domain, source)
    path = domain.graph.path(node, cause)
    if as_json:
        output.emit_json({"effect": node, "cause": cause, "path": path})
    elif path:
        for depth, step in enumerate(path):
            output.say(f"{'  ' * depth}{'because of ' if depth else ''}{step}")
    else:
        output.say(f"{cause} did not lead to {node}")
    if path is None:
        click.get_current_context().exit(1)


@provenance.command(epilog=options.example("dino provenance impact memory:tide/7 --depth 2"))
@click.argument("id_", metavar="ID", shell_complete=_ids)
@click.option("--depth", type=click.IntRange(min=1), metavar="N", help="Up to N steps away.")
@options.show
@options.as_json
@pass_workspace
def impact(workspace: Workspace, id_: str, depth: int | None, show: int, as_json: bool) -> None:
    """What came of something: what is to be looked at again where it was bad."""
    domain = domain_of(workspace)
    found = domain.graph.descendants(shown_id(domain, id_), depth=depth)
    ended_by = _ended_by(domain.graph, found.start)
    if as_json:
        output.emit_json({**found.as_dict(), "ended_by": ended_by})
        return
    if ended_by:
        output.say(f"{found.start} was ended by {', '.join(ended_by)}")
    if not found.nodes:
        output.say(f"nothing came of {found.start}")
        return
    shown, left = output.first_of(found.nodes, show)
    rows = [(steps, node.kind.value, node.id) for node, steps in shown]
    output.table(("steps", "what", "id"), rows, numbers=("steps",))
    output.more(left, "node")
    if found.cut:
        output.say("there is more than was looked at")


@provenance.command(epilog=options.example("dino provenance diff run:3f2a run:9c41"))
@click.argument("first", shell_complete=_runs)
@click.argument("second", shell_complete=_runs)
@options.as_json
@pass_workspace
def diff(workspace: Workspace, first: str, second: str, as_json: bool) -> None:
    """How two runs differ: what is said of them, what went in, what came out."""
    from engines.provenance import compare  # noqa: PLC0415

    domain = domain_of(workspace)
    found = compare(domain.graph, shown_id(domain, first), shown_id(domain, second)).as_dict()
    if as_json:
        output.emit_json(found)
        return
    columns = ("", found["first"]["id"], found["second"]["id"])
    rows = [
        (name, *("" if v is None else v for v in pair)) for name, pair in found["facts"].items()
    ]
    output.table(columns, [*rows, *_side_rows(found)])
    same, only = found["upstream"]["both"], [len(found["upstream"][n]) for n in _ONLY]
    output.say(f"upstream {len(same):,} in common; {only[0]:,} and {only[1]:,} of one alone")


@provenance.command(epilog=options.example("dino provenance audit --json > provenance.json"))
@options.as_json
@pass_workspace
def audit(workspace: Workspace, as_json: bool) -> None:
    """
    All there is, for an auditor: status, last events, anomalies, graph.

    Exits 1 where the record does not verify.  `dino audit report` signs and proves a part of it.
    """
    found = domain_of(workspace).export_audit()
    if as_json:
        output.emit_json(found)
    elif found["hash_chain_valid"] and found["head"]["hash"] is None:
        output.say("nothing is recorded yet")
    else:
        stands = "verifies" if found["hash_chain_valid"] else "does NOT verify"
        lines, graph = found["head"]["seq"], found["graph"]
        output.say(f"the record {stands}: {lines:,} lines, the last {found['head']['hash']}")
        output.say(
            f"{found['status']['events']:,} events, {len(found['anomalies']):,} anomalies; "
            f"{graph['node_count']:,} nodes, {graph['edge_count']:,} edges"
        )
    if not found["hash_chain_valid"]:
        click.get_current_context().exit(1)


for command in (
    *(graph, export, import_, check),
    *(redact, escrow, reveal, forget, anomalies),
):
    provenance.add_command(command)

_ONLY = ("only_first", "only_second")


def _ended_by(graph: Graph, id_: str) -> list[str]:
    """Which activities deleted it, or made it hold no longer."""
    from engines.provenance import Relation  # noqa: PLC0415

    edges = graph.touching(id_)
    ends = [e for e in edges if e.relation is Relation.INVALIDATED_BY and e.effect == id_]
    return sorted({one.cause for one in ends if one.cause})


def _at(event: Mapping[str, Any]) -> float:
    return float(event["at"])


def _row(event: Mapping[str, Any]) -> tuple[str, ...]:
    from engines.checks import time_text  # noqa: PLC0415

    told = ", ".join(f"{name} {value}" for name, value in event.get("data", {}).items())
    when = time_text(event["at"]) or ""
    return when, event["kind"], event.get("run", "")[:12], event.get("outcome", ""), told


def _side_rows(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    rows = []
    for part, sides in found["parts"].items():
        rows += [(part, *pair) for pair in sides["changed"]]
        rows += [(part, one, "") for one in sides["only_first"]]
        rows += [(part, "", one) for one in sides["only_second"]]
    return rows
