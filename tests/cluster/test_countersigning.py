"""Nodes countersign each other's checkpoints, and refuse what is another history."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from dino_os.auditing import Auditing
from dino_os.cluster import membership
from dino_os.cluster.countersign_duty import CountersignDuty
from dino_os.cluster.countersigning import Countersigning, trust
from dino_os.cluster.notes import Ask
from dino_os.cluster.standing import standing
from dino_os.errors import NotFound
from dino_os.workspace import Workspace
from tests.cluster.servers import Server, needs_server, node_folders
from tests.conftest import Dino

pytestmark = needs_server


class Node:
    """A workspace with a signing key and a journal, and what its operator was told."""

    def __init__(self, home: Path, passphrase: str | None = None) -> None:
        self.home, self.told = home, list[str]()
        Auditing(Workspace(home)).new_key(passphrase)
        self.open()

    def open(self) -> None:
        """As a new process does."""
        if "workspace" in vars(self) and self.workspace.cluster:
            self.workspace.cluster.link.close()
        self.workspace = Workspace(self.home)
        self.signing = Countersigning(self.workspace, self.told.append)

    def write(self, *notes: str) -> None:
        journal = self.workspace.own_journal("notes")
        for note in notes:
            journal.append("noted", {"text": note})

    def sign(self) -> None:
        Auditing(self.workspace).checkpoint(["notes"])

    def signers(self) -> set[str]:
        """The workspaces that countersigned its last checkpoint."""
        self.workspace.checkpoints.refresh()
        note = self.workspace.checkpoints.latest_or_raise("notes").note
        log = self.workspace.checkpoints
        return {key.name for key in log.witnesses if note.is_signed_by(key)}

    def refusals(self) -> list[tuple[str, str, bool]]:
        self.workspace.neighbours.refresh()
        return list(self.workspace.neighbours.refusals)

    def rewrite(self, *notes: str) -> None:
        """What somebody does who has the folder and the key: another history, signed anew."""
        memory = self.home / "memory"
        for path in [*memory.glob("notes.*"), *memory.glob("checkpoints.*")]:
            if path.is_dir():
                for each in path.iterdir():
                    each.unlink()
                path.rmdir()
            else:
                path.unlink()
        (memory / "checkpoints" / "notes.note").unlink(missing_ok=True)
        self.open()
        self.write(*notes)
        self.sign()


@pytest.fixture
def nodes(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Node]]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "keys"))
    folders = node_folders(tmp_path, server.url, ("a", "b", "c"), uuid4().hex[:12])
    found = [Node(folder) for folder in folders]
    yield found
    for one in found:
        assert one.workspace.cluster
        one.workspace.cluster.link.close()


def turns(*nodes: Node, times: int = 4) -> None:
    for _ in range(times):
        for one in nodes:
            one.signing.turn()


def test_neighbours_sign_each_others_checkpoints(nodes: list[Node]) -> None:
    a, b, c = nodes
    for one in nodes:
        one.write("first")
        one.sign()
    turns(*nodes)
    for one in nodes:
        assert len(one.signers()) == 2, one.told
    a.write("second", "third")
    a.sign()
    turns(*nodes)
    assert a.signers() == {b.workspace.origin(), c.workspace.origin()}
    assert [one.told for one in nodes] == [[], [], []]
    (shown,) = [one for one in standing(a.workspace).journals if one.journal == "notes"]
    assert (shown.journal, shown.lines, shown.vouched) == ("notes", 4, 4)
    assert sorted(shown.by) == ["b", "c"]


def test_a_node_that_was_away_signs_when_it_is_back(nodes: list[Node]) -> None:
    """What it is asked then is the last checkpoint: those between are not wanted any more."""
    a, b, _ = nodes
    a.write("first")
    a.sign()
    turns(a, b)
    for number in range(3):
        a.write(f"more {number}")
        a.sign()
        turns(a, times=2)
    assert a.signers() == set()
    b.open()
    turns(b, a)
    assert a.signers() == {b.workspace.origin()}
    assert b.workspace.witness.size_of(a.workspace.origin("notes")) == 5


@pytest.mark.parametrize(
    "notes",
    [
        pytest.param(["one", "two", "other", "four"], id="rewritten"),
        pytest.param(["one", "two", "other", "four", "five"], id="rewritten-and-longer"),
        pytest.param(["one"], id="truncated"),
    ],
)
def test_another_history_is_refused_and_both_sides_are_told(
    nodes: list[Node], notes: list[str]
) -> None:
    """Also where it is signed with the right key, and the log of checkpoints was made anew."""
    a, b, _ = nodes
    a.write("one", "two", "three", "four")
    a.sign()
    turns(a, b)
    assert a.signers() == {b.workspace.origin()}
    a.rewrite(*notes)
    turns(a, b)
    assert a.signers() == set()
    assert ("a", "notes", True) in b.refusals()
    assert ("b", "notes", False) in a.refusals()
    assert [text for text in b.told if "another history" in text]
    assert [text for text in a.told if "does not countersign" in text]
    for one in (a, b):
        assert "notes" in [refusal.journal for refusal in standing(one.workspace).refusals]
    turns(a, b)
    for one in (a, b):
        assert len({*one.told}) == len(one.told)  # once is loud enough


def test_a_node_that_comes_with_another_key_is_refused_until_it_is_trusted(
    nodes: list[Node],
) -> None:
    a, b, _ = nodes
    a.write("first")
    a.sign()
    turns(a, b)
    Auditing(a.workspace).rotate_key(None)
    a.open()
    a.write("second")
    a.sign()
    turns(a, b)
    assert a.signers() == set()
    assert [text for text in b.told if "dino cluster trust a" in text]
    assert [text for text in a.told if "not trusted" in text]
    trust(b.workspace, "a")
    turns(b, a)
    assert a.signers() == {b.workspace.origin()}
    assert a.refusals() == []
    with pytest.raises(NotFound):
        trust(b.workspace, "a")


def test_nobody_takes_the_origin_of_another_node(nodes: list[Node]) -> None:
    a, b, c = nodes
    turns(a, b)
    mine = b.workspace.neighbours.pinned["a"]
    other = {"origin": mine.origin, "log": mine.log, "witness": c_key(c)}
    c.signing._notes.introduce(other)
    turns(b)
    assert "c" not in b.workspace.neighbours.pinned


def test_nobody_asks_in_the_name_of_another_node(nodes: list[Node]) -> None:
    a, b, c = nodes
    a.write("first")
    a.sign()
    turns(*nodes)
    note = a.workspace.checkpoints.latest_or_raise("notes").text
    c.signing._notes.ask({("b", "notes"): Ask("notes", 1, 9, f"old 9\n\n{note}")})
    turns(b)
    assert b.refusals() == [("c", "notes", True)]
    assert "another workspace" in b.workspace.neighbours.refusals["c", "notes", True].why


def c_key(node: Node) -> str:
    return str(Auditing(node.workspace).verifier().as_witness())


def test_a_sealed_key_signs_nothing_and_says_so(
    tmp_path: Path, nodes: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, _ = nodes
    assert b.workspace.cluster
    b.workspace.signing_key.unlink()
    Auditing(b.workspace).new_key("secret")
    b.open()
    a.write("first")
    a.sign()
    turns(a, b)
    assert a.signers() == set()
    assert [text for text in b.told if "sealed" in text]
    monkeypatch.setenv("DINO_KEY_PASSPHRASE", "secret")
    turns(b, a)
    assert a.signers() == {b.workspace.origin()}


def test_a_node_without_a_key_goes_on_and_says_so(nodes: list[Node]) -> None:
    a, _, _ = nodes
    a.workspace.signing_key.unlink()
    turns(a, times=2)
    assert len(a.told) == 1
    assert "no signing key" in a.told[0]


def test_what_is_no_message_of_ours_is_passed_over(nodes: list[Node]) -> None:
    a, b, _ = nodes
    for key, value in {
        "ask.c.b.notes": b"\xff",
        "ask.d.b.notes": b"[]",
        "ask.a.b.notes": json.dumps({"journal": "notes", "size": "x"}).encode(),
        "answer.a.b.x": json.dumps({"journal": "x", "ask": 1, "state": "stale", "text": "y"}),
        "key.e": json.dumps({"origin": "x", "log": "y", "witness": "z"}).encode(),
    }.items():
        put(a, key, value if isinstance(value, bytes) else value.encode())
    a.write("first")
    a.sign()
    turns(a, b)
    assert a.signers() == {b.workspace.origin()}


def put(node: Node, key: str, value: bytes) -> None:
    async def make(client: object) -> None:
        bucket = await node.signing._notes._opened(client)  # type: ignore[arg-type]
        await bucket.put(key, value)

    assert node.workspace.cluster
    node.workspace.cluster.link.call(make)


def test_status_says_it_and_trust_takes_other_keys(nodes: list[Node], dino: Dino) -> None:
    a, b, _ = nodes
    env = {"XDG_CONFIG_HOME": os.environ["XDG_CONFIG_HOME"]}
    for one in (a, b):
        one.write("first")
        one.sign()
    turns(a, b)
    said = dino("cluster", "status", cwd=b.home, env=env).out
    assert "countersigned: 2 journals\n" in said
    a.workspace.signing_key.unlink()
    Auditing(a.workspace).new_key(None)
    a.open()
    a.rewrite("other")
    turns(a, b)
    found = dino("cluster", "status", "--json", cwd=b.home, env=env).json
    assert found["scheduler_leader"] is None
    assert found["checkpoints"]["refused_keys_of"] == ["a"]
    assert "`dino cluster trust a` takes them" in dino("cluster", cwd=b.home, env=env).out
    assert dino("cluster", "trust", "a", "--json", cwd=b.home, env=env).json["node"] == "a"
    assert "no keys" in dino("cluster", "trust", "a", cwd=b.home, env=env, code=2).err
    turns(b, a)  # the key is trusted, and the history is still another one
    found = dino("cluster", "status", "--json", cwd=b.home, env=env).json["checkpoints"]
    assert ("a", "notes") in [(one["node"], one["journal"]) for one in found["refused"]]
    assert (
        "REFUSED by this node: node a's journal notes" in dino("cluster", cwd=b.home, env=env).out
    )


def test_a_node_that_has_left_is_not_asked_any_more(nodes: list[Node]) -> None:
    a, b, _ = nodes
    membership.join(a.workspace)
    CountersignDuty(a.workspace).turn()
    turns(b)
    assert "a" in b.signing._notes.board().keys
    membership.leave(a.workspace)
    CountersignDuty(a.workspace).turn()
    assert "a" not in b.signing._notes.board().keys
    membership.join(a.workspace)
    CountersignDuty(a.workspace).turn()
    assert "a" in b.signing._notes.board().keys
