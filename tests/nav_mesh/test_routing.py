"""Primary, failover, offline: which route a request takes, and what is never sent twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engines.errors import InvalidInput, NotFound
from engines.journal import Journal
from engines.nav_mesh import (
    AnswerTooLarge,
    Doubtful,
    GateBusy,
    GateDenied,
    Grant,
    NoRoute,
    Outcome,
    Receipt,
    Request,
    Response,
    RouteRules,
    RouteType,
    Unreached,
)
from tests.nav_mesh.waiting import PRIMARY, SECOND, Site, site

RULES = RouteRules(jitter_s=0)


# --- which route -----------------------------------------------------------------------------


def test_the_primary_is_taken_and_says_so() -> None:
    here = site(PRIMARY, SECOND)
    found = here.send("GET")
    assert (found.status, found.route, found.target) == (200, RouteType.PRIMARY, PRIMARY)
    assert here.network.took == [PRIMARY]


@pytest.mark.parametrize("answer", ["refused", 502, 503, 504])
def test_a_route_that_reaches_nobody_is_failed_over(answer: Any) -> None:
    here = site(PRIMARY, SECOND)
    here.network.answers[PRIMARY] = answer
    found = here.send("GET")
    assert (found.status, found.route) == (200, RouteType.FAILOVER)
    assert here.network.took == [PRIMARY, SECOND]
    assert here.mesh.get_status()["path_switches"] == 1
    assert here.mesh.navigate("info", here.token, "ada")[2] is RouteType.FAILOVER


@pytest.mark.parametrize("status", [200, 204, 301, 400, 404, 409, 429])
def test_an_answer_that_is_no_fault_of_the_route_is_the_answer(status: int) -> None:
    """4xx is for whoever asked, and no reason to ask another; the route stays as good as it was."""
    here = site(PRIMARY, SECOND)
    here.network.answers[PRIMARY] = status
    for _ in range(10):
        assert here.send("GET").status == status
    assert set(here.network.took) == {PRIMARY}
    assert here.circuits() == ["closed", "closed"]


def test_what_the_gate_denies_reaches_no_route_and_harms_none() -> None:
    here = site(PRIMARY, SECOND)
    for _ in range(10):
        with pytest.raises(GateDenied) as denied:
            here.send(token="no token at all")
        assert denied.value.exit_code == 3
    assert here.network.took == []
    assert here.circuits() == ["closed", "closed"]


def test_who_comes_too_often_is_told_when_to_come_again() -> None:
    here = site(PRIMARY)
    for _ in range(200):
        here.send("GET")
    with pytest.raises(GateBusy, match="again in") as busy:
        here.send("GET")
    assert busy.value.exit_code == 4
    assert busy.value.decision.retry_after_s


def test_a_dead_primary_is_left_out_and_taken_again_when_it_is_well() -> None:
    """Five failures eject it, one request probes it after 30 s, and what it says counts."""
    here = site(PRIMARY, SECOND)
    here.network.answers[PRIMARY] = "refused"
    for _ in range(20):
        assert here.send("GET").route is RouteType.FAILOVER
    assert here.network.took.count(PRIMARY) == 5
    assert here.circuits() == ["open", "closed"]
    here.clock.now += 30
    here.send("GET")
    assert here.network.took == [PRIMARY, SECOND]
    here.clock.now += 59  # the second time twice as long
    here.send("GET")
    assert here.network.took == [SECOND]
    here.network.answers[PRIMARY] = 200
    here.clock.now += 1
    assert here.send("GET").route is RouteType.PRIMARY
    assert here.circuits() == ["closed", "closed"]


def test_the_last_route_is_tried_by_one_at_a_time() -> None:
    """It is never ejected; once it failed often, the others do not wait for its time-outs."""
    here = site(PRIMARY)
    asked_meanwhile: list[Any] = []

    def nobody(request: Request) -> Response:
        if here.circuits() == ["half_open"] and not asked_meanwhile:
            asked_meanwhile.append("soon")
            asked_meanwhile.append(here.send())
        raise Unreached("nobody", heard=False)

    here.network.answers[PRIMARY] = nobody
    for _ in range(5):
        assert isinstance(here.send(), Receipt)
    assert here.circuits() == ["half_open"]
    here.network.took.clear()
    here.clock.now += 5
    assert isinstance(here.send(), Receipt)
    assert isinstance(asked_meanwhile[1], Receipt)
    assert len(here.network.asked) == 1
    here.network.answers[PRIMARY] = 200
    here.clock.now += 5
    assert here.send().status == 200
    assert here.circuits() == ["closed"]


def test_a_request_that_cannot_be_sent_keeps_nobody_from_trying() -> None:
    """Else whoever asks with a broken header now and then keeps everybody offline."""
    here = site(PRIMARY, SECOND)
    here.mesh.eject_route("info", "primary", for_s=10)
    here.mesh.eject_route("info", "failover")

    def broken(request: Request) -> Response:
        raise InvalidInput("no header")

    here.network.answers[PRIMARY] = broken
    here.clock.now += 10
    with pytest.raises(InvalidInput):
        here.send("GET")
    here.network.answers[PRIMARY] = 200
    assert here.send("GET").status == 200
    assert here.circuits() == ["closed", "open"]


def test_where_packets_are_dropped_few_wait_for_a_time_out() -> None:
    """Whoever gave up waiting and asks again is told at once that it is queued."""
    here = site(PRIMARY)

    def silence(request: Request) -> Response:
        here.clock.now += 3
        raise Unreached("no connection within 3 s", heard=False)

    here.network.answers[PRIMARY] = silence
    waited = []
    for _ in range(8):
        begun = here.clock.now
        assert isinstance(here.send(), Receipt)
        waited.append(here.clock.now - begun)
    assert waited == [3, 3, 3, 3, 3, 0, 0, 0]
    here.clock.now += 5
    assert isinstance(here.send(), Receipt)
    assert here.clock.now == begun + 8


def test_what_was_not_heard_and_can_wait_is_queued_after_one_attempt_at_each_route() -> None:
    """Nobody waits for a second; what cannot wait, or was heard, is tried again at once."""
    here = site(PRIMARY, SECOND)
    here.network.answers = {PRIMARY: "refused", SECOND: "refused"}
    assert isinstance(here.send(), Receipt)
    assert here.network.took == [PRIMARY, SECOND]
    for more in ({"method": "GET"}, {"offline_ok": False}):
        with pytest.raises(NoRoute):
            here.send(**more)
        assert here.network.took == [PRIMARY, SECOND] * 2
    here = site(PRIMARY, SECOND)
    here.network.answers = {PRIMARY: "refused", SECOND: "lost"}
    assert isinstance(here.send("PUT"), Receipt)
    assert here.network.took == [PRIMARY, SECOND] * 2


def test_a_request_for_a_cell_passes_that_cells_gate_and_no_other() -> None:
    """A token of the domain does not open it, nor one of the cell the domain's own."""
    here = site(PRIMARY)
    of_desk = here.mesh.issue_token("info", "ada", cell="desk")
    assert here.send(token=of_desk, cell="desk").status == 200
    for token, cell in [(here.token, "desk"), (of_desk, ""), (of_desk, "till")]:
        with pytest.raises(GateDenied):
            here.send(token=token, cell=cell)
    assert here.network.took == [PRIMARY]
    with pytest.raises(InvalidInput, match="not a name of a cell"):
        here.send(cell="Desk/1")


