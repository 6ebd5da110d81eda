"""`dino nav routes|send|eject|return`: the routes behind the gates, and requests that take them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dino_os.commands import gate_words as words
from dino_os.commands import options, output
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace
from engines.checks import time_text

if TYPE_CHECKING:
    from engines.nav_mesh import Receipt, Response

_QUEUED = 75
_REFUSED = 400


def _route_names(workspace: Workspace) -> list[str]:
    return sorted({route["route"] for route in workspace.nav.routes()})


_route = click.argument("route", shell_complete=complete(_route_names))


@click.command("routes", epilog=options.example("dino nav routes", "dino nav routes --check"))
@click.option("--check", is_flag=True, help="Ask each route now whether it is well.")
@options.as_json
@pass_workspace
def routes(workspace: Workspace, check: bool, as_json: bool) -> None:
    """Every route, best first, and whether requests take it."""
    mesh = workspace.nav
    if check:
        from dino_os.nav.health import check_now  # noqa: PLC0415

        check_now(mesh)
    found = mesh.routes()
    if as_json:
        output.emit_json({"routes": [_as_json(route) for route in found]})
    elif not found:
        output.say("no routes; `nav.domains.info.primary` in config.yaml names the first")
    else:
        rows = [
            (
                route["domain"],
                f"{route['route']}{' *' if route['taken'] else ''}",
                route["address"],
                _state(route),
                route["times_ejected"] or "",
            )
            for route in found
        ]
        output.table(("domain", "route", "address", "state", "ejected"), rows, numbers=("ejected",))
        for domain in dict.fromkeys(route["domain"] for route in found):
            if not any(route["taken"] for route in found if route["domain"] == domain):
                output.say(f"{domain} is offline: what is sent there waits")
        output.say("* by which the last answer came")


@click.command(
    "send",
    epilog=options.example(
        "dino nav send info GET /v1/stations",
        'dino nav send info POST /v1/notes --data \'{"text": "low tide"}\' --as ada',
    ),
)
@words.domain
@click.argument("method")
@click.argument("path")
@click.option("--data", help="The body; @FILE reads it from there, - from standard input.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="May be repeated.")
@click.option("--key", help="Its idempotency key: the same is taken once.  [default: a new one]")
@click.option("--order", default="", help="Of those with the same, the first queued goes first.")
@click.option("--cell", default="", help="The cell of the domain whose gate it passes.")
@click.option("--flow", default="", help="What it is a step of.")
@click.option("--as", "user", default="operator", show_default=True, help="Who sends it.")
@click.option(
    "--token",
    "token_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="By the token in that file.  [default: a new one, for this request alone]",
)
@click.option("--no-queue", is_flag=True, help="Fail where no route answers.")
@click.option("--timeout", type=options.DURATION, help="For all attempts together (30s).")
@options.as_json
@pass_workspace
def send(
    workspace: Workspace,
    domain: str,
    method: str,
    path: str,
    data: str | None,
    headers: tuple[str, ...],
    key: str | None,
    order: str,
    cell: str,
    flow: str,
    user: str,
    token_file: Path | None,
    no_queue: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """
    Send a request through a gate, by the first route that answers.

    Exits 75 where it was queued, 3 where the gate denies it, 4 where nobody answers, 1 where the
    answer is a refusal (400 and above).
    """
    from engines.nav_mesh import Receipt, Request  # noqa: PLC0415

    request = Request(
        method.upper(),
        path,
        _headers(headers),
        _body(data),
        idempotency_key=key,
        ordered_by=order,
        flow=flow,
        timeout_s=timeout,
        cell=cell,
    )
    mesh = workspace.nav
    token = _read(token_file) if token_file else mesh.token_for(domain, user, request)
    found = mesh.send(domain, token, user, request, offline_ok=not no_queue)
    if isinstance(found, Receipt):
        _show_receipt(found, as_json=as_json)
        sys.exit(_QUEUED)
    _show_response(found, as_json=as_json)
    if found.status >= _REFUSED:
        sys.exit(1)


@click.command("eject", epilog=options.example("dino nav eject info primary --for 1h"))
@words.domain
@_route
@click.option("--for", "for_s", type=options.DURATION, help="[default: until `dino nav return`]")
@options.as_json
@pass_workspace
def eject(
    workspace: Workspace, domain: str, route: str, for_s: float | None, as_json: bool
) -> None:
    """Leave a route out."""
    done = workspace.nav.eject_route(domain, route, for_s=for_s)
    text = f"{domain}: {route} is left out" if done else f"{domain}: {route} was left out already"
    output.answer({"ejected": done}, text, as_json=as_json)


@click.command("return", epilog=options.example("dino nav return info primary"))
@words.domain
@_route
@options.as_json
@pass_workspace
def return_(workspace: Workspace, domain: str, route: str, as_json: bool) -> None:
    """Take a route again, whatever it was left out for."""
    done = workspace.nav.return_route(domain, route)
    text = f"{domain}: {route} is taken again" if done else f"{domain}: {route} was not left out"
    output.answer({"returned": done}, text, as_json=as_json)


def _as_json(route: dict[str, Any]) -> dict[str, Any]:
    until = route.pop("until")
    return {**route, "until": time_text(until) if until else None}


def _state(route: dict[str, Any]) -> str:
    if route["by_hand"]:
        until = route["until"]
        return f"left out by hand until {time_text(until)}" if until else "left out by hand"
    if route["circuit"] == "open":
        when = "tried next" if route["due"] else f"until {time_text(route['until'])}"
        return f"left out, {when}: {route['cause']}"
    if route["circuit"] == "half_open":
        return f"tried by one at a time: {route['cause']}"
    failures = sum(route["failures"].values())
    return f"taken; failed {failures} times in a row" if failures else "taken"


def _show_response(found: Response, *, as_json: bool) -> None:
    text = found.body.decode("utf-8", "replace")
    if as_json:
        document = {
            "status": found.status,
            "route": found.route.value,
            "target": found.target,
            "headers": dict(found.headers),
            "body": text,
        }
        output.emit_json(document)
        return
    click.echo(
        output.printable(f"{found.status} by {found.route.value} ({found.target})"), err=True
    )
    output.say(text)


def _show_receipt(found: Receipt, *, as_json: bool) -> None:
    held = "held: `dino offline queue release` sends it"
    what = held if found.held else "sent when a route answers"
    output.answer(found.as_dict(), f"offline: queued as {found.id}, {what}", as_json=as_json)


def _headers(given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in given:
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise InvalidInput(f"not a header: {name!r}", hint="for example Accept:text/plain")
        found[name.strip()] = value.strip()
    return found


def _body(data: str | None) -> bytes | None:
    if data is None:
        return None
    if data == "-":
        return sys.stdin.buffer.read()
    if data.startswith("@"):
        return Path(data[1:]).read_bytes()
    return data.encode()


def _read(token_file: Path) -> str:
    return token_file.read_text(encoding="utf-8", errors="replace").strip()
