"""A bare `LatentCache()` and the remote of the workspace it is in."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from dino_os.offline.syncing import NotReached, for_workspace
from dino_os.workspace import Workspace
from engines.latent_cache import CacheError, LatentCache
from engines.latent_cache.installed import GROUP, installed_remote
from tests.conftest import REPOSITORY
from tests.offline.conftest import PASSWORD, Client

OURS = "dino_os.offline.syncing:for_workspace"


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, OURS)


def say(monkeypatch: pytest.MonkeyPatch, *values: str) -> None:
    """What is installed under our group."""
    points = [metadata.EntryPoint("settings", value, GROUP) for value in values]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: points)


def configure(home: Path, url: str, direction: str = "both") -> None:
    assert Workspace(home).security.set_key("desk", f"dino:{PASSWORD}")
    (home / "config.yaml").write_text(
        f"cache:\n  remote: {url}\n  remote_key: desk\n  direction: {direction}\n"
    )


def test_a_bare_cache_synchronises_with_the_remote_of_the_settings(
    home: Path, client: Client
) -> None:
    """With the key from the vault; and what it brought is done for the workspace's cache too."""
    configure(home, client.server.url)
    client.store.put({"_id": "theirs", "value": 1})
    with LatentCache() as cache:
        cache.set("mine", 2)
        assert [one.key for one in cache.queue] == ["mine"]
        assert (cache.get("theirs"), cache.sync(), cache.get("theirs")) == (None, 1, 1)
        assert client.store.get("mine")["value"] == 2
        assert (cache.queue, cache.sync(), cache.get_stats()["has_remote"]) == ([], 0, True)
    assert Workspace(home).cache.queue == []


@pytest.mark.parametrize(("direction", "sent"), [("pull", 0), ("push", 1)])
def test_what_is_not_sent_goes_on_waiting(
    home: Path, client: Client, direction: str, sent: int
) -> None:
    """Where the settings only fetch, an edit made here is known to nobody."""
    configure(home, client.server.url, direction)
    client.store.put({"_id": "theirs", "value": 1})
    cache = Workspace(home).cache
    cache.set("mine", 2)
    assert cache.sync() == sent
    assert [one.key for one in cache.queue] == ([] if sent else ["mine"])
    assert (cache.get("theirs") is None) == bool(sent)
    assert cache.get_stats()["operations_synced"] == sent
    assert bool(client.store.leaves("mine")) == bool(sent)


def test_nobody_is_contacted_but_by_sync(home: Path) -> None:
    """No key is read, and no address is asked, for whatever else a cache does."""
    configure(home, "http://127.0.0.1:1/nobody")
    with LatentCache() as cache:
        cache.set("k", 1)
        cache.set_online(False)
        cache.set("l", 1)
        assert (cache.sync(), len(cache.queue), cache.get_stats()["has_remote"]) == (0, 2, True)
        cache.set_online(True)
        record = (home / "memory" / "security_log.jsonl").read_text()
        assert "key_accessed" not in record
        with pytest.raises(NotReached):
            cache.sync()
        assert [one.key for one in cache.queue] == ["k", "l"]


def test_without_settings_there_is_no_remote(home: Path) -> None:
    cache = LatentCache()
    cache.set("k", 1)
    assert (cache.remote, cache.queue, cache.sync()) == (None, [], 0)


def test_a_cache_of_its_own_has_no_remote_but_the_one_it_is_given(
    home: Path, tmp_path: Path
) -> None:
    configure(home, "http://127.0.0.1:1/nobody")
    assert LatentCache(tmp_path / "own").remote is None
    assert LatentCache().remote is not None
    given = LatentCache()
    given.remote = None
    assert given.remote is None
    mine = object()
    assert LatentCache(remote=mine).remote is mine


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (("no_such_module:x",), "cannot be loaded"),
        ((OURS, "tests.elsewhere:remote"), "several packages"),
    ],
)
def test_what_is_installed_wrongly_is_said(
    home: Path, monkeypatch: pytest.MonkeyPatch, values: tuple[str, ...], problem: str
) -> None:
    say(monkeypatch, *values)
    cache = LatentCache()
    cache.set("k", 1)  # which needs none
    with pytest.raises(CacheError, match=problem):
        cache.sync()


def test_without_the_package_there_is_no_remote_and_twice_the_same_is_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(home, "http://127.0.0.1:1/nobody")
    say(monkeypatch)
    assert installed_remote(home / "memory") is None
    say(monkeypatch, OURS, OURS)
    assert installed_remote(home / "memory") is not None
    assert for_workspace(home / "memory") is not None


def test_the_package_names_it() -> None:
    """The entry that installing Dino makes."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert [*project["entry-points"][GROUP].values()] == [OURS]
