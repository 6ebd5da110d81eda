"""What opens the vault, and what does not."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backends.fail
import keyring.backends.null
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.chainer import ChainerBackend

from dino_os.errors import SecurityError
from dino_os.security_gateway import master_key
from dino_os.security_gateway.master_key import real_keyring
from dino_os.security_gateway.model import VaultLocked
from dino_os.workspace import Workspace
from engines import passphrase
from engines.errors import InvalidInput
from tests.security_gateway.conftest import CANARY, Opened, bytes_below, leaks

PASSPHRASE = "correct horse battery staple"
VARIABLE = "DINO_VAULT_PASSPHRASE"


class Remembering(KeyringBackend):
    """Keeps passwords in memory, as a desktop's keyring would for a session."""

    priority = 5  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.broken = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.broken:
            raise RuntimeError(f"locked {CANARY}")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.broken:
            raise RuntimeError("locked")
        self.kept[service, username] = password


class PlaintextKeyring(Remembering):
    """As some packages bring it."""


class Weak(Remembering):
    priority = 0.5  # type: ignore[assignment]


@pytest.fixture
def ring() -> Iterator[Remembering]:
    before, ring = keyring.get_keyring(), Remembering()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


def locked_by(opened: Opened) -> str:
    return str(opened().status()["locked_by"])


def key_files(workspace: Path) -> list[Path]:
    return list((workspace / "xdg").rglob("*.vault"))


def test_the_keyring_comes_first(
    opened: Opened, ring: Remembering, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, PASSPHRASE)
    opened().set_key("a", CANARY)
    assert locked_by(opened) == "keyring"
    assert key_files(workspace) == []
    monkeypatch.delenv(VARIABLE)
    assert opened().get_key("a") == CANARY
    ((_, secret),) = ring.kept.items()
    assert secret.encode() not in bytes_below(workspace)


def test_then_a_passphrase_then_a_file(
    opened: Opened, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, PASSPHRASE)
    opened().set_key("a", CANARY)
    assert locked_by(opened) == "passphrase"
    assert key_files(workspace) == []
    assert PASSPHRASE.encode() not in bytes_below(workspace)
    assert opened().relock("file") == "file"
    monkeypatch.delenv(VARIABLE)
    assert opened().get_key("a") == CANARY
    (file,) = key_files(workspace)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert not file.is_relative_to(workspace / "memory")


@pytest.mark.parametrize(
    "backend",
    [keyring.backends.fail.Keyring, keyring.backends.null.Keyring, PlaintextKeyring, Weak],
)
def test_a_keyring_that_keeps_nothing_or_plain_text_is_none(
    opened: Opened, ring: Remembering, backend: type[KeyringBackend]
) -> None:
    keyring.set_keyring(backend())
    assert real_keyring() is None
    opened().set_key("a", CANARY)
    assert locked_by(opened) == "file"
    with pytest.raises(SecurityError, match="no keyring of the system"):
        opened().relock("keyring")


def test_of_a_chain_the_first_counts(ring: Remembering, monkeypatch: pytest.MonkeyPatch) -> None:
    keyring.set_keyring(ChainerBackend())
    for backends, real in (([ring, Weak()], ring), ([Weak(), ring], None), ([], None)):
        monkeypatch.setattr(ChainerBackend, "backends", backends)
        assert real_keyring() is real


def test_without_the_package_there_is_no_keyring(
    opened: Opened, ring: Remembering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "keyring", None)
    assert real_keyring() is None
    opened().set_key("a", CANARY)
    assert locked_by(opened) == "file"


def test_a_keyring_that_fails_is_told_without_what_it_said(
    opened: Opened, ring: Remembering
) -> None:
    opened().set_key("a", CANARY)
    ring.broken = True
    with pytest.raises(VaultLocked) as caught:
        opened().get_key("a")
    assert not leaks(f"{caught.value!r}{caught.value.__cause__!r}".encode())
    ring.broken = False
    ring.kept.clear()
    with pytest.raises(VaultLocked, match="does not have its key here"):
        opened().get_key("a")


