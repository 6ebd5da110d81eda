"""What waited is sent: once, in order, and only what may be sent at that moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from dino_os.nav.replay import Replayed
from engines.errors import InvalidInput, JournalError
from engines.journal import VolatileJournal
from engines.nav_mesh import (
    GateDenied,
    GateRule,
    NavigationMesh,
    Receipt,
    Request,
    Response,
    Rules,
    ThresholdDomain,
)
from tests.nav.desk import Desk, lost, refused


def test_what_waited_is_sent_under_its_key_in_order(desk: Desk) -> None:
    """Of those that belong together the first goes first, also where it takes several attempts."""
    receipts = [desk.put(f"/{n}", ordered_by="notes") for n in range(3)]
    desk.put("/else")
    desk.answer = lambda request: Response(503 if request.path == "/0" else 200, {}, b"")
    assert desk.replay() == {"later": 2}  # the routes are down, it seems: one is enough to know
    desk.answer = lambda _: Response(200, {}, b"")
    desk.now += 300
    desk.asked.clear()
    assert desk.replay() == {"delivered": 4}
    ordered = [request for request in desk.asked if request.ordered_by]
    assert [request.path for request in ordered] == ["/0", "/1", "/2"]
    assert [r.idempotency_key for r in ordered] == [r.idempotency_key for r in receipts]
    assert desk.replay() == {}


def test_an_outage_costs_one_attempt_a_pass(desk: Desk) -> None:
    for n in range(50):
        desk.put(f"/{n}")
    desk.answer = lost
    assert desk.replay() == {"later": 21}
    assert len(desk.paths) == 2  # the one retry of a request that may be repeated


def test_an_outage_of_one_domain_holds_up_no_other(desk: Desk) -> None:
    """The others' requests come to their turn, however many wait before them."""
    for n in range(70):
        desk.put(f"/{n}")
    receipt = desk.put("/pay", domain="wealth")
    desk.queue.hold(receipt.id, "to be released")
    desk.release(receipt.id)
    desk.answer = lambda request: Response(200 if request.path == "/pay" else 503, {}, b"")
    passes = [desk.replay() for _ in range(4)]
    assert sum(one.get("delivered", 0) for one in passes) == 1


def test_the_gate_is_asked_again_and_who_may_not_waits_for_somebody(desk: Desk) -> None:
    """Revoked after it was queued: held, with the reason, until somebody who knows releases it."""
    receipt = desk.put("/1")
    desk.now += 10
    desk.mesh.revoke(subject="ada")
    desk.put("/2", idempotency_key="k-2")
    desk.now += 10
    assert desk.replay() == {"held": 2}
    [first, _] = desk.queue.held()
    assert "revoked" in first.reason
    assert desk.paths == []
    desk.release(receipt.id)
    assert desk.replay() == {"delivered": 1}
    assert desk.paths == ["/1"]


