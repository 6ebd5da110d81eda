"""What the commands of the gates share: their arguments, and how they show what they found."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dino_os.commands import options, output
from dino_os.errors import InvalidInput
from engines.checks import time_text

if TYPE_CHECKING:
    from engines.journal import Event
    from engines.nav_mesh import Decision, Explanation, NavigationMesh

F = TypeVar("F", bound=Callable[..., Any])

DOMAINS = ("wealth", "info", "myth")
_LONGEST = 8192
_DECISIONS = {
    "gate_allowed": "allowed",
    "gate_queued": "queued",
    "gate_limited": "rate_limited",
    "gate_denied": "denied",
}

domain = click.argument("domain", type=click.Choice(DOMAINS))


def narrowing(command: F) -> F:
    """What a token may be narrowed to."""
    for option in reversed(
        [
            click.option("--cell", default="", help="Good at that cell of the domain only."),
            click.option("--flow", default="", help="Good as a step of that only."),
            click.option("--path", default="", help="Good for that and what lies below it only."),
            click.option("--life", type=options.DURATION, help="How long it is good (10m)."),
            click.option("--once", is_flag=True, help="Good for one use."),
        ]
    ):
        command = option(command)
    return command


def _read_token(ctx: click.Context, param: click.Parameter, value: Path | None) -> str:
    del ctx, param
    if value is not None:
        with value.open(encoding="utf-8", errors="replace") as file:
            return file.read(_LONGEST).strip()
    if sys.stdin.isatty():
        raise InvalidInput("no token", hint="give it on standard input: … < FILE")
    return sys.stdin.buffer.read(_LONGEST).decode(errors="replace").strip()


token_file = click.option(
    "--token",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_read_token,
    metavar="FILE",
    help="The file with the token; else it is read from standard input.",
)


def _new_file(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Before a token is issued: one that cannot be handed out would be good all the same."""
    del ctx, param
    if value is not None and value.exists():
        raise InvalidInput(f"{value}: is there already", hint="name a new file")
    if value is not None and not os.access(value.parent, os.W_OK | os.X_OK):
        raise InvalidInput(f"{value}: no file can be made in {value.parent}")
    return value


out_file = click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_new_file,
    help="A new file of mode 0600; else it is printed.",
)


def hand_out(nav: NavigationMesh, token: str, out: Path | None, *, as_json: bool) -> None:
    """Give a new token to whoever asked for it."""
    claims = nav.claims_of(token)
    facts = {
        "token_id": claims.token_id,
        "domain": claims.domain,
        "subject": claims.subject,
        "expires": time_text(claims.expires),
        "cell": claims.cell or None,
        "flow": claims.flow or None,
        "path": claims.path or None,
        "single_use": claims.once,
        "narrowed_from": list(claims.parents),
    }
    if out is not None:
        from engines.durable import create_file  # noqa: PLC0415

        try:
            create_file(out, f"{token}\n".encode(), mode=0o600)
        except FileExistsError:
            raise InvalidInput(f"{out}: is there already", hint="name a new file") from None
    shown = {"token": token, **facts} if out is None else {"file": str(out), **facts}
    until = f"token {claims.token_id}, good until {facts['expires']}"
    if as_json:
        output.emit_json(shown)
    elif out is None:
        output.say(token)
        click.echo(f"dino: {until}", err=True)
    else:
        output.say(f"{out}: {until}")


def as_dict(decision: Decision) -> dict[str, Any]:
    return {
        "allowed": decision.allowed,
        "result": decision.result.value,
        "rule": decision.rule,
        "reason": decision.reason or None,
        "token_id": decision.token_id,
        "retry_after_s": decision.retry_after_s,
    }


def exit_code(decision: Decision) -> int:
    if decision.allowed:
        return 0
    return 4 if decision.retry_after_s is not None else 3


def show_gates(found: Mapping[str, Any]) -> None:
    rows = [
        (
            *(gate["domain"], gate["total_requests"], gate["total_allowed"]),
            *(gate["breaches_blocked"], gate["breach_attempts"] - gate["breaches_blocked"]),
            *(gate["rate_limited"], gate["rate_per_minute"] or ""),
            gate["key"] or ("none yet" if gate["rate_per_minute"] else ""),
        )
        for gate in found["gates"]
    ]
    columns = ("gate", "requests", "let through", "breaches blocked", "found later")
    more = ("too often", "per minute", "key")
    output.table((*columns, *more), rows, numbers=(*columns[1:], *more[:2]))
    for one in found["blocked"]:
        until = time_text(one["until"])
        output.say(f"{one['subject']} is kept out of {one['domain']} until {until}")
    if all(gate["key"] is None for gate in found["gates"]):
        output.say("no token was issued yet; `dino gate issue DOMAIN USER` issues one")


def show_explanation(found: Explanation) -> None:
    output.heading(f"line {found.seq}: {found.domain}, {time_text(found.at)}")
    output.say(f"recorded  {found.recorded}" + (f": {found.reason}" if found.reason else ""))
    if found.note:
        output.say(f"not decided again: {found.note}")
    else:
        agrees = "the same" if found.agrees else "ANOTHER ANSWER, by the rules as they are set now"
        output.say(f"now       {found.found}: {agrees}")
    for name, value in (found.token or {}).items():
        if value:
            output.say(f"token     {name.replace('_', ' ')}: {value}")


def decisions(
    *, denied: bool, domain: str | None, subject: str | None
) -> Callable[[Mapping[str, Any]], bool]:
    """Whether an event is a decision that was asked for."""
    kinds = {"gate_denied", "gate_limited"} if denied else set(_DECISIONS)

    def wanted(event: Mapping[str, Any]) -> bool:
        return (
            event["event_type"] in kinds
            and domain in {None, event["domain"]}
            and subject in {None, event["subject"]}
        )

    return wanted


def logged(event: Event) -> dict[str, Any]:
    return {
        "seq": event["seq"],
        "at": time_text(event["at"]),
        "domain": event["domain"],
        "subject": event["subject"],
        "result": _DECISIONS[event["event_type"]],
        "rule": event.get("rule"),
        "token_id": event.get("token"),
        "count": event.get("count", 1),
    }


def show_log(found: Sequence[Event]) -> None:
    if not found:
        output.say("no decisions")
        return
    rows: Iterable[Sequence[Any]] = (
        (*(one["seq"], one["at"], one["domain"], one["subject"]), *_told(one))
        for one in map(logged, found)
    )
    columns = ("line", "time", "gate", "subject", "result", "token", "times")
    output.table(columns, rows, numbers=("line", "times"))


def _told(one: Mapping[str, Any]) -> tuple[Any, ...]:
    return one["rule"] or one["result"], one["token_id"] or "", one["count"]
