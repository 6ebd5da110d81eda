"""The fault proxy: what it does to real connections, each kind by itself."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from engines.drill.proxy import KINDS, Fault, FaultProxy
from engines.drill.service import CountingService

BODY = b"x" * 5000


class Network:
    """A service behind a proxy that does what *fault* says."""

    def __init__(self, service: CountingService) -> None:
        self.service = service
        self.fault = Fault()
        self.proxy = FaultProxy(("127.0.0.1", service.port), lambda: self.fault)

    def post(self, key: str, timeout_s: float = 10.0) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=timeout_s)
        try:
            connection.request("POST", "/x", BODY, {"Idempotency-Key": key})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def arrived(self, key: str) -> int:
        return self.service.arrivals[key]


@pytest.fixture
def network() -> Iterator[Network]:
    with CountingService() as service:
        network = Network(service)
        yield network
        network.proxy.close()


def test_a_fair_network_changes_nothing(network: Network) -> None:
    assert [network.post("a"), network.post("b"), network.post("a")] == [200, 200, 200]
    assert (network.arrived("a"), network.arrived("b")) == (2, 1)
    assert network.service.effects == [("a", "/x", BODY), ("b", "/x", BODY)]


def is_over(connection: socket.socket) -> bool:
    try:
        return not connection.recv(1)
    except ConnectionError:
        return True


def test_a_cut_network_refuses_until_it_is_there_again(network: Network) -> None:
    """At the same port, as often as one likes; what was open is reset."""
    for round_ in range(3):
        with socket.create_connection(("127.0.0.1", network.proxy.port)) as before:
            network.proxy.cut()
            before.settimeout(60)
            assert is_over(before)
        assert network.proxy.is_cut
        with pytest.raises(ConnectionRefusedError):
            network.post("a")
        network.proxy.restore()
        assert network.post(f"b{round_}") == 200
    assert network.arrived("a") == 0


def test_a_dropped_request_is_never_answered_and_never_arrives(network: Network) -> None:
    network.fault = Fault("drop")
    with pytest.raises(TimeoutError):
        network.post("a", timeout_s=0.05)
    assert network.arrived("a") == 0


def test_a_delay_is_waited_for_by_whoever_has_the_patience(network: Network) -> None:
    network.fault = Fault("delay", delay_s=0.05)
    began = time.monotonic()
    assert network.post("a") == 200
    assert time.monotonic() - began >= 0.05


@pytest.mark.parametrize("kind", ["reset", "truncate_answer"])
@pytest.mark.parametrize("after", [0, 10])
def test_an_answer_that_is_cut_off_leaves_a_request_that_arrived(
    network: Network, kind: str, after: int
) -> None:
    """The case for which there are idempotency keys."""
    network.fault = Fault(kind, after)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        network.post("a")
    network.fault = Fault()
    assert network.post("a") == 200
    assert network.arrived("a") == 2
    assert len(network.service.effects) == 1


def test_a_request_that_is_cut_off_did_not_arrive(network: Network) -> None:
    network.fault = Fault("truncate_request", 400)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        network.post("a")
    assert network.arrived("a") == 0


def test_a_busy_server_is_one_that_was_not_reached(network: Network) -> None:
    network.fault = Fault("busy")
    assert network.post("a") == 503
    assert network.arrived("a") == 0


def test_what_was_done_is_counted(network: Network) -> None:
    tick = threading.Event()
    for kind in KINDS:
        network.fault = Fault(kind, 10, 0.001)
        with contextlib.suppress(OSError, http.client.HTTPException):
            network.post("a", timeout_s=0.05)
        while not network.proxy.injected[kind]:  # whoever gives up may be faster
            tick.wait(0.01)
    assert network.proxy.injected == dict.fromkeys(KINDS, 1)
