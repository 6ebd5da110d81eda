"""Every command explains itself, starts light, and behaves in a pipe and on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from dino_os import commands
from dino_os.commands.front import Front
from tests.conftest import REPOSITORY, Dino, command, environment
from tests.desk import write_desk

HEAVY = {
    *("rich", "yaml", "msgspec", "orjson", "pluggy", "ruamel", "numpy", "sqlite3", "asyncio"),
    *("ssl", "http", "multiprocessing", "dino_os.workspace", "dino_os.config", "dino_os.plugins"),
}
LIGHT_ENGINES = {"engines", "engines.errors", "engines.checks"}
IMPORTED = """
import sys
from dino_os.commands import {door}
try:
    {door}(prog_name="{door}")
finally:
    print(*sys.modules, sep="\\n", file=sys.stderr)
"""
NO_JSON = {"dino completion", "dino config path", "dino config set"}
SHOW = ("plan-cycle", "scenario.yaml", "--dry-run")


def walk(
    found: click.Command, path: tuple[str, ...], parent: click.Context | None = None
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below *found*, and itself."""
    yield path, found
    # What is below `run` are the skills that a workspace happens to have.
    if isinstance(found, click.Group) and path != ("dino", "run"):
        context = click.Context(found, parent=parent, info_name=path[-1])
        for name in found.list_commands(context):
            below = found.get_command(context, name)
            assert below is not None
            yield from walk(below, (*path, name), context)


DOORS = [(door, getattr(commands, door)) for door in ("dino", "execute", "audit")]
COMMANDS = [item for name, door in DOORS for item in walk(door, (name,))]
# The other doors show commands of dino's; there the doors alone are enough.
HELPED = [path for path, _ in COMMANDS if path[0] == "dino" or len(path) == 1]


def test_the_commands_are_seen() -> None:
    """The laws below are about the commands that there are."""
    paths = {" ".join(path) for path, _ in COMMANDS}
    assert {"dino plan-cycle", "dino zone add", "execute status", "audit hashchain"} <= paths
    assert len(HELPED) > 35


@pytest.mark.parametrize("path", HELPED, ids=" ".join)
def test_every_command_has_help_with_an_example(dino: Dino, path: tuple[str, ...]) -> None:
    """An example is a line that could be typed: some door and the command behind it."""
    door, *words = path
    text = dino(*words, "--help", door=door).out
    assert text.startswith(f"Usage: {' '.join(path)}")
    _, _, examples = text.partition("Example")
    doors = [name for name, _ in DOORS]
    typed = [" ".join([name, *words]) for name in doors]
    if words[:1] and words[0] in doors:  # `audit log` is what `dino audit log` is
        typed.append(" ".join(words))
    assert any(line in examples for line in typed)


@pytest.mark.parametrize(("path", "found"), COMMANDS, ids=str)
def test_every_command_speaks_json(path: tuple[str, ...], found: click.Command) -> None:
    """But for a door, `run`, whose skills do, and what prints one word or a script."""
    options = {name for parameter in found.params for name in parameter.opts}
    name = " ".join(path)
    speaks = not isinstance(found, Front) and name != "dino run" and name not in NO_JSON
    assert ("--json" in options) == speaks


def test_the_readme_names_every_command(dino: Dino) -> None:
    """A command that is not in the README is not found."""
    readme = (REPOSITORY / "README.md").read_text()
    top = [path[1] for path, _ in COMMANDS if path[0] == "dino" and len(path) == 2]
    assert [name for name in top if f"`dino {name}" not in readme] == []
    assert all(f"`{door} " in readme for door in ("execute", "audit"))
    listed = dino("--help").out
    assert [name for name in top if f"\n  {name} " not in listed] == []


@pytest.mark.parametrize(
    ("door", "arguments"),
    [
        ("dino", ["--help"]),
        ("dino", ["version"]),
        ("dino", ["version", "--json"]),
        ("dino", ["--version"]),
        ("dino", ["completion", "bash"]),
        ("dino", ["no-such-command"]),
        ("execute", ["--help"]),
        ("audit", ["--help"]),
    ],
)
def test_nothing_heavy_is_imported_at_start_up(
    workspace: Path, door: str, arguments: list[str]
) -> None:
    """No engine, no terminal library, no reader of files, no store, no network."""
    loaded = imported(workspace, door, *arguments)
    assert loaded & HEAVY == set()
    assert {name for name in loaded if name.startswith("engines")} <= LIGHT_ENGINES


def test_what_prints_no_table_draws_none(workspace: Path) -> None:
    """Rich takes longer to import than most commands to run."""
    assert "rich" not in imported(workspace, "dino", "zone", "list", "--json")
    assert "rich" not in imported(workspace, "dino", "plan-cycle", "--help")
    assert "rich" not in imported(workspace, "audit", "hashchain")


