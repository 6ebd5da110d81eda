"""`dino keys`: values come in by a pipe, and are found nowhere but where they were asked for."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dino_os.workspace import Workspace
from tests.conftest import REPOSITORY, Dino, Outcome, command, environment
from tests.security_gateway.conftest import CANARY, bytes_below, leaks

NEW = "nk-" + CANARY[::-1]
Keys = Callable[..., Outcome]
# Looks for the value it is given in the process table; says only how often it was there.
LOOK = """
import pathlib, sys
value, looked, found = sys.stdin.buffer.read(), 0, 0
for process in pathlib.Path("/proc").glob("[0-9]*"):
    for name in ("cmdline", "environ"):
        try:
            content = (process / name).read_bytes()
        except OSError:
            continue
        looked += bool(content)
        found += value in content or value.hex().encode() in content
print("looked" if looked > 2 else "blind", "found", found)
"""


@pytest.fixture
def keys(dino: Dino, workspace: Path) -> Keys:
    """Run `dino keys …` with that value on its input; the code must be the one expected."""

    def call(*args: object, value: str | bytes = b"", code: int = 0, **env: str) -> Outcome:
        mine = {"XDG_CONFIG_HOME": str(workspace / "xdg"), **env}
        given = value.encode() if isinstance(value, str) else value
        return dino("keys", *args, code=code, env=mine, given=given)

    return call


def test_a_value_is_kept_shown_listed_and_deleted(keys: Keys) -> None:
    assert keys().out == "no vault yet; `dino keys set NAME` makes it\n"
    assert "no keys yet" in keys("list").out
    facts = ("--expires", "90d", "--meta", "owner=desk", "--meta", "tier=1")
    assert keys("set", "weather", *facts, value=CANARY + "\n").out == "key 'weather' is kept\n"
    assert "1 key in " in keys().out
    assert "locked by a key file" in keys().out
    assert keys("get", "weather").out == f"••••••••{CANARY[-4:]}\n"
    assert keys("get", "weather", "--reveal").out == CANARY + "\n"
    (row,) = keys("list", "--json").json["keys"]
    assert (row["key"], row["version"], row["metadata"]) == (
        "weather",
        1,
        {"owner": "desk", "tier": "1"},
    )
    assert "owner=desk, tier=1" in keys("list").out
    assert keys("delete", "weather", "--json").json == {"deleted": "weather"}
    assert keys("list", "--json").json == {"keys": []}
    assert "no key named 'weather'" in keys("get", "weather", code=2).err


def test_a_value_of_many_lines_comes_out_as_it_went_in(keys: Keys) -> None:
    pem = "-----BEGIN KEY-----\nAAAA\tBBBB\n\n-----END KEY-----\n"
    keys("set", "pem", value=pem + "\n")
    assert keys("get", "pem", "--reveal").out == pem + "\n"
    assert keys("get", "pem", "--reveal", "--json").json["value"] == pem


def test_a_key_is_rotated_where_its_test_passes(keys: Keys, workspace: Path) -> None:
    passes = "import sys; sys.exit(sys.stdin.read() != open('good').read())"
    (workspace / "good").write_text(NEW)
    (workspace / "try.py").write_text(passes)
    test = f"{sys.executable} try.py"
    keys("set", "weather", value=CANARY)
    refused = keys("rotate", "weather", "--test", test, value="not good", code=1)
    assert "failed its test; the old one stays" in refused.err
    assert keys("get", "weather", "--reveal").out == CANARY + "\n"
    done = keys("rotate", "weather", "--test", test, "--json", value=NEW).json
    assert (done["key"], done["version"]) == ("weather", 3)
    assert keys("get", "weather", "--reveal").out == NEW + "\n"
    states = [v["state"] for v in keys("history", "weather", "--json").json["versions"]]
    assert states == ["previous", "abandoned", "active"]
    assert "abandoned" in keys("history", "weather").out
    assert keys("rollback", "weather").out == "key 'weather' is back at version 1\n"
    assert keys("rotate", "weather", "--generate").out == "key 'weather' is rotated\n"
    assert len(keys("get", "weather", "--reveal").out) > 40


MISTAKES: list[tuple[tuple[str, ...], str | bytes, str]] = [
    (("set", "weather"), "", "the value of key 'weather' is empty"),
    (("set", "weather"), b"\xff\xfe", "is not UTF-8"),
    (("set", "a b"), "x", "not a name of a key"),
    (("set", "weather", "--meta", "x"), "x", "expected NAME=VALUE"),
    (("set", "weather", "--expires", "soon"), "x", "expected a time"),
    (("set", "weather", "its-value"), "", "unexpected extra argument"),
    (("rotate", "weather"), "x", "no key named 'weather' (did you mean 'weathr'?)"),
    (("rotate", "weathr", "--test", "no-such-program-here"), "x", "no such program"),
    (("rotate", "weathr", "--test", "'"), "x", "No closing quotation"),
    (("delete", "wether"), "", "did you mean"),
    (("accept",), "", "--yes where nobody can be asked"),
]


def test_a_mistake_is_told_and_changes_nothing(keys: Keys) -> None:
    keys("set", "weathr", value=CANARY)
    for arguments, value, told in MISTAKES:
        assert told in keys(*arguments, value=value, code=2).err
    assert [row["key"] for row in keys("list", "--json").json["keys"]] == ["weathr"]


def test_a_passphrase_opens_it(keys: Keys) -> None:
    keys("set", "a", value=CANARY, DINO_VAULT_PASSPHRASE="one")
    error = json.loads(keys("get", "a", "--json", code=1).err)
    assert error["code"] == "vault_locked"
    assert "$DINO_VAULT_PASSPHRASE" in error["hint"]
    assert "does not open" in keys("get", "a", code=1, DINO_VAULT_PASSPHRASE="two").err
    both = {"DINO_VAULT_PASSPHRASE": "one", "DINO_VAULT_PASSPHRASE_NEW": "three"}
    assert keys("lock", "passphrase", **both).out == "the vault is locked by a passphrase\n"
    assert keys("get", "a", "--reveal", DINO_VAULT_PASSPHRASE="three").out == CANARY + "\n"


def test_a_vault_put_back_is_accepted_only_when_told(keys: Keys, workspace: Path) -> None:
    vault = workspace / "memory" / "vault" / "vault.json"
    keys("set", "a", value="the old one")
    old = vault.read_bytes()
    keys("set", "a", value="the new one")
    vault.write_bytes(old)
    assert "dino keys accept" in keys("get", "a", code=1).err
    assert keys("accept", "--yes").out == "accepted: 1 key, generation 1\n"
    assert keys("get", "a", "--reveal").out == "the old one\n"


def test_a_short_value_is_pointed_out(keys: Keys) -> None:
    assert "is not blotted out" in keys("set", "pin", value="1234").err
    assert keys("set", "pin", value="123456").err == ""


def test_on_a_terminal_it_is_asked_for_and_not_shown(workspace: Path) -> None:
    ours, its = pty.openpty()
    process = subprocess.Popen(
        command("keys", "set", "weather"),
        cwd=workspace,
        env=environment(PYTHONPATH=str(REPOSITORY), XDG_CONFIG_HOME=str(workspace / "xdg")),
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    )
    os.close(its)
    shown, asked = b"", 0
    answers = [CANARY, CANARY, "", ""]  # the value and the passphrase, each repeated
    try:
        while block := os.read(ours, 4096):
            shown += block
            if shown.count(b": ") > asked:
                os.write(ours, answers[asked].encode() + b"\n")
                asked += 1
    except OSError:  # how Linux says that the other end is closed
        pass
    finally:
        os.close(ours)
    assert process.wait(60) == 0, shown
    assert b"is kept" in shown
    assert not leaks(shown)
    assert Workspace(workspace).security.get_key("weather") == CANARY


def test_a_value_is_found_nowhere(keys: Keys, dino: Dino, workspace: Path) -> None:
    """In no byte of the workspace, no output, no argument list or environment, in no spelling."""
    (workspace / "look.py").write_text(LOOK)
    (workspace / "say.py").write_text(
        "import sys; v = sys.stdin.read(); print(v, v.encode().hex())"
    )
    look = f"{sys.executable} look.py"
    said = [
        keys("set", "weather", "--meta", "owner=desk", value=CANARY),
        keys("set", "weather", "--json", value=CANARY),
        keys("get", "weather"),
        keys("get", "weather", "--json"),
        keys("list"),
        keys("rotate", "weather", "--test", f"{sys.executable} say.py", value=NEW),
        # An interpreter of its own, whose arguments and environment the system shows.
        keys("rotate", "weather", "--test", look, value=CANARY, PYTHONUTF8="1"),
        keys("rotate", "weather", "--test", f"{sys.executable} -c 'exit(3)'", value=NEW, code=1),
        keys("rotate", "weather", "--meta", value=NEW, code=2),
        keys("set", "b", "--meta", "x", value=NEW, code=2),
        keys("history", "weather", "--json"),
        keys("rollback", "weather"),
        dino("status"),
        dino("audit", "log", "--json"),
    ]
    shown = "".join(outcome.out + outcome.err for outcome in said).encode()
    assert b"[redacted] [redacted]\n" in shown
    assert b"looked found 0\n" in shown or not Path("/proc/self/environ").exists()
    kept = bytes_below(workspace)
    for value in (CANARY, NEW):
        assert leaks(shown, value) == []
        assert leaks(kept, value) == []
    assert (workspace / "memory" / "vault" / "vault.json").stat().st_size > 500
    assert dino("hashchain").code == 0


def test_names_are_completed(keys: Keys, dino: Dino, workspace: Path) -> None:
    keys("set", "weather", value=CANARY)
    env = {"_DINO_COMPLETE": "bash_complete", "COMP_WORDS": "dino keys get we", "COMP_CWORD": "3"}
    assert dino(env=env).out == "plain,weather\n"