# --- what is repeated ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "more", "repeated"),
    [
        ("GET", {}, True),
        ("PUT", {}, True),
        ("DELETE", {}, True),
        ("POST", {}, False),
        ("PATCH", {}, False),
        ("POST", {"idempotency_key": "k-1"}, True),
        ("POST", {"headers": {"idempotency-KEY": "k-1"}}, True),
    ],
)
def test_what_may_have_arrived_is_repeated_only_where_that_does_no_harm(
    method: str, more: dict[str, Any], repeated: bool
) -> None:
    here = site(PRIMARY, SECOND)
    here.network.answers[PRIMARY] = "lost"
    if repeated:
        assert here.send(method, **more).route is RouteType.FAILOVER
        keys = {request.idempotency_key for _, request in here.network.asked}
        assert keys == ({None} if method == "GET" else {"k-1"} if more else keys)
        assert len(keys) == 1
        return
    with pytest.raises(Doubtful, match="may have arrived") as doubt:
        here.send(method, **more)
    assert (doubt.value.exit_code, doubt.value.heard) == (4, True)
    assert here.network.took == [PRIMARY]
    assert here.queue.put_ == []


def test_what_was_never_heard_is_always_tried_again() -> None:
    here = site(PRIMARY, SECOND)
    here.network.answers[PRIMARY] = "refused"
    assert here.send("POST").route is RouteType.FAILOVER


