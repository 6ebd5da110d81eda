"""The workspace's own cache: its settings, its journal among the others, audited as they are."""

from __future__ import annotations

from pathlib import Path

from dino_os.workspace import Workspace
from engines.latent_cache import LatentCache
from engines.nav_mesh import Request
from tests.conftest import Dino
from tests.latent_cache.conftest import recorded


def test_settings_reach_the_cache(home: Path) -> None:
    (home / "config.yaml").write_text(
        "cache: {revs_limit: 2, ttl_s: 60, expire: everywhere, attempts: 1}\n"
    )
    workspace = Workspace(home)
    now = workspace.documents.clock()
    for number in range(4):
        workspace.cache.set("k", number)
    assert len(workspace.documents.get("k", revs=True)["_revisions"]["ids"]) == 2
    workspace.documents.clock = lambda: now + 61
    assert workspace.cache.get("k") is None
    workspace.documents.expire()
    assert workspace.documents.leaves("k")[0][1]  # a deletion
    id_ = workspace.requests.put("info", "a", Request("POST", "/"), authorised=True).id
    assert workspace.requests.claim(now + 61, owner="me", lease_s=9)
    after = workspace.requests.failed(id_, "me", "no", answered=True)
    assert after
    assert after.state == "dead"


def test_a_program_and_the_workspace_share_one_cache(home: Path) -> None:
    LatentCache().set("k", {"n": 1})
    assert Workspace(home).cache.get("k") == {"n": 1}


def test_an_audit_finds_every_change_up_to_now(home: Path, dino: Dino) -> None:
    """Also while the program that made them goes on."""
    cache = LatentCache()
    cache.set("k", 1)
    assert not (home / "memory" / "cache_log.jsonl").exists()
    found = dino("hashchain", "--json", door="audit").json
    assert "cache_log" in str(found)
    assert [e["id"] for e in recorded(home / "memory" / "cache_log.jsonl")] == ["k"]
    cache.set("k", 2)
    assert len([*Workspace(home).journals()]) == 1
    assert len(recorded(home / "memory" / "cache_log.jsonl")) == 2


def test_a_command_leaves_its_changes_recorded(home: Path) -> None:
    workspace = Workspace(home)
    workspace.settle()
    assert not (home / "memory").exists()
    workspace.cache.set("k", 1)
    workspace.settle()
    assert len(recorded(home / "memory" / "cache_log.jsonl")) == 1
    assert any(journal.wrote for journal in workspace.opened)


def test_a_rehearsal_sees_the_cache_and_leaves_it(home: Path) -> None:
    assert Workspace(home, rehearsal=True).cache.get("k") is None
    assert not (home / "memory").exists()
    Workspace(home).cache.set("k", 1)
    rehearsed = Workspace(home, rehearsal=True)
    assert (rehearsed.cache.get("k"), rehearsed.cache.cache_hits) == (1, 1)


def test_the_metrics_measure_the_workspaces_cache(home: Path) -> None:
    workspace = Workspace(home)
    assert workspace.metrics().gauges["latency_tolerance"].measured is False
    workspace.cache.set("k", 1)
    workspace.cache.get("k")
    workspace.requests.put("info", "a", Request("POST", "/"), authorised=True)
    metrics = workspace.metrics()
    metrics.update_all()
    assert metrics.gauges["latency_tolerance"].current_value == 100.0
