"""`audit report`: all about one run, order, cycle or time, for whoever trusts nobody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dino_os.commands import options, output
from dino_os.commands.hashchain import size_of
from dino_os.commands.log import Moment
from dino_os.commands.verify import read_keys
from dino_os.commands.workspace import complete, open_workspace
from dino_os.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from dino_os.audit_report import About
    from engines.audit import BundleFound


@click.group(
    epilog=options.example(
        "audit report --run 540c5c3eeeb14eae9beb02a9b81c514f --out run.zip",
        "audit report --order 4f50af0cc2094b68 --hashes-only engine_state",
        "audit report --since 2026-11-01 --until 2026-12-01 --out november.zip",
        "audit report verify november.zip --key site-a.vkey",
    ),
    invoke_without_command=True,
)
@click.option("--run", metavar="ID", help="All about a run, and one step around it.")
@click.option("--order", metavar="ID", help="All about an order, and one step around it.")
@click.option("--cycle", metavar="NUMBER", help="All about a planning cycle, and one step around.")
@click.option(
    "--since", type=Moment(), help="Or every line from this time on: RFC 3339, or an age."
)
@click.option("--until", type=Moment(), help="Up to this time, which is not in it.")
@click.option(
    "--hashes-only",
    "withheld",
    multiple=True,
    metavar="JOURNAL",
    shell_complete=complete(lambda workspace: [path.stem for path in workspace.journals()]),
    help="Prove its lines without showing them.  May be given several times.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file.  [default: audit-report-KIND-ID.zip]",
)
@options.as_json
@click.pass_context
def report(
    ctx: click.Context,
    run: str | None,
    order: str | None,
    cycle: str | None,
    since: float | None,
    until: float | None,
    withheld: tuple[str, ...],
    out: Path | None,
    as_json: bool,
) -> None:
    """
    Write one signed file that shows what the journals say of a run, an order, a cycle or a time.

    It holds the lines byte for byte, the proofs that lead from them to signed checkpoints, and a
    page for people.  Whoever has it verifies it offline: `audit report verify`.  It discloses all
    that stands on its lines; --hashes-only withholds a journal.  Journals are signed on the way
    where their last checkpoint is too old.
    """
    if ctx.invoked_subcommand:
        return
    from dino_os.audit_report import make_report  # noqa: PLC0415
    from dino_os.audit_report.graph import graph_of  # noqa: PLC0415
    from dino_os.commands.checkpoint import ask_passphrase  # noqa: PLC0415
    from engines.durable import replace_file  # noqa: PLC0415

    about = _about({"run": run, "order": order, "cycle": cycle}, since, until)
    workspace = open_workspace(ctx)
    with output.progress(2 * size_of(workspace.journals()), "reading") as step:
        made = make_report(
            workspace,
            about,
            withheld=withheld,
            ask=ask_passphrase,
            graph=graph_of,
            on_progress=step,
        )
    file = out or Path(_file_name(about))
    try:
        replace_file(file, made.content)
    except OSError as error:
        raise InvalidInput(f"{file}: cannot be written: {error.strerror}") from None
    document = {
        "file": str(file),
        "about": about.as_dict(),
        "lines": dict(made.lines),
        "withheld": list(made.withheld),
        "bytes": len(made.content),
    }
    told = ", ".join(
        f"{count:,} of {journal}" + (" (hashes only)" if journal in made.withheld else "")
        for journal, count in made.lines.items()
    )
    output.answer(
        document,
        f"{file}: {about}; lines: {told}\nit discloses what stands on them; verify with: "
        f"audit report verify {file} --key KEY",
        as_json=as_json,
    )


@report.command(
    epilog=options.example(
        "audit report verify run.zip --key site-a.vkey",
        "audit report verify run.zip --key dino.local/6f…+2c…+AZ… --json",
    )
)
@options.file_argument("file")
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="KEY",
    help="Who must have signed: a verifier key, or the file that holds it.",
)
@options.as_json
@click.pass_context
def verify(ctx: click.Context, file: Path, keys: tuple[str, ...], as_json: bool) -> None:
    """
    Verify a report by its own bytes and a key that you got elsewhere; no workspace is needed.

    Exits 1 on any fault, each with the file and line in the report.  Says also what the report does
    not show; without --key that is, among the rest, whose it is.
    """
    from engines.audit import check_bundle  # noqa: PLC0415

    if not file.is_file():
        raise NotFound(f"{file}: no such file")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{file}: cannot be read: {error.strerror}") from None
    with output.progress(None, "verifying") as step:
        found = check_bundle(content, read_keys(keys), step)
    if as_json:
        output.emit_json(found.as_dict())
    else:
        _show(file, found)
    ctx.exit(0 if found.ok else 1)


def _about(ids: dict[str, str | None], since: float | None, until: float | None) -> About:
    from dino_os.audit_report import About  # noqa: PLC0415

    given = {kind: id_ for kind, id_ in ids.items() if id_ is not None}
    in_time = since is not None or until is not None
    if len(given) + in_time != 1:
        raise InvalidInput(
            "say what the report is about",
            hint="one of --run ID, --order ID, --cycle NUMBER, or --since and --until",
        )
    for kind, id_ in given.items():
        return About(kind, id_)
    return About("period", since=since, until=until)


def _file_name(about: About) -> str:
    words = "-".join(about.as_dict().values())
    return f"audit-report-{''.join(c if c.isalnum() or c in '-_' else '-' for c in words)[:80]}.zip"


def _show(file: Path, found: BundleFound) -> None:
    facts = {"kind": "no report", **found.manifest.get("about", {})}
    about = " ".join([facts.pop("kind"), *facts.values()])
    output.say(f"{'ok    ' if found.ok else 'BROKEN'}  {file}: {about}")
    output.say(f"        {found.verdict}")
    for fault in found.faults:
        place = f"{file}/{fault.file}" if fault.file else str(file)
        output.say(f"        {fault.kind}: {place}{f':{fault.line}' if fault.line else ''}")
        output.say(f"            {fault.what}")
    for part in found.parts:
        lines = output.counted(part.lines, "withheld line" if part.withheld else "line")
        names = ", ".join(part.signed_by)
        output.say(f"        {part.journal}: {lines} of {part.size:,}, signed by {names}")
    output.say("not shown by it:")
    for what in found.unproven:
        output.say(f"        {what}")