def test_a_service_that_takes_keys_may_be_sent_everything_again() -> None:
    here = site(PRIMARY, SECOND, takes_keys=True)
    here.network.answers[PRIMARY] = "lost"
    assert here.send("POST").status == 200
    assert len({request.idempotency_key for _, request in here.network.asked}) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_an_answer_that_is_too_large_is_an_answer(method: str) -> None:
    """The route is well, and what was heard once is not sent again, now or later."""
    here = site(PRIMARY, SECOND, takes_keys=True)
    here.network.answers[PRIMARY] = lambda _: Response(200, {}, b"", lacks="more than 9 bytes")
    for _ in range(6):
        with pytest.raises(AnswerTooLarge, match="more than 9 bytes; it was answered with 200"):
            here.send(method)
    assert here.network.took == [PRIMARY] * 6
    assert here.circuits() == ["closed", "closed"]
    assert here.queue.put_ == []
    request = Request(method, "/v1/notes", idempotency_key="k-1")
    assert here.mesh.resend("info", "ada", request).status == 200  # what was queued has arrived


def test_a_fault_of_the_service_is_its_answer_where_nobody_knows_better() -> None:
    """500 everywhere is what the service says; 503 everywhere is nobody there."""
    here = site(PRIMARY, SECOND, retries=0)
    here.network.answers = {PRIMARY: 500, SECOND: 500}
    assert here.send("PUT").status == 500
    here.network.answers = {PRIMARY: 503, SECOND: 503}
    assert isinstance(here.send("PUT"), Receipt)
    assert here.send("PUT", offline_ok=False).status == 503
    assert here.send("GET").status == 503


def test_retries_end_with_the_time_that_there_is() -> None:
    here = site(PRIMARY, SECOND, retries=100, timeout_s=30)

    def slow(request: Request) -> Response:
        here.clock.now += 8
        raise Unreached("nobody", heard=False)

    here.network.answers = {PRIMARY: slow, SECOND: slow}
    with pytest.raises(NoRoute, match="nobody"):
        here.send("GET")
    assert len(here.network.asked) == 4
    with pytest.raises(NoRoute):
        here.send("GET", timeout_s=10)
    assert len(here.network.asked) == 4 + 2


# --- offline ---------------------------------------------------------------------------------


def test_what_reaches_nobody_is_queued_under_a_key() -> None:
    here = site(PRIMARY, SECOND)
    here.network.answers = {PRIMARY: "refused", SECOND: "refused"}
    receipt = here.send(body=b"{}", ordered_by="notes")
    domain, subject, request, authorised = here.queue.put_[0]
    assert (domain, subject, authorised, request.body) == ("info", "ada", True, b"{}")
    assert request.idempotency_key == receipt.idempotency_key
    assert {asked.idempotency_key for _, asked in here.network.asked} == {receipt.idempotency_key}
    assert here.mesh.route_taken("info") is RouteType.OFFLINE


def test_what_belongs_behind_one_that_waits_waits_too() -> None:
    """Also where a route would answer now: the order is that in which they were sent."""
    here = site(PRIMARY)
    here.queue.waits = lambda request: request.ordered_by == "notes"
    assert isinstance(here.send(ordered_by="notes"), Receipt)
    assert here.send(ordered_by="other").status == 200
    assert here.send("GET", ordered_by="notes").status == 200
    assert here.send(ordered_by="notes", offline_ok=False).status == 200


def test_what_its_sender_gave_up_is_not_queued() -> None:
    """He may be sending it anew, under another key."""
    here = site(PRIMARY)
    here.network.answers[PRIMARY] = "refused"
    request = Request("POST", "/v1/notes")
    with pytest.raises(NoRoute):
        here.mesh.send("info", here.token, "ada", request, wanted=lambda: False)
    assert here.queue.put_ == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_question_is_not_queued(method: str) -> None:
    here = site(PRIMARY)
    here.network.answers[PRIMARY] = "refused"
    with pytest.raises(NoRoute):
        here.send(method)
    assert here.queue.put_ == []


def test_without_a_token_nothing_is_sent_and_anything_is_queued() -> None:
    here = site(PRIMARY)
    assert isinstance(here.send(token=None), Receipt)
    assert here.queue.put_[0][3] is False
    assert here.network.took == []
    with pytest.raises(Unreached, match="without a token"):
        here.send("GET", token=None)


