"""The escrow: sealed for a role, opened with its key alone, and forgotten for good."""

from __future__ import annotations

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
