"""`dino offline ls|attachments|changes`: ranges of keys, files that documents carry, the feed."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from engines.latent_cache import ATTACHMENT_LIMIT
from tests.conftest import REPOSITORY, Dino, command, environment
from tests.offline.test_commands import keep

Started = Callable[..., "subprocess.Popen[str]"]


def test_keys_are_listed_from_one_to_another(dino: Dino, workspace: Path) -> None:
    keep(workspace, **dict.fromkeys("abcde", 1), _f=1)
    ranged = ("offline", "ls", "--from", "b", "--to", "d")
    assert dino(*ranged, "--json").json == {"keys": ["b", "c", "d"]}
    assert dino(*ranged, "--limit", "2").out == "b\nc\n"
    assert dino("offline", "ls", "--limit", "2", "--show", "1").out == "_f\na\n"
    assert dino("offline", "ls", "--from", "x").out == "no such key\n"
    assert dino("offline", "ls", "--limit", "0", code=2).out == ""


def attached(*words: str) -> tuple[str, ...]:
    return ("offline", "attachments", *words)


def test_a_file_is_attached_listed_read_and_taken_off(dino: Dino, workspace: Path) -> None:
    data = bytes(range(256)) * 4
    (workspace / "photo.jpg").write_bytes(data)
    dino("offline", "set", "_odd", '"mole"')
    put = dino(*attached("put", "_odd", "photo.jpg"), "--json").json
    assert (put["name"], put["content_type"], put["length"]) == ("photo.jpg", "image/jpeg", 1024)
    dino(*attached("put", "_odd", "photo.jpg", "--name", "b", "--type", "a/b"))
    shown = dino(*attached()).out.splitlines()
    assert shown[1].split()[:4] == ["_odd", "photo.jpg", "image/jpeg", "1024"]
    (one, two) = dino(*attached("list", "_odd"), "--json").json["attachments"]
    assert (one["name"], two["name"], two["content_type"]) == ("photo.jpg", "b", "a/b")
    assert dino(*attached("list", "_odd")).out.splitlines() == shown
    dino(*attached("get", "_odd", "b", "copy"))
    assert (workspace / "copy").read_bytes() == data
    told = dino(*attached("get", "_odd", "b"), "--json").json
    assert base64.b64decode(told["data"]) == data
    assert dino(*attached("rm", "_odd", "b")).out == "b is off _odd\n"
    assert dino("offline", "get", "_odd").out == '"mole"\n'
    dino("offline", "set", "_odd", "1")  # writes it anew
    assert dino(*attached("list", "_odd")).out == "_odd has no attachments\n"


def test_attachments_go_through_pipes(workspace: Path) -> None:
    def call(*words: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        env = environment(PYTHONPATH=str(REPOSITORY))
        typed = command(*attached(*words))
        return subprocess.run(
            typed, input=data, cwd=workspace, env=env, capture_output=True, check=False
        )

    data = b"\x00\xff\r\n" * 1000
    assert call("put", "new", "-", "--name", "x", data=data).returncode == 0
    assert call("get", "new", "x").stdout == data
    assert (call("put", "new", "-").returncode, call("get", "new", "y").returncode) == (2, 2)
    too_large = call("put", "new", "-", "--name", "x", data=b"x" * (ATTACHMENT_LIMIT + 1))
    assert (too_large.returncode, b"larger than 8 MiB" in too_large.stderr) == (2, True)
    assert call("get", "new", "x").stdout == data


def test_what_cannot_be_attached_or_read_is_said(dino: Dino, workspace: Path) -> None:
    (workspace / "f.txt").write_text("f")
    assert "nothing is kept as 'a'" in dino(*attached("list", "a"), code=2).err
    dino(*attached("put", "a", "f.txt"))
    assert "did you mean 'f.txt'" in dino(*attached("get", "a", "f.tx"), code=2).err
    assert "no attachment 'x'" in dino(*attached("rm", "a", "x"), code=2).err
    for file in ("nowhere", "."):
        assert "cannot be read" in dino(*attached("put", "a", file), code=2).err
    odd = dino(*attached("put", "a", "f.txt", "--name", "_x"), code=2)
    assert "begins with an underscore" in odd.err
    assert "cannot be written" in dino(*attached("get", "a", "f.txt", "no/such"), code=2).err
    env = {"_DINO_COMPLETE": "bash_complete", "COMP_CWORD": "5"}
    typed = "dino offline attachments get a f"
    assert "f.txt" in dino(env={**env, "COMP_WORDS": typed}).out


def test_the_feed_of_changes_is_read_and_followed(
    dino: Dino, workspace: Path, started: Started
) -> None:
    assert dino("offline", "changes").out == "nothing is kept yet\n"
    keep(workspace, a=1, b=2)
    keep(workspace, a=None)
    lines = dino("offline", "changes", "--json").out.splitlines()
    found = [json.loads(line) for line in lines]
    assert [(one["seq"], one["id"], one["deleted"]) for one in found] == [
        (2, "b", False),
        (3, "a", True),
    ]
    place, _, name, mark = dino("offline", "changes", "--since", "2").out.split()
    assert (place, name, mark) == ("3", "a", "deleted")
    assert dino("offline", "changes", "--since", "3").out == "nothing changed behind place 3\n"
    assert len(dino("offline", "changes", "--limit", "1").out.splitlines()) == 1
    follower = started("offline", "changes", "--since", "2", "--follow", "--json")
    assert follower.stdout is not None
    assert json.loads(follower.stdout.readline())["id"] == "a"
    keep(workspace, c=3)
    assert json.loads(follower.stdout.readline())["id"] == "c"
    follower.send_signal(signal.SIGINT)
    _, err = follower.communicate(timeout=30)
    assert "Traceback" not in err