def test_what_must_not_wait_is_not_queued() -> None:
    for here in (site(PRIMARY, offline=False), site()):
        here.network.answers[PRIMARY] = "refused"
        if here.mesh.ways.of("info").routes:
            with pytest.raises(NoRoute):
                here.send()
    with pytest.raises(NoRoute, match="no address"):
        site().send(offline_ok=False)


def test_what_has_nowhere_to_go_does_not_wait() -> None:
    here = site()
    for token in (here.token, None):
        with pytest.raises(NoRoute, match="no address is configured for info"):
            here.send(token=token)
    assert here.queue.put_ == []


@pytest.mark.parametrize(
    "more",
    [
        {"headers": {"Bad Name": "x"}},
        {"headers": {"X": "é"}},
        {"headers": {"X": "a\r\nb"}},
        {"timeout_s": 0.0},
        {"timeout_s": -1.0},
        {"timeout_s": float("nan")},
    ],
)
def test_what_can_never_be_sent_is_not_queued(more: dict[str, Any]) -> None:
    here = site(PRIMARY)
    here.network.answers[PRIMARY] = "refused"
    with pytest.raises(InvalidInput):
        here.send(**more)
    assert here.queue.put_ == []


@pytest.mark.parametrize(
    ("method", "more", "repeatable"),
    [("POST", {}, False), ("PUT", {}, True), ("POST", {"idempotency_key": "k"}, True)],
)
def test_a_queued_request_says_what_let_it_through(
    method: str, more: dict[str, Any], repeatable: bool
) -> None:
    here = site(PRIMARY)
    here.network.answers[PRIMARY] = "refused"
    token = here.mesh.attenuate(here.token)
    here.send(method, token=token, **more)
    claims = here.mesh.claims_of(token)
    assert here.queue.grants == [Grant(claims.issued, (claims.token_id, *claims.parents), 2)]
    assert here.queue.repeatable == [repeatable]


def test_a_queued_request_is_judged_again_when_it_is_sent() -> None:
    """Under its key, with a token of one use; what was revoked or blocked meanwhile is refused."""
    here = site(PRIMARY)
    request = Request("POST", "/v1/notes", idempotency_key="k-1")
    queued_at = here.clock.now
    here.clock.now += 7200  # the token that it came with is long dead
    assert here.mesh.resend("info", "ada", request, queued_at=queued_at).status == 200
    assert here.network.asked[-1][1].idempotency_key == "k-1"
    here.mesh.revoke(subject="ada")
    here.clock.now += 86400  # and what it meant with it
    here.mesh.revoke(subject="eve")
    with pytest.raises(GateDenied, match="revoked"):
        here.mesh.resend("info", "ada", request, queued_at=queued_at)
    assert here.mesh.resend("info", "ada", request, queued_at=here.clock.now).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/a"),
        ("GET /a", "/a"),
        ("CONNECT", "/a"),
        *(("GET", path) for path in ("", "a", "/a b", "/a\r\nb", "/a#b", "/ä", "/a\\b")),
        *(("GET", path) for path in ("/..", "/a/../b", "/a/./b", "/a/%2e%2E/b", "/a%2f..%2fb")),
        *(("GET", path) for path in ("/a/..;/b", "/a/..?x", "https://other.test/", "/a/%5c..%5cb")),
        *(("GET", path) for path in ("/a/..%3b/b", "/a/%252e%252e/b", "/a%25252f..%25252fb")),
        *(("GET", path) for path in ("/a/%c0%ae%c0%ae/b", "/%e0%80%af", "/a/%25C0%25AE/b")),
    ],
)
def test_what_could_be_read_as_another_request_is_not_sent(method: str, path: str) -> None:
    here = site(PRIMARY)
    with pytest.raises(InvalidInput):
        here.send(method, path)
    with pytest.raises(InvalidInput):  # nor where it came into the queue by another way
        here.mesh.resend("info", "ada", Request(method, path))
    assert here.network.took == []


@pytest.mark.parametrize("path", ["/a/../b?key=S3CRET", "/a/../b#key=S3CRET", "/a?x=ü&key=S3CRET"])
def test_what_a_query_holds_is_not_told(path: str) -> None:
    with pytest.raises(InvalidInput, match="not a path: '/a") as refused:
        site(PRIMARY).send("GET", path)
    assert "S3CRET" not in str(refused.value)


