"""Drills: hours on a bad network, and that the proof behind them finds whatever is wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dino_os.offline.simulate import Simulation
from dino_os.workspace import Workspace
from engines.drill import CountingService, Drill
from engines.drill import drill as drill_module
from engines.drill.proof import Proof, prove
from engines.drill.sending import Sending
from engines.drill.workload import Account, Edit, digest_of
from engines.latent_cache import DocumentStore, OfflineQueue
from engines.metrics import MetricsCollector
from engines.nav_mesh import Request
from tests.conftest import Dino


def test_a_day_without_a_network_loses_nothing_and_doubles_nothing(
    dino: Dino, workspace: Path
) -> None:
    """On a real network that is really cut; the documents of the workspace are not touched."""
    dino("offline", "set", "mine", "1")
    found = dino("offline", "simulate", "--seed", 7, "--operations", 150, "--json").json
    assert (found["ok"], found["lost"], found["doubled"]) == (True, 0, 0)
    assert found["met_outage"] == found["survived"] > 50
    assert len(found["by_hour"]) == 24
    assert sum(hour["made"] for hour in found["by_hour"]) == found["operations"]
    assert {"refused", "reset", "truncate_answer"} <= found["faults"].keys()
    assert {"request", "conflict", "attach", "delete"} <= found["kinds"].keys()
    assert dino("offline", "ls", "--json").json == {"keys": ["mine"]}
    assert [path.name for path in (workspace / "memory").glob(".drill-*")] == []
    shown = dino("offline", "--json").json["simulation"]
    assert (shown["survived"], shown["seed"]) == (found["survived"], 7)
    gauge = dino("metrics", "--json").json["gauges"]["latency_tolerance"]
    assert gauge["current_value"] == 100
    assert dino("hashchain", "--json").json["ok"]


def test_the_same_seed_is_the_same_weather_and_the_same_work(tmp_path: Path) -> None:
    def played(name: str, seed: int) -> list[Any]:
        folder = tmp_path / name
        folder.mkdir()
        found = Drill(folder, hours=1, seed=seed, operations=20).run()
        assert found.ok
        return [found.operations, [(hour.turns, hour.number) for hour in found.hours]]

    assert played("a", 3) == played("b", 3)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make the drill's own sender do something wrong."""

    def break_it(how: str) -> None:
        done, post, put = OfflineQueue.done, Sending._post, DocumentStore.put
        forgotten: set[str] = set()

        def forgets(self: Sending, one: Any, patience_s: float) -> int:
            return 200 if one.attempts == 1 else post(self, one, patience_s)

        def says_it_twice(self: Sending, one: Any, patience_s: float) -> int:
            status = post(self, one, patience_s)
            other = type(one)(**{**_fields(one), "idempotency_key": f"{one.idempotency_key}-2"})
            post(self, other, patience_s)
            return status

        def sends_again(self: Sending, one: Any, patience_s: float) -> int:
            status = post(self, one, patience_s)
            return post(self, one, patience_s) if status == 200 else status

        def forgets_once(self: OfflineQueue, id_: str, owner: str, *, status: int) -> bool:
            if id_ in forgotten:
                return done(self, id_, owner, status=status)
            forgotten.add(id_)
            self.failed(id_, owner, "forgotten", answered=False)
            return True

        def garbles(self: DocumentStore, doc: Any, **more: Any) -> str:
            kept = {name: value for name, value in doc.items() if name != "_attachments"}
            return put(self, {**kept, "said": "garbage"} if how == "garbled" else kept, **more)

        def forgets_to_note(self: OfflineQueue, id_: str, owner: str, *, status: int) -> bool:
            self.give_up(id_, "forgotten")
            return True

        wrong: dict[str, tuple[type, str, Any]] = {
            "done": (OfflineQueue, "done", forgets_to_note),
            "undone": (OfflineQueue, "done", forgets_once),
            "lost": (Sending, "_post", forgets),
            "doubled": (Sending, "_post", says_it_twice),
            "again": (Sending, "_post", sends_again),
            "garbled": (DocumentStore, "put", garbles),
            "bare": (DocumentStore, "put", garbles),
        }
        monkeypatch.setattr(*wrong[how])

    return break_it


def _fields(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__dataclass_fields__}


