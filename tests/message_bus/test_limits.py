"""Limits: what is beyond them is not shown, or not taken; and its bytes go when nobody needs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dino_os.auditing import Auditing
from dino_os.config import Config
from dino_os.entities import operating
from dino_os.errors import ConfigError, MessageBusError
from dino_os.message_bus import MessageBus, messages
from dino_os.message_bus.bus import Bus
from dino_os.message_bus.exchange import forget
from dino_os.message_bus.limits import Limit
from dino_os.retention import prune_bus
from dino_os.upkeep import now_and_then
from dino_os.workspace import Workspace
from engines.journal import Journal, RecordedJournal, verify
from tests.message_bus.parties import ended, process, until


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limited(tmp_path: Path, clock: Clock) -> Callable[..., Bus]:
    """A bus of its own for each call, over the same journal."""

    def bus(*limits: Limit) -> Bus:
        journal = Journal(tmp_path / "memory" / "bus.jsonl", clock=clock)
        return Bus(journal, limits=limits, clock=clock)

    yield bus
    forget()


def said(bus: Bus, subject: str = ">", limit: int = 10**6) -> list[Any]:
    return [found["message"] for found in bus.channel_history(subject, limit)]


# --- what is shown -------------------------------------------------------------------------------


def test_by_age(limited: Callable[..., Bus], clock: Clock) -> None:
    bus = limited(Limit("log.>", max_age_s=10))
    bus.publish("log.a", 1)
    bus.publish("kept", 2)
    clock.now += 5
    bus.publish("log.b", 3)
    assert said(bus) == [1, 2, 3]
    clock.now += 5
    assert (said(bus), said(bus, "log.*"), said(bus, "log.a")) == ([2, 3], [3], [])
    clock.now += 5
    assert (said(bus), bus.first_seq(), bus.first_seq("log.>")) == ([2], 2, 4)


def test_by_number_and_size_of_all_its_channels_together(limited: Callable[..., Bus]) -> None:
    bus = limited(Limit("n.>", max_messages=3), Limit("s.*", max_bytes=12))
    for number in range(5):
        bus.publish(f"n.{number % 2}", number)
        bus.publish("s.x", "x" * number)
    assert said(bus, "n.>") == [2, 3, 4]
    assert said(bus, "n.0") == [2, 4]
    assert said(bus, "s.x") == ["x" * 3, "x" * 4]
    assert said(limited(Limit("n.>", max_messages=3)), "n.>", 2) == [3, 4]


def test_the_first_limit_whose_subject_has_it_counts(limited: Callable[..., Bus]) -> None:
    bus = limited(Limit("a.b", max_messages=1), Limit("a.>", max_messages=2))
    bus.publish_many([(channel, channel) for channel in ("a.b", "a.c", "a.b", "a.c", "a.d")])
    assert said(bus) == ["a.b", "a.c", "a.d"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c"]), st.text("xy", max_size=4), st.integers(0, 4)),
        max_size=30,
    ),
    st.integers(1, 6),
    st.integers(1, 30),
    st.integers(1, 12),
)
@settings(max_examples=24)
def test_what_is_shown_is_what_a_simple_count_leaves(
    tmp_path_factory: pytest.TempPathFactory,
    messages: list[tuple[str, str, int]],
    most: int,
    size: int,
    age: int,
) -> None:
    clock = Clock()
    journal = Journal(tmp_path_factory.mktemp("m") / "bus.jsonl", clock=clock)
    bus = Bus(journal, limits=[Limit("a", age, most, size), Limit("b", age)], clock=clock)
    written: list[tuple[str, str, float]] = []
    for channel, text, later in messages:
        clock.now += later
        bus.publish(channel, text)
        written.append((channel, text, clock.now))
    kept, room, left = [], size, most
    for channel, text, at in reversed(written):
        fits = channel != "a"
        if channel == "a":
            room, left = room - len(text) - 2, left - 1
            fits = min(room, left) >= 0
        if fits and (channel == "c" or at > clock.now - age):
            kept.append(text)
    assert said(bus) == kept[::-1]
    journal.close()


# --- back-pressure -------------------------------------------------------------------------------


def test_what_is_full_refuses(limited: Callable[..., Bus], clock: Clock) -> None:
    """All of a batch or none; in any process; until the old are of age."""
    limit = Limit("jobs.>", max_age_s=10, max_messages=3, refuse=True)
    bus, other = limited(limit), limited(limit)
    heard: list[Any] = []
    bus.subscribe("jobs.>", heard.append)
    bus.publish("jobs.a", 1)
    clock.now += 5
    other.publish("jobs.b", 2)
    with pytest.raises(MessageBusError, match=r"'jobs\.>' is full: 2 messages"):
        bus.publish_many([("free", 0), ("jobs.a", 3), ("jobs.a", 4)])
    bus.publish_many([("free", 0), ("jobs.a", 3)])
    for one in (bus, other, limited(limit)):
        with pytest.raises(MessageBusError, match="full"):
            one.publish("jobs.c", 4)
        one.publish("free", 1)
    clock.now += 5
    bus.publish("jobs.c", 5)
    with pytest.raises(MessageBusError, match="full"):
        other.publish("jobs.c", 6)
    assert said(bus, "jobs.>") == [2, 3, 5]
    assert heard[:1] + heard[-2:] == [1, 3, 5]


def test_what_everybody_is_done_with_makes_room(limited: Callable[..., Bus]) -> None:
    bus = limited(Limit("jobs.>", max_bytes=4, refuse=True))
    bus.publish_many([("jobs.a", 1), ("jobs.a", 22)])
    with pytest.raises(MessageBusError, match="3 bytes"):
        bus.publish("jobs.a", 33)
    bus.room.done_to = {"jobs.>": 1}.get
    bus.publish("jobs.a", 33)
    with pytest.raises(MessageBusError, match="full"):
        bus.publish("jobs.a", 4)


def test_who_is_too_far_behind_refuses(limited: Callable[..., Bus]) -> None:
    bus = limited()

    def check(channel: str) -> None:
        if channel == "slow":
            raise MessageBusError("somebody is too far behind")

    bus.room.check_backlog = check
    bus.publish("fast", 1)
    with pytest.raises(MessageBusError, match="behind"):
        bus.publish_many([("fast", 2), ("slow", 3)])
    assert said(bus) == [1]


def test_processes_share_the_room(home: Path) -> None:
    """However many publish at once, no more is taken than there is room for."""
    (home / "config.yaml").write_text(
        "bus: {channels: {jobs: {max_messages: 20, when_full: refuse}}}\n"
    )
    program = """
