"""`audit cosign`, `audit witness`: vouch for others' checkpoints, have others vouch for ours."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dino_os.commands import options, output
from dino_os.commands.checkpoint import ask_passphrase
from dino_os.commands.verify import read_key, read_text
from dino_os.commands.workspace import journal_argument, journals_argument, pass_workspace
from dino_os.workspace import Workspace


@click.command(
    epilog=options.example(
        "audit cosign zones.note > zones.cosigned",
        "audit consistency zones 1204 | audit --home ../other cosign -",
    )
)
@options.file_argument("note")
@options.as_json
@pass_workspace
def cosign(workspace: Workspace, note: Path, as_json: bool) -> None:
    """
    Sign another workspace's checkpoint, if it extends the last one seen.

    NOTE is a note, or what `audit consistency` printed.  Prints the signature line, to be added
    to the note by its owner (`audit witness accept`).
    """
    from dino_os.witnessing import Witnessing  # noqa: PLC0415

    signature = Witnessing(workspace, ask_passphrase).cosign(read_text(note))
    output.answer({"signatures": signature}, signature.rstrip("\n"), as_json=as_json)


@click.group(epilog=options.example("audit witness"), invoke_without_command=True)
@click.pass_context
@options.as_json
def witness(ctx: click.Context, as_json: bool) -> None:
    """Whose checkpoints this workspace vouches for, and who vouches for its own."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(show, as_json=as_json)


@witness.command("show", epilog=options.example("audit witness show --json"))
@options.as_json
@pass_workspace
def show(workspace: Workspace, as_json: bool) -> None:
    """What was seen of others, by origin, and the witnesses trusted for our own."""
    seen = workspace.witness.seen
    trusted = workspace.witness.keys
    if as_json:
        output.emit_json(
            {
                "trusted_logs": {o: [str(k) for k in keys] for o, keys in trusted.items()},
                "seen": [{"origin": o, "lines": c.size} for o, (c, _) in seen.items()],
                "forks": len(workspace.witness.forks),
                "trusted_witnesses": [str(key) for key in workspace.checkpoints.witnesses],
            }
        )
        return
    output.table(
        ("log", "lines seen"),
        [(o, f"{c.size:,}") for o, (c, _) in seen.items()],
        numbers=("lines seen",),
    )
    for origin, keys in trusted.items():
        output.say(f"trusted log: {origin} ({', '.join(k.key_id.hex() for k in keys)})")
    for key in workspace.checkpoints.witnesses:
        output.say(f"trusted witness: {key}")
    if forks := len(workspace.witness.forks):
        output.say(f"{forks} contradiction{'s' if forks > 1 else ''}: `audit witness forks`")


@witness.command("trust", epilog=options.example("audit witness trust dino.local/6f… site.vkey"))
@click.argument("origin")
@click.argument("key")
@options.as_json
@pass_workspace
def trust(workspace: Workspace, origin: str, key: str, as_json: bool) -> None:
    """Vouch for checkpoints of ORIGIN, and of all below it, that KEY signed."""
    found = read_key(key)
    workspace.witness.trust(origin, found)
    output.answer({"origin": origin, "key": str(found)}, f"trusted for {origin}", as_json=as_json)


@witness.command("rely", epilog=options.example("audit witness rely other-site.vkey"))
@click.argument("key")
@options.as_json
@pass_workspace
def rely(workspace: Workspace, key: str, as_json: bool) -> None:
    """Count the cosignatures of KEY under our own checkpoints."""
    found = read_key(key)
    workspace.checkpoints.trust_witness(found)
    output.answer({"key": str(found)}, f"its cosignatures count: {found.name}", as_json=as_json)


@witness.command("key", epilog=options.example("audit witness key > our-witness.vkey"))
@options.as_json
@pass_workspace
def witness_key(workspace: Workspace, as_json: bool) -> None:
    """Print the key that checks our cosignatures."""
    from dino_os.witnessing import Witnessing  # noqa: PLC0415

    key = str(Witnessing(workspace).verifier())
    output.answer({"verifier_key": key}, key, as_json=as_json)


@witness.command("forks", epilog=options.example("audit witness forks --json"))
@options.as_json
@pass_workspace
def forks(workspace: Workspace, as_json: bool) -> None:
    """Every contradiction that was found, with both notes.  Exits 1 if there is one."""
    found = workspace.witness.forks
    if as_json:
        output.emit_json(
            {
                "forks": [
                    {
                        "origin": f.origin,
                        "proven": f.proven,
                        "held": f.held,
                        "submitted": f.submitted,
                    }
                    for f in found
                ]
            }
        )
    for fork in () if as_json else found:
        kind = "forked" if fork.proven else "not shown to extend what was seen"
        output.heading(f"{fork.origin}: {kind}")
        output.say(f"seen before:\n{fork.held}\nsubmitted:\n{fork.submitted}")
    if not found and not as_json:
        output.say("no contradictions")
    click.get_current_context().exit(1 if found else 0)


@witness.command("accept", epilog=options.example("audit witness accept zones zones.cosigned"))
@journal_argument
@options.file_argument("signatures")
@options.as_json
@pass_workspace
def accept(workspace: Workspace, journal: str, signatures: Path, as_json: bool) -> None:
    """Add a witness's signature lines to the checkpoint of JOURNAL that they were made for."""
    from dino_os.auditing import Auditing  # noqa: PLC0415

    names = [key.name for key in Auditing(workspace).accept(journal, read_text(signatures))]
    output.answer(
        {"journal": journal, "cosigned_by": names},
        f"cosigned by {', '.join(names)}",
        as_json=as_json,
    )


@witness.command("submit", epilog=options.example("audit witness submit http://site-b:7080 zones"))
@click.argument("url")
@journals_argument()
@options.as_json
@pass_workspace
def submit(workspace: Workspace, url: str, journals: tuple[str, ...], as_json: bool) -> None:
    """Have the witness at URL sign the last checkpoints (C2SP tlog-witness)."""
    from dino_os.witnessing import submit_all  # noqa: PLC0415

    names = submit_all(workspace, url, journals)
    output.answer(
        {"cosigned": names}, f"cosigned: {', '.join(names) or 'nothing to sign'}", as_json=as_json
    )


@witness.command("serve", epilog=options.example("audit witness serve --port 7080"))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=7080, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Say where it listens as a JSON document.")
@pass_workspace
def serve(workspace: Workspace, host: str, port: int, as_json: bool) -> None:
    """Sign for others over HTTP until interrupted (C2SP tlog-witness)."""
    from dino_os.witnessing import serve as serve_http  # noqa: PLC0415

    def started(url: str, key: str) -> None:
        output.answer({"url": url, "verifier_key": key}, f"witness {key} at {url}", as_json=as_json)
        sys.stdout.flush()

    serve_http(workspace, host, port, ask_passphrase, started)
