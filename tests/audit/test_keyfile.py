"""A signing key as a file: sealed, private, written once, and silent about what it holds."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from engines.audit import (
    SignerKey,
    WrongPassphrase,
    is_sealed,
    keyfile,
    load_key,
    read_verifier,
    save_key,
)
from engines.errors import DinoError, InvalidInput, NotFound

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of a guess is not what is tried here."""
    monkeypatch.setattr(keyfile, "_SCRYPT", (1 << 4, 8, 1))


@pytest.fixture
def signer() -> SignerKey:
    return SignerKey.new("dino.local/w-17")


@pytest.fixture
def sealed(tmp_path: Path, signer: SignerKey, cheap: None) -> Path:
    path = tmp_path / "keys" / "w.key"
    save_key(path, signer, PASSPHRASE)
    return path


def refused(path: Path, passphrase: str | None, secrets: list[bytes]) -> DinoError:
    """The error of loading it, in which nothing secret stands in any spelling."""
    with pytest.raises(DinoError) as caught:
        load_key(path, passphrase)
    error = caught.value
    said = f"{error}{error.hint}{error!r}{error.args}{error.__cause__!r}".encode()
    for secret in secrets:
        spellings = (secret, secret.hex().encode(), base64.b64encode(secret), repr(secret).encode())
        assert not any(spelling in said for spelling in spellings)
    return error


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE, "", "pāss\u2003word\n"])
def test_a_key_comes_back_as_it_was(
    tmp_path: Path, signer: SignerKey, cheap: None, passphrase: str | None
) -> None:
    path = tmp_path / "w.key"
    save_key(path, signer, passphrase)
    loaded = load_key(path, passphrase)
    assert (loaded.name, loaded.private_bytes()) == (signer.name, signer.private_bytes())
    assert read_verifier(path) == signer.verifier
    assert is_sealed(path) == (passphrase is not None)
    assert loaded.sign("text\n") == signer.sign("text\n")


def test_a_sealed_key_costs_a_guess_what_the_standards_name(
    tmp_path: Path, signer: SignerKey
) -> None:
    """And nothing of the private key stands in the file."""
    path = tmp_path / "w.key"
    save_key(path, signer, PASSPHRASE)
    content = path.read_bytes()
    n, r, p = json.loads(content)["kdf"]["scrypt"]
    assert (n, r, p) >= (1 << 15, 8, 3)
    assert base64.b64encode(signer.private_bytes()) not in content
    assert PASSPHRASE.encode() not in content
    assert load_key(path, PASSPHRASE).verifier == signer.verifier


def test_two_sealings_share_nothing(tmp_path: Path, signer: SignerKey, cheap: None) -> None:
    forms = []
    for name in ("one", "two"):
        save_key(tmp_path / name, signer, PASSPHRASE)
        forms.append(json.loads((tmp_path / name).read_bytes()))
    one, two = forms
    assert one["kdf"]["salt"] != two["kdf"]["salt"]
    assert one["nonce"] != two["nonce"]
    assert one["private"] != two["private"]


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_only_the_owner_may_read_it(
    tmp_path: Path, signer: SignerKey, cheap: None, passphrase: str | None, umask: int
) -> None:
    before = os.umask(umask)
    try:
        save_key(tmp_path / "keys" / "w.key", signer, passphrase)
    finally:
        os.umask(before)
    mode = (tmp_path / "keys" / "w.key").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_a_key_is_never_overwritten(tmp_path: Path, signer: SignerKey) -> None:
    """Nor where a link only points to where one might be."""
    path = tmp_path / "w.key"
    save_key(path, signer)
    before = path.read_bytes()
    with pytest.raises(InvalidInput, match="there is a key already"):
        save_key(path, SignerKey.new("dino.local/w-17"))
    assert path.read_bytes() == before
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidInput):
        save_key(tmp_path / "link", signer)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("passphrase", [None, "", "wrong", PASSPHRASE + " ", PASSPHRASE.upper()])
def test_another_passphrase_does_not_open_it(
    sealed: Path, signer: SignerKey, passphrase: str | None
) -> None:
    error = refused(sealed, passphrase, [signer.private_bytes(), PASSPHRASE.encode()])
    assert isinstance(error, WrongPassphrase)
    if passphrase:
        assert passphrase not in str(error)


