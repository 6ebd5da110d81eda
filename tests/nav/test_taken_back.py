"""What waits is judged by what was revoked since it was let through, whatever the clock did."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.latent_cache import DocumentStore, OfflineQueue
from engines.nav_mesh import Grant, Receipt, Request
from tests.conftest import Outcome
from tests.nav.desk import Desk

DAY_S = 86_400.0
STEPS = (-2.0, -3600.0, -DAY_S, 0.0, 2.0, 3600.0, DAY_S)
TAKES_BACK: dict[str, Callable[[Desk], object]] = {
    "by user": lambda desk: desk.mesh.revoke(subject="ada"),
    "by domain": lambda desk: desk.mesh.revoke(domain="info"),
    "by its key": lambda desk: desk.mesh.rotate("info", now=True),
    "by id": lambda desk: [desk.mesh.revoke(token_id=id_) for id_ in sorted(granted(desk).tokens)],
}


def granted(desk: Desk) -> Grant:
    [waits] = [*desk.queue.waiting(), *desk.queue.held()]
    assert waits.grant
    return waits.grant


@pytest.mark.parametrize("right", STEPS)
@pytest.mark.parametrize("then", STEPS)
@pytest.mark.parametrize("how", TAKES_BACK)
def test_what_is_revoked_after_it_was_queued_is_held(
    desk: Desk, how: str, then: float, right: float
) -> None:
    """Queued while the clock was ahead or behind, or revoked then."""
    desk.now += then
    desk.send()
    desk.now += right - then
    TAKES_BACK[how](desk)
    desk.now += -right + 2 * DAY_S
    assert desk.replay() == {"held": 1}
    assert desk.paths == []


@pytest.mark.parametrize("then", STEPS)
@pytest.mark.parametrize("how", TAKES_BACK)
def test_what_was_revoked_before_a_release_is_let_go_and_later_is_not(
    desk: Desk, how: str, then: float
) -> None:
    """Whoever looked at it knew of the one, and not of the other."""
    receipt = desk.send()
    TAKES_BACK[how](desk)
    assert desk.replay() == {"held": 1}
    desk.now += then
    desk.release(receipt.id)
    desk.now += 60 - then
    TAKES_BACK[how](desk)
    desk.now += 2 * DAY_S
    assert desk.replay() == {"held": 1}
    desk.release(receipt.id)
    desk.now += then
    assert desk.replay() == {"delivered": 1}


def test_a_revocation_holds_back_nothing_that_is_queued_later(desk: Desk) -> None:
    """However far ahead the clock was."""
    desk.now += DAY_S
    desk.mesh.revoke(subject="ada")
    desk.mesh.revoke(domain="info")
    desk.mesh.rotate("info", now=True)
    desk.now -= DAY_S
    desk.send()
    desk.now += 60
    assert desk.replay() == {"delivered": 1}


def test_another_domain_or_user_that_is_revoked_holds_back_nothing(desk: Desk) -> None:
    desk.send()
    desk.mesh.revoke(domain="wealth")
    desk.mesh.revoke(subject="eve")
    desk.mesh.rotate("info")  # what was signed by the old key stays good
    desk.mesh.rotate("myth", now=True)
    assert desk.replay() == {"delivered": 1}


def test_what_came_without_a_token_heeds_what_is_revoked_after_its_release(desk: Desk) -> None:
    request = Request("POST", "/1")
    desk.mesh.revoke(subject="ada")
    receipt = desk.mesh.send("info", None, "ada", request)
    assert isinstance(receipt, Receipt)
    desk.release(receipt.id)
    desk.now -= DAY_S
    desk.mesh.revoke(subject="ada")
    desk.now += DAY_S
    assert desk.replay() == {"held": 1}
    desk.release(receipt.id)
    assert desk.replay() == {"delivered": 1}


def test_what_the_record_has_lost_is_held(desk: Desk) -> None:
    """As where an old copy of the gate log was put back: nobody knows what was revoked since."""
    for _ in range(9):
        desk.mesh.issue_token("info", "ada")
    receipt = desk.send()
    other = Desk(desk.store.path.parent)  # the same queue, and a gate log that begins anew
    other.mesh.issue_token("info", "ada")
    assert other.replay() == {"held": 1}
    other.release(receipt.id)
    assert other.replay() == {"delivered": 1}
    other.store.close()


def test_a_release_that_names_no_number_pardons_nothing(desk: Desk) -> None:
    """A program that lets it go by itself cannot have known what was revoked."""
    receipt = desk.send()
    desk.mesh.revoke(subject="ada")
    assert desk.replay() == {"held": 1}
    desk.queue.release(receipt.id)
    assert desk.replay() == {"held": 1}


def test_what_is_revoked_while_somebody_releases_it_is_heeded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number is read before the request is let go: also where a process dies in between."""
    receipt = desk.send()
    desk.queue.hold(receipt.id, "by hand")
    release = desk.queue.release

    def slowly(id_: str, *, number: int | None = None) -> None:
        desk.mesh.revoke(subject="ada")
        release(id_, number=number)

    monkeypatch.setattr(desk.queue, "release", slowly)
    desk.release(receipt.id)
    assert desk.replay() == {"held": 1}


