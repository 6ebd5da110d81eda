"""
What other programs need to run the scheduler: a line for the crontab, a unit for systemd.

Both start with next to no environment, so everything is absolute, and what Dino needs is named.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import dino_os
from dino_os.errors import InvalidInput

_NEEDED = ("PATH", "LANG", "TZ", "XDG_CONFIG_HOME", "DINO_NO_PLUGINS")
_START = "from dino_os.commands import dino; dino(prog_name='dino')"

_UNIT = """\
[Unit]
Description=Dino's scheduler in {home}

[Service]
Type=exec
{user}ExecStart={command}
WorkingDirectory={folder}
{environment}
# What runs is given time to end; whatever is left of it then is ended too.
KillMode=mixed
TimeoutStopSec=90
Restart=on-failure
RestartSec=5
# One skill that is ended for want of memory must not take the service with it.
OOMPolicy=continue
LimitCORE=0
{hardening}
[Install]
WantedBy={target}
"""
# Skills run in a sandbox of their own, stricter than what systemd could do for all of them.  It is
# made of namespaces: whatever implies NoNewPrivileges (SystemCallFilter, RestrictNamespaces,
# PrivateDevices, LockPersonality, …) or covers parts of /proc (ProtectKernelTunables) would leave
# them without.
_HARDENING = """\
# Nothing here that implies NoNewPrivileges or covers /proc: the skills' sandbox needs both.
UMask=0077
PrivateTmp=yes
ProtectSystem=full
KeyringMode=private
"""


def door(argv0: str = sys.argv[0], python: str = sys.executable) -> list[str]:
    """How this program is started, whatever the folder."""
    if (found := shutil.which(argv0)) and Path(found).name == "dino":
        return [os.path.abspath(found)]  # noqa: PTH100  a link to it is what stays
    if Path(argv0).name == "cli.py":
        return [python, str(Path(argv0).resolve())]
    return [python, "-c", _START]


def variables(
    door: Sequence[str], name: str, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """What it needs of the environment there; *name* is the door that the journals name."""
    kept = {key: environ[key] for key in _NEEDED if environ.get(key)}
    if _START in door:
        kept["PYTHONPATH"] = str(Path(dino_os.__file__).parent.parent)
    return {**kept, "DINO_DOOR": name}


def crontab_line(home: Path, door: Sequence[str], environ: Mapping[str, str]) -> str:
    """
    A line for `crontab -e` that takes a turn each minute; errors are mailed, as cron does.

    Raises:
        InvalidInput: A path has a line break in it, which no crontab can hold.
    """
    given = [f"{key}={shlex.quote(value)}" for key, value in environ.items()]
    command = shlex.join([*door, "--home", str(home), "scheduler", "tick"])
    # cron takes a percent sign for the end of the line.
    line = f"* * * * * {' '.join(given)} {command} >/dev/null".replace("%", r"\%")
    return _one_line(line)


def unit(home: Path, door: Sequence[str], environ: Mapping[str, str], *, user: str | None) -> str:
    """
    A unit for systemd that serves the scheduler of *home*.

    Args:
        user: Whose processes these are; None makes it a unit of a user's own manager.

    Raises:
        InvalidInput: A path has a line break in it.
    """
    words = [*door, "--home", str(home), "scheduler", "start"]
    return _UNIT.format(
        home=_one_line(_plain(str(home))),
        user=f"User={user}\n" if user else "",
        command=" ".join(_quoted(word).replace("$", "$$") for word in words),
        folder=_plain(str(home)),
        environment="\n".join(
            f"Environment={_quoted(f'{key}={value}')}" for key, value in environ.items()
        ),
        # A user's own manager could do these only in a way that keeps the sandbox from working.
        hardening=_HARDENING if user else "UMask=0077\n",
        target="multi-user.target" if user else "default.target",
    )


def _quoted(word: str) -> str:
    """*word* as systemd reads it: one word, with nothing replaced in it."""
    text = _one_line(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_plain(text)}"'


def _plain(text: str) -> str:
    return text.replace("%", "%%")


def _one_line(text: str) -> str:
    if len(text.splitlines()) > 1 or "\0" in text:
        raise InvalidInput(f"a line break in {text!r:.200}", hint="move the workspace elsewhere")
    return text
