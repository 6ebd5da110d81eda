"""
Where a replication got to, and what is done with it.

PouchDB's titles: sequence tracking; checkpoint 1, 2, 3; checkpoint on target #585; #3999-1 to 4;
checkpoints disabled on both, source only, target only; resumes with each; read-only checkpoint and
source; different query params; notifies of progress.  CouchDB's: use_checkpoints, since_seq, restart
after filter change COUCHDB-892.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.latent_cache import DocumentStore
from engines.replication import LocalPeer, Options, PeerUnreachable, RemotePeer, Replicator
from engines.replication.checkpoints import replication_id
from tests.replication.kit import Pair, put


def record(store: DocumentStore, name: str) -> dict[str, Any]:
    found = store.get_local(name)
    assert found is not None
    return found


def test_the_same_record_stands_at_both_ends(pair: Pair, way: str) -> None:
    source, _ = pair.ends(way)
    put(source, *"abcde")
    report = pair.go(way, batch_size=2, batch_max=2)
    here, there = (record(store, report.replication_id) for store in (pair.here, pair.there))
    assert {**here, "_rev": ""} == {**there, "_rev": ""}
    assert here["session_id"] == report.session_id
    assert here["source_last_seq"] == report.end_last_seq
    assert [entry["docs_written"] for entry in here["history"]] == [5, 4, 2]
    newest = here["history"][0]
    assert newest["recorded_seq"] == newest["end_last_seq"] == report.end_last_seq
    assert newest["start_time"].endswith("GMT")
    put(source, "f")
    again = pair.go(way)
    assert again.start_last_seq == report.end_last_seq
    assert (again.docs_read, again.missing_checked) == (1, 1)
    sessions = [
        entry["session_id"] for entry in record(pair.here, report.replication_id)["history"]
    ]
    assert sessions[:2] == [again.session_id, report.session_id]


def test_histories_stay_short(pair: Pair) -> None:
    for n in range(60):
        put(pair.here, "a", n=n)
        report = pair.push()
    put(pair.here, *map(str, range(30)))
    pair.push(batch_size=1, batch_max=1)
    history = record(pair.here, report.replication_id)["history"]
    assert len(history) == 50
    assert pair.push().missing_checked == 0


def test_one_end_without_the_record_is_a_new_beginning(pair: Pair, way: str) -> None:
    """#3999-2 no common session; a database that was made anew knows nothing of the other's."""
    source, _ = pair.ends(way)
    put(source, "a", "b")
    report = pair.go(way)
    for store in (pair.here, pair.there):
        store.put_local(report.replication_id, {"_deleted": True})
        again = pair.go(way)
        assert (again.missing_checked, again.docs_written) == (2, 0)
        store.put_local(
            report.replication_id, {"last_seq": 1}
        )  # and words of another kind are none
        assert pair.go(way).missing_checked == 2


def test_a_record_that_one_end_missed_costs_what_came_since(pair: Pair, way: str) -> None:
    """#3999-1: the two differ, and the newest place that both know is gone back to."""
    source, _ = pair.ends(way)
    put(source, *"abc")
    pair.go(way)
    peers = [pair.local, pair.remote]
    if way == "pull":
        peers.reverse()
    put(source, *"de")

    def fails(*_: Any) -> None:
        raise PeerUnreachable("the line was cut")

    peers[0].put_local = fails  # type: ignore[method-assign]
    with pytest.raises(PeerUnreachable):
        Replicator(*peers, Options(attempts=1)).run()
    again = pair.go(way)
    assert (again.missing_checked, again.docs_written) == (2, 0)


def test_a_restored_backup_gets_what_it_lost(pair: Pair, way: str, tmp_path: Path) -> None:
    """#3999-3 common session in the histories: of source and of target, wherever the old copy is."""
    source, target = pair.ends(way)
    put(source, "a")
    pair.go(way)
    old = tmp_path / "old.db"
    which = target if target is pair.here else source
    with which.changing():  # nobody writes while it is copied
        for end in ("", "-wal"):
            path = Path(f"{which.path}{end}")
            if path.exists():
                shutil.copy(path, f"{old}{end}")
    put(source, "b", "c")
    pair.go(way)
    assert pair.same()
    restored = DocumentStore(old)
    pair.here.close()
    pair.here = restored
    if way == "push":
        put(restored, "z")  # under the number that was b's
    pair.go(way)
    if way == "pull":
        assert pair.same()
    else:
        assert pair.there.get("z")["_id"] == "z"
    restored.close()


@pytest.mark.parametrize("where", ["both", "source", "target", "none"])
def test_records_are_where_they_are_wanted(pair: Pair, way: str, where: str) -> None:
    """Checkpoints disabled on both, source only, target only; and what a second run does then."""
    source, target = pair.ends(way)
    put(source, "a")
    name = pair.go(way, checkpoints=where).replication_id
    assert (source.get_local(name) is not None) == (where in {"both", "source"})
    assert (target.get_local(name) is not None) == (where in {"both", "target"})
    assert pair.go(way, checkpoints=where).missing_checked == (where == "none")


