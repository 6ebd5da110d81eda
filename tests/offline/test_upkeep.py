"""Giving back room: by hand, and by the service."""

from __future__ import annotations

from pathlib import Path

import pytest

from dino_os.offline import upkeep
from dino_os.offline.upkeep import UpkeepDuty
from dino_os.workspace import Workspace
from engines.latent_cache import DocumentStore
from tests.conftest import Dino


def attached(store: DocumentStore) -> str:
    """An attachment that no document names any more; its digest."""
    data = {"photo": {"content_type": "image/png", "data": b"x" * 100_000}}
    rev = store.put({"_id": "shot", "_attachments": data})
    digest = store.get("shot")["_attachments"]["photo"]["digest"]
    store.put({"_id": "shot", "_rev": rev})
    assert store.has_attachment(digest)
    return str(digest)


def test_room_is_given_back_and_documents_are_forgotten_by_hand(
    dino: Dino, workspace: Path
) -> None:
    assert dino("offline", "compact", "--json").json["bytes"] == 0
    assert "nothing is known of 'x'" in dino("offline", "purge", "x", code=2).err
    assert not (workspace / "memory" / "cache").exists()
    with Workspace(workspace).documents as store:
        digest = attached(store)
    found = dino("offline", "compact", "--json").json
    assert (found["attachments"], found["forgotten"]) == (1, 0)
    assert found["bytes"] > 50_000
    dino("offline", "set", "x", "1")
    dino("offline", "rm", "x")
    assert dino("offline", "purge", "x").out == "x is forgotten here\n"
    assert "; 0 forgotten; " in dino("offline", "compact", "--forget", "1s").out
    with Workspace(workspace).documents as store:
        assert (store.has_attachment(digest), store.info()["doc_del_count"]) == (False, 0)
    assert dino("hashchain", "--json").json["ok"]


def test_the_service_sweeps_often_and_clears_up_once_a_day(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_800_000_000.0]
    monkeypatch.setattr(upkeep.time, "time", lambda: now[0])
    here = Workspace(workspace)
    duty = UpkeepDuty(here)
    assert duty.turn() == now[0] + 300
    assert not here.documents_file.exists()
    with here.documents as store:
        store.clock = lambda: now[0]
        digest = attached(store)
        store.put({"_id": "brief"}, ttl_s=10)
        duty.turn()
        assert not store.has_attachment(digest)
        digest = attached_again(store)
        now[0] += 300
        UpkeepDuty(here).turn()  # another service, which knows when it was done
        assert store.has_attachment(digest)
        assert store.expire() == 0  # for it was swept
        now[0] += 86_400
        duty.turn()
        assert not store.has_attachment(digest)


def attached_again(store: DocumentStore) -> str:
    store.discard("shot")
    return attached(store)
