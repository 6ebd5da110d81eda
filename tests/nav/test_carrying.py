"""What of a skill's request the mesh is given, and what of its answer the skill gets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dino_os.nav.carrying import SkillCarrier
from dino_os.nav.transport import WebTransport
from dino_os.nav.ways import hosts_behind
from dino_os.tool_sandbox.egress import http1
from dino_os.tool_sandbox.egress.carrying import Carried, Declined
from engines.latent_cache import BODY_LIMIT, DocumentStore, OfflineQueue
from engines.nav_mesh import Receipt, Request, Response
from tests.nav_mesh.waiting import Site, site
from tests.tool_sandbox.wire import answering, raw_host

GATEWAY, SECOND = "https://gw.test/tides/", "https://two.test/other"


def carry(here: Site, method: str, url: str, body: bytes | None = None) -> Carried:
    host = url.split("/")[2]
    asked = http1.parse_request(f"{method} {url} HTTP/1.1\r\nHost: {host}".encode())
    carrier = SkillCarrier(here.mesh, hosts_behind(here.mesh.ways.domains), "note")
    domain = carrier.domain_of(asked.host, asked.port)
    assert domain
    return carrier.carry(domain, asked, body, lambda: True)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://gw.test/tides/v1?a=/tides", "/v1?a=/tides"),
        ("http://gw.test/tides", "/"),
        ("http://gw.test/tides?a", "/?a"),
        ("http://gw.test/tides/tides/v1", "/tides/v1"),
        ("http://gw.test/tidesX", "/tidesX"),
        ("http://gw.test/v1", "/v1"),
        ("http://two.test/other/v1", "/v1"),
        ("http://named.test/tides/v1", "/tides/v1"),
    ],
)
def test_what_a_skill_asks_of_its_host_is_what_the_service_is_asked(url: str, path: str) -> None:
    """The path of a route's address is not doubled."""
    here = site(GATEWAY, SECOND, hosts=("named.test",))
    assert carry(here, "GET", url).status == 200
    assert [request.path for _, request in here.network.asked] == [path]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_of_the_answer_every_header_comes_as_it_is(method: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\n"
    with raw_host(answering(head + (b"ok" if method == "GET" else b""))) as host:
        found = WebTransport()(f"http://127.0.0.1:{host.port}", Request(method, "/"), 10)
    here = site(GATEWAY)
    here.network.answers[GATEWAY] = lambda _: found
    cookies = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    assert carry(here, method, "http://gw.test/").headers == [*cookies, ("Content-Length", "2")]


def declined(*args: Any) -> tuple[int, str]:
    with pytest.raises(Declined) as no:
        carry(*args)
    return no.value.status, no.value.why


def test_what_is_too_large_to_wait_is_told_so(tmp_path: Path) -> None:
    """It is sent where a route answers, and offline that is said; nothing is wrong with it."""
    here, body = site(GATEWAY), b"x" * (BODY_LIMIT + 1)
    store = DocumentStore(tmp_path / "documents.db")
    here.mesh.ways = replace(here.mesh.ways, outgoing=lambda: OfflineQueue(store))
    assert carry(here, "POST", "http://gw.test/", body).status == 200
    here.network.answers[GATEWAY] = "refused"
    status, why = declined(here, "POST", "http://gw.test/", body)
    assert (status, "too large to wait" in why) == (413, True)
    assert carry(here, "POST", "http://gw.test/", body[1:]).status == 202
    store.close()
    assert declined(here, "GET", "http://gw.test/../x")[0] == 400
    assert declined(here, "POST", "http://gw.test/../x", body)[0] == 400


def test_a_skills_receipt_is_what_an_operator_is_shown() -> None:
    here = site(GATEWAY)
    here.network.answers[GATEWAY] = "refused"
    found = carry(here, "POST", "http://gw.test/", b"low tide")
    key = here.queue.put_[0][2].idempotency_key
    shown = Receipt("q-1", "info", str(key), 0.0).as_dict()
    assert json.loads(found.body) == shown
    assert shown["queued_at"] == "1970-01-01T00:00:00Z"


def test_an_answer_that_is_too_large_is_a_fault_of_the_gateway() -> None:
    here = site(GATEWAY)
    here.network.answers[GATEWAY] = lambda _: Response(200, {}, b"", lacks="more than 9 bytes")
    status, why = declined(here, "PUT", "http://gw.test/", b"x")
    assert (status, why) == (502, "more than 9 bytes; it was answered with 200")
