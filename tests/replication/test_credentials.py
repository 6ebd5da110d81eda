"""
Who is let in, and what is said of it: nothing, anywhere.

CouchDB's titles: unauthorized replication; validation of users.  PouchDB's: #3171 error messages.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from engines.errors import InvalidInput
from engines.replication import (
    Basic,
    Bearer,
    LocalPeer,
    PeerFault,
    PeerRefused,
    RemotePeer,
    ReplicationError,
    Session,
    replicate,
)
from engines.replication.connections import Answer
from tests.replication.couch import running
from tests.replication.kit import QUICK, Pair, put
from tests.replication.proxy import Proxy

SECRET = "hunter2/ü"
SHOWN: list[Any] = [Basic("me", SECRET), Bearer(SECRET), Session("me", SECRET)]


def guarded(pair: Pair) -> str:
    pair.couch.users["me"] = SECRET
    pair.couch.tokens.add(SECRET)
    return f"{pair.couch.url}/db"


@pytest.mark.parametrize("shown", SHOWN[:1] + SHOWN[2:], ids=["basic", "cookie"])
def test_the_right_credentials_open(pair: Pair, shown: Any) -> None:
    put(pair.here, "a")
    peer = RemotePeer(guarded(pair), credentials=lambda: shown, http=QUICK)
    assert replicate(pair.local, peer).docs_written == 1
    assert replicate(peer, pair.local).missing_checked == 1
    assert pair.couch.count("_session") == 0


def test_a_bearer_token_opens(pair: Pair) -> None:
    pair.couch.tokens.add("t0ken")
    put(pair.here, "a")
    peer = RemotePeer(f"{pair.couch.url}/db", credentials=Bearer("t0ken"))
    assert replicate(pair.local, peer).docs_written == 1


def test_an_address_may_hold_them(pair: Pair) -> None:
    guarded(pair)
    url = f"{pair.couch.url}/db".replace("//", "//me:hunter2%2F%C3%BC@")
    assert replicate(pair.local, RemotePeer(url)).ok


def test_a_cookie_that_expired_is_renewed(pair: Pair) -> None:
    peer = RemotePeer(guarded(pair), credentials=Session("me", SECRET))
    put(pair.here, "a")
    replicate(pair.local, peer)
    pair.couch.tokens -= {one for one in pair.couch.tokens if one.startswith("AuthSession")}
    put(pair.here, "b")
    assert replicate(pair.local, peer).docs_written == 1


def test_a_key_that_was_rotated_is_asked_for_again(pair: Pair) -> None:
    given = iter([Basic("me", "old"), Basic("me", SECRET)])
    peer = RemotePeer(guarded(pair), credentials=lambda: next(given))
    assert replicate(pair.local, peer).ok
    with pytest.raises(StopIteration):
        next(given)


@pytest.mark.parametrize("shown", [*SHOWN, None], ids=["basic", "bearer", "cookie", "none"])
def test_the_wrong_ones_do_not_and_are_told_to_nobody(
    pair: Pair, shown: Any, caplog: pytest.LogCaptureFixture
) -> None:
    pair.couch.users["me"] = "another"
    caplog.set_level(logging.DEBUG)
    peer = RemotePeer(f"{pair.couch.url}/db", credentials=shown, http=QUICK)
    with pytest.raises(PeerRefused) as caught:
        replicate(pair.local, peer)
    error = caught.value
    assert error.exit_code == 3
    assert error.report is not None
    texts = [str(error), repr(error), str(error.hint), repr(shown), repr(peer), caplog.text]
    texts += [str(error.report.as_dict()), peer.identity, str(pair.here.changes())]
    assert not any(SECRET in text or "hunter" in text for text in texts)


@pytest.mark.parametrize("shown", SHOWN, ids=["basic", "bearer", "cookie"])
def test_a_peer_that_says_them_back_is_not_repeated(pair: Pair, shown: Any) -> None:
    """Nor does what it says reach a terminal as anything but text."""
    peer = RemotePeer(guarded(pair), credentials=shown, http=QUICK)
    with suppress(ReplicationError):  # the double of a server knows no bearer that is not ASCII
        peer.info()
    told = peer._wire._headers("*/*", None)
    echo = f"{told.get('Authorization')} {told.get('Cookie')} {SECRET} \x1b[31m"
    said = {"error": "forbidden", "reason": echo, "id": "a"}
    with pytest.raises(PeerRefused) as caught:
        peer._wire.raise_for(Answer(403, {}, json.dumps(said).encode()), "GET", "/")
    reasons = [caught.value.message, peer._failure(said).reason]
    reasons.append(peer._fetching._failed("a", said).reason)
    hidden = [SECRET, "\x1b", *(value.split()[-1] for value in told.values() if value in echo)]
    for reason in reasons:
        assert not any(one in reason for one in hidden)
        assert "[31m" in reason


def test_passwords_do_not_travel_in_clear() -> None:
    calls: list[str] = []

    def vault() -> Basic:
        calls.append("asked")
        return Basic("me", SECRET)

    peer = RemotePeer("http://couch.example.org/db", credentials=vault)
    with pytest.raises(PeerRefused, match="anybody can read"):
        peer.info()
    assert calls == ["asked"]


def test_a_redirect_is_not_followed(
    pair: Pair, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.replication import proxy as module

    monkeypatch.setitem(module.ANSWERS, "moved", (302, "text/plain", b""))
    proxy.plan = lambda _n, _what: "moved"
    with pytest.raises(PeerFault, match="302") as caught:
        replicate(pair.local, pair.remote)
    assert "redirect" in str(caught.value.hint)
    assert len(proxy.seen) == 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "couch",
        "ftp://h/db",
        "https://h",
        "https://h/",
        "https://h:x/db",
        "https:///db",
        "https://h/db?a=1",
        "https://h/db#a",
    ],
)
def test_what_is_no_address_of_a_database(url: str) -> None:
    with pytest.raises(InvalidInput):
        RemotePeer(url)


def test_certificates_are_verified(pair: Pair, tmp_path: Path) -> None:
    """One that nobody vouches for does not do, nor one of another name, nor none at all."""
    put(pair.here, "a")
    for name, fits in (("127.0.0.1", True), ("127.0.0.2", False)):
        folder = tmp_path / name
        folder.mkdir()
        certificate = self_signed(folder, name)
        context = SSLContext(PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        with running(folder, context) as couch:
            url = f"{couch.url}/db"
            couch.database()
            with pytest.raises(PeerFault, match="certificate"):
                replicate(pair.local, RemotePeer(url, http=QUICK))
            peer = RemotePeer(url, http=replace(QUICK, ca_file=str(certificate)))
            if fits:
                assert replicate(pair.local, peer).docs_written == 1
            else:
                with pytest.raises(PeerFault, match="certificate"):
                    replicate(pair.local, peer)
    plain = RemotePeer(pair.couch.url.replace("http:", "https:") + "/db", http=QUICK)
    with pytest.raises(ReplicationError):
        replicate(pair.local, plain)


def self_signed(folder: Path, address: str) -> Path:
    """A key and its certificate in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file = folder / "server.pem"
    file.write_bytes(pem + made.public_bytes(Encoding.PEM))
    return file


def test_another_kind_of_server(pair: Pair, proxy: Proxy) -> None:
    """What answers, but not by the protocol."""
    proxy.plan = lambda _n, _what: "page"
    peers: list[Callable[[], Any]] = [pair.push, pair.pull]
    for go in peers:
        with pytest.raises(ReplicationError, match="JSON"):
            go()


def test_a_peer_is_quiet_about_itself(pair: Pair) -> None:
    peer = RemotePeer("https://me:hunter2@example.org:8443/a%2Fb", credentials=None)
    assert peer.name == peer.identity == "https://example.org:8443/a%2Fb"
    assert LocalPeer(pair.here).identity == f"store:{pair.here.uuid}"