@pytest.mark.parametrize("how", ["lost", "doubled", "done", "undone", "again", "garbled", "bare"])
def test_a_sender_that_is_wrong_is_found_out_and_recorded(
    workspace: Path, broken: Callable[[str], None], how: str
) -> None:
    """And the gauge is no longer whole."""
    broken(how)
    here = Workspace(workspace)
    simulation = Simulation(here, hours=1, seed=2, operations=30)
    result = simulation.run(lambda _: _Quiet())
    assert not result.ok
    assert (result.lost > 0) == (how in {"lost", "garbled", "bare"})
    assert (result.doubled > 0) == (how in {"doubled", "again", "undone"})
    assert result.proof.problems
    assert here.offline_log.simulation is not None
    assert here.offline_log.simulation["ok"] is False
    found = MetricsCollector(workspace / "memory")
    found.update_all()
    assert found.gauges["latency_tolerance"].current_value < 100


class _Quiet:
    """Progress that nobody watches."""

    def __enter__(self) -> Callable[[int], None]:
        return lambda _: None

    def __exit__(self, *_: object) -> None:
        return


# --- the proof itself ---------------------------------------------------------------------------


@dataclass
class Scene:
    """Two equal sides, one request that was done, and the account of it."""

    account: Account
    here: DocumentStore
    there: DocumentStore
    queue: OfflineQueue
    service: CountingService

    def prove(self) -> Proof:
        return prove(self.account, self.here, self.there, self.queue, self.service)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with (
        DocumentStore(tmp_path / "here.db") as here,
        DocumentStore(tmp_path / "there.db") as there,
        CountingService() as service,
    ):
        account, queue = Account(), OfflineQueue(here)
        for store in (here, there):
            _note(account, {"_id": "a", "n": 1}, store.put({"_id": "a", "n": 1}))
        for number in (1, 2):
            account.requests[f"k{number}"] = (0, "/line", b"x")
            service.take(f"k{number}", "/line", b"x")
        yield Scene(account, here, there, queue, service)


def _note(account: Account, doc: dict[str, Any], rev: str) -> None:
    account.edits[doc["_id"], rev] = Edit(0, digest_of(doc))


def _is_fine(scene: Scene) -> None:
    scene.service.take("k1", "/line", b"x")  # again, and known


def _edit_is_lost(scene: Scene) -> None:
    _note(scene.account, {"_id": "b"}, scene.here.put({"_id": "b"}))


def _edit_nobody_made(scene: Scene) -> None:
    for store in (scene.here, scene.there):
        store.put({"_id": "b"})


def _sides_differ(scene: Scene) -> None:
    """Both have the edit; one has a deletion of it besides, which is in the account too."""
    rev = scene.there.get("a")["_rev"]
    _note(scene.account, {"_id": "a"}, scene.there.remove("a", rev))


def _edit_is_not_as_it_was(scene: Scene) -> None:
    _note(scene.account, {"_id": "a", "n": 2}, scene.here.get("a")["_rev"])


def _request_is_lost(scene: Scene) -> None:
    scene.account.requests["k3"] = (0, "/x", b"")


def _request_nobody_made(scene: Scene) -> None:
    scene.service.take("k9", "/x", b"")


def _request_is_done_twice(scene: Scene) -> None:
    scene.service.effects.append(("k1", "/line", b"x"))


def _request_is_changed(scene: Scene) -> None:
    scene.service.effects[1] = ("k2", "/line", b"y")


def _order_is_changed(scene: Scene) -> None:
    scene.service.effects.reverse()


def _request_waits(scene: Scene) -> None:
    scene.queue.put("info", "skill:x", Request("POST", "/x"), authorised=True)


def _request_is_dead(scene: Scene) -> None:
    _request_waits(scene)
    scene.queue.give_up(scene.queue.waiting()[0].id, "no")


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (_is_fine, None),
        (_edit_is_lost, "is not there"),
        (_edit_nobody_made, "nobody made it"),
        (_sides_differ, "a differs"),
        (_edit_is_not_as_it_was, "is not here as it was written"),
        (_request_is_lost, "k3 was not done"),
        (_request_nobody_made, "k9 was done 1 times"),
        (_request_is_done_twice, "k1 was done 2 times"),
        (_request_is_changed, "k2 is not as it was queued"),
        (_order_is_changed, "/line: not in the order"),
        (_request_waits, "1 requests are still waiting"),
        (_request_is_dead, "1 requests are still dead"),
    ],
)
def test_the_proof_finds_whatever_is_wrong(
    scene: Scene, tamper: Callable[[Scene], None], told: str | None
) -> None:
    tamper(scene)
    proof = scene.prove()
    assert proof.ok == (told is None)
    assert told is None or any(told in problem for problem in proof.problems)
    assert proof.repeated == (tamper is _is_fine)


def test_the_caches_own_face_answers_from_a_drill(tmp_path: Path) -> None:
    assert drill_module.survives(600, operations=12)
    assert threading.active_count() < 50
