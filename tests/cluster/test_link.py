"""This process's connection: made by the first call, back by itself, never inherited."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dino_os.cluster.link import Client, ClusterUnavailable, Link
from dino_os.config import Cluster
from dino_os.errors import Denied, InvalidInput
from tests.cluster.servers import Server, Three, free_port, needs_server, until

pytestmark = needs_server
MakeLink = Callable[..., Link]


@pytest.fixture
def make_link() -> Iterator[MakeLink]:
    made: list[Link] = []

    def make(url: str, secret: str = "", **more: Any) -> Link:
        settings = Cluster(url=url, credentials="nats" if secret else "", **more)
        made.append(Link(settings, lambda name: secret))
        return made[-1]

    yield make
    for link in made:
        link.close()


async def echo(client: Client) -> bytes:
    async def answer(message: Any) -> None:
        await message.respond(message.data)

    heard = await client.nc.subscribe("echo", cb=answer)
    try:
        return bytes((await client.nc.request("echo", b"there", timeout=5)).data)
    finally:
        await heard.unsubscribe()


def test_a_call_connects_and_runs_in_the_links_thread(make_link: MakeLink, server: Server) -> None:
    link = make_link(server.url)
    assert not link.connected
    assert link.call(echo) == b"there"
    assert link.connected
    assert link.server_version.startswith("2.")
    assert threading.current_thread().name != "dino-cluster"


def test_names_are_of_the_namespace(make_link: MakeLink) -> None:
    link = make_link("nats://127.0.0.1:1", namespace="north-1")
    assert link.subject("evt", "orders.1.paid") == "dino.north-1.evt.orders.1.paid"
    assert link.stream("BUS") == "DINO_NORTH-1_BUS"


def test_what_a_coroutine_raises_is_raised(make_link: MakeLink, server: Server) -> None:
    async def fail(client: Client) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        make_link(server.url).call(fail)


def test_nobody_there_is_said_at_once(make_link: MakeLink) -> None:
    link = make_link(f"nats://127.0.0.1:{free_port()}")
    began = time.monotonic()
    with pytest.raises(ClusterUnavailable, match="connection refused") as told:
        link.call(echo, timeout_s=60)
    assert time.monotonic() - began < 30
    assert told.value.exit_code == 4
    assert not link.connected


def test_a_server_that_does_not_answer_is_waited_for_no_longer_than_said(
    make_link: MakeLink, tmp_path: Path
) -> None:
    mute = Server(tmp_path).start()
    try:
        link = make_link(mute.url)
        link.call(echo)
        mute.pause()
        with pytest.raises(ClusterUnavailable):
            link.call(echo, timeout_s=0.3)
        mute.resume()
        assert link.call(echo, timeout_s=30) == b"there"
    finally:
        mute.kill()


def test_who_is_closed_while_it_connects_leaves_no_socket(make_link: MakeLink) -> None:
    """The server has said who it is, and nothing more."""
    hello = b'INFO {"server_id":"a","version":"2.10.0","proto":1,"max_payload":1000}\r\n'
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        link = make_link(f"nats://127.0.0.1:{server.getsockname()[1]}")
        link.spawn(echo)
        peer, _ = server.accept()
        with peer:
            peer.settimeout(30)
            peer.sendall(hello)
            assert peer.recv(7) == b"CONNECT"
            link.close()
            while peer.recv(4096):
                pass


def test_a_lost_connection_comes_back_by_itself(make_link: MakeLink, tmp_path: Path) -> None:
    gone = Server(tmp_path).start()
    try:
        link = make_link(gone.url)
        link.call(echo)
        gone.kill()
        until(lambda: not link.connected, "the loss is not noticed")
        with pytest.raises(ClusterUnavailable):
            link.call(echo, timeout_s=0.3)
        gone.start()
        assert link.call(echo, timeout_s=30) == b"there"
    finally:
        gone.kill()


def test_what_is_spawned_waits_for_a_server_that_comes_later(
    make_link: MakeLink, tmp_path: Path
) -> None:
    late = Server(tmp_path)
    waiting = make_link(late.url).spawn(echo)
    until(lambda: not waiting.done(), "it gave up")
    late.start()
    try:
        assert waiting.result(30) == b"there"
    finally:
        late.kill()


def test_one_of_three_is_enough(make_link: MakeLink, three: Three) -> None:
    assert make_link(f"nats://127.0.0.1:{free_port()},{three.url}").call(echo, 30) == b"there"


def test_a_fork_has_a_connection_of_its_own(make_link: MakeLink, server: Server) -> None:
    link = make_link(server.url)
    link.call(echo)
    child = os.fork()
    if not child:
        code = 1
        try:
            alone = not link.connected
            code = 0 if link.call(echo, 30) == b"there" and alone else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert link.call(echo) == b"there"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1", "127.0.0.1:4222", "nats://", "nats://h:99999", "nats://h/x"]
)
def test_what_is_no_address_is_told(make_link: MakeLink, url: str) -> None:
    with pytest.raises(InvalidInput, match="expected nats://"):
        make_link(url).call(echo)


def test_credentials_do_not_stand_in_the_settings(make_link: MakeLink) -> None:
    with pytest.raises(InvalidInput) as told:
        make_link("nats://me:canary@127.0.0.1:4222").call(echo)
    assert "canary" not in f"{told.value} {told.value.hint}"


def test_wrong_credentials_are_told_without_them(make_link: MakeLink, tmp_path: Path) -> None:
    users = {"authorization": {"users": [{"user": "me", "password": "right"}]}}
    strict = Server(tmp_path, more=users).start()
    try:
        with pytest.raises(Denied, match="did not accept our credentials") as told:
            make_link(strict.url, secret="me:canary").call(echo, 30)
        assert told.value.exit_code == 3
        assert "canary" not in f"{told.value} {told.value.hint}"
        assert make_link(strict.url, secret="me:right").call(echo) == b"there"
    finally:
        strict.kill()


def test_without_its_client_it_says_what_to_install(
    make_link: MakeLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dino_os.cluster import link

    monkeypatch.setattr(link, "find_spec", lambda name: None)
    with pytest.raises(InvalidInput, match="not installed") as told:
        make_link("nats://127.0.0.1:4222").call(echo)
    assert "dino-os[cluster]" in (told.value.hint or "")
