"""Every way in which a route can fail, at load: nothing lost, nothing taken twice."""

from __future__ import annotations

import random
import socket
import threading
from pathlib import Path
from typing import Any

from dino_os.nav.replay import Replayer
from dino_os.nav.transport import WebTransport
from engines.journal import Journal, verify
from engines.latent_cache import DocumentStore, OfflineQueue
from engines.nav_mesh import (
    DomainRoutes,
    GateRule,
    NavigationMesh,
    Receipt,
    Request,
    Response,
    RouteRules,
    Rules,
    ThresholdDomain,
    Ways,
    in_order,
)
from tests.nav.service import Service, serving
from tests.tool_sandbox.wire import certificate, pages

THREADS, EACH = 6, 20
FAULTS = ["", "", "", "", "reset", "lost", "truncated", "hang", "drip", "500", "502", "503", "503"]


def no_such_name(host: str, *_: Any, **__: Any) -> list[Any]:
    raise socket.gaierror(socket.EAI_NONAME, f"no {host} in this test")


def test_whatever_fails_at_load_each_request_is_taken_exactly_once(tmp_path: Path) -> None:
    """
    The primary shows a certificate of nobody, the first failover has no address, the second does
    all that is in the table and is cut off in the middle; then it is well again.
    """
    rng, guard, calls = random.Random(7), threading.Lock(), [0]

    def fault() -> str:
        with guard:
            calls[0] += 1
            return rng.choice(FAULTS)

    service = Service(fault)
    store = DocumentStore(tmp_path / "documents.db")
    queue = OfflineQueue(store, attempts=1000)
    tls, _ = certificate(tmp_path, "api.test")
    with pages(tls=tls) as stranger, serving(service):
        addresses = [
            f"https://127.0.0.1:{stranger.port}",
            "http://nowhere.test",
            service.url,
        ]
        mesh = NavigationMesh(
            journal=Journal(tmp_path / "gate_log.jsonl"),
            rules=Rules({ThresholdDomain.INFO: GateRule(100_000)}),
            ways=Ways(
                {
                    "info": DomainRoutes(
                        in_order("info", addresses[0], addresses[1:]),
                        attempt_s=0.1,
                        timeout_s=0.5,
                    )
                },
                RouteRules(base_ejection_s=0.2, max_ejection_s=0.4, jitter_s=0.1, interval_s=1),
                transport=WebTransport(resolve=no_such_name),
                outgoing=lambda: queue,
            ),
        )
        wanted = [f"{one}-{n}".encode() for one in range(THREADS) for n in range(EACH)]
        ends = send_all(mesh, wanted, cut=lambda: calls[0] > 60 and service.cut())
        assert len(ends) == len(wanted)
        assert {type(end) for end in ends.values()} <= {Response, Receipt}
        answered = {body for body, end in ends.items() if isinstance(end, Response)}
        assert answered <= set(service.taken.values())
        assert len(answered) < len(wanted)  # there was something to queue

        service.fault = lambda: ""
        service.go_on.set()
        service.cut()
        service.connect()
        deliver_all(mesh, queue)
        assert sorted(service.taken.values()) == sorted(wanted)
        assert queue.status()["dead"] == queue.status()["queued"] == 0
    store.close()
    assert verify(tmp_path / "gate_log.jsonl").ok


def send_all(mesh: NavigationMesh, bodies: list[bytes], cut: Any) -> dict[bytes, Any]:
    """What each came to, sent by several threads."""
    token = mesh.issue_token("info", "ada")
    ends: dict[bytes, Any] = {}

    def send(mine: list[bytes]) -> None:
        for body in mine:
            request = Request("POST", "/", body=body, idempotency_key=body.decode())
            try:
                found: Any = mesh.send("info", token, "ada", request)
                # A fault of the service is an answer; what came of the attempts before it is not
                # said, so that whoever asks again does so under the same key.
                while isinstance(found, Response) and found.status >= 500:
                    found = mesh.send("info", token, "ada", request)
                ends[body] = found
            except Exception as error:  # noqa: BLE001  told by the test
                ends[body] = error
            cut()

    parts = [bodies[n::THREADS] for n in range(THREADS)]
    threads = [threading.Thread(target=send, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


def deliver_all(mesh: NavigationMesh, queue: OfflineQueue) -> None:
    """Replay until nothing waits, by a clock that is ahead of every pause."""
    later = [mesh.clock()]
    for number in range(1000):
        later[0] += 400
        queue._clock = lambda: later[0]
        mesh.return_route("info", "failover-2")
        Replayer(mesh, queue, owner=f"r-{number}", clock=lambda: later[0]).run()
        if queue.next_due() is None:
            return
    raise AssertionError("something waits for ever")
