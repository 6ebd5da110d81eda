"""Go's checksum database, whose notes and tree ours are, accepts what Dino signs and proves."""

from __future__ import annotations

import os
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from dino_os.auditing import Auditing
from dino_os.witnessing import Witnessing
from dino_os.workspace import Workspace
from engines.audit import Signed

SOURCE = Path(__file__).with_name("sumdb")
MODULES = Path("/usr/share/gocode")  # where Debian's golang-golang-x-mod-dev lies

pytestmark = pytest.mark.skipif(
    not shutil.which("go") or not (MODULES / "src/golang.org/x/mod/sumdb").is_dir(),
    reason="needs Go and golang.org/x/mod",
)

Judge = Callable[..., list[str]]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """Run the Go program; what it printed, nothing where it refused."""
    folder = tmp_path_factory.mktemp("sumdb")
    environment = {
        "PATH": os.environ["PATH"],
        "GO111MODULE": "off",  # from the sources that lie there; nothing is fetched
        "GOPATH": str(MODULES),
        "GOCACHE": str(folder / "cache"),
    }
    program = folder / "sumdb"
    subprocess.run(
        ["go", "build", "-o", program, "main.go"], cwd=SOURCE, env=environment, check=True
    )

    def run(what: str, text: str, key: object, *more: str) -> list[str]:
        files = []
        for number, content in enumerate((text, *more)):
            files.append(folder / f"{what}-{number}")
            files[-1].write_text(content)
        command = [program, what, files[0], str(key), *files[1:]]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()

    return run


@pytest.fixture
def auditing(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Auditing:
    """Of a workspace with a key and a journal that was signed at 8 and at 31 lines."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(workspace / "xdg"))
    space = Workspace(workspace)
    notes = space.journal("notes")
    auditing = Auditing(space)
    auditing.new_key(None)
    for count in (7, 23):
        notes.append_many([("noted", {"text": "Löschzug €"})] * count)
        auditing.checkpoint(["notes"])
    return auditing


def signed(auditing: Auditing) -> tuple[Signed, Signed]:
    older, newer = auditing.log.of("notes")
    return older, newer


def test_a_checkpoint_is_opened(judge: Judge, auditing: Auditing) -> None:
    newer = signed(auditing)[1]
    root = b64encode(newer.checkpoint.root).decode()
    assert judge("note", newer.text, auditing.verifier()) == ["31", root]


def test_a_cosigned_checkpoint_is_opened_all_the_same(judge: Judge, auditing: Auditing) -> None:
    """A kind of signature that Go does not know is passed over."""
    witness = Witnessing(auditing._workspace)
    auditing._workspace.witness.trust(
        auditing.log.of("notes")[0].checkpoint.origin, auditing.verifier()
    )
    newer = signed(auditing)[1]
    text = newer.text + witness.cosign(newer.text)
    assert judge("note", text, auditing.verifier())[0] == "31"


@pytest.mark.parametrize("seq", [0, 1, 15, 16, 30])
def test_a_proof_of_a_line_holds(judge: Judge, auditing: Auditing, seq: int) -> None:
    proof = str(auditing.prove("notes", seq))
    assert judge("proof", proof, auditing.verifier()) == [str(seq), "31"]


def test_a_proof_of_consistency_holds(judge: Judge, auditing: Auditing) -> None:
    older = signed(auditing)[0]
    proof = auditing.prove_consistency("notes", 8, None)
    assert judge("consistency", proof, auditing.verifier(), older.text) == ["8", "31"]


def test_what_was_tampered_with_is_refused(judge: Judge, auditing: Auditing) -> None:
    """So that the tests above say something."""
    older, newer = signed(auditing)
    key = auditing.verifier()
    proof = str(auditing.prove("notes", 15))
    assert judge("note", newer.text.replace("\n31\n", "\n32\n"), key) == []
    assert judge("note", newer.text, key.as_witness()) == []
    assert judge("proof", proof.replace("index 15", "index 14"), key) == []
    shorter = auditing.prove_consistency("notes", 0, None)
    assert judge("consistency", shorter, key, older.text) == []
