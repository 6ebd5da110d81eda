"""The outbox: once to files and the bus whatever crashes, under one key to webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dino_os.errors import InvalidInput, NotFound
from dino_os.outbox import Address, Draft, Limits, Outbox
from dino_os.outbox.places import FilePlace
from dino_os.process_lock import Busy, ProcessLock
from engines.journal import verify
from tests.cycles.duty import events, lines
from tests.cycles.outboxes import Desk
from tests.cycles.receiver import Receiver

# --- the record --------------------------------------------------------------------------------


def test_a_batch_is_queued_once(desk: Desk) -> None:
    """So that a run that crashed can queue it again; two of one id are an error, and none is queued."""
    desk.queue("a", "b")
    desk.queue("a", "b")
    assert [delivery.id for delivery in desk.outbox.waiting()] == ["a", "b"]
    twins = [Draft("c", "c", Address.parse("bus:x"), {})] * 2
    with pytest.raises(InvalidInput, match="'c' already"):
        desk.outbox.queue(twins, batch="twins")
    assert desk.outbox.status() == {"queued": 2, "delivered": 0, "given_up": 0}


def test_pauses_double_and_a_refused_delivery_is_given_up(desk: Desk, receiver: Receiver) -> None:
    """After so many refusals; then it is sent again only by hand."""
    receiver.answers = [500]
    desk.queue("a", to=f"webhook:{receiver.url}")
    pauses = []
    for _ in range(2):
        assert desk.send()["failed"] == 1
        due = desk.outbox.next_due()
        assert due is not None
        pauses.append(due - desk.clock.now)
        assert desk.send() == {"delivered": 0, "failed": 0, "given_up": 0, "waiting": 1}
        desk.clock.now = due
    assert pauses == [30, 60]
    assert desk.send() == {"delivered": 0, "failed": 0, "given_up": 1, "waiting": 0}
    (lost,) = desk.outbox.given_up()
    assert (lost.attempts, lost.reason) == (3, "answered with status 500")
    receiver.answers = [200]
    assert desk.send()["delivered"] == 0
    assert desk.outbox.resend("a")
    assert desk.send() == {"delivered": 1, "failed": 0, "given_up": 0, "waiting": 0}
    assert not desk.outbox.resend("a")
    with pytest.raises(NotFound, match="no delivery 'ab'"):
        desk.outbox.resend("ab")


def test_being_offline_is_no_refusal(desk: Desk) -> None:
    """It waits as long as it is kept."""
    desk.queue("a", to="webhook:http://127.0.0.1:9/")
    for _ in range(6):
        assert desk.send()["failed"] == 1
        desk.clock.now = desk.outbox.next_due() or 0
    desk.clock.now += 1000
    assert desk.send()["given_up"] == 1


def test_who_asks_us_to_wait_is_waited_for(desk: Desk, receiver: Receiver) -> None:
    receiver.answers = [503]
    receiver.headers = {"Retry-After": "500"}
    desk.queue("a", to=f"webhook:{receiver.url}")
    desk.send()
    assert desk.outbox.next_due() == desk.clock.now + 500


# --- webhooks ----------------------------------------------------------------------------------


def test_a_webhook_is_told_who_and_signed(desk: Desk, receiver: Receiver) -> None:
    """Anybody who holds the key can check it, as Standard Webhooks says."""
    secret = b"tide and time"
    desk.secrets = {"hook": f"whsec_{base64.b64encode(secret).decode()}"}
    desk.queue("a", to=f"webhook:{receiver.url}/in", key="hook", summary="Flut über Köln")
    assert desk.send()["delivered"] == 1
    ((path, headers, body),) = receiver.requests
    assert path == "/in"
    assert json.loads(body) == {
        "id": "key-a", "delivery": "a", "task": "a", "summary": "Flut über Köln"
    }  # fmt: skip
    assert headers["idempotency-key"] == headers["webhook-id"] == "key-a"
    assert headers["content-type"] == "application/json"
    signed = f"key-a.{int(desk.clock.now)}.".encode() + body
    assert headers["webhook-timestamp"] == str(int(desk.clock.now))
    digest = hmac.new(secret, signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize("fault", [500, 429, 404, 302, "drop", "hang", "cut"])
def test_what_was_taken_and_not_answered_is_not_taken_twice(
    desk: Desk, receiver: Receiver, fault: Any
) -> None:
    """The second attempt has the same key; the receiver knows it."""
    receiver.answers = [fault, 200]
    desk.queue("a", to=f"webhook:{receiver.url}")
    assert desk.send(timeout_s=0.3 if fault == "hang" else 10)["failed"] == 1
    receiver.released.set()
    desk.clock.now += 100
    assert desk.send()["delivered"] == 1
    assert [headers["idempotency-key"] for _, headers, _ in receiver.requests] == ["key-a"] * 2
    assert list(receiver.taken) == ["key-a"]


def test_one_that_is_down_holds_nobody_else_up(desk: Desk, receiver: Receiver) -> None:
    """Of those for it only the first is tried; one that is refused alone stops no other."""
    desk.queue("a1", "a2", to="webhook:http://127.0.0.1:9/")
    desk.queue("b1", "b2", to=f"webhook:{receiver.url}")
    desk.queue("c")
    receiver.answers = [400, 200]
    assert desk.send() == {"delivered": 2, "failed": 2, "given_up": 0, "waiting": 3}
    assert [d.attempts for d in desk.outbox.waiting()] == [1, 0, 1]


def test_a_key_that_is_missing_is_waited_for(desk: Desk, receiver: Receiver) -> None:
    """Nothing is sent unsigned that was to be signed."""
    desk.queue("a", to=f"webhook:{receiver.url}", key="hook")
    assert desk.send()["failed"] == 1
    assert receiver.requests == []
    assert desk.outbox.waiting()[0].reason == "no key 'hook' in the vault"
    desk.secrets, desk.clock.now = {"hook": "x"}, desk.clock.now + 100
    assert desk.send()["delivered"] == 1


URL_KEY = Address("webhook", "", None, "url")


def test_an_address_that_is_a_secret_is_recorded_nowhere(desk: Desk, receiver: Receiver) -> None:
    """Only its key's name is, whatever becomes of the delivery."""
    canary = "canary-7f3b"
    drafts = [Draft(id_, f"key-{id_}", URL_KEY, {}) for id_ in "ab"]
    desk.outbox.queue(drafts, batch="b")
    reasons = []
    for url in (None, f"gopher://x/{canary}", f"http://127.0.0.1:9/{canary}"):
        desk.secrets = {"url": url} if url else {}
        assert desk.send()["failed"] >= 1
        reasons.append(desk.outbox.waiting()[0].reason)
        desk.clock.now += 200
    assert reasons[:2] == ["no key 'url' in the vault", "the key 'url' is no address of the web"]
    assert reasons[2].startswith("webhook:key url: ")
    assert "127.0.0.1" not in reasons[2]
    desk.secrets = {"url": f"{receiver.url}/{canary}?token={canary}"}
    receiver.answers = [404, 200]
    assert desk.send()["failed"] == 1
    desk.clock.now += 500
    assert desk.send()["waiting"] == 0
    assert receiver.requests[-1][0] == f"/{canary}?token={canary}"
    kept = b"".join(f.read_bytes() for f in (desk.root / "memory").rglob("*") if f.is_file())
    assert canary.encode() not in kept
    assert canary not in str([d.as_dict() for d in desk.outbox.latest_delivered()])