def test_a_release_that_is_not_recorded_releases_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, or a process that dies: it waits for somebody as before."""
    receipt = desk.send()
    desk.queue.hold(receipt.id, "by hand")
    changing = desk.store.changing

    def full() -> object:
        raise OSError("no space left")

    monkeypatch.setattr(desk.store, "changing", full)
    with pytest.raises(OSError, match="no space"):
        desk.release(receipt.id)
    monkeypatch.setattr(desk.store, "changing", changing)
    found = desk.queue.find(receipt.id)
    assert (found.state, found.released_number) == ("held", None)
    assert desk.replay() == {}


def test_what_was_queued_before_there_were_numbers_is_judged_as_the_oldest(tmp_path: Path) -> None:
    """By whatever is revoked from then on; until somebody releases it."""
    desk = Desk(tmp_path)
    kept, gone = desk.send("/1"), desk.send("/2")
    desk.store.close()
    file = tmp_path / "documents.db"
    with sqlite3.connect(file) as db:
        db.execute("UPDATE requests SET granted = json_remove(granted, '$.number')")
    desk.store = DocumentStore(file, clock=lambda: desk.now)
    desk.queue = OfflineQueue(desk.store, attempts=3)
    assert desk.replay(most=1) == {"delivered": 1}
    desk.mesh.revoke(subject="ada")
    assert desk.replay() == {"held": 1}
    assert [desk.queue.find(one.id).state for one in (kept, gone)] == ["sent", "held"]
    desk.release(gone.id)
    assert desk.replay() == {"delivered": 1}
    desk.store.close()


JUMPS = st.sampled_from([*STEPS, -30 * DAY_S, 400 * DAY_S])


@given(
    does=st.lists(st.tuples(st.sampled_from(["queue", "revoke", "release"]), JUMPS), max_size=12)
)
@settings(max_examples=24, deadline=None)
def test_in_any_order_and_by_any_clock_only_what_nothing_took_back_is_sent(
    tmp_path_factory: pytest.TempPathFactory, does: list[tuple[str, float]]
) -> None:
    desk = Desk(tmp_path_factory.mktemp("desk"))
    good: dict[str, bool] = {}
    for number, (what, jump) in enumerate(does):
        if what == "queue":
            good[desk.send(f"/{number}").id] = True
        elif what == "revoke":
            desk.mesh.revoke(subject="ada")
            good = dict.fromkeys(good, False)
        elif good:
            one = sorted(good)[number % len(good)]
            desk.queue.hold(one, "to look at")
            desk.release(one)
            good[one] = True
        desk.now = max(desk.now + jump, DAY_S)
    desk.now += 3 * DAY_S
    desk.replay()
    found = {id_: desk.queue.find(id_).state for id_ in good}
    desk.store.close()
    assert found == {id_: "sent" if ok else "held" for id_, ok in good.items()}


def test_dino_offline_queue_release_keeps_the_number(
    door: Callable[..., Outcome], site: Path
) -> None:
    """What was revoked before is let go by hand, and what is revoked later is not."""
    from dino_os.workspace import Workspace

    (site / "config.yaml").write_text("nav: {domains: {info: {primary: 'http://127.0.0.1:9'}}}\n")
    door("gate", "issue", "info", "ada", "--out", "t")
    door("nav", "send", "info", "POST", "/1", "--as", "ada", "--token", "t", code=75)
    workspace = Workspace(site)
    [waits] = workspace.requests.waiting()
    door("nav", "revoke", "--subject", "ada")
    door("offline", "queue", "hold", waits.id[:8])
    door("offline", "queue", "release", waits.id[:8])
    found = workspace.requests.find(waits.id)
    assert found.grant
    assert found.released_number == workspace.nav.last_number() > found.grant.number
