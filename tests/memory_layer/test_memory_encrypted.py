"""An encrypted memory leaves nothing readable on the disk, and says why where it does not open."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dino_os.errors import MemoryLayerError
from dino_os.memory_layer import VectorMemoryLayer
from dino_os.memory_layer.store import MemoryStore
from dino_os.workspace import Workspace, _memories, _shared
from engines import passphrase
from tests.memory_layer.conftest import Started

CANARIES = ("canaryvalue", "canarykey", "canarytag", "canarymeta", "canaryspace")
OTHER_KEY = "ab" * 32
Changed = Callable[[str], MemoryStore]


@pytest.fixture(autouse=True)
def _keys_of_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(passphrase, "_ARGON2ID", (8, 1, 1))


@pytest.fixture
def changed(home: Path) -> Changed:
    """Open the workspace's memory as a new process would, with these settings."""

    def opened(settings: str) -> MemoryStore:
        for workspace in _shared.values():
            workspace.memory_store.close()
        _shared.clear()
        _memories.clear()
        (home / "config.yaml").write_text(f"memory: {{{settings}}}\n")
        return Workspace.shared(home).memory_store

    return opened


@pytest.fixture
def store(changed: Changed) -> MemoryStore:
    made = changed("encrypted: true")
    fill(made)
    return made


def fill(store: Any) -> None:
    store.add(
        "canarykey",
        {"text": "the canaryvalue sings"},
        namespace="canaryspace",
        tags=["canarytag"],
        metadata={"canarymeta": "canarymeta"},
    )


def readable(folder: Path) -> set[str]:
    """Which canaries stand in the bytes of any file of the memory; its journal names keys."""
    files = [f for f in folder.rglob("*") if f.is_file() and not f.name.endswith(".jsonl")]
    data = b"".join(f.read_bytes() for f in files if ".head" not in f.name).lower()
    return {name for name in CANARIES if name.encode() in data}


def test_nothing_of_it_is_readable_while_it_is_open_or_after(
    store: MemoryStore, home: Path
) -> None:
    store.add_many([{"key": f"k{n}", "value": f"canaryvalue {n}"} for n in range(600)])
    assert store.search("canaryvalue sings", mode="hybrid")[0]["key"] == "canarykey"
    store.reindex()
    store.forget(key="k1")
    store.backup(str(home / "memory" / "a.backup"))
    assert (home / "memory" / "memory.db-wal").stat().st_size
    assert readable(home / "memory") == set()
    assert not [*(home / "memory").glob("*.vectors")]
    store.close()
    assert readable(home / "memory") == set()


def test_the_same_is_readable_where_it_is_not_encrypted(changed: Changed, home: Path) -> None:
    """What the test before this one looks for would be found."""
    fill(changed("encrypted: false"))
    assert readable(home / "memory") == {*CANARIES}


def test_it_is_what_it_was_for_the_next_process(store: MemoryStore, changed: Changed) -> None:
    again = changed("encrypted: true")
    assert again.get("canarykey", namespace="canaryspace") == {"text": "the canaryvalue sings"}
    assert again.check()["faults"] == []
    assert again.search("canaryvalue")[0]["score"] > 0


def test_a_memory_with_a_model_of_its_own_is_encrypted_too(changed: Changed, home: Path) -> None:
    changed("encrypted: true")
    memory = VectorMemoryLayer("words")
    memory.add("canarykey", "canaryvalue")
    assert [found.key for found in memory.search("canaryvalue")] == ["canarykey"]
    assert (home / "memory" / "memory-words.db").exists()
    assert readable(home / "memory") == set()


def test_processes_that_begin_at_once_agree_on_one_key(
    changed: Changed, home: Path, started: Started
) -> None:
    changed("encrypted: true")
    code = """
import os, sys
from dino_os.memory_layer import MemoryLayer
os.environ["XDG_CONFIG_HOME"] = sys.argv[2]
for n in range(20):
    MemoryLayer().add(f"{sys.argv[1]}-{n}", n)
"""
    processes = [started(code, name, home / "xdg") for name in "abcd"]
    for process in processes:
        _, error = process.communicate(timeout=60)
        assert process.returncode == 0, error
    assert len(changed("encrypted: true").list()) == 80


# --- backups -------------------------------------------------------------------------------------


def test_a_backup_has_the_same_key(store: MemoryStore, home: Path) -> None:
    path = str(home / "a.backup")
    store.backup(path)
    store.backup(path)  # in place of the older one
    store.clear()
    assert store.restore(path) == 1
    assert store.list(namespace="canaryspace") == ["canarykey"]


