"""Durable subscriptions by hand: who gets which message, when again, and when no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dino_os.errors import InvalidInput, NotFound
from dino_os.message_bus.deliveries import Deliveries
from dino_os.message_bus.members import MemberLost
from dino_os.message_bus.terms import Refusal, Terms
from engines.journal import verify
from tests.message_bus.delivery_kit import Hand, deliveries_on, seqs
from tests.resource_engine.kit import Time


@pytest.fixture
def at() -> Time:
    return Time()


@pytest.fixture
def engine(tmp_path: Path, at: Time) -> Deliveries:
    return deliveries_on(tmp_path, at)


def letters(engine: Deliveries) -> list[tuple[int, int, str]]:
    return [(one.seq, one.attempts, one.error) for _, one in engine.dead_letters()]


def lines(engine: Deliveries) -> int:
    return engine.journal.end.seq


# --- the everyday -------------------------------------------------------------------------------


def test_each_message_is_handed_out_once_and_settled(engine: Deliveries) -> None:
    hand = Hand.of(engine, after=4)
    claims = hand.claim(9)
    assert seqs(claims) == [5, 6, 7, 8, 9]
    assert [claim.attempt for claim in claims] == [1] * 5
    hand.ack(*claims[:2], claims[4])
    (own,) = engine.subscriptions()
    assert (own.settled_to, own.taken_to, sorted(own.unsettled), own.acked) == (6, 9, [7, 8], 3)
    hand.ack(*claims)
    assert (own.settled_to, own.unsettled, own.acked) == (9, {}, 5)
    assert hand.claim(9) == []


def test_a_batch_costs_one_line_and_its_acks_the_next(engine: Deliveries) -> None:
    hand = Hand.of(engine)
    before = lines(engine)
    claims = hand.claim(99)
    assert (len(claims), lines(engine)) == (100, before + 1)
    assert len(hand.say(upcoming=199, most=100, acked=claims)) == 100
    assert lines(engine) == before + 2


def test_members_share_the_messages(engine: Deliveries) -> None:
    one, other = Hand.of(engine), Hand.of(engine)
    assert engine.is_shared("billing")
    assert seqs(one.claim(9, most=3)) == [0, 1, 2]
    assert seqs(other.claim(9, most=3)) == [3, 4, 5]
    assert seqs(one.claim(9)) == [6, 7, 8, 9]


def test_two_who_looked_at_the_same_lines_do_not_get_the_same(engine: Deliveries) -> None:
    """What is upcoming is read before the lock is held, so it may be old."""
    from dino_os.message_bus.terms import Upcoming

    one, other = Hand.of(engine), Hand.of(engine)
    ahead = Upcoming(-1, [0, 1, 2, 3], 3)
    assert seqs(engine.exchange("billing", one.name, upcoming=ahead, most=2)) == [0, 1]
    assert seqs(engine.exchange("billing", other.name, upcoming=ahead, most=9)) == [2, 3]
    assert engine.exchange("billing", one.name, upcoming=ahead, most=9) == []
    # Nor is anything passed by that nobody looked at.
    gap = Upcoming(7, [8], 8)
    assert engine.exchange("billing", one.name, upcoming=gap, most=9) == []
    assert engine.place("billing") == 3


def test_no_more_are_in_flight_than_agreed(engine: Deliveries) -> None:
    hand = Hand.of(engine, max_in_flight=3)
    claims = hand.claim(9)
    assert seqs(claims) == [0, 1, 2]
    assert hand.claim(9) == []
    assert engine.room("billing") == 0
    hand.refuse(claims[0], 60.0)
    assert hand.claim(9) == []  # it is still to come
    assert seqs(hand.say(upcoming=9, most=9, acked=claims[1:])) == [3, 4]


def test_what_is_for_others_is_passed_by_now_and_then(engine: Deliveries) -> None:
    """So that the record of what was said need not be kept for its sake."""
    hand = Hand.of(engine)
    name, before = hand.terms.name, lines(engine)
    from dino_os.message_bus.terms import Upcoming

    engine.exchange(name, hand.name, upcoming=Upcoming(-1, [], 900), most=9)
    assert (engine.place(name), lines(engine)) == (-1, before)
    engine.exchange(name, hand.name, upcoming=Upcoming(-1, [], 1900), most=9)
    assert (engine.place(name), lines(engine)) == (1900, before + 1)


# --- what fails ---------------------------------------------------------------------------------


def test_one_that_is_refused_comes_again_and_then_is_a_dead_letter(
    engine: Deliveries, at: Time
) -> None:
    hand = Hand.of(engine, retries=2)
    (claim,) = hand.claim(0)
    hand.refuse(claim, 10.0)
    assert (hand.claim(0), engine.due_in("billing", hand.name)) == ([], 10.0)
    at.passes(10.0)
    (claim,) = hand.claim(0)
    assert (claim.attempt, claim.failures) == (2, 1)
    hand.refuse(claim)
    (claim,) = hand.claim(0)
    assert (claim.attempt, letters(engine)) == (3, [])
    hand.refuse(claim)
    assert (hand.claim(0), letters(engine)) == ([], [(0, 3, "ValueError: no")])
    assert engine.find("billing").settled_to == 0


def test_what_cannot_be_mended_is_a_dead_letter_at_once(engine: Deliveries) -> None:
    hand = Hand.of(engine)
    hand.refuse(hand.claim(0)[0], final=True)
    assert letters(engine) == [(0, 1, "ValueError: no")]


def test_a_dead_letter_is_delivered_again_by_hand(engine: Deliveries) -> None:
    hand = Hand.of(engine, retries=0)
    claims = hand.claim(2)
    hand.ack(*claims[1:])
    hand.refuse(claims[0])
    assert not engine.redeliver("billing", 1)
    assert engine.redeliver("billing", 0)
    assert not engine.redeliver("billing", 0)
    (again,) = hand.claim(2)
    assert (again.seq, again.attempt, again.failures) == (0, 2, 0)
    hand.refuse(again)
    assert letters(engine) == [(0, 2, "ValueError: no")]
    with pytest.raises(NotFound, match="did you mean 'billing'"):
        engine.redeliver("biling", 0)


def test_a_later_message_does_not_wait_for_one_that_failed(engine: Deliveries, at: Time) -> None:
    hand = Hand.of(engine)
    claims = hand.claim(1)
    hand.say(acked=claims[1:], refused=[Refusal(claims[0], 5.0, "no")])
    assert seqs(hand.claim(2)) == [2]
    at.passes(5.0)
    assert seqs(hand.claim(4)) == [0, 3, 4]


def test_a_clock_that_is_set_back_puts_nothing_off(engine: Deliveries, at: Time) -> None:
    hand = Hand.of(engine)
    hand.refuse(hand.claim(0)[0], 10.0)
    at.now -= 86400.0
    assert seqs(hand.claim(0)) == [0]


# --- who is lost, and who is late ---------------------------------------------------------------


def test_one_that_dies_gives_back_what_it_has_at_once(tmp_path: Path, at: Time) -> None:
    victim = Hand.of(deliveries_on(tmp_path, at))
    other = Hand.of(deliveries_on(tmp_path, at))
    assert seqs(victim.claim(2)) == [0, 1, 2]
    assert other.claim(2) == []
    victim.dies()
    at.passes(1.0)
    assert seqs(other.claim(2)) == [0]  # one of them may be to blame: each comes alone
    members = other.engine.find("billing").members
    assert [*members] == [other.name]
    assert [*(tmp_path / "bus_deliveries.sessions").iterdir()] == [
        tmp_path / "bus_deliveries.sessions" / other.name
    ]


def test_one_message_that_kills_is_found_and_the_others_are_none_the_worse(
    tmp_path: Path, at: Time
) -> None:
    """Whoever handles message 1 dies of it."""
    handled: list[int] = []
    deaths = 0
    while deaths < 10:
        hand = Hand.of(deliveries_on(tmp_path, at), retries=2)
        at.passes(1.0)
        alive = True
        while alive and (claims := hand.claim(3)):
            for claim in claims:
                if claim.seq == 1:
                    hand.dies()
                    alive, deaths = False, deaths + 1
                    break
                handled.append(claim.seq)
            else:
                hand.ack(*claims)
        if alive:
            break
    assert deaths == 4  # in a batch, and three times alone
    assert sorted(handled) == [0, 0, 2, 3]
    assert letters(hand.engine) == [(1, 4, "whoever handled it has ended")]


def test_one_that_hangs_loses_what_it_has_and_what_it_says_then_counts_no_more(
    tmp_path: Path, at: Time
) -> None:
    slow, other = (Hand.of(deliveries_on(tmp_path, at), ack_wait_s=30.0) for _ in range(2))
    (claim,) = slow.claim(0)
    at.passes(29.0)
    slow.engine.renew("billing", slow.name, [claim])
    at.passes(29.0)
    assert other.claim(0) == []
    assert other.engine.due_in("billing", other.name) == 1.0  # to look whether it lives
    assert slow.engine.due_in("billing", slow.name) == 1.0
    at.passes(1.0)
    (again,) = other.claim(0)
    assert (again.seq, again.attempt, again.failures) == (0, 2, 1)
    slow.ack(claim)
    slow.engine.renew("billing", slow.name, [claim])
    assert sorted(other.engine.find("billing").unsettled) == [0]
    other.ack(again)
    assert other.engine.find("billing").acked == 1


def test_one_that_is_late_is_heard_as_long_as_nobody_else_has_it(
    engine: Deliveries, at: Time
) -> None:
    hand = Hand.of(engine, ack_wait_s=1.0)
    (claim,) = hand.claim(0)
    at.passes(100.0)
    hand.ack(claim)
    assert engine.find("billing").acked == 1


def test_what_is_never_answered_is_a_dead_letter_in_the_end(engine: Deliveries, at: Time) -> None:
    hand = Hand.of(engine, retries=1, ack_wait_s=2.0)
    for _ in range(2):
        assert seqs(hand.claim(0)) == [0]
        at.passes(2.0)
    assert hand.claim(0) == []
    assert letters(engine) == [(0, 2, "neither acknowledged nor refused within 2 s")]


def test_one_that_leaves_gives_back_what_it_has_and_nothing_has_failed(
    engine: Deliveries,
) -> None:
    one, other = Hand.of(engine), Hand.of(engine)
    claims = one.claim(3)
    one.say(returned=claims[3:])
    engine.leave("billing", one.name)
    again = other.claim(3)
    assert [(c.seq, c.attempt, c.failures) for c in again] == [
        *((n, 2, 0) for n in range(3)),
        (3, 1, 0),  # no handler saw it
    ]
    with pytest.raises(MemberLost):
        one.ack(claims[0])


def test_after_the_machine_was_started_anew_the_clock_counts(tmp_path: Path, at: Time) -> None:
    before = Hand.of(deliveries_on(tmp_path, at), ack_wait_s=30.0)
    before.claim(0)
    engine = deliveries_on(tmp_path, at)
    engine._boot = lambda: "another"
    at.mono = 1.0
    hand = Hand.of(engine)
    assert hand.claim(0) == []  # its lock is held, in this test
    at.now += 31.0
    assert seqs(hand.claim(0)) == [0]


# --- what there is ------------------------------------------------------------------------------


def test_a_durable_subscription_stays_and_a_group_goes_with_its_last_member(
    tmp_path: Path, at: Time
) -> None:
    engine = deliveries_on(tmp_path, at)
    durable = Hand.of(engine)
    group = [Hand.of(engine, durable=None, group="workers", after=n) for n in (5, 9)]
    assert [one.name for one in engine.subscriptions()] == ["billing", "workers.a"]
    assert engine.place("workers.a") == 5  # where the first of them began
    engine.leave("billing", durable.name)
    engine.leave("workers.a", group[0].name)
    assert len(engine.subscriptions()) == 2
    group[1].dies()
    later = deliveries_on(tmp_path, at)
    Hand.of(later, durable="other")  # whoever comes notices
    assert [one.name for one in later.subscriptions()] == ["billing", "other"]
    assert (later.forget("billing"), later.forget("billing")) == (True, False)


def test_a_durable_subscription_goes_on_where_it_was(tmp_path: Path, at: Time) -> None:
    first = Hand.of(deliveries_on(tmp_path, at))
    first.ack(*first.claim(4))
    first.engine.leave("billing", first.name)
    later = Hand.of(deliveries_on(tmp_path, at), after=7)  # which is for new ones
    assert seqs(later.claim(9)) == [5, 6, 7, 8, 9]


def test_what_was_agreed_is_changed_but_not_the_subject(engine: Deliveries) -> None:
    Hand.of(engine)
    Hand.of(engine, retries=9)
    assert engine.find("billing").retries == 9
    for other in (Terms("b", durable="billing"), Terms("a", durable="billing", group="g")):
        with pytest.raises(InvalidInput, match=r"is to 'a'") as found:
            engine.join(other, lambda: -1)
        assert "forget('billing')" in str(found.value.hint)
    assert len(engine.find("billing").members) == 2
    assert verify(engine.journal.path).ok  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "wrong",
    [
        *({"durable": name} for name in ("", "a b", "a.b", "a*", "x" * 101, "a\n", 5, "a/b")),
        {"group": "a.b"},
        {"retries": -1},
        {"retries": 1.5},
        {"ack_wait_s": 0},
        {"ack_wait_s": float("nan")},
        {"max_in_flight": 0},
        {"max_in_flight": 10_001},
    ],
    ids=str,
)
def test_what_cannot_be_agreed_on_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Terms("a", **wrong)


def test_no_more_dead_letters_are_remembered_than_so_many(
    engine: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dino_os.message_bus.delivery_state._DEAD_LETTERS", 3)
    hand = Hand.of(engine)
    for claim in hand.claim(4):
        hand.refuse(claim, final=True)
    assert [seq for seq, *_ in letters(engine)] == [2, 3, 4]
