"""`dino memory export|import|backup|restore|reindex`: files, and work that is stopped half way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Dino, command, environment
from tests.memory_layer.memory_door import piped

LINE = '{"key": "%s", "value": "the valve of pump %s leaks"}\n'


def lines(folder: Path, count: int, name: str = "notes.jsonl") -> Path:
    file = folder / name
    file.write_text("".join(LINE % (n, n) for n in range(count)))
    return file


def test_what_is_exported_is_imported_elsewhere(dino: Dino, workspace: Path) -> None:
    dino("memory", "import", lines(workspace, 3))
    assert dino("memory", "export", "out.jsonl").out == "3 entries to out.jsonl\n"
    data = piped(workspace, "export").stdout
    assert data == (workspace / "out.jsonl").read_bytes()
    dino("memory", "forget", "--namespace", "", "--yes")
    assert piped(workspace, "import", data=data).stdout == b"3 entries added\n"
    assert piped(workspace, "export").stdout == data


def test_a_line_that_is_none_is_named_and_what_was_kept_too(dino: Dino, workspace: Path) -> None:
    """Those of the transactions before it; the whole file can be imported again."""
    file = lines(workspace, 4_500)
    file.write_text(file.read_text() + '{"key": 3, "value": 1}\n')
    told = dino("memory", "import", file, code=2).err
    assert "line 4501: a key must be text" in told
    assert "4,000 lines before it are kept" in told
    assert len(dino("memory", "list", "--json").json["keys"]) == 4_000


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"\xff\n", "line 1: not JSON"),
        (b'\n{"key": "a"}\n', "line 2: expected an object with key and value"),
        (b'{"key": "a", "value": 1, "tag": 2}\n', "did you mean 'tags'"),
        (b'{"key": "a", "value": NaN}\n', "NaN is not a JSON number"),
    ],
)
def test_a_bad_first_line_keeps_nothing(workspace: Path, data: bytes, told: str) -> None:
    done = piped(workspace, "import", data=data)
    assert done.returncode == 2
    assert told in done.stderr.decode()
    assert b"nothing was kept" in done.stderr
    assert piped(workspace, "list").stdout == b"nothing is remembered here yet\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("import", "nowhere"), "no such file"),
        (("import", "skills"), "no such file"),
        (("export", "no/such"), "no place for a file"),
        (("export", "skills"), "not a file"),
        (("export", "memory/memory.db"), "that is the memory itself"),
        (("backup", "no/such"), "no such folder"),
        (("backup", "config.yaml"), "there is something else already"),
        (("backup", "skills"), "there is something else already"),
        (("backup", "memory/memory.db"), "that is the memory itself"),
        (("restore", "nowhere", "--yes"), "no such file"),
        (("restore", "backup"), "add --yes"),
    ],
    ids=str,
)
def test_a_place_that_is_none_is_told(
    dino: Dino, workspace: Path, arguments: tuple[str, ...], told: str
) -> None:
    dino("memory", "add", "a", "1")
    config = (workspace / "config.yaml").read_bytes()
    assert told in dino("memory", *arguments, code=2).err
    assert (workspace / "config.yaml").read_bytes() == config
    assert dino("memory", "get", "a").out == "1\n"


def test_a_backup_comes_back_whole_and_something_else_not_at_all(
    dino: Dino, workspace: Path
) -> None:
    dino("memory", "add", "a", "1")
    size = dino("memory", "backup", "kept", "--json").json["bytes"]
    assert size == (workspace / "kept").stat().st_size
    dino("memory", "add", "b", "2")
    (workspace / "torn").write_bytes((workspace / "kept").read_bytes()[: size // 2])
    for other in ("torn", "config.yaml"):
        assert dino("memory", "restore", other, "--yes", code=1).err.startswith("dino: ")
    assert dino("memory", "list").out == "a\nb\n"
    told = dino("memory", "restore", "kept", "--yes", "--json").json
    assert told == {"file": "kept", "entries": 1, "replaced": 2}
    assert dino("memory", "list").out == "a\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_gets_no_file(dino: Dino, workspace: Path) -> None:
    dino("memory", "add", "a", "1")
    (workspace / "shut").mkdir(0o555)
    for what in ("backup", "export"):
        assert "ermission" in dino("memory", what, "shut/file", code=None).err
    assert [*(workspace / "shut").iterdir()] == []


def test_a_reader_that_has_seen_enough_ends_an_export(dino: Dino, workspace: Path) -> None:
    dino("memory", "import", lines(workspace, 5_000))
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(
            command("memory", "export"),
            cwd=workspace,
            env=environment(PYTHONPATH=str(REPOSITORY)),
            stdout=pipe,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.stderr == b""


def test_an_import_that_is_interrupted_leaves_whole_thousands(workspace: Path, dino: Dino) -> None:
    """And goes on from any point when it is begun again."""
    dino("memory", "add", "first", "1")
    process = subprocess.Popen(
        command("memory", "import"),
        cwd=workspace,
        env=environment(PYTHONPATH=str(REPOSITORY)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write("".join(LINE % (n, n) for n in range(2_500)).encode())
    process.stdin.flush()
    until = time.monotonic() + 60
    while len(dino("memory", "list", "--json").json["keys"]) < 2_001:
        assert time.monotonic() < until
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert len(dino("memory", "list", "--json").json["keys"]) == 2_001
    assert dino("memory", "check", "--json").json["ok"]


def test_what_the_model_cannot_find_is_found_by_its_words_and_it_says_why(
    dino: Dino, workspace: Path
) -> None:
    dino("memory", "add", "a", "the valve leaks")
    dino("config", "set", "memory.embedder", "ollama:x")
    dino("config", "set", "memory.embed_url", "http://127.0.0.1:9")
    found = dino("memory", "search", "leaks", "--json")
    assert [one["key"] for one in found.json["results"]] == ["a"]
    assert found.err.startswith("dino: searched by words alone: ")
    assert dino("memory", "search", "leaks", "--mode", "text").err == ""
    told = dino("memory", "search", "leaks", "--mode", "meaning", code=4).err
    assert "cannot be reached" in told
    assert dino("memory", "reindex", code=4).out == ""
    dino("config", "set", "memory.embedder", "wordz")
    assert "did you mean 'words'" in dino("memory", "reindex", code=2).err


def test_a_reindex_embeds_what_waits_and_then_nothing(dino: Dino, workspace: Path) -> None:
    dino("memory", "import", lines(workspace, 300))
    first = dino("memory", "reindex", "--json").json
    assert (first["model"], first["embedded"], first["waiting"]) == ("words", 300, 0)
    assert dino("memory", "reindex").out == "0 entries embedded by words\n"
    assert json.loads(dino("memory", "stats", "--json").out)["serving"]["vectors"] == 300


def test_without_a_model_the_words_are_enough(dino: Dino) -> None:
    dino("config", "set", "memory.embedder", "none")
    dino("memory", "add", "a", "the valve leaks")
    found = dino("memory", "search", "leaks")
    assert found.err == ""
    assert "[leaks]" in found.out
    assert "reindex" in dino("memory", "search", "leaks", "--mode", "meaning", code=1).err