# --- places on this machine --------------------------------------------------------------------


def crash_after_putting(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that dies where all is put, and nothing recorded."""

    def die(self: Outbox, ids: Any, **facts: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "delivered", die)
        with pytest.raises(KeyboardInterrupt):
            desk.send()


@pytest.mark.parametrize("to", ["file:out.jsonl", "bus:duty"])
def test_what_was_put_before_a_crash_is_not_put_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    """It is found behind the place where the attempt began; what came meanwhile follows."""
    desk.queue("a", "b", to=to)
    crash_after_putting(desk, monkeypatch)
    assert desk.outbox.status()["delivered"] == 0
    desk.workspace.bus.publish("duty", {"id": "other"})
    if to.startswith("file"):
        with (desk.root / "out.jsonl").open("a") as file:
            file.write('{"id": "other"}\n[]\nno json\n')
    desk.queue("c", to=to)
    assert desk.send()["delivered"] == 3
    assert arrived(desk, to) == ["key-a", "key-b", "other", "key-c"]
    found = events(desk.root, "outbox", "delivery_delivered")
    assert [(e["delivery"], e.get("found", False)) for e in found] == [
        ("a", True), ("b", True), ("c", False)
    ]  # fmt: skip


def arrived(desk: Desk, to: str) -> list[str]:
    if to.startswith("bus"):
        return [m["message"]["id"] for m in desk.workspace.bus.channel_history("duty")]
    text = (desk.root / "out.jsonl").read_text().splitlines()
    return [json.loads(line)["id"] for line in text if line.startswith("{")]


@pytest.mark.parametrize("kept", range(0, 60, 7))
def test_half_a_line_that_a_power_cut_left_is_completed_not_doubled(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """Whatever part of what was written is on the disk."""
    file = desk.root / "out.jsonl"
    file.write_text('{"id": "first"}\n')
    desk.queue("a", "b")
    crash_after_putting(desk, monkeypatch)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) - 60 + kept])
    assert desk.send()["delivered"] == 2
    assert file.read_bytes() == whole


def test_another_ones_open_line_is_not_ended_by_ours(desk: Desk) -> None:
    file = desk.root / "out.jsonl"
    file.write_text('{"id": "open')
    desk.queue("a")
    desk.send()
    assert file.read_text().splitlines()[0] == '{"id": "open'
    assert json.loads(file.read_text().splitlines()[1])["id"] == "key-a"


@given(sizes=st.lists(st.integers(0, 5), max_size=4), cut=st.integers(0, 400))
@settings(max_examples=18)
def test_wherever_a_write_was_cut_each_line_is_there_once(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], cut: int
) -> None:
    """Several batches, the last of them cut anywhere and put again."""
    desk = Desk(tmp_path_factory.mktemp("cut"))
    (desk.root / "config.yaml").write_text("system: {name: t}\n")
    place = FilePlace(desk.root / "out.jsonl")
    wanted = []
    for batch, size in enumerate(sizes):
        ids = [f"{batch}-{n}" for n in range(size)]
        desk.queue(*ids, to="file:out.jsonl")
        group = [d for d in desk.outbox.waiting() if d.id in ids]
        mark = place.mark()
        place.put(group)
        with (desk.root / "out.jsonl").open("r+b") as file:
            end = max(mark["size"], mark["size"] + cut % 1000)
            file.truncate(min(end, file.seek(0, 2)))
        there = place.arrived(group, mark)
        place.put([d for d in group if d.id not in there])
        wanted += [f"key-{id_}" for id_ in ids]
    found = [line["id"] for line in lines(desk.root / "out.jsonl")] if wanted else []
    assert found == wanted


@pytest.mark.parametrize(
    ("to", "prepare", "said"),
    [
        ("file:memory/x.jsonl", None, "kept for the record"),
        ("file:folder", lambda root: (root / "folder").mkdir(), "not a regular file"),
        ("file:a/b", lambda root: (root / "a").write_text(""), "Not a directory"),
    ],
)
def test_a_file_that_cannot_be_written_is_waited_for(
    desk: Desk, to: str, prepare: Callable[[Path], Any] | None, said: str
) -> None:
    if prepare:
        prepare(desk.root)
    desk.queue("a", to=to)
    assert desk.send()["failed"] == 1
    assert said in desk.outbox.waiting()[0].reason


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "file:",
        "file: ",
        "fax:1",
        "bus:a.*",
        "bus:\n",
        "webhook:x",
        "webhook:http://u:p@h/",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Address.parse(text)
    with pytest.raises(InvalidInput, match="a key signs"):
        Address.parse("bus:a", key="k")


# --- many senders ------------------------------------------------------------------------------


def test_only_one_sends_at_a_time(desk: Desk) -> None:
    """The second is told who; the lock goes with its process, whatever stands in the file."""
    lock = ProcessLock(desk.root / "memory" / "outbox.lock", by="ada@cron", what="sending")
    desk.queue("a")
    with lock.held(), pytest.raises(Busy, match=r"ada@cron \(process \d+\) since 20.*Z is sending"):
        desk.send()
    (desk.root / "memory" / "outbox.lock").write_text("who knows")
    assert desk.send()["delivered"] == 1
    assert verify(desk.root / "memory" / "outbox.jsonl").ok


def test_each_delivery_ends_in_one_record(desk: Desk, receiver: Receiver) -> None:
    """However often it was tried."""
    receiver.answers = [500, "drop", 200]
    desk.queue("a", "b", "c", to=f"webhook:{receiver.url}")
    desk.queue("d", "e")
    for _ in range(12):
        desk.send()
        desk.clock.now += 60
    ended = Counter(
        event["delivery"]
        for kind in ("delivery_delivered", "delivery_given_up")
        for event in events(desk.root, "outbox", kind)
    )
    assert ended == dict.fromkeys("abcde", 1)
    assert desk.outbox.waiting() == []


# --- time --------------------------------------------------------------------------------------


def test_a_clock_that_was_wrong_and_is_put_right_holds_nothing_up(desk: Desk) -> None:
    """What was decided in a future that never came is due now, and grows old from now on."""
    right = desk.clock.now
    desk.clock.now = right + 10 * 365 * 86400
    desk.queue("a", to="webhook:http://127.0.0.1:9/")
    assert desk.send()["failed"] == 1
    desk.clock.now = right
    assert desk.outbox.next_due() == right
    assert desk.send()["failed"] == 1
    assert desk.outbox.next_due() == right + 60
    desk.clock.now = right + 1000
    assert desk.send()["given_up"] == 1


def test_pauses_stay_pauses_however_often_nobody_is_there(desk: Desk) -> None:
    """Not being reached is no refusal, so there is no end to the attempts within a long `keep_s`."""
    desk.limits = Limits(attempts=3, keep_s=1e12)
    desk.queue("a")
    box = desk.outbox
    with box.deciding():
        for _ in range(1100):
            assert box.failed(["a"], "nobody there", answered=False) == 1
    assert box.next_due() == desk.clock.now + 3600


def test_the_pauses_are_those_of_the_generator_that_was_handed_in() -> None:
    """So that what is decided can be decided again."""

    def pauses(seed: int) -> list[float | None]:
        box = Outbox(clock=lambda: 0.0, rng=Random(seed))
        box.queue([Draft("a", "a", Address.parse("bus:x"), {})], batch="b")
        found = []
        for _ in range(5):
            box.failed(["a"], "no", answered=False)
            found.append(box.next_due())
        return found

    assert pauses(7) == pauses(7) != pauses(8)
    assert all(15 * 2**n <= (due or 0) <= 30 * 2**n for n, due in enumerate(pauses(7)))
