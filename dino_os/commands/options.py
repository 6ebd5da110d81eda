"""Options that many commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class Within(click.FloatRange):
    """A number between two ends; `nan` compares with neither, and is refused too."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


SHARE = Within(0, 1)


class _Duration(click.ParamType[float]):
    """A time such as 30s or 5m, in seconds."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        from dino_os.units import seconds  # noqa: PLC0415  for the commands that take one

        del ctx
        return seconds(value, param.opts[0] if param else "a time")


DURATION = _Duration()


def as_json(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(
        command
    )


def show(command: F) -> F:
    return click.option(
        "--show",
        type=click.IntRange(min=0),
        default=15,
        show_default=True,
        metavar="N",
        help="Rows of each table; 0 for all.",
    )(command)


def watching(command: F) -> F:
    return click.option("--watch", is_flag=True, help="Look again each second, until Ctrl-C.")(
        command
    )


def listening(port: int) -> Callable[[F], F]:
    """Where a server of ours is: host, port, and the names that it answers to."""
    shared = (
        click.option(
            "--host", default="127.0.0.1", show_default=True, help="Address to listen on."
        ),
        click.option(
            "--port",
            type=click.IntRange(0, 65535),
            default=port,
            show_default=True,
            help="0 for any that is free.",
        ),
        click.option(
            "--name", "names", multiple=True, metavar="HOST", help="What else requests may call it."
        ),
    )

    def listens(command: F) -> F:
        for option in reversed(shared):
            command = option(command)
        return command

    return listens


def horizon(command: F) -> F:
    return click.option(
        "--horizon",
        type=click.IntRange(min=0),
        metavar="N",
        help="Judge each sector by its last N events.  [default: planning.horizon]",
    )(command)


def example(*lines: str) -> str:
    """The examples at the end of a command's help."""
    head = "Example:  " if len(lines) == 1 else "Examples:\n  "
    return "\b\n" + head + "\n  ".join(lines)


def file_argument(name: str, **more: Any) -> Callable[[F], F]:
    """A file to read; whether it is there is said by whoever reads it."""
    return click.argument(name, type=click.Path(path_type=Path), **more)


def json_object(text: str | None, what: str) -> dict[str, Any]:
    """
    What an option gave as one JSON object; an empty one where it was not given.

    Raises:
        InvalidInput: It is something else.
    """
    import json  # noqa: PLC0415  for the commands that take one

    from engines.errors import InvalidInput  # noqa: PLC0415

    if text is None:
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"{what}: not JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidInput(f"{what}: expected a JSON object, found {text:.60}")
    return found
