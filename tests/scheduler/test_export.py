"""The crontab's line and systemd's unit: what other programs read has one meaning."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dino_os.errors import InvalidInput
from dino_os.scheduler.export import crontab_line, door, unit, variables
from tests.conftest import Dino

NASTY = '/srv/50% of "it\'s" $HOME \\ mine; rm -rf *'
paths = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1)


def test_rule_11_the_line_of_the_crontab_runs_a_tick(workspace: Path, dino: Dino) -> None:
    """Rule 11: with next to no environment and from any folder, as cron starts things."""
    dino("scheduler", "add", "tide", "no.such:function", "--every", "15m")
    dino("scheduler", "run-now", "tide")
    line = dino("scheduler", "crontab").out
    assert line.count("\n") == 1
    fields = line.split(" ", 5)
    assert fields[:5] == ["*"] * 5
    command = fields[5].replace(r"\%", "%").replace(">/dev/null", "")
    done = subprocess.run(
        ["/bin/sh", "-c", f"{command.rstrip()} --submit-only --json"],
        env={"HOME": os.environ.get("HOME", "/")},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)["submitted"]) == 1
    (one,) = dino("scheduler", "history", "tide", "--json").json["occurrences"]
    assert one["state"] == "submitted"
    log = dino("log", "scheduler", "--json", door="audit").out
    assert "@cron" in log


@given(paths)
def test_any_folder_comes_through_the_shell_and_cron(name: str) -> None:
    line = crontab_line(Path("/srv") / name, ["dino"], {"PATH": name})
    assert "\n" not in line
    assert "%" not in line.replace(r"\%", "")
    words = shlex.split(line.replace(r"\%", "%"))
    assert words[5:8] == [f"PATH={name}", "dino", "--home"]
    assert words[8] == str(Path("/srv") / name)


@pytest.mark.parametrize("folder", ["/srv/a\nb", "/srv/a\rb", "/srv/a\u2028b"], ids=ascii)
def test_a_line_break_fits_into_neither(folder: str) -> None:
    with pytest.raises(InvalidInput, match="line break"):
        crontab_line(Path(folder), ["dino"], {})
    with pytest.raises(InvalidInput, match="line break"):
        unit(Path(folder), ["dino"], {}, user=None)


def read(text: str) -> dict[str, list[str]]:
    lines = [line.partition("=") for line in text.splitlines() if line and line[0] not in "[#"]
    found: dict[str, list[str]] = {}
    for name, _, value in lines:
        found.setdefault(name, []).append(value)
    return found


def test_a_unit_names_all_that_it_needs_and_nothing_that_breaks_the_sandbox() -> None:
    """What implies NoNewPrivileges, or covers parts of /proc, would leave skills without one."""
    environ = {"PATH": "/usr/bin:/bin", "DINO_DOOR": "systemd"}
    found = read(unit(Path("/srv/desk"), ["/usr/bin/dino"], environ, user="dino"))
    command = '"/usr/bin/dino" "--home" "/srv/desk" "scheduler" "start"'
    assert found["ExecStart"] == [command]
    assert found["User"] == ["dino"]
    assert (found["Restart"], found["KillMode"]) == (["on-failure"], ["mixed"])
    assert found["Environment"] == ['"PATH=/usr/bin:/bin"', '"DINO_DOOR=systemd"']
    assert found["WantedBy"] == ["multi-user.target"]
    breaks = {
        *("NoNewPrivileges", "SystemCallFilter", "SystemCallArchitectures", "RestrictNamespaces"),
        *("RestrictAddressFamilies", "PrivateDevices", "ProtectKernelTunables", "DynamicUser"),
        *("ProtectKernelModules", "ProtectKernelLogs", "ProtectClock", "MemoryDenyWriteExecute"),
        *("RestrictRealtime", "RestrictSUIDSGID", "LockPersonality", "ProtectProc", "PrivateUsers"),
    }
    assert found.keys() & breaks == set()


def test_a_unit_of_ones_own_manager_names_no_user() -> None:
    found = read(unit(Path("/srv/desk"), ["dino"], {}, user=None))
    assert found["WantedBy"] == ["default.target"]
    assert found.keys() & {"User", "PrivateTmp", "ProtectSystem"} == set()


def test_nothing_in_a_path_means_anything_to_systemd() -> None:
    """It replaces %x and $X, and reads quotes and backslashes."""
    found = read(unit(Path(NASTY), ["dino"], {"A": NASTY}, user=None))
    quoted = NASTY.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    assert found["Environment"] == [f'"A={quoted}"']
    assert f'"{quoted.replace("$", "$$")}"' in found["ExecStart"][0]
    assert found["WorkingDirectory"] == [NASTY.replace("%", "%%")]


def test_the_program_is_named_by_a_path_that_holds_anywhere(tmp_path: Path) -> None:
    installed = tmp_path / "dino"
    installed.write_text("#!/bin/sh\n")
    installed.chmod(0o755)
    assert door(str(installed)) == [str(installed)]
    checkout = tmp_path / "cli.py"
    assert door(str(checkout), "/usr/bin/python3") == ["/usr/bin/python3", str(checkout)]
    assert door("-c")[0] == sys.executable


def test_no_passphrase_is_carried_over(tmp_path: Path) -> None:
    environ = {"PATH": "/bin", "DINO_KEY_PASSPHRASE": "canary", "XDG_CONFIG_HOME": "/etc/dino"}
    given_on = variables([str(tmp_path / "dino")], "cron", environ)
    assert given_on == {"PATH": "/bin", "XDG_CONFIG_HOME": "/etc/dino", "DINO_DOOR": "cron"}