def test_a_backup_that_is_not_encrypted_is_how_it_is_turned_on(
    changed: Changed, home: Path
) -> None:
    plain = changed("encrypted: false")
    fill(plain)
    plain.add_many([{"key": f"k{n}", "value": f"canaryvalue {n}"} for n in range(600)])
    plain.reindex()
    assert [*(home / "memory").glob("*.vectors")]
    plain.backup(str(home / "a.backup"))
    plain.close()
    plain.path.unlink()
    made = changed("encrypted: true")
    assert made.restore(str(home / "a.backup")) == 601
    assert made.search("canaryvalue")
    assert readable(home / "memory") == set()


def test_an_encrypted_backup_is_not_restored_where_nothing_is_encrypted(
    store: MemoryStore, changed: Changed, home: Path
) -> None:
    store.backup(str(home / "a.backup"))
    store.close()
    store.path.unlink()
    with pytest.raises(MemoryLayerError, match="not a sound backup") as caught:
        changed("encrypted: false").restore(str(home / "a.backup"))
    assert "memory.encrypted is true" in str(caught.value.hint)


def test_a_backup_of_another_key_is_refused(store: MemoryStore, home: Path) -> None:
    store.backup(str(home / "a.backup"))
    other = MemoryStore(
        home / "b" / "b.db",
        Workspace(home).own_journal("b_log"),
        key=lambda make: bytes.fromhex(OTHER_KEY),
    )
    with pytest.raises(MemoryLayerError) as caught:
        other.restore(str(home / "a.backup"))
    assert "needs the key" in str(caught.value.hint)
    other.close()


# --- what does not open --------------------------------------------------------------------------


def test_turned_off_for_an_encrypted_file(store: MemoryStore, changed: Changed) -> None:
    with pytest.raises(MemoryLayerError, match="or an encrypted one") as caught:
        changed("encrypted: false").list()
    assert "memory.encrypted" in str(caught.value.hint)


def test_turned_on_for_a_file_that_is_not(changed: Changed) -> None:
    fill(changed("encrypted: false"))
    with pytest.raises(MemoryLayerError, match="not encrypted, and") as caught:
        changed("encrypted: true").list()
    assert "dino memory backup" in str(caught.value.hint)


def test_a_wrong_key(store: MemoryStore, changed: Changed, capfd: Any) -> None:
    """And with the right one it opens again."""
    Workspace.shared().security.set_key("memory/key", OTHER_KEY)
    with pytest.raises(MemoryLayerError, match="does not open it") as caught:
        changed("encrypted: true").list()
    assert "dino keys rollback memory/key" in str(caught.value.hint)
    assert capfd.readouterr().err == ""
    Workspace.shared().security.rollback_key("memory/key")
    assert changed("encrypted: true").namespaces() == ["canaryspace"]


def test_a_key_that_is_none(store: MemoryStore, changed: Changed) -> None:
    Workspace.shared().security.set_key("memory/key", "a password")
    with pytest.raises(MemoryLayerError, match="none of a memory's"):
        changed("encrypted: true").list()


def test_no_new_key_is_made_for_a_file_that_is_there(store: MemoryStore, changed: Changed) -> None:
    Workspace.shared().security.delete_key("memory/key")
    with pytest.raises(MemoryLayerError, match="is not in the vault"):
        changed("encrypted: true").list()
    assert "memory/key" not in Workspace.shared().security.list_keys()


def test_a_locked_vault(changed: Changed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DINO_VAULT_PASSPHRASE", "open sesame")
    fill(changed("encrypted: true"))
    monkeypatch.delenv("DINO_VAULT_PASSPHRASE")
    with pytest.raises(MemoryLayerError, match="locked by a passphrase") as caught:
        changed("encrypted: true").list()
    assert "DINO_VAULT_PASSPHRASE" in str(caught.value.hint)


def test_without_the_package(changed: Changed, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made, neither a file nor a key."""
    monkeypatch.setitem(sys.modules, "sqlcipher3", None)
    monkeypatch.setitem(sys.modules, "sqlcipher3.dbapi2", None)
    with pytest.raises(MemoryLayerError, match="needs SQLCipher") as caught:
        changed("encrypted: true").add("k", 1)
    assert "dino-os[encrypted]" in str(caught.value.hint)
    assert not (home / "memory" / "memory.db").exists()
    assert not (home / "memory" / "vault").exists()


def test_a_damaged_page_is_an_error_of_the_memory(store: MemoryStore, changed: Changed) -> None:
    store.close()
    with store.path.open("r+b") as file:
        file.seek(3 * 4096 + 100)
        file.write(b"\xff" * 50)
    report = changed("encrypted: true").check()
    assert not report["ok"]
