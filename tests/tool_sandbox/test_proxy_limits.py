"""What a hostile client can use up, and what is left when the proxy ends: nothing."""

from __future__ import annotations

import contextlib
import random
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from dino_os.errors import SandboxError
from dino_os.tool_sandbox.egress.hosts import Allowed
from dino_os.tool_sandbox.egress.proxy import Proxy, ProxyLimits
from tests.conftest import REPOSITORY
from tests.tool_sandbox.wire import (
    PATIENCE_S,
    RESET,
    Events,
    echo,
    everything,
    head_of,
    listening,
    pages,
    proxied,
    raw_host,
)

HERE = "127.0.0.1"
API = {"names": {"api.test": [HERE]}, "private_hosts": ("api.test",)}


# --- limits ----------------------------------------------------------------------------------


def test_a_flood_of_connections_waits_and_is_served() -> None:
    """200 that say nothing, some that say half: the next honest one has its answer."""
    with pages() as host, proxied(f"{HERE}:{host.port}", connections=16, header_s=0.05) as way:
        flood = [way.connect() for _ in range(200)]
        for client in flood[::2]:
            client.sendall(b"GET http://")
        assert way.get(f"http://{HERE}:{host.port}/")[0] == 200
        for client in flood:
            assert b" 408 " in everything(client)
            client.close()
        events = [way.events.next() for _ in range(201)]
    assert [event["allowed"] for event in events].count(True) == 1
    assert way.events.rest() == []