def imported(workspace: Path, door: str, *arguments: str) -> set[str]:
    """The modules that a command has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED.format(door=door), *arguments],
        cwd=workspace,
        env=environment(PYTHONPATH=str(REPOSITORY)),
        capture_output=True,
        text=True,
        check=False,
    )
    loaded = set(done.stderr.split())
    assert "dino_os.commands.front" in loaded
    return loaded


@pytest.mark.parametrize(
    "arguments",
    [("list",), ("--help",), ("completion", "bash"), (*SHOW, "--json"), SHOW, ("status", "--json")],
    ids=" ".join,
)
def test_a_reader_that_has_seen_enough_is_no_error(
    workspace: Path, arguments: tuple[str, ...]
) -> None:
    """`dino … | head -0`: nothing on standard error, whatever is still to be said."""
    write_desk(workspace)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(
            command(*arguments),
            cwd=workspace,
            env=environment(PYTHONPATH=str(REPOSITORY)),
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.stderr == ""
    assert done.returncode in {0, 1}


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_stream_that_the_caller_closed_is_none_of_ours(
    workspace: Path, dino: Dino, closed: str
) -> None:
    """As some schedulers start programs; the journals do not land in it."""
    write_desk(workspace)
    start = ["sh", "-c", f'exec "$@" {closed}', "sh"]
    done = subprocess.run(
        [*start, *command("plan-cycle", "scenario.yaml")],
        cwd=workspace,
        env=environment(PYTHONPATH=str(REPOSITORY)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert bool(done.stdout) == (">&-" not in closed.split())
    assert dino("hashchain", "--json").json["ok"]
    assert dino("cycle", "show", "--json").json["cycle"] == 1


def on_terminal(workspace: Path, *arguments: str, **env: str) -> str:
    """What a command shows on a terminal of its own."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        command(*arguments),
        cwd=workspace,
        env=environment(PYTHONPATH=str(REPOSITORY), TERM="xterm-256color", **env),
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    shown = b""
    try:
        while block := os.read(ours, 65536):
            shown += block
    except OSError:  # how Linux says that the other end is closed
        pass
    finally:
        os.close(ours)
    assert process.wait(60) == 0
    return shown.decode()


def test_a_terminal_gets_tables_and_type_a_pipe_plain_text(workspace: Path, dino: Dino) -> None:
    """And with NO_COLOR a terminal too gets no escape sequence."""
    write_desk(workspace)
    drawn = on_terminal(workspace, *SHOW)
    assert "\x1b[1m" in drawn
    assert "────" in drawn
    unstyled = on_terminal(workspace, *SHOW, NO_COLOR="1")
    assert "\x1b" not in unstyled
    assert "────" in unstyled
    piped = dino(*SHOW).out
    assert "\x1b" not in piped
    assert "────" not in piped
    assert "    0.90  Ada    fire at Mole   has 1 of 1 skills (pump); " in piped


def test_the_checkouts_door_is_the_same(workspace: Path, dino: Dino) -> None:
    """`python cli.py …` is `dino …`."""
    write_desk(workspace)
    for arguments in (["zone", "--help"], ["zon"], ["cycle", "show"]):
        done = subprocess.run(
            [sys.executable, str(REPOSITORY / "cli.py"), *arguments],
            cwd=workspace,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        same = dino(*arguments, code=done.returncode)
        assert (same.out, same.err) == (done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("door", "words", "guess"),
    [
        ("dino", ("statsu",), "no command 'statsu' (did you mean 'status'?)"),
        ("dino", ("plan_cycle",), "no command 'plan_cycle' (did you mean 'plan-cycle'?)"),
        ("dino", ("zone", "lst"), "Did you mean 'list'?"),
        ("execute", ("stats",), "no command 'stats' (did you mean 'status'?)"),
        ("audit", ("hashchan",), "no command 'hashchan' (did you mean 'hashchain'?)"),
        ("dino", ("qqq",), "no command 'qqq'\n"),
    ],
)
def test_an_unknown_command_suggests_the_nearest(
    dino: Dino, door: str, words: tuple[str, ...], guess: str
) -> None:
    """Where one is near."""
    outcome = dino(*words, door=door, code=2)
    assert guess in outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize(("door", "found"), DOORS)
def test_a_door_alone_shows_its_help(dino: Dino, door: str, found: click.Command) -> None:
    """Which is no error."""
    assert dino(door=door).out == dino("-h", door=door).out == dino("--help", door=door).out
    assert (found.help or "") in dino(door=door).out.replace("\n  ", " ")
