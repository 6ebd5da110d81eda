"""Which servers are used, and that no secret shows: judged before a byte goes out."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dino_os.cluster.link import Client, ClusterUnavailable, Link
from dino_os.cluster.trust import Refused, Trust, is_loopback, new_key
from dino_os.config import Cluster
from dino_os.errors import ClusterError, Denied, InvalidInput
from tests.cluster.certificates import Authority
from tests.cluster.servers import Server, free_port, needs_server

pytestmark = needs_server

OPEN = {"version": "2.9.10"}
GOOD = {**OPEN, "auth_required": True, "tls_required": True}


async def hello(client: Client) -> str:
    await client.nc.flush()
    return "hello"


def call(url: str, secret: str = "", **more: Any) -> str:
    link = Link(Cluster(url=url, credentials="k" if secret else "", **more), lambda name: secret)
    try:
        return link.call(hello, 20)
    finally:
        link.close()


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    try:
        yield server.start()
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("info", "peer", "more", "refused"),
    [
        (OPEN, "127.0.0.1", {}, None),
        (OPEN, "::1", {}, None),
        (OPEN, "::ffff:127.0.0.1", {}, None),
        (OPEN, "192.0.2.1", {}, "asks nobody who they are and has no TLS"),
        (OPEN, "::", {}, "asks nobody"),
        (OPEN, "192.0.2.1", {"insecure": True}, None),
        (GOOD, "192.0.2.1", {}, None),
        ({**GOOD, "tls_required": False}, "192.0.2.1", {}, "has no TLS"),
        ({**GOOD, "auth_required": False}, "192.0.2.1", {}, "asks nobody"),
        (OPEN, "127.0.0.1", {"url": "tls://localhost"}, "TLS was asked for"),
        (OPEN, "127.0.0.1", {"ca": "ca.pem"}, "TLS was asked for"),
        ({**GOOD, "tls_required": False}, "192.0.2.1", {"url": "tls://h", "insecure": True}, "TLS was asked for"),
    ],
)  # fmt: skip
def test_what_a_server_must_be(
    tmp_path: Path, info: dict[str, Any], peer: str, more: dict[str, Any], refused: str | None
) -> None:
    trust = Trust(Cluster(**{"url": "nats://h", **more}), tmp_path)
    if refused is None:
        trust.judge(info, peer)
        return
    with pytest.raises(Refused, match=refused) as told:
        trust.judge(info, peer)
    assert told.value.reason.exit_code == 3


@pytest.mark.parametrize(
    "address", ["localhost", "10.0.0.1", "fe80::1%eth0", "", "0.0.0.0", "128.0.0.1"]
)
def test_what_is_not_this_machine(address: str) -> None:
    assert not is_loopback(address)


def addresses() -> list[str]:
    """Of this machine, that others could reach."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return [found for found in [probe.getsockname()[0]] if not is_loopback(found)]
    return []


