"""`dino memory`, as people meet it: what it says, what it refuses, and what it leaves alone."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from tests.conftest import Dino
from tests.memory_layer.memory_door import piped

SEAL = "seal replaced, 40 Nm, leaks no more"
READING = [("list",), ("stats",), ("check",), ("export",), ("search", "pump")]


@pytest.fixture
def pump(dino: Dino) -> Dino:
    """A memory of one entry."""
    dino("memory", "add", "pump-3", SEAL, "--tag", "plant", "--meta", "site=mole")
    return dino


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_who_only_reads_makes_no_memory(
    dino: Dino, workspace: Path, arguments: tuple[str, ...]
) -> None:
    before = sorted(workspace.rglob("*"))
    dino("memory", *arguments)
    dino("memory", "get", "x", code=2)
    dino("memory", "get", "x", "--versions", code=2)
    assert sorted(workspace.rglob("*")) == before


def test_a_value_comes_back_as_it_was_kept(pump: Dino, workspace: Path) -> None:
    assert pump("memory", "get", "pump-3").out == f"{SEAL}\n"
    for text in ('{"bar": 3.2}', "[1, null]", "true", "null", '"quoted"'):
        pump("memory", "add", "k", text)
        assert pump("memory", "get", "k", "--json").json["value"] == json.loads(text)
    pump("memory", "add", "k", "3", "--text")
    assert pump("memory", "get", "k", "--json").json["value"] == "3"
    assert pump("memory", "get", "k").code == 0


def test_into_a_pipe_goes_what_was_kept_to_the_byte(workspace: Path) -> None:
    data = b"a\x1b[31mred\x00\tb"
    assert piped(workspace, "add", "raw", "--file", "-", data=data).returncode == 0
    assert piped(workspace, "get", "raw").stdout == data + b"\n"


def test_a_key_stays_on_its_line(dino: Dino) -> None:
    """Whatever is in it; JSON has it as it is."""
    key = "a\nb\x1b[31m\tc"
    assert dino("memory", "add", key, "drip").out == "a␊b␛[31m␉c is kept\n"
    assert dino("memory", "list").out == "a␊b␛[31m␉c\n"
    assert "\x1b" not in dino("memory", "search", "drip").out
    assert dino("memory", "list", "--json").json["keys"] == [key]
    assert dino("memory", "delete", key).out == "a␊b␛[31m␉c is deleted\n"


def test_versions_tell_what_it_was_and_when_it_was_deleted(pump: Dino) -> None:
    pump("memory", "delete", "pump-3")
    assert "any more" in pump("memory", "get", "pump-3", code=2).err
    pump("memory", "add", "pump-3", "null")
    found = pump("memory", "get", "pump-3", "--versions", "--json").json["versions"]
    assert [(one["value"], one["fate"]) for one in found] == [(None, None), (SEAL, "deleted")]
    shown = [
        line.split() for line in pump("memory", "get", "pump-3", "--versions").out.splitlines()
    ]
    assert [line[-1] for line in shown] == ["value", "null", "deleted", "more"]
    begun = found[1]["from"]
    assert pump("memory", "get", "pump-3", "--at", begun).out == f"{SEAL}\n"
    assert pump("memory", "get", "pump-3", "--at", found[0]["from"]).out == "null\n"
    gone = pump("memory", "get", "pump-3", "--at", "2001-01-01", code=2).err
    assert "at 2001-01-01" in gone
    assert "did you mean" not in gone


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("get", "pump-3", "--at", "yesterday"), "not a time: 'yesterday'"),
        (("get", "pump-3", "--at", "nan"), "not a time: 'nan'"),
        (("get", "pump-3", "--at", "2026-01-01", "--versions"), "not both"),
        (("get", "pump3"), "did you mean 'pump-3'"),
        (("get", "pump-3", "-n", "calls"), "dino memory list -n calls"),
        (("tag", "nothing", "--add", "x"), "nothing is remembered as 'nothing'"),
        (("tag", "pump-3", "--add", " "), "a tag must be text"),
        (("delete", "nothing"), "nothing is remembered as 'nothing'"),
        (("add", "k"), "give a VALUE, or --file"),
        (("add", "k", "v", "--file", "x"), "give a VALUE, or --file"),
        (("add", "k", "--file", "nowhere"), "nowhere: No such file"),
        (("add", "k", "--file", "skills"), "skills: Is a directory"),
        (("add", "k", "--file", "binary"), "binary: not text in UTF-8"),
        (("add", "", "v"), "a key must be text, and not empty"),
        (("add", "k" * 1025, "v"), "1,024"),
        (("add", "k", "NaN"), "not a finite number"),
        (("add", "k", '"\\ud800"'), "half a surrogate pair"),
        (("add", "k", "v", "--meta", "site"), "--meta: expected NAME=VALUE"),
        (("add", "k", "v", "--ttl", "0s"), "--ttl"),
        (("add", "k", "v", "--importance", "nan"), "--importance"),
        (("search", " "), "say what to search for"),
        (("search", "x", "--where", "=mole"), "--where: expected NAME=VALUE"),
        (("search", "x", "--filter", '{"a":'), "--filter: not JSON"),
        (("search", "x", "--filter", '{"a": {"$no": 1}}'), "'$no' is none of"),
        (("search", "x", "--top", "0"), "--top"),
        (("search", "x", "--min-score", "2"), "--min-score"),
        (("forget",), "name what to forget"),
        (("forget", "pump-3"), "add --yes"),
        (("forget", "--query", "", "--yes"), "a query has 1 to 32 words"),
    ],
    ids=str,
)
def test_bad_input_is_told_and_changes_nothing(
    pump: Dino, workspace: Path, arguments: tuple[str, ...], told: str
) -> None:
    (workspace / "binary").write_bytes(b"\xff\xfe")
    outcome = pump("memory", *arguments, code=2)
    assert told in outcome.err
    assert outcome.out == ""
    assert pump("memory", "list").out == "pump-3\n"
    assert pump("memory", "get", "pump-3").out == f"{SEAL}\n"


def test_a_value_of_fifty_megabytes_is_kept_and_a_larger_one_refused(
    dino: Dino, workspace: Path
) -> None:
    (workspace / "long").write_text(f"{'x' * 8_000_000}\n" * 6 + "pump")
    (workspace / "longer").write_text("x" * (64 * 2**20 + 1))
    dino("memory", "add", "long", "--file", "long", "--no-embed")
    assert "67,108,864 bytes" in dino("memory", "add", "k", "--file", "longer", code=2).err
    assert dino("memory", "list").out == "long\n"
    assert len(dino("memory", "search", "pump").out) < 300


def test_searches_are_narrowed_and_explained(pump: Dino) -> None:
    pump("memory", "add", "leak", "the valve leaks", "-n", "calls", "--meta", "bar=3")
    both = pump("memory", "search", "leaking", "--json").json["results"]
    assert {one["key"] for one in both} == {"pump-3", "leak"}
    for narrowed in (
        ("-n", "calls"),
        ("--where", "bar=3"),
        ("--filter", '{"bar": {"$gte": 3}}'),
        ("--top", "1", "--tag", "plant"),
    ):
        assert len(pump("memory", "search", "leaks", *narrowed, "--json").json["results"]) == 1
    table = pump("memory", "search", "leaks", "-n", "calls").out.splitlines()
    assert table[0].split() == ["score", "words", "meaning", "key", "what", "it", "says"]
    assert "calls:leak" in table[1]
    assert "[leaks]" in table[1]
    explained = pump("memory", "search", "leaks", "--explain", "--half-life", "30d").out
    assert all(word in explained for word in ("term leaks", "cosine: ", "recency: 1.000"))
    assert pump("memory", "search", "nothingofthis", "--mode", "text").out == "nothing is found\n"


def test_tags_are_put_on_taken_off_and_listed_by(pump: Dino) -> None:
    assert pump("memory", "tag", "pump-3").out == "plant\n"
    changed = pump("memory", "tag", "pump-3", "--add", "wet", "--remove", "plant", "--json")
    assert changed.json["tags"] == ["wet"]
    assert pump("memory", "list", "--tag", "wet").out == "pump-3\n"
    assert pump("memory", "list", "--tag", "plant").out == "no such key\n"
    assert pump("memory", "list", "-n", "calls").out == "nothing is remembered here yet\n"


def test_what_is_forgotten_is_in_no_file(pump: Dino, workspace: Path) -> None:
    pump("memory", "add", "pump-3", "impeller replaced")
    pump("memory", "search", "impeller")
    assert pump("memory", "forget", "pump-3", "--yes", "--json").json == {"forgotten": 1}
    assert "--versions" not in pump("memory", "get", "pump-3", "--versions", code=2).err
    everything = [path for path in workspace.rglob("*") if path.is_file()]
    assert everything
    assert not any(word in p.read_bytes() for p in everything for word in (b"impeller", b"40 Nm"))
    assert pump("memory", "forget", "--query", "impeller", "--yes").out == "0 entries forgotten\n"


def test_keys_and_namespaces_are_completed(pump: Dino) -> None:
    pump("memory", "add", "k", "v", "-n", "calls")
    for typed, last, found in (
        ("dino memory get pu", "3", "pump-3"),
        ("dino memory forget pu", "3", "pump-3"),
        ("dino memory search x -n ca", "5", "calls"),
    ):
        env = {"_DINO_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": last}
        assert found in pump(env=env).out


def test_a_memory_is_whole_or_its_fault_is_told(pump: Dino, workspace: Path) -> None:
    assert pump("memory", "check").out == "ok      1 entry\n"
    shown = pump("memory", "stats")
    assert shown.out.splitlines()[0].split() == ["entries", "1"]
    assert "None" not in shown.out
    assert pump("memory").out == shown.out
    (workspace / "memory" / "memory.db").write_bytes(b"not a database" * 1000)
    broken = pump("memory", "check", code=1)
    assert broken.out.startswith("fault ")
    assert pump("memory", "get", "pump-3", code=1).err.startswith("dino: ")


def test_an_export_takes_the_place_of_no_pipe_or_device(pump: Dino, workspace: Path) -> None:
    """Who exports to what is no file would have one there afterwards."""
    os.mkfifo(workspace / "pipe")
    assert "not a file" in pump("memory", "export", "pipe", code=2).err
    assert stat.S_ISFIFO((workspace / "pipe").stat().st_mode)