@pytest.mark.parametrize(
    "path", ["/", "/a/b.c?x=../y", "/a..b/...", "/%C3%A4", "/a//b", "/50%25", "/a;v=1"]
)
def test_paths_that_mean_one_thing_are_sent_as_they_are(path: str) -> None:
    here = site(PRIMARY)
    assert here.send("GET", path).status == 200
    assert here.network.asked[0][1].path == path


# --- health, shared ------------------------------------------------------------------------


def shared(tmp_path: Path, *addresses: str, **more: Any) -> tuple[Site, Site]:
    """Two processes' meshes over one gate log."""
    sites = [
        site(*addresses, journal=Journal(tmp_path / "gate_log.jsonl"), **more) for _ in range(2)
    ]
    sites[1].mesh.clock = sites[1].mesh.ways.timer
    return sites[0], sites[1]


def test_every_process_sees_what_one_of_them_found(tmp_path: Path) -> None:
    one, other = shared(tmp_path, PRIMARY, SECOND)
    for here in (one, other):
        here.network.answers[PRIMARY] = "refused"
    for here in (one, other, one, other, one):
        here.send("GET")
    assert other.circuits() == ["open", "closed"]
    other.network.took.clear()
    other.network.asked.clear()
    other.send("GET")
    assert other.network.took == [SECOND]
    lines = (tmp_path / "gate_log.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["event_type"] for line in lines]
    assert kinds.count("route_failed") == 5
    assert kinds.count("route_ejected") == 1
    assert kinds.count("route_switched") == 1


def test_of_all_processes_one_request_probes(tmp_path: Path) -> None:
    """And another, where that one never came back."""
    one, other = shared(tmp_path, PRIMARY, SECOND)
    route = one.mesh.ways.of("info").routes[0]
    one.mesh.eject_route("info", "primary", for_s=10)
    for here in (one, other):
        here.clock.now += 10
    assert other.circuits() == ["open", "closed"]
    assert one.mesh.admits(route) == (True, True)
    other.mesh.refresh()
    assert other.mesh.admits(route) == (False, False)
    assert one.mesh.admits(route) == (False, False)
    other.clock.now += 15
    assert other.mesh.admits(route) == (True, True)
    other.mesh.note(route, Outcome(200), probing=True)
    one.mesh.refresh()
    assert one.mesh.admits(route) == (True, False)


def test_an_operator_leaves_out_even_the_last_route_until_he_says_otherwise() -> None:
    here = site(PRIMARY)
    assert here.mesh.eject_route("info", "primary")
    assert not here.mesh.eject_route("info", "primary")
    here.clock.now += 3000
    assert isinstance(here.send(), Receipt)
    assert here.network.took == []
    route = here.mesh.ways.of("info").routes[0]
    here.mesh.checked(route, Outcome(200))
    assert here.mesh.routes()[0]["by_hand"]
    assert here.mesh.return_route("info", "primary")
    assert not here.mesh.return_route("info", "primary")
    assert here.send().status == 200
    with pytest.raises(NotFound, match="did you mean 'primary'"):
        here.mesh.eject_route("info", "primry")


def test_an_ejection_by_hand_lasts_as_long_as_was_said() -> None:
    """Longer than any other, and then one request tries it."""
    here = site(PRIMARY, SECOND)
    here.mesh.eject_route("info", "primary", for_s=3000)
    here.clock.now += 2999
    here.mesh.checked(here.mesh.ways.of("info").routes[0], Outcome(200))
    assert here.send("GET").route is RouteType.FAILOVER
    here.clock.now += 1
    assert here.send("GET").route is RouteType.PRIMARY


def test_a_clock_that_was_ahead_leaves_no_route_out_for_ever() -> None:
    here = site(PRIMARY, SECOND)
    here.network.answers[PRIMARY] = "refused"
    here.clock.now += 10**8
    token = here.mesh.issue_token("info", "ada")
    for _ in range(5):
        here.send("GET", token=token)
    here.clock.now -= 10**8
    here.network.took.clear()
    here.network.answers[PRIMARY] = 200
    assert here.send("GET").route is RouteType.PRIMARY


def test_failing_health_checks_eject_before_anybody_asks() -> None:
    here = site(PRIMARY, SECOND)
    route = here.mesh.ways.of("info").routes[0]
    for _ in range(5):
        here.mesh.checked(route, Outcome(500, "answered with 500"))
    assert here.circuits() == ["open", "closed"]
    assert here.mesh.detect_anomalies()[0]["type"] == "failing_dependency"
    here.mesh.checked(route, Outcome(200))
    assert here.circuits() == ["closed", "closed"]