@pytest.mark.parametrize("wrong", ["", "wrong", PASSPHRASE + " ", PASSPHRASE.upper()])
def test_another_passphrase_does_not_open_it(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """And each try is recorded."""
    monkeypatch.setenv(VARIABLE, PASSPHRASE)
    opened().set_key("a", CANARY)
    monkeypatch.setenv(VARIABLE, wrong)
    with pytest.raises(VaultLocked) as caught:
        opened().get_key("a")
    assert not wrong or wrong not in str(caught.value)
    newest = opened().get_audit_log(1)[0]
    assert (newest["action"], newest["result"]) == ("unlock_failed", "failed")
    assert opened().list_keys() == ["a"]  # names stand in clear
    monkeypatch.setenv(VARIABLE, PASSPHRASE)
    assert opened().get_key("a") == CANARY


def test_a_passphrase_is_asked_for_where_somebody_is_there(workspace: Path) -> None:
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return PASSPHRASE

    def opened() -> Workspace:
        space = Workspace(workspace)
        space.ask_passphrase = ask
        return space

    opened().security.set_key("a", CANARY)
    gateway = opened().security
    assert [gateway.get_key("a") for _ in range(3)] == [CANARY] * 3
    assert [prompt.split()[0] for prompt in asked] == ["new", "passphrase"]


def test_a_changed_lock_opens_with_the_new_one_only(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every value is encrypted under a new key, also that of the version before."""
    monkeypatch.setenv(VARIABLE, PASSPHRASE)
    opened().set_key("a", "one " + CANARY)
    opened().set_key("a", "two " + CANARY)
    reader = opened()
    assert reader.get_key("a") == "two " + CANARY
    before = reader.vault.path.read_bytes()
    monkeypatch.setenv("DINO_VAULT_PASSPHRASE_NEW", "another")
    assert opened().relock("passphrase") == "passphrase"
    monkeypatch.delenv("DINO_VAULT_PASSPHRASE_NEW")
    with pytest.raises(VaultLocked):
        reader.get_key("a")  # it had the old one open
    monkeypatch.setenv(VARIABLE, "another")
    assert reader.get_key("a") == "two " + CANARY
    assert opened().rollback_key("a") == 1
    assert opened().get_key("a") == "one " + CANARY
    reader.vault.path.write_bytes(before)
    with pytest.raises(SecurityError):
        opened().get_key("a")


def test_a_key_file_of_another_or_none_does_not_open_it(opened: Opened, workspace: Path) -> None:
    opened().set_key("a", CANARY)
    (file,) = key_files(workspace)
    whole = file.read_bytes()
    for content in (b"", b"not base64 \xff", b"QUJD\n", b"A" * 43 + b"=\n"):
        file.write_bytes(content)
        with pytest.raises(VaultLocked):
            opened().get_key("a")
    file.write_bytes(whole)
    file.chmod(0o640)
    with pytest.raises(SecurityError, match="others can read it"):
        opened().get_key("a")
    file.unlink()
    with pytest.raises(VaultLocked, match="which opens the vault"):
        opened().get_key("a")
    assert not file.exists()  # another would open nothing


def test_master_keys_are_not_shown() -> None:
    lock = master_key.Lock({"kind": "file"}, b"0123456789abcdef0123456789abcdef")
    assert repr(lock) == "Lock('file')"


def test_a_guess_costs_what_the_standards_name() -> None:
    """Argon2id with 64 MiB; where there is none, scrypt as for signing keys."""
    assert passphrase.SCRYPT >= (1 << 15, 8, 3)
    source = Path(passphrase.__file__).read_text()
    assert "_ARGON2ID = (64 * 1024, 3, 1)" in source
    assert passphrase.new_kdf().keys() == {"argon2id", "salt"}


def test_scrypt_takes_its_place_where_there_is_no_argon2id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(*_: object) -> bytes:
        raise ImportError

    with monkeypatch.context() as patch:
        patch.setattr(passphrase, "argon2id", missing)
        patch.setattr(passphrase, "SCRYPT", (16, 8, 1))
        kdf = passphrase.new_kdf()
    assert kdf["scrypt"] == [16, 8, 1]
    assert passphrase.derive("a", kdf) == passphrase.derive("a", kdf) != passphrase.derive("b", kdf)


@pytest.mark.parametrize(
    "cost",
    [{"argon2id": [1 << 30, 3, 1]}, {"argon2id": [64, 1 << 30, 1]}, {"scrypt": [1 << 40, 8, 1]}],
)
def test_a_file_cannot_ask_for_all_the_memory(cost: dict[str, list[int]]) -> None:
    with pytest.raises(InvalidInput, match="absurd"):
        passphrase.derive("a", {**cost, "salt": "c2FsdHNhbHRzYWx0c2FsdA=="})


def test_the_kdf_gives_what_its_standard_says() -> None:
    """RFC 7914, the second of its vectors, cut to our size."""
    key = passphrase.scrypt(b"password", b"NaCl", (1024, 8, 1))
    full = "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"
    assert passphrase.SCRYPT[2] < 16  # so the vector itself costs more than we allow
    assert len(key) == passphrase.KEY_SIZE
    from hashlib import scrypt

    assert scrypt(b"password", salt=b"NaCl", n=1024, r=8, p=16, dklen=64).hex() == full
    assert key == scrypt(b"password", salt=b"NaCl", n=1024, r=8, p=1, dklen=32)
