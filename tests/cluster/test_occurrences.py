"""Due times that nodes share: each runs once in all, and each node says what it knows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.cluster.servers import Server, needs_server
from tests.cluster.sites import Site

pytestmark = needs_server
MakeSite = Callable[..., Site]
EVERY = {"minutes": 10}
SHORT_S = 1.0


@pytest.fixture
def site(tmp_path: Path, server: Server) -> Iterator[MakeSite]:
    """Nodes of one cluster, by name."""
    namespace, made = uuid4().hex[:12], list[Site]()

    def make(name: str, url: str = server.url, **options: Any) -> Site:
        made.append(Site(tmp_path, url, name, namespace, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def two(site: MakeSite, **options: Any) -> tuple[Site, Site]:
    """Two nodes with the same job, of which the first leads."""
    a, b = site("a", **options), site("b", **options)
    for one in (a, b):
        one.desk.add(overlap="allow")
        one.at("2027-01-15T08:31:00Z")
    return a, b


def test_a_due_time_runs_on_the_node_that_leads(site: MakeSite) -> None:
    a, b = two(site)
    b.at("2027-01-15T08:40:00Z")
    assert b.states == []  # it waits for who leads
    a.at("2027-01-15T08:40:00Z")
    b.settle()
    assert a.states == ["08:40 submitted"]
    assert b.states == ["08:40 elsewhere a"]
    assert a.desk.runs == ["08:40"]
    assert b.desk.runs == []