OTHER = SignerKey.new("dino.local/other")
ALTERED: list[tuple[str, Any]] = [
    ("name", "dino.local/w-18"),
    ("name", 17),
    ("name", ""),
    ("name", "a b"),
    ("public", base64.b64encode(OTHER.verifier.public).decode()),
    ("public", "AAAA"),
    ("public", None),
    ("private", base64.b64encode(bytes(48)).decode()),
    ("private", "AAAA"),
    ("private", ""),
    ("nonce", base64.b64encode(bytes(12)).decode()),
    ("nonce", "AAAA"),
    ("kdf", None),
    ("kdf", {}),
    ("kdf", []),
    ("kdf", "scrypt"),
    ("kdf", {"scrypt": [16, 8, 1], "salt": base64.b64encode(bytes(16)).decode()}),
    ("kdf", {"scrypt": [16, 8], "salt": ""}),
    ("kdf", {"scrypt": [15, 8, 1], "salt": ""}),
    ("kdf", {"scrypt": [0, 0, 0], "salt": ""}),
    ("kdf", {"scrypt": ["16", 8, 1], "salt": ""}),
    ("kdf", {"scrypt": [1 << 62, 8, 1], "salt": ""}),
    ("kdf", {"scrypt": [16, 1 << 62, 1], "salt": ""}),
    ("kdf", {"scrypt": [16, 8, -1], "salt": ""}),
]


@pytest.mark.parametrize(
    ("field", "value"), ALTERED, ids=[f"{n}-{field}" for n, (field, _) in enumerate(ALTERED)]
)
def test_a_sealed_key_with_an_altered_field_does_not_open(
    sealed: Path, signer: SignerKey, field: str, value: Any
) -> None:
    """Name, public key and cost are bound to it; what is no key is said to be none."""
    sealed.write_text(json.dumps({**json.loads(sealed.read_bytes()), field: value}))
    refused(sealed, PASSPHRASE, [signer.private_bytes(), PASSPHRASE.encode()])


@pytest.mark.parametrize("field", ["name", "public", "private", "nonce", "kdf"])
def test_a_sealed_key_without_a_field_does_not_open(
    sealed: Path, signer: SignerKey, field: str
) -> None:
    form = json.loads(sealed.read_bytes())
    del form[field]
    sealed.write_text(json.dumps(form))
    refused(sealed, PASSPHRASE, [signer.private_bytes(), PASSPHRASE.encode()])


def test_an_open_key_whose_halves_do_not_fit_is_refused(tmp_path: Path, signer: SignerKey) -> None:
    path = tmp_path / "w.key"
    save_key(path, signer)
    form = json.loads(path.read_bytes())
    form["public"] = base64.b64encode(OTHER.verifier.public).decode()
    path.write_text(json.dumps(form))
    error = refused(path, None, [signer.private_bytes()])
    assert "do not belong together" in str(error)


def test_no_key_is_told_with_what_makes_one(tmp_path: Path) -> None:
    for read in (load_key, read_verifier):
        with pytest.raises(NotFound, match="no signing key") as caught:
            read(tmp_path / "none.key")
        assert caught.value.hint == "make one: `audit key new`"
    assert not is_sealed(tmp_path / "none.key")


GARBAGE = {
    "empty": b"",
    "binary": bytes(range(256)),
    "text": b"a key",
    "number": b"5",
    "null": b"null",
    "list": b"[1, 2]",
    "string": b'"kdf"',
    "object": b"{}",
    "not-utf-8": b'{"name": "\xff"}',
    "short-public": b'{"name": "a", "public": "AAAA", "private": "AAAA"}',
    "nested": b"[" * 100_000,
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_what_is_not_a_key_is_refused(tmp_path: Path, content: bytes) -> None:
    """By whatever reads it, and never with another error than one for people."""
    path = tmp_path / "w.key"
    path.write_bytes(content)
    for read in (load_key, read_verifier):
        with pytest.raises(InvalidInput, match="not a signing key"):
            read(path)
    assert not is_sealed(path)


@pytest.mark.parametrize("call", ["os.write", "os.fsync"])
def test_a_key_that_could_not_be_written_is_told(
    tmp_path: Path, signer: SignerKey, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """And one that was never whole does not stand in the way of the next."""

    def fault(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "w.key"
    with monkeypatch.context() as patch:
        patch.setattr(call, fault)
        with pytest.raises(OSError, match="No space"):
            save_key(path, signer)
    if call == "os.write" or not path.exists():
        save_key(path, signer)
    assert load_key(path).verifier == signer.verifier