from dino_os.message_bus import MessageBus, MessageBusError
taken = 0
for number in range(20):
    try:
        MessageBus().publish("jobs", number)
        taken += 1
    except MessageBusError:
        pass
print(taken)
"""
    taken = ended(*(process(home, program) for _ in range(3)))
    assert sum(map(int, taken)) == 20
    assert len(MessageBus().channel_history("jobs", 100)) == 20


# --- settings ------------------------------------------------------------------------------------


def test_settings_name_times_and_sizes_as_people_write_them(workspace: Path) -> None:
    (workspace / "config.yaml").write_text(
        "bus:\n  duplicate_window: 90s\n  channels:\n"
        "    sensors.>: {max_age: 1.5h, max_bytes: 10MB}\n"
        "    jobs: {max_age: 60, max_messages: 5, when_full: refuse}\n"
    )
    bus = Workspace(workspace).bus
    assert bus._limits is not None
    assert bus._limits._limits == [
        Limit("sensors.>", max_age_s=5400.0, max_bytes=10_000_000),
        Limit("jobs", max_age_s=60.0, max_messages=5, refuse=True),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("duplicate_window: soon", "bus.duplicate_window"),
        ("duplicate_window: 0", "bus.duplicate_window"),
        ("channels: {a: {max_age: -1}}", "max_age"),
        ("channels: {a: {max_bytes: 3 parsecs}}", "max_bytes"),
        ("channels: {a: {when_full: panic}}", "when_full"),
        ("channels: {a: {max: 3}}", "max"),
        ("max_backlog: 0", "bus.max_backlog"),
    ],
)
def test_settings_that_do_not_fit_are_named(workspace: Path, text: str, told: str) -> None:
    (workspace / "config.yaml").write_text(f"bus: {{{text}}}\n")
    with pytest.raises(ConfigError, match=told):
        Config(workspace / "config.yaml")


def test_a_subject_that_is_none_is_named_with_its_place(workspace: Path) -> None:
    (workspace / "config.yaml").write_text("bus:\n  channels:\n    'a.>.b': {max_messages: 3}\n")
    with pytest.raises(ConfigError, match=r"config\.yaml:3: .*bus\.channels\.a\.>\.b"):
        Workspace(workspace).bus  # noqa: B018


def test_a_message_that_alone_is_too_large_is_said_to_be(limited: Callable[..., Bus]) -> None:
    bus = limited(Limit("a", max_bytes=50, refuse=True))
    with pytest.raises(MessageBusError, match="62 bytes is larger than all that 'a' may hold"):
        bus.publish("a", "x" * 60)


def test_who_comes_later_is_handed_what_is_shown(home: Path) -> None:
    """From wherever it begins; what goes out of its limits later it is handed all the same."""
    (home / "config.yaml").write_text("bus: {channels: {'s.>': {max_messages: 2}}}\n")
    bus = MessageBus()
    bus.publish_many([("free", "f"), *(("s.a", n) for n in range(5))])
    heard: dict[str, list[Any]] = {"all": [], "number": []}
    bus.subscribe(">", heard["all"].append, durable="all", start="all")
    bus.subscribe("s.*", heard["number"].append, durable="number", start=0)
    until(lambda: len(heard["all"]) >= 3 and len(heard["number"]) >= 2)
    bus.close()
    bus.publish_many(("s.a", n) for n in range(5, 9))
    for name, subject in (("all", ">"), ("number", "s.*")):
        bus.subscribe(subject, heard[name].append, durable=name)
    until(lambda: len(heard["all"]) >= 7 and len(heard["number"]) >= 6)
    assert heard == {"all": ["f", *range(3, 9)], "number": [*range(3, 9)]}
    until(lambda: {own.backlog for own in bus.subscriptions()} == {0})
    bus.close()


def test_where_lines_are_found_is_remembered_within_bounds(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "_MOST_PLACES", 10)
    bus = Workspace(home).bus
    for number in range(100):
        bus.publish("a", number)
        assert [one.message for one in bus.messages.after(number, "a", 9)] == [number]
    assert len(bus.messages._places) <= 10
    found = [bus.messages.at(number + 1) for number in range(100)]
    assert [one and one.message for one in found] == [*range(100)]


# --- the bytes -----------------------------------------------------------------------------------


@pytest.fixture
def kept(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace that keeps two messages of `log`, with three sealed files of them."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    (home / "config.yaml").write_text("bus: {channels: {log: {max_messages: 2}}}\n")
    workspace = Workspace.shared()
    Auditing(workspace).new_key(None)
    for number in range(3):
        workspace.bus.publish_many([("log", [number, n]) for n in range(5)])
        with workspace.bus._journal.locked():
            workspace.bus._journal.rotate()
    return workspace


def lines_gone(workspace: Workspace) -> int:
    return RecordedJournal(workspace.memory / "bus.jsonl").begin().seq


def test_what_is_out_of_its_limits_goes_with_a_checkpoint(kept: Workspace) -> None:
    assert prune_bus(kept) is None  # nothing is signed yet
    Auditing(kept).checkpoint(["bus"])
    now_and_then(kept)
    assert lines_gone(kept) == 12
    assert said(kept.bus) == [[2, 3], [2, 4]]
    assert verify(kept.memory / "bus.jsonl").ok
    assert prune_bus(kept) is None


def test_what_somebody_reads_on_from_is_kept(kept: Workspace) -> None:
    Auditing(kept).checkpoint(["bus"])
    kept.bus.room.done_to = {">": 5}.get
    now_and_then(kept)
    assert lines_gone(kept) == 6
    kept.bus.room.done_to = {">": 10**6}.get
    (kept.skills_folder / "s.py").write_text(
        "from dino_os import skill\n@skill\ndef read(message: object) -> str:\n    'Read.'\n"
    )
    operating.spawn(kept, "e", "worker", {}, skill="read", channel="log", from_start=True)
    operating.awaken(kept, "e")
    now_and_then(kept)
    assert lines_gone(kept) == 6
    kept.entities.hibernate("e")
    now_and_then(kept)
    assert lines_gone(kept) == 12


def test_what_no_limit_names_keeps_all_behind_it(kept: Workspace) -> None:
    kept.bus.publish("unlimited", 1)
    Auditing(kept).checkpoint(["bus"])
    now_and_then(kept)
    assert lines_gone(kept) == 12


def test_who_hears_goes_on_behind_what_was_pruned(kept: Workspace) -> None:
    """A listener that slept while files went is told what is there."""
    heard: list[Any] = []
    kept.bus.subscribe("log", heard.append)
    exchange = kept.bus.exchange
    with exchange._lock:  # as a process that was stopped
        kept.own_journal("bus").append_many(
            [("message_published", {"channel": "log", "message": n}) for n in range(3)]
        )
        with kept.bus._journal.locked():
            kept.bus._journal.rotate()
        Auditing(kept).checkpoint(["bus"])
        kept.own_journal("bus").append("message_published", {"channel": "log", "message": "x"})
        kept.own_journal("bus").append("message_published", {"channel": "log", "message": "y"})
        now_and_then(kept)
    kept.bus.publish("log", "z")
    assert heard == ["x", "y", "z"]
