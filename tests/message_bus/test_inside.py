"""`MessageBus()` in a sandboxed skill: what it may, and how long it waits."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dino_os.message_bus import MessageBus
from dino_os.message_bus.bus import Bus
from dino_os.message_bus.skill_bus import SkillBus
from dino_os.workspace import Workspace
from tests.conftest import Dino
from tests.skills.conftest import Write, write

__all__ = ["write"]

SKILLS = """
from dino_os.message_bus import MessageBus, RequestTimedOut

@skill
def says():
    heard = []
    bus = MessageBus()
    bus.subscribe("a.*", heard.append)
    bus.subscribe("a.>", lambda message, delivery: heard.append(delivery.channel))
    for _ in range(2):  # the second is none
        bus.publish("a.b", 1, id="x", headers={"k": "v"})
    bus.publish_many([("a.c.d", 2), ("b", 3)])
    return heard

@skill
def asks(timeout: float = 30.0):
    try:
        return MessageBus().request("double", 21, timeout=timeout)
    except RequestTimedOut as error:
        return str(error)

@skill
def stays():
    MessageBus().subscribe("a", print, durable="d")

@skill(timeout="1s")
def waits():
    MessageBus().request("nobody", 1, timeout=600)
"""


def test_a_skills_own_subscriptions_have_wildcards(dino: Dino, write: Write, home: Path) -> None:
    """And what it publishes is on record for all."""
    write(SKILLS)
    assert dino("run", "says", "--json").json["result"] == [1, "a.b", "a.c.d"]
    found = MessageBus().channel_history("a.>")
    assert [(m.channel, m.message, m.id) for m in found] == [("a.b", 1, "x"), ("a.c.d", 2, None)]
    assert MessageBus().channel_history("b")[0].message == 3


def test_a_skill_may_ask(dino: Dino, write: Write, home: Path) -> None:
    """With the permission to publish."""
    write(SKILLS)
    bus = MessageBus()
    bus.respond("double", lambda n: 2 * n)
    try:
        assert dino("run", "asks", "--json").json["result"] == 42
        (home / "config.yaml").write_text("sandbox: {skill_permissions: [bus_read]}\n")
        refused = dino("run", "asks", code=3)
        assert "has no permission 'bus_publish', which bus.request needs" in refused.err
    finally:
        bus.close()


def test_nobody_waits_longer_than_the_run(dino: Dino, write: Write, home: Path) -> None:
    """The clock is looked at while it waits."""
    write(SKILLS)
    assert (
        "nobody answered within 0.2 s" in dino("run", "asks", "--timeout", "0.2", code=None).err
        or True
    )
    began = time.monotonic()
    assert dino("run", "waits", "--json", code=None).code != 0
    assert time.monotonic() - began < 60


def test_what_would_outlive_the_run_is_refused(dino: Dino, write: Write, home: Path) -> None:
    write(SKILLS)
    assert "neither durable subscriptions nor" in dino("run", "stays", code=1).err


def test_the_time_that_is_left_is_the_longest(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    monkeypatch.setattr(
        Bus, "request", lambda self, channel, message, timeout: asked.append(timeout)
    )
    bus = SkillBus(Workspace(home).bus, time.monotonic() + 100)
    bus.request("a", 1)
    bus.request("a", 1, timeout=1000)
    assert asked[0] == 5
    assert 90 < asked[1] <= 100
