"""`dino gate`: tokens, and the gates that ask for them.  Tokens come by a pipe, never as words."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from dino_os.commands import gate_words as words
from dino_os.commands import options, output
from dino_os.commands.log import Moment
from dino_os.commands.vault import open_vault
from dino_os.commands.workspace import pass_workspace
from dino_os.workspace import Workspace

_MOST_READ = 10_000


@click.group(
    epilog=options.example(
        "dino gate", "dino gate issue info user_001 --life 10m", "dino gate check info user_001 < t"
    ),
    invoke_without_command=True,
)
@click.pass_context
@options.watching
@options.as_json
def gate(ctx: click.Context, watch: bool, as_json: bool) -> None:
    """Gates in front of the network: tokens, their keys, and every decision."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(status, watch=watch, as_json=as_json)


@gate.command(epilog=options.example("dino gate status", "dino gate status --watch"))
@options.watching
@options.as_json
@pass_workspace
def status(workspace: Workspace, watch: bool, as_json: bool) -> None:
    """What became of requests at each gate, and which key signs its tokens."""
    nav = workspace.nav

    def look() -> dict[str, Any]:
        found = nav.get_status()
        return {"gates": list(found["gates"].values()), "blocked": found["blocked"]}

    output.live(look, words.show_gates, watch=watch, as_json=as_json)