def test_what_waited_for_a_cell_passes_its_gate_when_it_is_sent(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits as a request of that cell, with a token that opens no other gate."""
    token = desk.mesh.issue_token("info", "ada", cell="till")
    desk.send(token=token, cell="till", idempotency_key="k")
    passed: list[str] = []
    decide = desk.mesh.decide

    def watched(*args: Any, cell: str = "", **more: Any) -> Any:
        passed.append(cell)
        return decide(*args, cell=cell, **more)

    monkeypatch.setattr(desk.mesh, "decide", watched)
    assert [one.as_dict()["cell"] for one in desk.queue.waiting()] == ["till"]
    of_domain = desk.mesh.issue_token("info", "ada")
    with pytest.raises(InvalidInput, match="another request's"):  # the same, at another gate
        desk.mesh.send("info", of_domain, "ada", Request("POST", "/1", idempotency_key="k"))
    passed.clear()
    desk.now += 3600
    assert desk.replay() == {"delivered": 1}
    assert passed == ["till"]


def test_what_comes_without_a_token_is_sent_when_somebody_says_so(desk: Desk) -> None:
    """However open the gate is: else no token would give more than a narrow one."""
    request = Request("POST", "/admin", idempotency_key="k")
    receipt = desk.mesh.send("info", None, "ada", request)
    assert isinstance(receipt, Receipt)
    assert receipt.held
    with pytest.raises(GateDenied):
        desk.mesh.send("info", "", "ada", request)  # an empty token is a bad one
    assert desk.mesh.counts["info"].denied == 1
    assert desk.replay() == {}
    desk.queue.drop(receipt.id)
    desk.queue.requeue(receipt.id)  # to try it again is not to vouch for it
    assert desk.replay() == {"held": 1}
    with pytest.raises(GateDenied):
        desk.mesh.send("info", desk.mesh.issue_token("info", "ada", path="/a"), "ada", request)
    assert desk.replay() == {}
    token = desk.mesh.issue_token("info", "ada", path="/admin")
    again = desk.mesh.send("info", token, "ada", request)
    assert isinstance(again, Receipt)
    assert (again.id, again.held) == (receipt.id, False)
    other = desk.mesh.send("info", None, "ada", Request("POST", "/2"))
    assert isinstance(other, Receipt)
    desk.release(other.id)
    assert desk.replay() == {"delivered": 2}
    assert desk.paths == ["/admin", "/2"]


def test_a_revocation_of_its_token_reaches_what_waits(desk: Desk) -> None:
    """By the token's id, by that of one that it was narrowed from, or by when it was issued."""
    parent = desk.mesh.issue_token("info", "ada")
    narrowed = desk.mesh.attenuate(parent, path="/2")
    other = desk.mesh.issue_token("info", "ada")
    begun = desk.now
    desk.now += 600
    late = desk.mesh.issue_token("info", "ada")
    for path, token in {"/1": parent, "/2": narrowed, "/3": other, "/4": late}.items():
        desk.send(path, token=token)
    desk.now += 10
    desk.mesh.revoke(token_id=desk.mesh.claims_of(parent).token_id)
    desk.now += 400
    assert desk.replay(most=2) == {"held": 2}
    desk.mesh.revoke(subject="ada", before=begun + 60)
    assert desk.replay() == {"held": 1, "delivered": 1}
    assert desk.paths == ["/4"]
    for one in desk.queue.held():
        desk.now += 1
        desk.release(one.id)
    assert desk.replay() == {"delivered": 3}


def test_who_releases_a_request_does_not_pardon_what_is_revoked_later(desk: Desk) -> None:
    receipt = desk.send()
    desk.queue.hold(receipt.id, "by hand")
    desk.now += 10
    desk.release(receipt.id)
    desk.answer = refused
    assert desk.replay() == {"later": 1}
    desk.now += 3600
    desk.mesh.revoke(subject="ada")
    desk.answer = lambda _: Response(200, {}, b"")
    assert desk.replay() == {"held": 1}


def test_revocations_beyond_count_are_taken_to_mean_all(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.nav_mesh.revoked.MOST", 2)
    desk.send()
    for user in ("a", "b", "c"):
        desk.now += 400
        desk.mesh.revoke(subject=user)
    assert desk.replay() == {"held": 1}
    desk.send()
    desk.now += 400
    assert desk.replay() == {"delivered": 1}


@pytest.mark.parametrize("answer", [lost, lambda _: Response(500, {}, b"")])
def test_what_must_not_arrive_twice_is_held_once_it_may_have_arrived(
    desk: Desk, answer: Callable[[Request], Response]
) -> None:
    """A POST without a key of its own; the others wait, and are not tried in vain."""
    first = desk.send("/1")
    desk.send("/2", idempotency_key="k")
    desk.now += 400
    desk.answer = answer
    assert desk.replay(most=1) == {"held": 1}
    assert desk.paths == ["/1"]
    desk.now += 4000
    desk.answer = lambda _: Response(200, {}, b"")
    assert desk.replay() == {"delivered": 1}
    assert desk.paths == ["/2"]
    assert "may have arrived" in desk.queue.find(first.id).reason
    desk.release(first.id)
    assert desk.replay() == {"delivered": 1}


def test_what_waits_is_not_sent_beside(desk: Desk) -> None:
    receipt = desk.send(idempotency_key="k")
    token = desk.mesh.issue_token("info", "ada")
    again = desk.mesh.send("info", token, "ada", Request("POST", "/1", idempotency_key="k"))
    assert isinstance(again, Receipt)
    assert again.id == receipt.id
    desk.now += 400
    assert desk.replay() == {"delivered": 1}
    assert desk.paths == ["/1"]


@pytest.mark.parametrize("status", [302, 502, 503, 504, None])
def test_an_outage_makes_no_dead_letters(desk: Desk, status: int | None) -> None:
    receipt = desk.put("/1", idempotency_key="k")
    desk.answer = lambda _: Response(status, {}, b"") if status else lost(_)
    for _ in range(20):
        assert desk.replay() == {"later": 1}
        desk.now += 300
    assert desk.queue.find(receipt.id).state == "queued"


def test_who_drops_a_request_under_way_ends_no_pass(desk: Desk) -> None:
    receipt = desk.put("/1")
    desk.put("/2")

    def drops(request: Request) -> Response:
        if request.path == "/1":
            desk.queue.drop(receipt.id)
            return Response(422, {}, b"")
        return Response(200, {}, b"")

    desk.answer = drops
    assert desk.replay()["delivered"] == 1
    assert desk.queue.find(receipt.id).state == "dropped"


def test_a_gate_log_that_takes_no_line_loses_no_receipt(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is queued: an error would have it sent a second time."""
    record = desk.mesh.record

    def full(event_type: str, **payload: Any) -> Any:
        if event_type == "request_queued":
            raise JournalError("no space left")
        return record(event_type, **payload)

    monkeypatch.setattr(desk.mesh, "record", full)
    assert desk.send().id == desk.queue.waiting()[0].id


def test_who_is_no_longer_admitted_is_held(desk: Desk) -> None:
    desk.put("/1")
    rules = Rules({ThresholdDomain.INFO: GateRule(subjects=("eve",))})
    desk.mesh = NavigationMesh(
        journal=VolatileJournal(), rules=rules, ways=desk.mesh.ways, clock=lambda: desk.now
    )
    assert desk.replay() == {"held": 1}
    assert "not admitted" in desk.queue.held()[0].reason


def test_wealth_is_never_sent_by_itself(desk: Desk) -> None:
    token = desk.mesh.issue_token("wealth", "ada")
    desk.answer = refused
    receipt = desk.mesh.send("wealth", token, "ada", Request("POST", "/pay"))
    assert isinstance(receipt, Receipt)
    assert receipt.held
    desk.answer = lambda _: Response(200, {}, b"")
    desk.asked.clear()
    desk.put("/note")
    assert desk.replay() == {"held": 1, "delivered": 1}
    assert desk.paths == ["/note"]
    desk.now += 10**6
    assert desk.replay() == {}
    desk.release(receipt.id)
    assert desk.replay() == {"delivered": 1}
    assert desk.paths == ["/pay"]


def test_what_is_not_worth_sending_any_more_is_dropped_and_told(desk: Desk) -> None:
    request = Request("POST", "/1", idempotency_key="k")
    receipt = desk.queue.put("info", "ada", request, authorised=True, expires_at=desk.now + 60)
    desk.now += 61
    assert desk.replay() == {}
    assert desk.paths == []
    assert desk.queue.find(receipt.id).state == "expired"


def test_a_portal_that_answers_for_every_service_takes_nothing(desk: Desk) -> None:
    desk.put("/1")
    desk.answer = lambda _: Response(302, {"location": "http://portal.test/"}, b"")
    assert desk.replay() == {"later": 1}


@pytest.mark.parametrize(("status", "word"), [(429, "later"), (503, "later"), (409, "later")])
def test_a_service_says_when_to_come_again(desk: Desk, status: int, word: str) -> None:
    receipt = desk.put("/1")
    desk.answer = lambda _: Response(status, {"retry-after": "3600"}, b"")
    assert desk.replay() == {word: 1}
    assert desk.queue.find(receipt.id).due == desk.now + 3600
    desk.now += 3599
    assert desk.replay() == {}
    desk.now += 1
    desk.answer = lambda _: Response(201, {}, b"")
    assert desk.replay() == {"delivered": 1}
    assert desk.queue.find(receipt.id).status == 201


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_what_is_refused_for_good_is_a_dead_letter(desk: Desk, status: int) -> None:
    receipt = desk.put("/1")
    desk.answer = lambda _: Response(status, {}, b"")
    assert desk.replay() == {"dead": 1}
    [letter] = desk.queue.dead()
    assert (letter.id, letter.reason) == (receipt.id, f"answered with {status}")
    desk.answer = lambda _: Response(200, {}, b"")
    desk.queue.requeue(receipt.id)
    assert desk.replay() == {"delivered": 1}


def test_who_fails_too_often_is_dead_and_being_offline_is_no_failure(desk: Desk) -> None:
    receipt = desk.put("/1")
    desk.answer = refused
    for _ in range(20):
        desk.replay()
        desk.now += 300
    assert desk.queue.find(receipt.id).state == "queued"
    desk.answer = lambda _: Response(500, {}, b"")
    for _ in range(3):
        desk.replay()
        desk.now += 300
    assert desk.queue.find(receipt.id).state == "dead"


def test_a_rate_limit_is_waited_for(desk: Desk) -> None:
    receipt = desk.put("/1")
    rules = Rules({ThresholdDomain.INFO: GateRule(1)})
    desk.mesh = NavigationMesh(
        journal=VolatileJournal(), rules=rules, ways=desk.mesh.ways, clock=lambda: desk.now
    )
    token = desk.mesh.issue_token("info", "ada")
    assert desk.mesh.decide("info", token, "ada").allowed
    assert desk.replay() == {"later": 1}
    assert desk.queue.find(receipt.id).due > desk.now
    desk.now += 300
    assert desk.replay() == {"delivered": 1}


def test_who_dies_between_sending_and_saying_so_has_it_sent_again_under_its_key(
    desk: Desk,
) -> None:
    receipt = desk.put("/1")

    def dies(request: Request) -> Response:
        raise KeyboardInterrupt

    desk.answer = dies
    with pytest.raises(KeyboardInterrupt):
        desk.replay(owner="first")
    desk.answer = lambda _: Response(200, {}, b"")
    assert desk.replay(owner="second") == {}
    desk.now += 61
    assert desk.replay(owner="second") == {"delivered": 1}
    assert [request.idempotency_key for request in desk.asked] == [receipt.idempotency_key] * 2


def test_two_who_replay_at_once_send_each_once(desk: Desk) -> None:
    for n in range(40):
        desk.put(f"/{n}", ordered_by=f"{n % 3}")
    found: list[dict[str, int]] = []
    threads = [
        threading.Thread(target=lambda name=name: found.append(desk.replay(owner=name)))
        for name in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert desk.replay() == {}
    assert sorted(desk.paths) == sorted(f"/{n}" for n in range(40))
    assert sum(one.get("delivered", 0) for one in found) == 40


def test_a_pass_says_what_it_came_to() -> None:
    assert Replayed(1, 2, 3, 4).as_dict() == {"delivered": 1, "later": 2, "held": 3, "dead": 4}
