"""Continuous synchronisation by the service: while it lives, what is written on a side is on both."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dino_os.offline.duty import SyncDuty
from dino_os.offline.status import status_of
from dino_os.offline.syncing import Syncing
from dino_os.workspace import Workspace
from engines.drill import FaultProxy
from engines.latent_cache import DocumentStore
from engines.replication import PeerRefused, Report
from tests.offline.conftest import PASSWORD, Client


@dataclass
class Site:
    """A workspace whose remote is behind a network that can be cut."""

    workspace: Workspace
    there: DocumentStore
    proxy: FaultProxy
    duty: SyncDuty

    def until(self, condition: Callable[[], bool]) -> None:
        """Take turns until it holds."""
        tick = threading.Event()
        for _ in range(3000):
            self.duty.turn()
            if condition():
                return
            tick.wait(0.01)
        raise AssertionError("it never was so")


def workspace_of(folder: Path, port: int, password: str, *, continuous: bool = True) -> Workspace:
    (folder / "config.yaml").write_text(
        f"cache:\n  remote: http://127.0.0.1:{port}/cache\n  remote_key: desk\n"
        f"  continuous: {'true' if continuous else 'false'}\n"
    )
    workspace = Workspace(folder)
    workspace.security.set_key("desk", f"dino:{password}")
    return workspace


@pytest.fixture
def site(client: Client, workspace: Path) -> Iterator[Site]:
    proxy = FaultProxy(("127.0.0.1", client.server.port))
    here = workspace_of(workspace, proxy.port, PASSWORD)
    site = Site(here, client.store, proxy, SyncDuty(here))
    yield site
    site.duty.finish()
    proxy.close()
    here.documents.close()


def has(store: DocumentStore, doc_id: str) -> Callable[[], bool]:
    return lambda: bool(store.leaves(doc_id))


def test_what_is_written_on_a_side_is_on_both_also_after_an_outage(site: Site) -> None:
    here, there, log = site.workspace.documents, site.there, site.workspace.offline_log
    here.put({"_id": "ours"})
    there.put({"_id": "theirs"})
    site.until(lambda: has(there, "ours")() and has(here, "theirs")())
    here.put({"_id": "more of ours"})
    site.until(has(there, "more of ours"))
    there.put({"_id": "more of theirs"})
    site.until(has(here, "more of theirs"))
    site.until(lambda: {"push", "pull"} <= log.syncs.keys())

    site.proxy.cut()
    here.put({"_id": "meanwhile"})
    there.put({"_id": "meanwhile there"})
    site.until(lambda: {"push", "pull"} <= log.failing_since.keys())
    assert not has(there, "meanwhile")()
    site.proxy.restore()
    site.until(lambda: has(there, "meanwhile")() and has(here, "meanwhile there")())
    site.until(lambda: not log.failing_since)
    site.until(lambda: site.workspace.cache.queue == [])  # nothing waits to be pushed


def test_before_it_leaves_what_there_is_goes_across(site: Site) -> None:
    """As in a tick from cron; nobody who is not there is waited for."""
    site.workspace.documents.put({"_id": "ours"})
    site.duty.turn()
    assert site.duty.finish() is False
    assert has(site.there, "ours")()
    site.workspace.documents.put({"_id": "later"})
    site.proxy.cut()
    site.duty.turn()
    site.duty.finish()
    assert set(site.workspace.offline_log.failing_since) == {"push", "pull"}


def test_another_remote_has_nothing_to_do_with_what_waits_for_ours(site: Site) -> None:
    here = site.workspace
    here.documents.put({"_id": "ours"})
    report = Report("id", "session", 0.0, end_last_seq=here.documents.info()["update_seq"])
    Syncing(here, remote="http://127.0.0.1:1/other").settle("push", report)
    assert [one.key for one in here.cache.queue] == ["ours"]
    Syncing(here).settle("push", report)
    assert here.cache.queue == []


def test_what_is_refused_is_named_until_it_gets_through(site: Site) -> None:
    """By every synchronisation, not by the first alone."""
    here, syncing = site.workspace, Syncing(site.workspace, direction="pull")
    site.there.put({"_id": "large", "text": "x"})
    with pytest.MonkeyPatch.context() as patch:
        write = here.documents.write_revisions

        def refusing(docs: Any, **more: Any) -> Any:
            failed = [
                {"id": d["_id"], "rev": d["_rev"], "error": "no", "reason": "no"} for d in docs
            ]
            return [*write([], **more), *failed]

        patch.setattr(here.documents, "write_revisions", refusing)
        for _ in range(2):
            (outcome,) = syncing.once()
            assert (outcome["ok"], outcome["denied"]) == (False, ["large"])
    assert status_of(here)["syncs"]["pull"]["denied"] == ["large"]
    (outcome,) = syncing.once()
    assert (outcome["ok"], outcome["denied"], outcome["docs_written"]) == (True, [], 1)


def test_without_settings_that_ask_for_it_there_is_nothing_to_do(
    client: Client, workspace: Path
) -> None:
    duty = SyncDuty(workspace_of(workspace, client.server.port, PASSWORD, continuous=False))
    assert duty.turn() is None
    assert duty.finish() is False


def test_who_is_not_let_in_hears_so(client: Client, workspace: Path) -> None:
    """The service tells of it, and tries again after a pause."""
    here = workspace_of(workspace, client.server.port, "wrong")
    site = Site(here, client.store, FaultProxy(("127.0.0.1", 1)), SyncDuty(here))
    with pytest.raises(PeerRefused):
        site.until(lambda: False)
    site.proxy.close()
    here.documents.close()
