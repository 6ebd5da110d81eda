"""`dino provenance graph|export|import`: the graph drawn, handed out, and taken in."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import click

from dino_os.commands import options, output
from dino_os.commands.provenance_shown import complete_ids, domain_of, shown_id
from dino_os.commands.workspace import pass_workspace
from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from engines.journal import Event
    from engines.provenance import Graph, Statements

_ids = complete_ids()
_DRAWN = ("svg", "dot", "mermaid")
_EXPORTED = ("prov-json", "prov-n", "otlp")
_MOST = 500
_HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
_out = click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where it goes; the file is replaced as a whole.",
)


@click.command(
    epilog=options.example(
        "dino provenance graph memory:plan --format mermaid",
        "dino provenance graph run:3f2a --out run.svg",
    )
)
@click.argument("id_", metavar="[ID]", required=False, shell_complete=_ids)
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help="Of ID's ancestors and descendants those up to N steps away.",
)
@click.option("--format", "form", type=click.Choice(_DRAWN), default="svg", show_default=True)
@_out
@options.as_json
@pass_workspace
def graph(
    workspace: Workspace, id_: str | None, depth: int, form: str, out: Path | None, as_json: bool
) -> None:
    """Draw what is around something, or all where that is little."""
    from dino_os.provenance.picture import picture  # noqa: PLC0415
    from engines.provenance import to_dot, to_mermaid  # noqa: PLC0415

    domain = domain_of(workspace)
    found = domain.graph
    ids = _around(found, shown_id(domain, id_), depth) if id_ else _all_ids(found)
    nodes, edges = [found.node(one) for one in ids], found.among(ids)
    if as_json:
        said = found.statements(ids)
        output.emit_json(
            {
                "nodes": [{"id": node.id, "kind": node.kind.value} for node in nodes],
                "edges": [edge.as_row()[:3] for edge in said.edges],
            }
        )
        return
    if form == "svg":
        text = picture(nodes, edges, id_ or "provenance")
    else:
        text = (to_dot if form == "dot" else to_mermaid)(nodes, edges)
    _hand_out(text, out)


@click.command(
    epilog=options.example(
        "dino provenance export --out provenance.json",
        "dino provenance export run:3f2a --format prov-n",
        "dino provenance export --format otlp --send http://localhost:4318/v1/traces",
    )
)
@click.argument("id_", metavar="[ID]", required=False, shell_complete=_ids)
@click.option(
    "--format", "form", type=click.Choice(_EXPORTED), default="prov-json", show_default=True
)
@click.option("--send", metavar="URL", help="Send the spans there, instead of showing them.")
@_out
@options.as_json
@pass_workspace
def export(
    workspace: Workspace,
    id_: str | None,
    form: str,
    send: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """
    Hand out the graph as PROV, or runs as OpenTelemetry spans.

    With ID: it, all that led to it and all that came of it.
    """
    from engines.provenance import to_prov_json, to_prov_n  # noqa: PLC0415

    if send and form != "otlp":
        raise click.UsageError("--send goes with --format otlp")
    domain = domain_of(workspace)
    if form == "otlp":
        if id_:
            raise click.UsageError("spans are of all runs; leave ID out")
        _hand_out_spans(workspace, send, out, as_json=as_json)
        return
    found = domain.graph
    said = found.statements(_around(found, shown_id(domain, id_), None) if id_ else None)
    if form == "prov-n":
        text = to_prov_n(said)
        if as_json:
            output.emit_json({"format": form, "text": text})
            return
    else:
        text = json.dumps(to_prov_json(said), ensure_ascii=False, indent=None if as_json else 1)
        text += "\n"
    _hand_out(text, out)


@click.command("import", epilog=options.example("dino provenance import provenance.json"))
@options.file_argument("file")
@options.as_json
@pass_workspace
def import_(workspace: Workspace, file: Path, as_json: bool) -> None:
    """Take in a graph from PROV-JSON, all or none; what is there already stays."""
    with _nested(file):
        found = _read(file)
        workspace.provenance.add_statements(found.nodes, found.edges, found.namespaces)
    counts = {"nodes": len(found.nodes), "edges": len(found.edges)}
    told = f"{output.counted(counts['nodes'], 'node')}, {output.counted(counts['edges'], 'edge')}"
    output.answer(counts, f"{told} taken in", as_json=as_json)


@click.command(
    epilog=options.example("dino provenance check", "dino provenance check graph.json --json")
)
@options.file_argument("file", required=False)
@options.as_json
@pass_workspace
def check(workspace: Workspace, file: Path | None, as_json: bool) -> None:
    """
    Whether the graph, or that of a PROV-JSON file, can be true: a part of PROV-CONSTRAINTS.

    Exits 1 where it cannot: what comes before itself, or is a thing and a doing at once.
    """
    from engines.provenance import violations  # noqa: PLC0415

    if file:
        with _nested(file):
            found = violations(_read(file))
    else:
        found = violations(domain_of(workspace).graph.statements())
    if as_json:
        output.emit_json({"valid": not found, "violations": [one.as_dict() for one in found]})
    elif found:
        output.table(("constraint", "what"), [(one.number, one.message) for one in found])
    else:
        output.say("it can all be true")
    if found:
        click.get_current_context().exit(1)


def _read(file: Path) -> Statements:
    from engines.provenance import from_prov_json  # noqa: PLC0415

    try:
        document = json.loads(file.read_bytes())
    except OSError as error:
        raise InvalidInput(f"{file}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InvalidInput(f"{file}: not JSON: {error}") from None
    return from_prov_json(document)


@contextlib.contextmanager
def _nested(file: Path) -> Iterator[None]:
    """For what reads into *file* as deep as it goes."""
    try:
        yield
    except RecursionError:
        raise InvalidInput(f"{file}: nested too deep") from None


def _hand_out_spans(
    workspace: Workspace,
    send: str | None,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    from dino_os.provenance.sending import requests  # noqa: PLC0415
    from dino_os.provenance.sending import send as sent_to  # noqa: PLC0415
    from engines.provenance import EVENT_TAPPED, spans  # noqa: PLC0415

    journal = workspace.own_journal("provenance_log")

    def tapped() -> Iterator[Event]:
        for events, _ in journal.read(journal.begin()):
            yield from (event for event in events if event["event_type"] == EVENT_TAPPED)

    found, resource = spans(tapped), {"service.instance.id": workspace.identity()}
    if send:
        count = sent_to(found, send, resource, headers=_headers())
        told = f"{output.counted(count, 'span')} sent"
        output.answer({"sent": count}, told, as_json=as_json)
        return
    lines = [line.decode() for _, line in requests(found, resource)]
    _hand_out("".join(f"{line}\n" for line in lines), out)


def _headers() -> dict[str, str]:
    """What collectors ask for besides, as OpenTelemetry has it in the environment."""
    pairs = (pair.partition("=") for pair in os.environ.get(_HEADERS, "").split(",") if pair)
    return {unquote(name).strip(): unquote(value).strip() for name, _, value in pairs}


def _around(found: Graph, id_: str, depth: int | None) -> list[str]:
    walks = (found.ancestors(id_, depth=depth), found.descendants(id_, depth=depth))
    return [id_, *dict.fromkeys(node.id for walk in walks for node, _ in walk.nodes)]


def _all_ids(found: Graph) -> list[str]:
    if (size := found.size()).nodes > _MOST:
        raise InvalidInput(
            f"the whole graph has {size.nodes:,} nodes, too many to look at",
            hint="name an ID: what is around it is drawn",
        )
    return [node.id for node in found.nodes()]


def _hand_out(text: str, out: Path | None) -> None:
    from engines.durable import replace_file  # noqa: PLC0415

    if out is None:
        click.echo(text, nl=False)
        return
    if not out.parent.is_dir():
        raise InvalidInput(f"{out.parent}: no such folder", hint="make it, or name another file")
    replace_file(out, text.encode())
