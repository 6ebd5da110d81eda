"""The vault's file gives back what was put in, or nothing at all."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dino_os.errors import SecurityError
from dino_os.security_gateway import sealing
from dino_os.security_gateway.gateway import Gateway
from dino_os.security_gateway.model import VaultBroken
from dino_os.security_gateway.rotation import find
from dino_os.security_gateway.vault import ACTIVE
from engines.errors import DinoError, InvalidInput, JournalBroken, JournalWriteFailed
from tests.security_gateway.conftest import CANARY, Opened, leaks

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)
names = st.from_regex(r"[\w@.:/+-]{1,40}", fullmatch=True)
facts = st.dictionaries(st.text("abc", min_size=1), st.none() | st.integers(-9, 9) | st.text("xyz"))


@settings(max_examples=15)
@given(kept=st.dictionaries(names, texts, min_size=1, max_size=4), metadata=facts)
def test_what_is_put_in_comes_out_of_another_process(
    opened: Opened, kept: dict[str, str], metadata: dict[str, Any]
) -> None:
    writer = opened()
    for old in writer.list_keys():
        writer.delete_key(old)
    for name, value in kept.items():
        if value not in map(str, metadata.values()):
            assert writer.set_key(name, value, metadata)
        else:
            assert writer.set_key(name, value)
    reader = opened()
    assert reader.list_keys() == sorted(kept)
    assert {name: reader.get_key(name) for name in kept} == kept


def test_the_file_is_its_owners_alone(gateway: Gateway) -> None:
    before = os.umask(0)
    try:
        gateway.set_key("a", CANARY)
        gateway.set_key("a", CANARY + "2")
    finally:
        os.umask(before)
    assert stat.S_IMODE(gateway.vault.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(gateway.vault.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_others_can_read_is_refused(opened: Opened, mode: int) -> None:
    path = opened().vault.path
    opened().set_key("a", CANARY)
    path.chmod(mode)
    with pytest.raises(SecurityError, match="others can read it"):
        opened().get_key("a")


def test_a_link_is_not_followed(opened: Opened) -> None:
    path = opened().vault.path
    opened().set_key("a", CANARY)
    shutil.move(path, path.with_name("elsewhere"))
    path.symlink_to("elsewhere")
    with pytest.raises(SecurityError, match="cannot be read"):
        opened().get_key("a")


def refused(opened: Opened, name: str = "a") -> str:
    """What a new process says to the vault as it is now."""
    with pytest.raises(SecurityError) as caught:
        opened().get_key(name)
    said = f"{caught.value}{caught.value.hint}{caught.value!r}{caught.value.__cause__!r}"
    assert not leaks(said.encode())
    return said


def test_every_byte_that_changes_is_found(opened: Opened) -> None:
    """One bit in each byte of the file: an error for people, never another value."""
    gateway = opened()
    gateway.set_key("a", CANARY)
    gateway.set_key("b", CANARY[::-1])
    path = gateway.vault.path
    whole = path.read_bytes()
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1 << (at * 5 % 8)
        path.write_bytes(changed)
        gateway.vault._content = None  # it knows the data key, and reads anew
        refused(lambda: gateway)
    path.write_bytes(whole)
    # A process that knows nothing yet takes longer to say so.
    for at in range(0, len(whole), 29):
        changed = bytearray(whole)
        changed[at] ^= 1 << (at % 8)
        path.write_bytes(changed)
        refused(opened)
    path.write_bytes(whole)
    assert opened().get_key("a") == CANARY


def test_the_mac_alone_finds_every_bit() -> None:
    """Also where no record of the file is left to hold it against."""
    key = sealing.new_key()
    data = sealing.with_mac({"generation": 3, "keys": {"a": ["é", 1.5]}}, key)
    sealing.check_mac(data, key)
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(VaultBroken):
            sealing.check_mac(bytes(changed), key)
    for cut in range(len(data)):
        with pytest.raises(VaultBroken):
            sealing.check_mac(data[:cut], key)


GARBAGE = [
    b"",
    b"{}",
    b"null",
    b"[" * 100_000,
    bytes(range(256)),
    b'{"mac":"' + b"0" * 64 + b'"}\n',
]


@pytest.mark.parametrize("content", GARBAGE, ids=range(len(GARBAGE)))
def test_what_is_no_vault_is_refused(opened: Opened, content: bytes) -> None:
    opened().set_key("a", CANARY)
    opened().vault.path.write_bytes(content)
    refused(opened)


# --- by somebody who has the data key, so that only the sealing of each entry is tried ---------


def forged(gateway: Gateway, change: Callable[[dict[str, Any]], None]) -> None:
    """Alter the file and make MAC and record fit."""
    content = gateway.vault.read()
    assert content is not None
    body = json.loads(gateway.vault.path.read_bytes())
    del body["mac"]
    change(body)
    data = sealing.with_mac(body, gateway.vault._data_key(content))
    gateway.vault.path.write_bytes(data)
    with gateway.log.deciding():
        gateway.vault.accept("user")


def swap(body: dict[str, Any]) -> None:
    a, b = body["keys"]["a"][-1], body["keys"]["b"][-1]
    a["sealed"], b["sealed"] = b["sealed"], a["sealed"]


def relabel(body: dict[str, Any]) -> None:
    body["keys"] = {"a": body["keys"]["b"], "b": body["keys"]["a"]}


def revive(body: dict[str, Any]) -> None:
    old, new = body["keys"]["a"][-2:]
    old["state"], new["state"] = new["state"], old["state"]


def edit(field: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(body: dict[str, Any]) -> None:
        assert body["keys"]["a"][-1][field] != value
        body["keys"]["a"][-1][field] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        swap,
        relabel,
        revive,
        edit("version", 7),
        edit("created", 1.0),
        edit("expires", 4e9),
        edit("metadata", {"scope": "all"}),
        edit("sealed", None),
        edit("sealed", {}),
    ],
)
def test_an_entry_that_is_not_what_was_sealed_does_not_open(
    opened: Opened, change: Callable[[dict[str, Any]], None]
) -> None:
    gateway = opened()
    for name in ("a", "b"):
        gateway.set_key(name, f"{name} {CANARY}", {"scope": "one"})
    gateway.set_key("a", f"a {CANARY} two")
    forged(gateway, change)
    assert "does not open" in refused(opened)


# --- old files and lost ones --------------------------------------------------------------------


def test_an_old_file_put_back_is_refused_until_it_is_accepted(opened: Opened) -> None:
    gateway = opened()
    gateway.set_key("a", "the old value")
    old = gateway.vault.path.read_bytes()
    gateway.set_key("a", "the new value")
    gateway.vault.path.write_bytes(old)
    assert "generation 1, the record says 2" in refused(opened)
    with pytest.raises(SecurityError, match="not the file that was last written"):
        opened().set_key("a", "another")
    assert opened().accept()["generation"] == 1
    assert opened().get_key("a") == "the old value"
    assert "vault_accepted" in {e["action"] for e in opened().get_audit_log()}


def test_a_deleted_key_does_not_come_back_with_the_file(opened: Opened) -> None:
    gateway = opened()
    gateway.set_key("a", CANARY)
    before = gateway.vault.path.read_bytes()
    assert gateway.delete_key("a")
    assert not gateway.delete_key("a")
    assert CANARY.encode().hex()[:8] not in gateway.vault.path.read_text()
    gateway.vault.path.write_bytes(before)
    refused(opened)


def test_a_file_of_the_same_generation_is_not_the_same(opened: Opened, workspace: Path) -> None:
    """Two lines of writes from one backup."""
    opened().set_key("a", "one")
    shutil.copytree(workspace / "memory", workspace / "backup")
    opened().set_key("a", "two")
    other = opened().vault.path.read_bytes()
    shutil.rmtree(workspace / "memory")
    (workspace / "backup").rename(workspace / "memory")
    opened().set_key("a", "three")
    opened().vault.path.write_bytes(other)
    refused(opened)


def test_a_lost_file_is_no_empty_vault(opened: Opened) -> None:
    opened().set_key("a", CANARY)
    opened().vault.path.unlink()
    assert "is gone" in refused(opened)
    with pytest.raises(VaultBroken):
        opened().set_key("b", "x")
    opened().accept()
    assert opened().get_key("a") is None
    assert opened().set_key("b", "begun anew")
    assert opened().get_key("b") == "begun anew"


def test_a_write_whose_record_was_lost_is_taken_for_what_it_is(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies between the file and the journal's line."""
    opened().set_key("a", "one")
    gateway = opened()

    def die(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("engines.journal.journal.Journal.commit", die)
        with pytest.raises(KeyboardInterrupt):
            gateway.set_key("a", "two")
    assert opened().get_key("a") == "two"
    actions = [entry["action"] for entry in opened().get_audit_log()]
    assert actions == ["key_accessed", "vault_recovered", "key_set"]
    assert opened().log.verify_hash_chain()


# --- no record, no secret -------------------------------------------------------------------------


def test_without_a_sound_record_no_key_is_handed_out(opened: Opened, workspace: Path) -> None:
    opened().set_key("a", CANARY)
    journal = workspace / "memory" / "security_log.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"key_set", b"key_get"))
    with pytest.raises(JournalBroken):
        opened().get_key("a")


def test_where_the_disk_takes_no_record_no_key_is_handed_out(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = opened()
    gateway.set_key("a", CANARY)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engines.journal.journal.write_all", full)
    with pytest.raises(JournalWriteFailed) as caught:
        gateway.get_key("a")
    assert not leaks(repr(caught.value).encode())
    monkeypatch.undo()
    assert gateway.get_key("a") == CANARY


def test_a_rehearsal_hands_out_nothing(opened: Opened, workspace: Path) -> None:
    from dino_os.workspace import Workspace

    opened().set_key("a", CANARY)
    rehearsing = Workspace(workspace, rehearsal=True).security
    assert rehearsing.list_keys() == ["a"]
    with pytest.raises(SecurityError, match="nothing here is recorded"):
        rehearsing.get_key("a")
    with pytest.raises(SecurityError, match="nothing here is recorded"):
        rehearsing.set_key("a", "x")


@pytest.mark.parametrize("value", ["", "x" * 65_537, "\ud800", 5, None])
def test_what_is_no_value_is_refused(gateway: Gateway, value: Any) -> None:
    with pytest.raises(InvalidInput, match="the value of key 'a'"):
        gateway.set_key("a", value)
    assert gateway.status()["vault"] is None


def test_metadata_does_not_hold_the_value(gateway: Gateway) -> None:
    """It stands in clear."""
    with pytest.raises(InvalidInput) as caught:
        gateway.set_key("a", CANARY, {"note": f"it is {CANARY}"})
    assert not leaks(repr(caught.value).encode())
    with pytest.raises(InvalidInput, match="not a JSON object"):
        gateway.set_key("a", CANARY, {"x": object()})
    assert gateway.set_key("a", CANARY, {"owner": "desk"})
    assert gateway.describe_keys()[0]["metadata"] == {"owner": "desk"}


def test_a_key_that_has_expired_is_not_handed_out(gateway: Gateway) -> None:
    now = [1000.0]
    gateway.log.clock = lambda: now[0]
    gateway.set_key("a", CANARY, expires=1010.0)
    assert gateway.get_key("a") == CANARY
    now[0] = 1010.0
    with pytest.raises(SecurityError, match="key 'a' expired 1970-01-01T00:16:50Z"):
        gateway.get_key("a")
    with pytest.raises(InvalidInput, match="expired already"):
        gateway.set_key("a", CANARY, expires=1010.0)
    staged = gateway.stage_key("a")
    gateway.promote_key("a", staged["version"])
    assert gateway.get_key("a") == staged["key"]
    content = gateway.vault.read()
    assert content is not None
    active = find(content.keys["a"], ACTIVE)
    assert active is not None
    assert active.expires == 1020.0  # as long as the one before was given


def test_a_vault_of_a_newer_format_is_left_alone(opened: Opened) -> None:
    opened().set_key("a", CANARY)
    gateway = opened()
    gateway.vault.unlock()
    with pytest.raises(VaultBroken, match="has format 2; this Dino reads 1"):
        forged(gateway, lambda body: body.update(v=2))


def test_no_error_is_a_traceback(opened: Opened) -> None:
    """Whatever a file says of its own lock."""
    opened().set_key("a", CANARY)
    path = opened().vault.path
    body = json.loads(path.read_bytes())
    for lock in ({}, {"kind": "magic"}, {"kind": "passphrase"}, {"kind": "passphrase", "kdf": {}}):
        path.write_bytes(sealing.canonical({**body, "lock": lock})[:-1] + b"}\n")
        with pytest.raises(DinoError):
            opened().get_key("a")
