"""The offline queue: whole requests, each sent once, in their lines, and none dropped silently."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from engines.errors import InvalidInput, NotFound
from engines.latent_cache import CacheError, DocumentStore, OfflineQueue, Queued
from engines.nav_mesh import Grant, Request
from tests.latent_cache.conftest import Clock, recorded

SECRET = "canary-7f3a"


class Upper(random.Random):
    """Draws the most that there is."""

    def uniform(self, a: float, b: float) -> float:
        return b


@pytest.fixture
def queue(store: DocumentStore) -> OfflineQueue:
    return OfflineQueue(store, attempts=3, rng=Upper())


def post(key: str | None = None, **more: Any) -> Request:
    given = {"headers": {"X-Token": SECRET}, "body": b'{"n":1}', **more}
    return Request("POST", "/readings?x=1", idempotency_key=key, **given)


def put(queue: OfflineQueue, key: str | None = None, **more: Any) -> str:
    return queue.put("info", "subject-ada", post(key, **more), authorised=True).id


def claimed(queue: OfflineQueue, clock: Clock, owner: str = "me") -> Queued | None:
    return queue.claim(clock.now, owner=owner, lease_s=30)


def test_a_request_comes_back_whole(queue: OfflineQueue, clock: Clock) -> None:
    request = post("k", ordered_by="line", flow="f", timeout_s=2.5)
    grant = Grant(7, ("a", "b"))
    more: dict[str, Any] = {"authorised": True, "grant": grant, "repeatable": False}
    receipt = queue.put("info", "subject-ada", request, **more, expires_at=clock.now + 9)
    found = claimed(queue, clock)
    assert found
    assert found.request == request
    assert (found.id, found.domain, found.subject) == (receipt.id, "info", "subject-ada")
    assert (found.state, found.attempts, found.authorised) == ("claimed", 1, True)
    assert (found.grant, found.repeatable, found.released_at) == (grant, False, None)
    assert (receipt.idempotency_key, receipt.queued_at, receipt.held) == ("k", clock.now, False)
    assert (found.can_retry(), found.due) == (True, clock.now + 30)


def test_the_same_key_gets_the_same_receipt_and_is_queued_once(
    queue: OfflineQueue, clock: Clock
) -> None:
    first = queue.put("info", "subject-ada", post("k"), authorised=True)
    assert queue.put("info", "subject-ada", post("k"), authorised=True) == first
    assert len(queue.waiting()) == 1
    with pytest.raises(InvalidInput, match="another request's"):
        queue.put("info", "subject-ada", post("k", body=b"other"), authorised=True)
    # Another's key is another key.
    assert queue.put("info", "bob", post("k"), authorised=True).id != first.id
    assert queue.put("myth", "subject-ada", post("k"), authorised=True).id != first.id
    one, other = (queue.put("info", "subject-ada", post(), authorised=True) for _ in "ab")
    assert one.idempotency_key != other.idempotency_key
    assert claimed(queue, clock)
    queue.done(first.id, "me", status=200)
    assert queue.put("info", "subject-ada", post("k"), authorised=True).id == first.id
    assert queue.status()["sent"] == 1


def test_what_was_not_sent_begins_anew_under_its_key(queue: OfflineQueue, clock: Clock) -> None:
    """Dropped, dead or expired: a receipt is only ever for what is sent."""
    id_ = put(queue, "k", ordered_by="line")
    behind = put(queue, "other", ordered_by="line")
    for end in (queue.drop, lambda id_: queue.give_up(id_, "x")):
        end(id_)
        clock.now += 1
        again = queue.put("info", "subject-ada", post("k", ordered_by="line"), authorised=True)
        assert (again.id, again.queued_at, again.held) == (id_, clock.now, False)
        assert queue.find(id_).state == "queued"
    queue.drop(id_)
    with pytest.raises(InvalidInput, match="another request's"):
        queue.put("info", "subject-ada", post("k", body=b"other"), authorised=True)
    put(queue, "k", ordered_by="line")
    first = claimed(queue, clock)
    assert first
    assert first.id == behind  # the last in its line is who came last


def test_what_came_without_a_token_is_held_until_it_comes_with_one(
    queue: OfflineQueue, clock: Clock
) -> None:
    """Or somebody releases it; it holds up nobody, and binds no key."""
    request = post("k", ordered_by="line")
    receipt = queue.put("info", "subject-ada", request, authorised=False)
    assert receipt.held
    assert queue.put("info", "subject-ada", request, authorised=False) == receipt
    assert claimed(queue, clock) is None
    assert not queue.must_wait("info", "subject-ada", post(ordered_by="line"))
    behind = put(queue, ordered_by="line")
    first = claimed(queue, clock)
    assert first
    assert first.id == behind
    other = post("k", ordered_by="line", body=b"what ada really wants")
    assert not queue.put("info", "subject-ada", other, authorised=True).held
    queue.done(behind, "me", status=200)
    found = claimed(queue, clock)
    assert found
    assert (found.id, found.request, found.authorised) == (receipt.id, other, True)
    free = queue.put("info", "subject-ada", post("k-2"), authorised=False)
    queue.release(free.id)
    assert claimed(queue, clock)


def test_what_must_wait_is_known(queue: OfflineQueue, clock: Clock) -> None:
    id_ = put(queue, "k", ordered_by="line")
    assert queue.must_wait("info", "subject-ada", post("k"))
    assert queue.must_wait("info", "subject-eve", post("e", ordered_by="line"))
    for domain, request in (("info", post()), ("info", post("e")), ("myth", post("k"))):
        assert not queue.must_wait(domain, "subject-ada", request)
    assert claimed(queue, clock)
    assert queue.must_wait("info", "subject-ada", post("k"))
    queue.done(id_, "me", status=200)
    assert not queue.must_wait("info", "subject-ada", post("k", ordered_by="line"))


def test_what_must_not_be_repeated_is_held_where_its_sender_was_lost(
    queue: OfflineQueue, clock: Clock
) -> None:
    id_ = queue.put("info", "subject-ada", post(), authorised=True, repeatable=False).id
    assert claimed(queue, clock)
    clock.now += 30
    other = put(queue, "next")
    assert [one.id for one in iter(lambda: claimed(queue, clock), None)] == [other]
    (held,) = queue.held()
    assert "may have arrived" in held.reason
    assert queue.done(id_, "me", status=200)  # it had


def test_a_queue_that_is_full_says_so(store: DocumentStore, clock: Clock) -> None:
    queue = OfflineQueue(store, most_bytes=20_000)
    body = bytes(9_000)
    first, _ = (put(queue, str(number), body=body) for number in range(2))
    with pytest.raises(CacheError, match="the offline queue is full") as full:
        put(queue, "2", body=body)
    assert "cache.queue_bytes" in str(full.value.hint)
    assert put(queue, "0", body=body) == first  # what is there is there
    queue.give_up(first, "refused")
    with pytest.raises(CacheError):  # a dead letter is kept whole
        put(queue, "2", body=body)
    queue.done(first, "me", status=200)
    assert put(queue, "2", body=body)


def test_what_was_dropped_or_has_expired_gives_its_room_to_what_is_to_be_sent(
    store: DocumentStore, clock: Clock
) -> None:
    queue = OfflineQueue(store, most_bytes=30_000)
    body = bytes(9_000)
    dropped = put(queue, "dropped", body=body)
    queue.drop(dropped)
    queue.put("info", "subject-ada", post("late", body=body), authorised=True, expires_at=clock.now)
    assert claimed(queue, clock) is None
    assert [one.id for one in queue.dropped()] == [dropped]  # as long as there is room
    for number in range(3):
        put(queue, str(number), body=body)
    assert (queue.dropped(), queue.expired()) == ([], [])
    with pytest.raises(CacheError, match="full"):
        put(queue, "3", body=body)


def test_what_comes_without_a_token_cannot_fill_the_queue(store: DocumentStore) -> None:
    queue = OfflineQueue(store, most_bytes=80_000)
    for _ in range(2):
        queue.put("info", "mallory", post(body=bytes(4_000)), authorised=False)
    with pytest.raises(CacheError, match="without a token it takes 10,000 bytes"):
        queue.put("info", "mallory", post(body=bytes(4_000)), authorised=False)
    assert put(queue, "k", body=bytes(60_000))


def test_what_is_dead_is_not_taken_over_without_a_token(queue: OfflineQueue) -> None:
    id_ = put(queue, "k", headers={"X-By": "ada"})
    queue.give_up(id_, "refused")
    with pytest.raises(InvalidInput, match="'k' is dead"):
        queue.put("info", "subject-ada", post("k", headers={"X-By": "mallory"}), authorised=False)
    assert queue.find(id_).request.headers == {"X-By": "ada"}


def test_a_line_goes_on_behind_what_may_have_arrived_and_waits_for_what_is_held_else(
    queue: OfflineQueue, clock: Clock
) -> None:
    for arrived, next_is_free in ((True, True), (False, False)):
        head = put(queue, ordered_by=f"line-{arrived}")
        behind = put(queue, ordered_by=f"line-{arrived}")
        assert claimed(queue, clock)
        assert queue.hold(head, "look at it", owner="me", arrived=arrived)
        request = post(ordered_by=f"line-{arrived}")
        found = claimed(queue, clock)
        assert (found is not None and found.id == behind) is next_is_free
        if found:
            queue.done(behind, "me", status=200)
        assert queue.must_wait("info", "subject-ada", request) is not next_is_free
        assert queue.next_due() is None  # there is nothing that a pass could do


def test_it_is_handed_to_one_until_the_lease_ends(queue: OfflineQueue, clock: Clock) -> None:
    id_ = put(queue)
    assert claimed(queue, clock, "one")
    assert claimed(queue, clock, "other") is None
    assert queue.next_due() == clock.now + 30
    clock.now += 30
    again = claimed(queue, clock, "other")
    assert again
    assert (again.id, again.attempts, again.owner) == (id_, 2, "other")
    assert queue.failed(id_, "one", "late", answered=True) is None  # it is not his any more
    assert queue.done(id_, "one", status=200)  # but it has arrived
    assert not queue.done(id_, "other", status=200)
    (sent,) = queue.delivered()
    assert (sent.status, sent.owner, sent.request.body) == (200, "one", None)
    assert sent.request.headers == {}  # which may hold a secret


def test_who_has_it_no_more_changes_nothing(queue: OfflineQueue, clock: Clock) -> None:
    """And what arrived was sent, whatever was thought of it meanwhile."""
    id_ = put(queue)
    assert claimed(queue, clock, "one")
    clock.now += 30
    assert claimed(queue, clock, "other")
    assert not queue.hold(id_, "late", owner="one")
    assert not queue.give_up(id_, "late", owner="one")
    assert queue.find(id_).state == "claimed"
    assert queue.give_up(id_, "refused", owner="other")
    assert not queue.hold(id_, "late", owner="one")
    assert queue.done(id_, "one", status=200)
    assert queue.find(id_).state == "sent"
    dropped = put(queue)
    assert claimed(queue, clock)
    queue.drop(dropped)
    assert not queue.give_up(dropped, "refused", owner="me")
    assert queue.find(dropped).state == "dropped"


def test_requests_of_a_line_go_one_behind_the_other(queue: OfflineQueue, clock: Clock) -> None:
    """Others pass; a line of another domain is another line."""
    first, second = (put(queue, f"l{n}", ordered_by="line") for n in range(2))
    free = put(queue, "free")
    far = queue.put("myth", "subject-ada", post("m", ordered_by="line"), authorised=True).id
    found = [one.id for one in iter(lambda: claimed(queue, clock), None)]
    assert found == [first, free, far]
    assert queue.failed(first, "me", "no route", answered=False)
    assert claimed(queue, clock) is None  # the second waits with the first
    queue.hold(first, "somebody must look")
    assert claimed(queue, clock) is None
    queue.give_up(first, "refused")
    found_next = claimed(queue, clock)
    assert found_next
    assert found_next.id == second


def test_waits_double_up_to_a_limit_and_heed_the_server(queue: OfflineQueue, clock: Clock) -> None:
    """What was not heard of is tried for ever."""
    id_ = put(queue)
    waits = []
    for _ in range(9):
        assert claimed(queue, clock)
        after = queue.failed(id_, "me", "refused", answered=False)
        assert after
        waits.append(after.due - clock.now)
        clock.now = after.due
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert claimed(queue, clock)
    after = queue.failed(id_, "me", "status 503", answered=True, after_s=1000)
    assert after
    assert (after.due, after.state, after.answered) == (clock.now + 1000, "queued", 1)


def test_pauses_are_drawn_from_all_of_the_span(store: DocumentStore, clock: Clock) -> None:
    queue = OfflineQueue(store, rng=random.Random(1))
    pauses = []
    for number in range(30):
        id_ = put(queue, str(number))
        assert claimed(queue, clock)
        after = queue.failed(id_, "me", "x", answered=False)
        assert after
        pauses.append(after.due - clock.now)
        queue.drop(id_)
    assert min(pauses) < 1
    assert 4 < max(pauses) <= 5


def test_after_too_many_refusals_it_is_dead_and_can_be_sent_again(
    queue: OfflineQueue, clock: Clock
) -> None:
    id_ = put(queue)
    for _ in range(3):
        assert claimed(queue, clock)
        queue.failed(id_, "me", "status 422", answered=True)
        clock.now += 300
    (dead,) = queue.dead()
    assert (dead.id, dead.reason, dead.attempts, dead.can_retry()) == (id_, "status 422", 3, False)
    assert (queue.waiting(), claimed(queue, clock)) == ([], None)
    queue.requeue(id_)
    again = claimed(queue, clock)
    assert again
    assert (again.attempts, again.request.body) == (1, b'{"n":1}')
    assert dead.request.body is None  # whoever lists many needs none


def test_what_is_held_waits_for_somebody(queue: OfflineQueue, clock: Clock) -> None:
    receipt = queue.put("wealth", "subject-ada", post("k"), authorised=True)
    assert claimed(queue, clock)
    queue.hold(receipt.id, "wealth is not replayed by itself")
    assert claimed(queue, clock) is None
    assert queue.put("wealth", "subject-ada", post("k"), authorised=True).held
    (held,) = queue.held()
    assert (held.reason, held.released_at) == ("wealth is not replayed by itself", None)
    queue.release(receipt.id)
    again = claimed(queue, clock)
    assert again
    assert again.released_at == clock.now
    with pytest.raises(InvalidInput, match="is claimed, not held"):
        queue.release(receipt.id)


def test_what_is_not_worth_sending_any_more_expires_and_is_counted(
    queue: OfflineQueue, clock: Clock
) -> None:
    queue.put("info", "subject-ada", post("k"), authorised=True, expires_at=clock.now + 10)
    other = put(queue, "other")
    clock.now += 10
    found = claimed(queue, clock)
    assert found
    assert found.id == other
    status = queue.status()
    assert (status["expired"], status["claimed"], status["oldest_s"]) == (1, 1, 10.0)


def test_a_clock_set_back_holds_nothing_up(queue: OfflineQueue, clock: Clock) -> None:
    id_ = put(queue)
    assert claimed(queue, clock)
    clock.now -= 7 * 86_400
    again = claimed(queue, clock)
    assert again
    assert again.id == id_
    queue.failed(id_, "me", "x", answered=False)
    clock.now -= 7 * 86_400
    assert claimed(queue, clock)


def test_each_is_in_one_state_and_moves_as_it_may(queue: OfflineQueue, clock: Clock) -> None:
    ids = [put(queue, str(number)) for number in range(3)]
    queue.drop(ids[0])
    queue.give_up(ids[1], "x" * 1000)
    assert len(queue.find(ids[1]).reason) == 300
    for call in (queue.release, queue.requeue):
        with pytest.raises(InvalidInput):
            call(ids[2])
    for call in (lambda: queue.hold(ids[0], "x"), lambda: queue.give_up(ids[0], "x")):
        with pytest.raises(InvalidInput, match="is dropped"):
            call()
    queue.requeue(ids[0])
    counts = {name: n for name, n in queue.status().items() if n}
    assert counts == {"queued": 2, "dead": 1}
    with pytest.raises(NotFound, match="no request"):
        queue.find("x")
    with pytest.raises(NotFound):
        queue.done("x", "me", status=200)


@pytest.mark.parametrize(
    "request_",
    [
        Request("POST", "x"),
        Request("POST", "/", body=bytes(8 * 2**20 + 1)),
        Request("POST", "/", body="text"),  # type: ignore[arg-type]
        Request("POST", "/", headers={"a": 1}),  # type: ignore[dict-item]
        Request("POST", "/", idempotency_key=""),
    ],
    ids=["path", "large", "text", "header", "key"],
)
def test_what_cannot_be_kept_is_refused(queue: OfflineQueue, request_: Request) -> None:
    with pytest.raises(InvalidInput):
        queue.put("info", "subject-ada", request_, authorised=True)
    assert queue.next_due() is None


def test_what_was_sent_long_ago_is_forgotten(store: DocumentStore, clock: Clock) -> None:
    queue = OfflineQueue(store, keep_s=100)
    for number in range(2):
        id_ = put(queue, str(number))
        assert claimed(queue, clock)
        queue.done(id_, "me", status=200)
        clock.now += 101
    assert [one.idempotency_key for one in queue.delivered()] == ["1"]


def test_the_journal_tells_each_step_and_no_header_body_path_or_subject(
    queue: OfflineQueue, store: DocumentStore, log: Path, clock: Clock
) -> None:
    id_ = put(queue, "k", body=SECRET.encode())
    assert claimed(queue, clock)
    queue.failed(id_, "me", SECRET, answered=True)
    queue.hold(id_, SECRET)
    queue.release(id_)
    queue.drop(id_)
    queue.requeue(id_)
    queue.done(id_, "me", status=204)
    store.settle()
    kinds = ["queued", "claimed", "failed", "held", "released", "dropped", "requeued", "sent"]
    assert [e["event_type"] for e in recorded(log)] == [f"request_{kind}" for kind in kinds]
    assert {e["id"] for e in recorded(log)} == {id_}
    text = log.read_text()
    assert not any(word in text for word in (SECRET, "subject-ada", "/readings"))


def test_what_may_be_shown_of_a_request(queue: OfflineQueue) -> None:
    shown = queue.find(put(queue, "k")).as_dict()
    assert (shown["state"], shown["path"], shown["reason"]) == ("queued", "/readings?x=1", None)
    assert SECRET not in str(shown)
