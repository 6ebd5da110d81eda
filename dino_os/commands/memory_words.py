"""What the commands of `dino memory` share: options, completion, and how values are shown."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

from dino_os.commands import output
from dino_os.commands.workspace import open_workspace
from dino_os.errors import InvalidInput, NotFound
from dino_os.workspace import Workspace
from engines.checks import did_you_mean

F = TypeVar("F", bound=Callable[..., Any])
_SHORT = 60
_COMPLETED = 200
_TICK_S = 0.2


def is_known(workspace: Workspace, key: str, namespace: str, at: str | None = None) -> bool:
    """Whether there is, or at that time was, something under *key*, be it null."""
    store = workspace.memory_store
    if at is None:
        return bool(store.list(namespace=namespace, prefix=key, limit=1) == [key])
    from dino_os.memory_layer.items import moment  # noqa: PLC0415  seldom asked

    then = moment(at)
    return any(
        moment(one["from"]) <= then and (one["until"] is None or then < moment(one["until"]))
        for one in store.versions(key, namespace=namespace)
    )


def complete_key(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    del param
    try:
        store = open_workspace(ctx).memory_store
        namespace = ctx.params.get("namespace") or ""
        return list(store.list(namespace=namespace, prefix=incomplete, limit=_COMPLETED))
    except Exception:  # noqa: BLE001  a completion has nobody to tell
        return []


def complete_namespace(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    del param
    try:
        found = open_workspace(ctx).memory_store.namespaces()
    except Exception:  # noqa: BLE001  a completion has nobody to tell
        return []
    return [one for one in found if one.startswith(incomplete)]


key_argument = click.argument("key", shell_complete=complete_key)
namespace_option = click.option(
    "--namespace", "-n", default="", metavar="NAME", shell_complete=complete_namespace,
    help="Keys of their own.  [default: none]",
)  # fmt: skip
metadata_option = click.option(
    "--meta", multiple=True, metavar="NAME=VALUE", help="What searches can be narrowed by."
)


def tag_option(text: str) -> Callable[[F], F]:
    return click.option("--tag", multiple=True, metavar="TAG", help=text)


def pairs(given: tuple[str, ...], option: str) -> dict[str, Any]:
    """
    NAME=VALUE as a mapping; a value is JSON where it can be read as JSON, else text.

    Raises:
        InvalidInput: One has no name.
    """
    found: dict[str, Any] = {}
    for one in given:
        name, equals, text = one.partition("=")
        if not name or not equals:
            raise InvalidInput(f"{option}: expected NAME=VALUE, found {one!r:.80}")
        try:
            found[name] = json.loads(text)
        except (ValueError, RecursionError):
            found[name] = text
    return found


def key_text(key: str) -> str:
    """A key on one line, as a terminal can show it."""
    return output.printable(key.replace("\n", "\u240a").replace("\t", "\u2409"))


def confirmed(question: str) -> None:
    """
    Go on where whoever is at the terminal says so.

    Raises:
        InvalidInput: There is no terminal.
    """
    if not sys.stdin.isatty():
        raise InvalidInput("nobody is there to be asked", hint="add --yes")
    click.confirm(question, abort=True, err=True)


@contextlib.contextmanager
def patience(what: str) -> Iterator[None]:
    """Past two seconds show that it goes on, where nobody can say how far it is."""
    with output.progress(None, what) as step:
        over = threading.Event()

        def tick() -> None:
            while not over.wait(_TICK_S):
                step(0)

        teller = threading.Thread(target=tick, daemon=True)
        teller.start()
        try:
            yield
        finally:
            over.set()
            teller.join()


def value_text(value: Any, *, short: bool = False) -> str:
    """A value as JSON; *short*: on one line, of a table's width, and text as it is."""
    if not short:
        return json.dumps(value, ensure_ascii=False, indent=2)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return output.on_one_line(text, _SHORT)


def missing(workspace: Workspace, key: str, namespace: str, at: str | None = None) -> NotFound:
    """What is said where nothing is kept under *key*."""
    where = f" in {namespace!r}" if namespace else ""
    command = "dino memory list" + (f" -n {namespace}" if namespace else "")
    what = f"nothing is remembered as {key!r:.200}{where}"
    if workspace.memory_store.versions(key, namespace=namespace):
        what += f" at {at}" if at else " any more"
        return NotFound(what, hint="with `get --versions` it says what it was, and when")
    near = did_you_mean(key, workspace.memory_store.list(namespace=namespace))
    return NotFound(f"{what}{near}", hint=f"`{command}` shows what is")