def test_nothing_is_said_to_an_open_server_off_loopback(tmp_path: Path) -> None:
    """Also where the name looks like loopback: the address of the connection counts."""
    if not (found := addresses()):
        pytest.skip("this machine has no address but loopback")
    heard: list[bytes] = []
    with socket.create_server((found[0], 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.sendall(
                            b'INFO {"max_payload":1048576,"auth_required":false}\r\n'
                        )
                        connection.settimeout(20)
                        heard.append(connection.recv(4096))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"nats://{found[0]}:{listener.getsockname()[1]}"
        with pytest.raises(Denied, match="not trusted off this machine"):
            call(url, secret="me:canary")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(20)
    assert set(heard) == {b""}


def test_an_open_server_off_loopback_by_override(tmp_path: Path) -> None:
    if not (found := addresses()):
        pytest.skip("this machine has no address but loopback")
    with running(Server(tmp_path / "open", host=found[0])) as server:
        with pytest.raises(Denied, match="not trusted"):
            call(server.url)
        assert call(server.url, insecure=True) == "hello"


def test_tls_with_an_authority_of_our_own(tmp_path: Path) -> None:
    ours, other = Authority(tmp_path), Authority(tmp_path, "other")
    seed, public = new_key()
    more = {
        "tls": ours.sign("localhost"),
        "authorization": {"users": [{"nkey": public}]},
    }
    with running(Server(tmp_path / "tls", more=more)) as server:
        named = f"tls://localhost:{server.port}"
        assert call(named, seed, ca=str(ours.ca)) == "hello"
        with pytest.raises(Denied, match="certificate is not trusted"):
            call(named, seed, ca=str(other.ca))
        with pytest.raises(Denied, match="certificate is not trusted"):
            call(named, seed)  # by the system's authorities
        with pytest.raises(Denied, match="certificate is not trusted"):  # it is for localhost
            call(f"tls://127.0.0.1:{server.port}", seed, ca=str(ours.ca))
        with pytest.raises(Denied, match="did not accept"):
            call(named, new_key()[0], ca=str(ours.ca))


def test_tls_that_was_taken_out_on_the_way(tmp_path: Path) -> None:
    """A server, or somebody between, that says it has none gets no credentials."""
    ours = Authority(tmp_path)
    with (
        running(Server(tmp_path / "plain")) as server,
        pytest.raises(Denied, match="TLS was asked for"),
    ):
        call(f"tls://localhost:{server.port}", "me:canary", ca=str(ours.ca))


@pytest.mark.parametrize("kind", ["password", "token", "nkey"])
def test_each_kind_of_credentials(tmp_path: Path, kind: str) -> None:
    seed, public = new_key()
    secret, users = {
        "password": ("me:with:colons", {"users": [{"user": "me", "password": "with:colons"}]}),
        "token": ("s3cret-token", {"token": "s3cret-token"}),
        "nkey": (seed, {"users": [{"nkey": public}]}),
    }[kind]
    with running(Server(tmp_path / kind, more={"authorization": users})) as server:
        assert call(server.url, secret) == "hello"
        assert call(server.url, f"{secret}\n") == "hello"
        with pytest.raises(Denied, match="did not accept") as told:
            call(server.url, secret[:-1] + "x" if kind != "nkey" else new_key()[0])
        assert told.value.exit_code == 3
        with pytest.raises(Denied, match="did not accept"):
            call(server.url)


def test_the_text_of_a_creds_file(tmp_path: Path) -> None:
    """With a user's token of an operator and an account that the server is told of."""
    import base64

    import nkeys

    def pair(prefix: int) -> tuple[Any, str]:
        import os

        found = nkeys.from_seed(bytearray(nkeys.encode_seed(os.urandom(32), prefix)))
        return found, found.public_key.decode()

    def text(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    def token(issuer: Any, subject: str, what: dict[str, Any], name: str) -> str:
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        claims = {
            "jti": name, "iat": 1_700_000_000, "iss": issuer.public_key.decode(), "name": name,
            "sub": subject, "nats": {**what, "version": 2},
        }  # fmt: skip
        signed = f"{text(json.dumps(head).encode())}.{text(json.dumps(claims).encode())}"
        return f"{signed}.{text(issuer.sign(signed.encode()))}"

    operator, operator_id = pair(nkeys.PREFIX_BYTE_OPERATOR)
    account, account_id = pair(nkeys.PREFIX_BYTE_ACCOUNT)
    seed, user_id = new_key()
    limits = {"subs": -1, "data": -1, "payload": -1}
    everything = {**limits, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}
    user = token(account, user_id, {"type": "user", "pub": {}, "sub": {}, **limits}, "user")
    creds = (
        f"-----BEGIN NATS USER JWT-----\n{user}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
    more = {
        "operator": token(operator, operator_id, {"type": "operator"}, "operator"),
        "resolver": "MEMORY",
        "resolver_preload": {
            account_id: token(operator, account_id, {"type": "account", "limits": everything}, "a")
        },
    }
    with running(Server(tmp_path / "jwt", jetstream=False, more=more)) as server:
        assert call(server.url, creds) == "hello"
        with pytest.raises(Denied, match="did not accept"):
            call(server.url, creds.replace(seed, new_key()[0]))


def test_no_secret_shows_anywhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever goes wrong: in no message, no hint, no representation, nothing printed."""
    log = io.StringIO()
    users = {"authorization": {"users": [{"user": "me", "password": "right"}]}}
    with running(Server(tmp_path / "strict", more=users)) as server:
        for url, secret in (
            (server.url, "me:canary-1"),
            (server.url, "SU" + "CANARY2" * 8),
            (server.url, "-----BEGIN NATS USER JWT-----\ncanary3\n"),
            (f"nats://127.0.0.1:{free_port()}", "canary-4"),
        ):
            with pytest.raises((ClusterError, Denied, ClusterUnavailable, InvalidInput)) as told:
                call(url, secret)
            error = told.value
            print(repr(error), error, error.hint, error.__cause__, vars(error), file=log)
    out, err = capfd.readouterr()
    assert "canary" not in (log.getvalue() + out + err).lower()


def test_a_ca_that_is_none(tmp_path: Path, server: Server) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(InvalidInput, match=r"cluster\.ca"):
            call(server.url, ca=str(tmp_path / name))
