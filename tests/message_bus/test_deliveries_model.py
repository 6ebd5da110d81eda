"""Whatever members do, and whoever dies, in any order: as a model has it that keeps everything."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dino_os.message_bus.members import MemberLost
from dino_os.message_bus.terms import Claim, Refusal, Upcoming
from tests.message_bus.delivery_kit import Hand, deliveries_on
from tests.resource_engine.kit import Time

RETRIES, WAIT_S, IN_FLIGHT = 2, 30.0, 5
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # nothing here is about disks

which = st.integers(0, 30)
engines = st.integers(0, 1)


@dataclass
class Message:
    """One message, and all that was ever decided about it."""

    state: str = "new"  # held, waiting, acked, dead
    holder: str = ""
    token: int = -1
    alone: bool = False
    suspect: bool = False
    failures: int = 0
    due: float = 0.0
    until: float = 0.0

    def back(self, now: float, *, charged: bool) -> None:
        """Whoever had it gave no answer."""
        self.state, self.due = "waiting", now
        if charged:
            self.suspect = True
            self.failures += self.alone
            if self.failures > RETRIES:
                self.state = "dead"


class Group(RuleBasedStateMachine):
    """Two engines on one file, as two processes would have it, with members at both."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.time = Time()
        self.engines = [deliveries_on(self.folder, self.time) for _ in range(2)]
        self.model: dict[int, Message] = {}
        self.lines = 0
        self.hands: list[Hand] = []
        self.dead: set[str] = set()  # members that died and were not noticed
        self.given: list[tuple[Hand, Claim]] = []

    def teardown(self) -> None:
        assert self.engines[0].verify_hash_chain()
        for engine in self.engines:
            for name in [*engine._files._held]:
                engine._files.drop(name)
        shutil.rmtree(self.folder)

    # --- what is said ------------------------------------------------------------------------

    @rule(lines=st.lists(st.booleans(), min_size=1, max_size=8))
    def publish(self, *, lines: list[bool]) -> None:
        for is_ours in lines:
            if is_ours:
                self.model[self.lines] = Message()
            self.lines += 1

    # --- members -----------------------------------------------------------------------------

    @initialize()
    def somebody_works(self) -> None:
        self.join(engine=0)

    @precondition(lambda self: len(self.hands) < 4)
    @rule(engine=engines)
    def join(self, *, engine: int) -> None:
        new = Hand.of(
            self.engines[engine], retries=RETRIES, ack_wait_s=WAIT_S, max_in_flight=IN_FLIGHT
        )
        self.notice_the_dead()
        self.hands.append(new)

    @precondition(lambda self: self.hands)
    @rule(at=which)
    def leave(self, *, at: int) -> None:
        hand = self.hands.pop(at % len(self.hands))
        hand.engine.leave("billing", hand.name)
        for message in self.held_by(hand.name):
            message.back(self.time.now, charged=False)

    @precondition(lambda self: self.hands)
    @rule(at=which)
    def die(self, *, at: int) -> None:
        hand = self.hands.pop(at % len(self.hands))
        hand.dies()
        self.dead.add(hand.name)
        self.time.passes(1.0)

    @rule(seconds=st.sampled_from([1.0, 10.0, 15.0, 31.0]))
    def time_passes(self, *, seconds: float) -> None:
        self.time.passes(seconds)

    # --- messages ----------------------------------------------------------------------------

    @precondition(lambda self: self.hands)
    @rule(at=which, most=st.integers(0, 6), behind=st.integers(0, 3), said=st.data())
    def exchange(self, *, at: int, most: int, behind: int, said: st.DataObject) -> None:
        """Anything at once: answers, late ones too, and a claim by what was read a little before."""
        hand = self.hands[at % len(self.hands)]
        own = [claim for holder, claim in self.given if holder is hand]
        picked = said.draw(st.lists(st.sampled_from(own), unique=True)) if own else []
        kinds = [said.draw(st.sampled_from(["ack", "refuse", "never", "back"])) for _ in picked]
        upto = max(self.lines - behind, 0) - 1
        answers: dict[str, list[Claim]] = {
            kind: [claim for claim, k in zip(picked, kinds, strict=True) if k == kind]
            for kind in ("ack", "refuse", "never", "back")
        }
        place = hand.engine.place("billing")
        assert place is not None
        seqs = [seq for seq in self.model if place < seq <= upto]
        found = hand.engine.exchange(
            "billing",
            hand.name,
            acked=answers["ack"],
            refused=[
                *(Refusal(claim, 10.0, "no") for claim in answers["refuse"]),
                *(Refusal(claim, 10.0, "never", final=True) for claim in answers["never"]),
            ],
            returned=answers["back"],
            upcoming=Upcoming(place, seqs, max(upto, place)),
            most=most,
        )
        expected = self.expect(hand, answers, most, upto)
        assert [claim.seq for claim in found] == expected
        for claim in found:
            message = self.model[claim.seq]
            assert claim.failures == message.failures
            message.state, message.holder, message.token = "held", hand.name, claim.token
            message.alone = len(found) == 1
            message.until = self.time.mono + WAIT_S
            self.given.append((hand, claim))

    def expect(
        self, hand: Hand, answers: dict[str, list[Claim]], most: int, upto: int
    ) -> list[int]:
        """What becomes of the answers, and what is handed out then."""
        now = self.time.now
        heard = {
            kind: [self.model[c.seq] for c in claims if self.holds(hand, c)]
            for kind, claims in answers.items()
        }
        self.notice_the_dead()
        answered = [id(message) for found in heard.values() for message in found]
        for message in self.model.values():
            late = message.state == "held" and message.until <= self.time.mono
            if late and id(message) not in answered:
                message.back(now, charged=True)
        expected = self.next_ones(most, upto, free_of=len(heard["ack"]) + self.given_up(heard))
        for message in heard["ack"]:
            message.state = "acked"
        for message in heard["never"]:
            message.state = "dead"
        for message in heard["back"]:
            message.back(now, charged=False)
        for message in heard["refuse"]:
            message.failures += 1
            message.state = "dead" if message.failures > RETRIES else "waiting"
            message.due, message.suspect = now + 10.0, False
        return expected

    def given_up(self, heard: dict[str, list[Message]]) -> int:
        return len(heard["never"]) + sum(m.failures >= RETRIES for m in heard["refuse"])

    def next_ones(self, most: int, upto: int, free_of: int) -> list[int]:
        due = [
            seq
            for seq, m in sorted(self.model.items())
            if m.state == "waiting" and m.due <= self.time.now
        ][:most]
        if due and self.model[due[0]].suspect:
            return due[:1]
        due = [seq for seq in due if not self.model[seq].suspect]
        unsettled = sum(m.state in {"held", "waiting"} for m in self.model.values())
        room = max(min(most - len(due), IN_FLIGHT - unsettled + free_of), 0)
        return due + [s for s, m in self.model.items() if m.state == "new" and s <= upto][:room]

    @precondition(lambda self: self.hands)
    @rule(at=which)
    def renew(self, *, at: int) -> None:
        hand = self.hands[at % len(self.hands)]
        own = [claim for holder, claim in self.given if holder is hand]
        hand.engine.renew("billing", hand.name, own)
        for claim in own:
            if self.holds(hand, claim):
                self.model[claim.seq].until = self.time.mono + WAIT_S

    @rule(engine=engines, at=which)
    def redeliver(self, *, engine: int, at: int) -> None:
        seqs = [*self.model] or [0]
        seq = seqs[at % len(seqs)]
        message = self.model.get(seq)
        was_dead = message is not None and message.state == "dead"
        assert self.engines[engine].redeliver("billing", seq) is was_dead
        if message and was_dead:
            self.model[seq] = Message("waiting", due=self.time.now)

    @precondition(lambda self: self.dead)
    @rule()
    def those_who_were_given_up_are_told(self) -> None:
        for hand, claim in self.given:
            if hand.name not in {*(h.name for h in self.hands), *self.dead}:
                with pytest.raises(MemberLost):
                    hand.ack(claim)

    @rule(engine=engines, saved=st.booleans())
    def another_process(self, *, engine: int, saved: bool) -> None:
        """Opens the same file, from its beginning or from a snapshot."""
        if saved:
            self.engines[engine].refresh()
            self.engines[engine].save_snapshot()
        new = deliveries_on(self.folder, self.time)
        new._files = self.engines[engine]._files
        for hand in self.hands:
            if hand.engine is self.engines[engine]:
                hand.engine = new
        self.engines[engine] = new

    # --- what holds always -------------------------------------------------------------------

    @invariant()
    def it_is_as_the_model_has_it(self) -> None:
        for engine in self.engines:
            own = engine.find("billing")
            model = {s: m for s, m in self.model.items() if m.state in {"held", "waiting"}}
            assert set(own.unsettled) == set(model)
            for seq, one in own.unsettled.items():
                assert (one.member or "") == (model[seq].holder if one.member else "")
                assert (one.member is not None) == (model[seq].state == "held")
                assert (one.failures, one.suspect) == (model[seq].failures, model[seq].suspect)
            dead = {seq for seq, m in self.model.items() if m.state == "dead"}
            acked = sum(m.state == "acked" for m in self.model.values())
            assert (set(own.dead), own.acked) == (dead, acked)
            assert own.taken == sum(m.state != "new" for m in self.model.values())
            assert all(m.state == "new" for s, m in self.model.items() if s > own.taken_to)
            below = [m for s, m in self.model.items() if s <= own.settled_to]
            assert all(m.state in {"acked", "dead"} for m in below)

    @invariant()
    def no_message_is_acknowledged_twice(self) -> None:
        events = self.engines[0].journal.read()
        acked = Counter(s for block, _ in events for e in block for s in e.get("acked", ()))
        assert max(acked.values(), default=0) <= 1

    # --- below -------------------------------------------------------------------------------

    def holds(self, hand: Hand, claim: Claim) -> bool:
        message = self.model[claim.seq]
        held = message.state == "held"
        return held and (message.holder, message.token) == (hand.name, claim.token)

    def held_by(self, name: str) -> list[Message]:
        return [m for m in self.model.values() if m.state == "held" and m.holder == name]

    def notice_the_dead(self) -> None:
        for name in self.dead:
            for message in self.held_by(name):
                message.back(self.time.now, charged=True)
        self.dead.clear()


TestGroup = Group.TestCase
TestGroup.settings = settings(max_examples=24, stateful_step_count=40)
