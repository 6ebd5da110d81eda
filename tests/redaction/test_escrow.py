"""The escrow: sealed for a role, opened with its key alone, and forgotten for good."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dino_os.errors import InvalidInput
from dino_os.provenance.escrow import RoleEscrow
from dino_os.provenance.redacting import WorkspaceRedactor
from dino_os.workspace import Workspace
from engines.errors import NotFound
from engines.redaction import Escrow, EscrowBroken, Pseudonyms, Redactor

MAIL = "jo.secret@example.com"


def test_what_is_sealed_is_opened_by_its_role_alone_and_forgotten_for_good(tmp_path: Path) -> None:
    path = tmp_path / "escrow.db"
    escrow = Escrow(path, "auditors")
    private = escrow.new_key()
    with pytest.raises(EscrowBroken):
        escrow.new_key()
    one = Redactor(pseudonyms=Pseudonyms(b"k" * 32), escrow=escrow)
    token = one.redact(f"by {MAIL}").removeprefix("by ")
    assert Escrow(path, "auditors").reveal(token, private) == MAIL
    with pytest.raises(EscrowBroken):
        escrow.reveal(token, b"x" * 32)
    with pytest.raises(NotFound):
        escrow.reveal("<email:aaaaaaaaaaaaaaaa>", private)
    assert not any(MAIL.encode() in file.read_bytes() for file in tmp_path.iterdir())
    sealed = _sealed(escrow, token)
    assert any(sealed in file.read_bytes() for file in tmp_path.iterdir())
    assert escrow.forget([token, "<email:aaaaaaaaaaaaaaaa>"]) == 1
    assert not any(sealed in file.read_bytes() for file in tmp_path.iterdir())
    assert (
        Redactor(pseudonyms=Pseudonyms(b"k" * 32), escrow=Escrow(path, "auditors")).redact(MAIL)
        == token
    )
    with pytest.raises(NotFound, match="was forgotten"):
        escrow.reveal(token, private)


def _sealed(escrow: Escrow, token: str) -> bytes:
    (row,) = escrow._database.reading().execute(
        "SELECT sealed FROM escrow WHERE token = ?", (token,)
    )
    return bytes(row[0])


def test_it_is_off_until_a_role_is_named_and_asks_for_its_key(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the role has no key nothing is recorded unsealed: redacting says what to do."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(workspace / "config"))
    with pytest.raises(InvalidInput, match="names no role"):
        RoleEscrow(Workspace(workspace)).reveal("<email:aaaaaaaaaaaaaaaa>")
    (workspace / "config.yaml").write_text("provenance: {redaction: {escrow: auditors}}\n")
    site = Workspace(workspace)
    with pytest.raises(NotFound, match="no key for the escrow"):
        WorkspaceRedactor(site).redact(MAIL)
    assert RoleEscrow(site).new_key() == "escrow/auditors"
    token = WorkspaceRedactor(site).redact(MAIL)
    assert RoleEscrow(site).reveal(token) == MAIL


def test_forgotten_is_forgotten_for_every_role_and_also_before_it_was_sealed(
    tmp_path: Path,
) -> None:
    auditors, legal = (Escrow(tmp_path / "escrow.db", role) for role in ("auditors", "legal"))
    keys = {escrow: escrow.new_key() for escrow in (auditors, legal)}
    auditors.keep("<email:a>", MAIL)
    assert auditors.forget(["<email:a>", "<email:b>"]) == 1
    for escrow, private in keys.items():
        for token in ("<email:a>", "<email:b>"):
            Escrow(tmp_path / "escrow.db", escrow.role).keep(token, MAIL)
            with pytest.raises(NotFound, match=r"forgotten|not in escrow"):
                escrow.reveal(token, private)


def test_what_is_read_while_it_is_forgotten_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.redaction.escrow._TIMEOUT_S", 0.1)
    escrow = Escrow(tmp_path / "escrow.db", "auditors")
    escrow.new_key()
    escrow.keep("<email:a>", MAIL)
    with contextlib.closing(escrow._database.another()) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM escrow").fetchall()
        with pytest.raises(EscrowBroken, match="not overwritten yet"):
            escrow.forget(["<email:a>"])
    assert escrow.forget(["<email:a>"]) == 0


def test_a_key_that_was_lost_on_its_way_seals_nothing(tmp_path: Path) -> None:
    escrow, put = Escrow(tmp_path / "escrow.db", "auditors"), list[bytes]()

    def lost(private: bytes) -> None:
        raise OSError(private)

    with pytest.raises(OSError, match=r".*"):
        escrow.new_key(lost)
    with pytest.raises(NotFound, match="no key"):
        escrow.keep("<email:a>", MAIL)
    assert escrow.new_key(put.append) == put[0]
    escrow.keep("<email:a>", MAIL)
    assert escrow.reveal("<email:a>", put[0]) == MAIL


def test_of_several_who_make_the_key_the_vault_has_the_one_that_counts(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one of them is killed on the way."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(workspace / "config"))
    (workspace / "config.yaml").write_text("provenance: {redaction: {escrow: auditors}}\n")
    children = []
    for number in range(4):
        child = os.fork()
        if not child:
            site = Workspace(workspace)
            if number == 0:
                monkeypatch.setattr(site.security, "set_key", _then_killed(site.security.set_key))
            with contextlib.suppress(EscrowBroken):
                RoleEscrow(site).new_key()
            os._exit(0)
        children.append(child)
    assert all(not os.waitpid(child, 0)[1] or child == children[0] for child in children)
    site = Workspace(workspace)
    with pytest.raises(EscrowBroken, match="already"):
        RoleEscrow(site).new_key()
    token = WorkspaceRedactor(site).redact(MAIL)
    assert RoleEscrow(site).reveal(token) == MAIL
    site.security.set_key("escrow/auditors", "what somebody made of it")
    with pytest.raises(EscrowBroken, match="none that the escrow made"):
        RoleEscrow(site).reveal(token)
    site.security.rollback_key("escrow/auditors")
    assert RoleEscrow(site).reveal(token) == MAIL


def _then_killed(put: Callable[..., object]) -> Callable[..., None]:
    """Behind the vault, before the escrow."""
    return lambda *args, **more: os._exit(bool(put(*args, **more)))
