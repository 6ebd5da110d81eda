"""A workspace with a vault whose key lies in it, and values that may be found nowhere."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import pytest

from dino_os.security_gateway.gateway import Gateway
from dino_os.workspace import Workspace
from engines import passphrase

CANARY = "sk-Canary/+7'\"é\\q94f1 d2b8"


@pytest.fixture(autouse=True)
def _keys_of_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the keys of whoever runs it, and a guess costs nothing here."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(passphrase, "_ARGON2ID", (8, 1, 1))


Opened = Callable[[], Gateway]


@pytest.fixture
def opened(workspace: Path) -> Opened:
    """Opens the workspace's gateway as a new process would; nothing is limited."""
    (workspace / "config.yaml").write_text(
        "security: {rate_limit: {requests_per_minute: 1000000, burst: 1000000}}\n"
    )
    return lambda: Workspace(workspace).security


@pytest.fixture
def gateway(opened: Opened) -> Gateway:
    return opened()


def encodings(value: str) -> set[bytes]:
    """Forms in which a value could have slipped out, made without Dino's own code."""
    raw = value.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode(), json.dumps(value)[1:-1].encode()}
    found |= {urllib.parse.quote(value, safe="").encode(), repr(value)[1:-1].encode()}
    for before in range(3):
        text = base64.b64encode(b"x" * before + raw)
        middle = text[4 : len(text) - 4]
        found |= {middle, middle.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def leaks(data: bytes, value: str = CANARY) -> list[bytes]:
    return [form for form in encodings(value) if form in data]


def bytes_below(folder: Path) -> bytes:
    """Every byte of every file."""
    return b"\n".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
