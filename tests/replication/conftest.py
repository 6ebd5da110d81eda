"""A server of the protocol in this process, and two databases to replicate between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.replication.couch import Couch, running
from tests.replication.kit import Pair, a_store
from tests.replication.proxy import Proxy, in_front_of


@pytest.fixture
def couch(tmp_path: Path) -> Iterator[Couch]:
    with running(tmp_path) as couch:
        yield couch


@pytest.fixture
def pair(couch: Couch, tmp_path: Path) -> Iterator[Pair]:
    here = a_store(tmp_path, "here")
    yield Pair(couch, here, couch.database())
    here.close()


@pytest.fixture
def proxy(couch: Couch, pair: Pair) -> Iterator[Proxy]:
    """A proxy that the pair goes through."""
    with in_front_of(couch.url) as proxy:
        pair.url = f"{proxy.url}/db"
        yield proxy


@pytest.fixture(params=["push", "pull"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)
