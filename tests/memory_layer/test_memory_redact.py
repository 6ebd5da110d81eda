"""What the vault holds is not remembered, whoever stores it; and nobody is asked for a passphrase."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dino_os.errors import InvalidInput
from dino_os.memory_layer import MemoryLayer, VectorMemoryLayer
from dino_os.redaction import MARK
from dino_os.workspace import Workspace, _shared
from engines import passphrase

SECRET = "sk-Canary-94f1d2b8"


@pytest.fixture(autouse=True)
def _keys_of_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(passphrase, "_ARGON2ID", (8, 1, 1))


@pytest.fixture
def kept(memory: MemoryLayer) -> MemoryLayer:
    """A memory of a workspace with a secret."""
    Workspace.shared().security.set_key("api", SECRET)
    return memory


def below(home: Path) -> bytes:
    return b"".join(f.read_bytes() for f in (home / "memory").rglob("*") if f.is_file())


def test_a_secret_reaches_no_file(kept: MemoryLayer, home: Path) -> None:
    """In values and metadata, one by one, many at a time and from a file."""
    kept.add("a", {"login": [f"Bearer {SECRET}"]}, metadata={"of": SECRET})
    kept.add_many([{"key": "b", "value": SECRET}])
    (home / "in.jsonl").write_text(json.dumps({"key": "c", "value": SECRET.encode().hex()}))
    kept.import_(home / "in.jsonl")
    assert kept.get_all() == {"a": {"login": [f"Bearer {MARK}"]}, "b": MARK, "c": MARK}
    assert kept.search("Bearer")[0].metadata == {"of": MARK}
    assert SECRET.encode() not in below(home)


def test_a_memory_with_a_model_of_its_own_does_the_same(kept: MemoryLayer, home: Path) -> None:
    memory = VectorMemoryLayer("words")
    memory.add("a", SECRET)
    assert memory.get("a") == MARK


@pytest.mark.parametrize(
    "add",
    [
        pytest.param(lambda memory: memory.add(f"of {SECRET}", 1), id="key"),
        pytest.param(lambda memory: memory.add("k", 1, namespace=SECRET), id="namespace"),
        pytest.param(lambda memory: memory.add("k", 1, tags=[SECRET]), id="tag"),
        pytest.param(lambda memory: memory.tag("there", [SECRET]), id="tag-later"),
        pytest.param(lambda memory: memory.add_many([{"key": SECRET, "value": 1}]), id="many"),
    ],
)
def test_a_name_with_a_secret_is_refused_and_not_repeated(
    kept: MemoryLayer, home: Path, add: Callable[[MemoryLayer], object]
) -> None:
    kept.add("there", 1)
    with pytest.raises(InvalidInput, match="holds the value of a secret") as caught:
        add(kept)
    assert SECRET not in f"{caught.value} {caught.value.hint}"
    assert SECRET.encode() not in below(home)
    assert kept.list() == ["there"]


def test_a_secret_that_is_set_later_is_known_at_once(kept: MemoryLayer) -> None:
    kept.add("a", "later-Canary-77")
    Workspace.shared().security.set_key("another", "later-Canary-77")
    kept.add("b", "later-Canary-77")
    assert kept.get_all() == {"a": "later-Canary-77", "b": MARK}


def test_it_can_be_turned_off(kept: MemoryLayer, home: Path) -> None:
    (home / "config.yaml").write_text("memory: {redact: false}\n")
    _shared.clear()
    MemoryLayer().add("a", SECRET)
    assert MemoryLayer().get("a") == SECRET


def test_nobody_is_asked_for_a_passphrase(
    memory: MemoryLayer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in a locked vault is not known, until it is opened for something else."""
    asked: list[str] = []
    monkeypatch.setenv("DINO_VAULT_PASSPHRASE", "open sesame")
    Workspace.shared().security.set_key("api", SECRET)
    monkeypatch.delenv("DINO_VAULT_PASSPHRASE")
    _shared.clear()
    Workspace.shared().ask_passphrase = lambda prompt: asked.append(prompt) or "open sesame"
    memory.add("a", SECRET)
    assert (memory.get("a"), asked) == (SECRET, [])
    assert Workspace.shared().security.get_key("api") == SECRET
    memory.add("b", SECRET)
    assert (memory.get("b"), len(asked)) == (MARK, 1)
    log = (home / "memory" / "security_log.jsonl").read_text()
    assert "unlock_failed" not in log


def test_where_there_is_no_vault_none_is_made(memory: MemoryLayer, home: Path) -> None:
    memory.add("a", SECRET)
    assert memory.get("a") == SECRET
    assert not (home / "memory" / "vault").exists()
    assert not (home / "memory" / "security_log.jsonl").exists()