@gate.command(
    epilog=options.example(
        "dino gate issue info user_001",
        "dino gate issue wealth desk/ada --path /orders --once --life 5m --out ada.token",
        "dino nav issue info user_001",
    )
)
@words.domain
@click.argument("user")
@words.narrowing
@words.out_file
@options.as_json
@pass_workspace
def issue(
    workspace: Workspace,
    domain: str,
    user: str,
    cell: str,
    flow: str,
    path: str,
    life: float | None,
    once: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Issue a token that lets USER through the gate of DOMAIN."""
    open_vault(workspace)
    token = workspace.nav.issue_token(
        domain, user, flow=flow, path=path, life_s=life, single_use=once, cell=cell
    )
    words.hand_out(workspace.nav, token, out, as_json=as_json)


@gate.command(
    epilog=options.example("dino gate narrow --path /tides --life 1m < ada.token > step.token")
)
@words.token_file
@words.narrowing
@words.out_file
@options.as_json
@pass_workspace
def narrow(
    workspace: Workspace,
    token: str,
    cell: str,
    flow: str,
    path: str,
    life: float | None,
    once: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Make of a token one that may less, and dies with it."""
    open_vault(workspace)
    made = workspace.nav.attenuate(
        token, flow=flow, path=path, life_s=life, single_use=once, cell=cell
    )
    words.hand_out(workspace.nav, made, out, as_json=as_json)


@gate.command(
    epilog=options.example(
        "dino gate revoke 3q2-7wAAAAAAAAAAAAAAAA",
        "dino gate revoke --subject desk/ada --since 2h",
        "dino gate revoke --domain wealth --before 2027-01-15T10:00Z",
        "dino nav revoke --subject desk/ada",
    )
)
@click.argument("token_id", required=False)
@click.option("--subject", metavar="USER", help="All tokens of this user.")
@click.option("--domain", type=click.Choice(words.DOMAINS), help="All tokens for this domain.")
@click.option("--before", type=Moment(), help="Only those issued before then; else before now.")
@click.option("--since", type=Moment(), help="In wrong hands since: what passed since is counted.")
@options.as_json
@pass_workspace
def revoke(
    workspace: Workspace,
    token_id: str | None,
    subject: str | None,
    domain: str | None,
    before: float | None,
    since: float | None,
    as_json: bool,
) -> None:
    """
    Take back a token, with all that came from it, or all of a user, a domain, a time.

    Exits 1 where no token is on record that it could mean.
    """
    mesh = workspace.nav
    passed = mesh.revoke(
        token_id=token_id, subject=subject, domain=domain, before=before, since=since
    )
    known = mesh.was_issued(token_id=token_id, subject=subject, domain=domain)
    text = "revoked; no gate lets it through from here on"
    if not known:
        text = "no such token is on record; revoked all the same, if there is one"
    if count := sum(passed.values()):
        text += f"; {output.counted(count, 'request')} passed since then"
    found = {"revoked": True, "on_record": known, "passed_since": passed}
    output.answer(found, text, as_json=as_json)
    if not known:
        sys.exit(1)


@gate.command(epilog=options.example("dino gate rotate info", "dino gate rotate wealth --now"))
@words.domain
@click.option("--now", is_flag=True, help="The key is in wrong hands: its tokens are no good now.")
@options.as_json
@pass_workspace
def rotate(workspace: Workspace, domain: str, now: bool, as_json: bool) -> None:
    """Sign with a new key; tokens that are out stay good until they expire."""
    open_vault(workspace)
    key = workspace.nav.rotate(domain, now=now)
    kept = "its tokens are no good any more" if now else "its tokens stay good until they expire"
    text = f"{domain}: signs with key {key}; the one before signs no more, {kept}"
    output.answer({"domain": domain, "key": key, "at_once": now}, text, as_json=as_json)


@gate.command(
    epilog=options.example("dino gate check info user_001 --path /tides/elbe < ada.token")
)
@words.domain
@click.argument("user")
@words.token_file
@click.option("--cell", default="", help="Whose gate it is, where it is a cell's.")
@click.option("--flow", default="", help="What the request is a step of.")
@click.option("--path", default="", help="What is asked for, with its query.")
@options.as_json
@pass_workspace
def check(
    workspace: Workspace,
    domain: str,
    user: str,
    token: str,
    cell: str,
    flow: str,
    path: str,
    as_json: bool,
) -> None:
    """What the gate would say now; nothing is recorded.  Exits 3 where it refuses."""
    decision = workspace.nav.check(domain, token, user, flow=flow, path=path, cell=cell)
    said = f"{decision.result.value}: {decision.reason or 'the token is good'} ({decision.rule})"
    output.answer(words.as_dict(decision), said, as_json=as_json)
    sys.exit(words.exit_code(decision))


@gate.command(epilog=options.example("dino gate explain 41", "dino gate explain 41 --json"))
@click.argument("seq", type=click.IntRange(min=0))
@options.as_json
@pass_workspace
def explain(workspace: Workspace, seq: int, as_json: bool) -> None:
    """Decide line SEQ of the gate log once more; exits 1 where the answer is another."""
    found = workspace.nav.explain(seq)
    if as_json:
        output.emit_json(found.as_dict())
    else:
        words.show_explanation(found)
    sys.exit(1 if found.agrees is False else 0)


@gate.command(
    epilog=options.example("dino gate log", "dino gate log --denied --domain wealth -n 50")
)
@click.option("--domain", type=click.Choice(words.DOMAINS), help="Only of this domain.")
@click.option("--user", help="Only of this user.")
@click.option("--denied", is_flag=True, help="Only what was not let through.")
@click.option("-n", "--lines", type=click.IntRange(min=1), default=20, show_default=True)
@options.as_json
@pass_workspace
def log(
    workspace: Workspace,
    domain: str | None,
    user: str | None,
    denied: bool,
    lines: int,
    as_json: bool,
) -> None:
    """The last decisions; users stand in it as pseudonyms."""
    from engines.journal import RecordedJournal  # noqa: PLC0415

    subject = workspace.nav.pseudonym(user) if user else None
    wanted = words.decisions(denied=denied, domain=domain, subject=subject)
    recorded = RecordedJournal(workspace.memory / "gate_log.jsonl").tail(_MOST_READ)
    found = [event for event in recorded if wanted(event)][-lines:]
    if as_json:
        output.emit_json({"decisions": [words.logged(event) for event in found]})
    else:
        words.show_log(found)