def test_no_more_connections_are_open_than_are_allowed() -> None:
    with raw_host(echo) as host, proxied(f"{HERE}:{host.port}", connections=3) as way:
        target = f"{HERE}:{host.port}"
        tunnels = [way.tunnel(target) for _ in range(3)]
        waiting = way.connect()
        waiting.sendall(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
        waiting.settimeout(0.2)
        with pytest.raises(TimeoutError):
            waiting.recv(1)
        tunnels.pop().close()
        waiting.settimeout(PATIENCE_S)
        assert head_of(waiting).startswith(b"HTTP/1.1 200 ")
        for client in (*tunnels, waiting):
            client.close()


def test_a_slow_loris_is_let_go() -> None:
    """One byte now and then does not keep a connection: a head has its time as a whole."""
    with proxied("api.test", header_s=0.3) as way, way.connect() as client:
        client.settimeout(0.02)
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                client.sendall(b"G")
                with contextlib.suppress(TimeoutError):
                    if client.recv(1, socket.MSG_PEEK):
                        break
        assert b" 408 " in everything(client)
        assert way.events.next()["why"] == "the request took too long to come"


@pytest.mark.parametrize("piece", [b"X: y\r\n", b"x", b"\x00"], ids=repr)
def test_a_head_without_end_is_cut_off(piece: bytes) -> None:
    """After what a head may have: 431, or a reset for who goes on sending."""
    with proxied("api.test", header_bytes=4096) as way:
        head = b"GET http://api.test/ HTTP/1.1\r\nA: " + piece * (2**23 // len(piece))
        assert way.status(head) in {431, 0}
        assert way.events.next()["why"] == "more than 4096 bytes"


def test_a_head_is_measured_to_the_byte() -> None:
    with proxied(header_bytes=200) as way:
        for size, status in ((200, 403), (201, 431)):
            head = b"CONNECT api.test:443 HTTP/1.1\r\nX: "
            assert way.status(head + b"x" * (size - len(head)) + b"\r\n\r\n") == status


def test_a_side_that_does_not_read_stops_the_side_that_writes() -> None:
    """What is on the way is bounded by what sockets hold, however much there is to send."""
    stuck = threading.Event()

    def pour(connection: socket.socket) -> int:
        connection.settimeout(0.5)
        size, piece = 0, bytes(2**16)
        try:
            while size < 2**28:
                size += connection.send(piece)
        except TimeoutError:
            stuck.set()
        return size

    with raw_host(pour) as host, proxied(f"{HERE}:{host.port}") as way:
        with way.tunnel(f"{HERE}:{host.port}"):
            assert stuck.wait(PATIENCE_S)
        assert host.next() < 2**26


def test_a_tunnel_in_which_nothing_moves_is_closed() -> None:
    with raw_host(everything) as host, proxied(f"{HERE}:{host.port}", idle_s=0.1) as way:
        with way.tunnel(f"{HERE}:{host.port}") as client:
            assert everything(client) == b""
        event = way.events.next()
    assert (event["allowed"], event["why"]) == (True, "nothing moved for 0.1 s")


def test_a_host_that_never_answers_is_a_gateway_timeout() -> None:
    with raw_host(everything) as host, proxied(f"{HERE}:{host.port}", idle_s=0.1) as way:
        assert way.get(f"http://{HERE}:{host.port}/")[0] == 504


def test_the_bytes_of_all_connections_are_limited_together() -> None:
    with raw_host(echo) as host, proxied(f"{HERE}:{host.port}", total_bytes=100_000) as way:
        target = f"{HERE}:{host.port}"
        with way.tunnel(target) as client:
            client.sendall(bytes(40_000))
            assert len(client.recv(40_000, socket.MSG_WAITALL)) == 40_000
        assert way.events.next()["why"] == ""
        with way.tunnel(target) as client:
            client.sendall(bytes(40_000))
            assert len(everything(client)) < 20_001
        event = way.events.next()
        assert event["why"] == "the run's limit of bytes is used up"
        assert event["bytes_up"] + event["bytes_down"] <= 20_000
        assert way.get(f"http://{target}/")[0] == 403


def test_without_descriptors_it_waits_and_goes_on() -> None:
    """In a process of its own, whose limit is reached while a client is queueing."""
    code = """
import os, resource, socket
from tests.tool_sandbox.wire import pages, proxied
with pages() as host, proxied(f"127.0.0.1:{host.port}") as way:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    held = []
    with socket.socket() as client:
        try:
            while True:
                held.append(os.dup(0))
        except OSError:
            pass
        client.connect(("127.0.0.1", way.port))
        target = f"127.0.0.1:{host.port}"
        client.sendall(f"GET http://{target}/ HTTP/1.1\\r\\nHost: {target}\\r\\n\\r\\n".encode())
        client.settimeout(0.3)
        try:
            print(client.recv(12))
        except TimeoutError:
            print("waits")
        for fd in held:
            os.close(fd)
        client.settimeout(30)
        print(client.recv(12).decode())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    assert (done.stdout, done.stderr) == ("waits\nHTTP/1.1 200\n", "")


def test_garbage_harms_nobody() -> None:
    """Pieces of requests and noise, from clients that end in every way there is."""
    dice = random.Random(4)
    with pages() as host, proxied(f"{HERE}:{host.port}") as way:
        target = f"{HERE}:{host.port}"
        whole = f"POST http://{target}/ HTTP/1.1\r\nHost: {target}\r\nContent-Length: 9\r\n\r\n12345".encode()
        for _ in range(300):
            piece = dice.choice(
                [whole[: dice.randrange(len(whole))], dice.randbytes(dice.randrange(300)), whole]
            )
            with way.connect() as client:
                client.sendall(piece)
                if dice.random() < 0.3:  # a reset instead of an end
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                elif dice.random() < 0.5:
                    client.shutdown(socket.SHUT_WR)
        assert way.get(f"http://{target}/")[0] == 200
        events = [way.events.next() for _ in range(301)]
    assert not [event for event in events if "fault of the proxy" in event["why"]]


# --- the end ---------------------------------------------------------------------------------


def open_files() -> set[tuple[str, str]]:
    found = set()
    for name in Path("/dev/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            found.add((name.name, str(name.readlink())))
    return found


def test_close_leaves_nothing_behind() -> None:
    """Not a thread, not a descriptor; and every connection that was open is reported."""
    files, threads = open_files(), set(threading.enumerate())
    with raw_host(echo) as host:
        with proxied(f"{HERE}:{host.port}", **API) as way:
            clients = [way.tunnel(f"{HERE}:{host.port}") for _ in range(5)]
            clients += [way.connect() for _ in range(5)]
            clients[-1].sendall(b"GET http://")
            assert way.get("http://nowhere.test/")[0] == 403
        for client in clients:
            client.close()
    assert set(threading.enumerate()) == threads
    assert open_files() == files
    events = way.events.rest()
    assert [event["allowed"] for event in events].count(True) == 5
    assert {event["why"] for event in events if event["allowed"]} == {"the run has ended"}


def test_close_may_come_at_once_again_and_without_a_start() -> None:
    files = open_files()
    for start in (True, False):
        proxy = Proxy(listening(), Allowed([]), Events())
        if start:
            proxy.start()
            with pytest.raises(RuntimeError, match="once"):
                proxy.start()
        proxy.close()
        proxy.close()
    assert open_files() == files


def test_close_does_not_wait_for_two_that_never_stop() -> None:
    """A client and a host that fill a tunnel as fast as they can are ended all the same."""

    def pour(connection: socket.socket) -> None:
        while True:
            connection.sendall(bytes(2**16))

    with raw_host(pour) as host:
        with proxied(f"{HERE}:{host.port}") as way:
            client = way.tunnel(f"{HERE}:{host.port}")
            reader = threading.Thread(target=everything, args=(client,))
            reader.start()
            assert len(client.recv(1)) == 1
        reader.join()
        client.close()
    assert way.events.next()["bytes_down"] > 0


def test_what_cannot_be_recorded_is_not_let_through() -> None:
    def full(_: dict[str, Any]) -> None:
        raise OSError("the disk is full")

    listener = listening()
    proxy = Proxy(listener, Allowed([]), full, limits=ProxyLimits())
    where = listener.getsockname()
    proxy.start()
    with socket.create_connection(where, timeout=PATIENCE_S) as client:
        client.sendall(b"GET http://api.test/ HTTP/1.0\r\n\r\n")
        everything(client)
    proxy._thread.join(PATIENCE_S)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(where, timeout=PATIENCE_S)
    with pytest.raises(SandboxError, match="the disk is full"):
        proxy.close()


def test_nothing_of_it_is_imported_before_it_is_used() -> None:
    code = "import sys, dino_os.tool_sandbox, dino_os.tool_sandbox.egress.proxy; print('asyncio' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert done.stdout == "False\n"