def test_a_source_that_may_only_be_read(pair: Pair) -> None:
    """Read-only checkpoint; read-only source: the target's record is enough."""
    put(pair.there, "a")
    pair.couch.read_only = True
    assert pair.pull().docs_written == 1
    put(pair.there, "b")
    assert pair.pull().missing_checked == 1
    assert pair.couch.count("PUT /_local") == 1  # it is not tried again and again
    assert pair.pull().missing_checked == 0
    assert pair.same()


@pytest.mark.parametrize("how", ["made anew", "restored"])
def test_a_source_that_may_only_be_read_and_is_another_one_now(pair: Pair, how: str) -> None:
    """Its places mean something else now: by who it is, or by being behind, that is seen."""
    put(pair.there, *"abcdef")
    pair.couch.read_only = True
    assert pair.pull().docs_written == 6
    other = pair.couch.databases["db"] = pair.couch.database("other")
    other.uuid = other.uuid if how == "made anew" else pair.there.uuid
    put(other, *(f"n{n}" for n in range(20 if how == "made anew" else 5)))
    assert pair.pull().docs_written == other.info()["doc_count"]
    put(other, "more")
    assert (again := pair.pull()).ok
    assert again.missing_checked == 1


def test_progress_is_told_as_it_is_recorded(pair: Pair, way: str) -> None:
    """Type of progress values; notifies with the last sequence."""
    source, _ = pair.ends(way)
    put(source, *"abcde")
    told: list[Any] = []
    peers = (pair.local, pair.remote) if way == "push" else (pair.remote, pair.local)
    options = Options(batch_size=2, batch_max=2)
    done = Replicator(*peers, options, on_progress=told.append).run()
    assert [report.docs_written for report in told] == [2, 4, 5]
    assert [report.end_last_seq for report in told][-1] == done.end_last_seq
    assert done.as_dict()["ok"] is True


def test_the_clock_is_for_the_record_alone(pair: Pair, way: str) -> None:
    """A clock years off, ahead or behind, at either side, loses and repeats nothing."""
    source, _ = pair.ends(way)
    for year, name in ((1971, "a"), (2199, "b"), (1990, "c")):
        clock = lambda at=(year - 1970) * 31_556_952.0: at  # noqa: E731
        source.clock = clock
        put(source, name)
        peers = (pair.local, pair.remote) if way == "push" else (pair.remote, pair.local)
        report = Replicator(*peers, clock=clock).run()
        assert (report.docs_written, report.missing_checked) == (1, 1)
    assert pair.same()


# --- the name -------------------------------------------------------------------------------------


def a_name(here: DocumentStore, url: str, **options: Any) -> str:
    return replication_id(LocalPeer(here), RemotePeer(url), Options(**options))


def test_a_replication_has_one_name_and_no_other_has_it(pair: Pair, tmp_path: Path) -> None:
    other = DocumentStore(tmp_path / "other.db")
    url = "https://couch.example.org/db"
    choices: list[dict[str, Any]] = [
        *({}, {"filter": "a/b"}, {"filter": "a/b", "query_params": {"x": 1}}, {"filter": "a/c"}),
        *({"doc_ids": ["a"]}, {"doc_ids": ["a", "b"]}, {"doc_ids": []}),
        *({"selector": {}}, {"selector": {"a": 1}}, {"since": 5}),
    ]
    names = [a_name(pair.here, url, **options) for options in choices]
    names += [
        a_name(other, url),
        a_name(pair.here, url + "2"),
        a_name(pair.here, url[:-2] + "x/db"),
    ]
    names.append(replication_id(RemotePeer(url), LocalPeer(pair.here), Options()))
    assert len(set(names)) == len(names)
    same = ["https://COUCH.example.org:443/db/", "https://me:secret@couch.example.org/db"]
    assert {a_name(pair.here, one) for one in same} == {names[0]}
    how = {"continuous": True, "batch_size": 7, "create_target": True, "heartbeat_s": 1}
    assert a_name(pair.here, url, **how) == names[0]
    assert a_name(pair.here, url, doc_ids=["b", "a", "b"]) == names[5]
    assert a_name(pair.here, url, selector={"b": 1, "a": 2}) == a_name(
        pair.here, url, selector={"a": 2, "b": 1}
    )
    other.close()


words = st.text("ab%/:@?# é", max_size=8)


@given(user=words.filter(bool), password=words)
def test_no_name_holds_a_password(user: str, password: str) -> None:
    from urllib.parse import quote

    marked = f"S3CRET{password}"
    url = f"https://{quote(user, safe='')}:{quote(marked, safe='')}@example.org/db"
    peer = RemotePeer(url)
    assert "S3CRET" not in f"{peer} {peer!r} {peer.name} {peer.identity} {vars(peer)}"
    shown = peer._wire._credentials()
    assert shown is not None
    assert (shown.user, shown.password) == (user, marked)  # type: ignore[union-attr]
