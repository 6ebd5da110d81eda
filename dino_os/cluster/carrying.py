"""
Carrying messages between this node and the others, by one process of the workspace at a time.

A service does it, and without one whichever process subscribes or asks: who holds the lock
`cluster` carries, the others wait for it.  In threads of its own, so that nobody else waits for a
server.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from dino_os.cluster.bus_stream import make_room
from dino_os.cluster.history import answer_others
from dino_os.cluster.ledger import JOINED, Ledger
from dino_os.cluster.mirror import Mirror
from dino_os.cluster.nodes import BEAT_S, NodeRefused, Nodes
from dino_os.cluster.relay import Note, Relay
from dino_os.errors import ClusterError, DinoError
from dino_os.process_lock import Busy, ProcessLock
from dino_os.wake import Wake
from engines.resource_engine import wait_readable

if TYPE_CHECKING:
    from concurrent.futures import Future

    from dino_os.cluster.cluster import Cluster
    from dino_os.cluster.link import Client
    from engines.journal import Journal

_LOOK_S = 1.0
_OUT_S = 5.0
_AGAIN_S = (0.1, 0.3, 1.0)
_FLUSH_LOOK_S = 0.05
_NEWS = "bus.head"
SENT, HAD = "sent.json", "received.json"
"""Notes of how far the relay and the mirror are."""


class Carrying:
    """
    Carries for *cluster* what is in *journal*, the bus's, from `start()` to `stop()`.

    Args:
        open_journal: Another object of the journal for each thread that reads or writes it.
        by: Who does, for those who find the lock held.
    """

    def __init__(self, cluster: Cluster, open_journal: Callable[[], Journal], by: str) -> None:
        self._cluster = cluster
        self._open_journal = open_journal
        self._lock = lock_of(cluster, by)
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._pid = 0
        self._errors: dict[str, DinoError] = {}
        self.carries = False

    @property
    def error(self) -> DinoError | None:
        """What keeps it from carrying now, if anything does."""
        return next(iter([*self._errors.values()]), None)

    def start(self) -> None:
        """Begin, where this process has not yet; does not wait for a server."""
        with self._guard:
            if self._thread and self._pid == os.getpid():
                return
            _ = self._cluster.workspace  # made, where there is none, before there are two threads
            with self._noting("journal"):
                self._cluster.link.prepare()
            self._stop, self._pid = threading.Event(), os.getpid()
            self._thread = threading.Thread(target=self._live, name="dino-carry", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End; what was not sent is sent by whoever carries next."""
        with self._guard:
            thread, self._thread = self._thread, None
            if thread is None or self._pid != os.getpid():
                return
            self._stop.set()
        thread.join()

    def flush(self, within_s: float) -> bool:
        """Wait until all that was said is sent, for so long or until it cannot; whether it is."""
        until, end = time.monotonic() + within_s, self._open_journal().length()
        while time.monotonic() < until and not self.error:
            note = Note.read(self._cluster.folder / SENT)
            if note and note.seq >= end:
                return True
            time.sleep(_FLUSH_LOOK_S)
        return False

    def _live(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(Busy), self._noting("journal"), self._lock.held():
                self._carry()
            self._stop.wait(_OUT_S if self._errors else _LOOK_S)

    def _carry(self) -> None:
        stop = threading.Event()  # for the threads below, which end before this does
        bell, rings = socket.socketpair()
        journal = self._open_journal()
        ledger = Ledger(journal, self._cluster.folder / HAD)
        state = ledger.load()
        if state.left:
            raise ClusterError("this node left the cluster", hint="`dino cluster join`")
        if state.joined is None:
            ledger.record([(JOINED, joined_as(self._cluster))])
        assert state.joined is not None  # noqa: S101  for the type checker
        relay = Relay(
            self._cluster, self._open_journal(), self._cluster.folder / SENT, state.joined
        )
        nodes = Nodes(self._cluster)
        mirror = Mirror(self._cluster, ledger, lambda: self._sent_before(nodes))
        self.carries = True
        answering: Future[None] | None = None
        threads: list[threading.Thread] = []
        try:
            if not self._keep_trying("nodes", lambda: self._join(nodes, journal), stop):
                return
            answering = self._cluster.link.spawn(
                lambda client: answer_others(client, self._cluster, self._open_journal())
            )
            threads = [
                threading.Thread(target=turn, name=f"dino-{name}", daemon=True)
                for name, turn in (
                    ("relay", lambda: self._relay(relay, rings, stop)),
                    ("mirror", lambda: self._mirror(mirror, stop)),
                )
            ]
            for thread in threads:
                thread.start()
            self._beat(nodes, relay, mirror)
        finally:
            self.carries = False
            stop.set()
            bell.send(b"x")
            mirror.poke()
            for thread in threads:
                thread.join()
            bell.close()
            rings.close()
            if answering:
                answering.cancel()
            with contextlib.suppress(DinoError):
                ledger.save()
            with contextlib.suppress(DinoError):
                if self._cluster.link.connected:
                    self._cluster.link.call(
                        lambda client: nodes.rest(client, _sent(relay), mirror.settled), 2.0
                    )

    # --- the threads -------------------------------------------------------------------------

    def _relay(self, relay: Relay, rings: socket.socket, stop: threading.Event) -> None:
        wake = Wake(self._cluster.root / "memory")
        try:
            while not stop.is_set():
                if not self._keep_trying("relay", lambda: relay.turn(stop.is_set), stop):
                    return
                if wake.fd is None:
                    stop.wait(_LOOK_S / 10)
                    continue
                # Until somebody writes to the journal, or this is to end.
                while not stop.is_set():
                    wait_readable([wake.fd, rings], _LOOK_S)
                    if _NEWS in wake.changed():
                        break
        finally:
            wake.close()

    def _mirror(self, mirror: Mirror, stop: threading.Event) -> None:
        while self._keep_trying("mirror", lambda: mirror.turn(_LOOK_S), stop):
            pass
        mirror.close()

    def _beat(self, nodes: Nodes, relay: Relay, mirror: Mirror) -> None:
        """Give signs of life and look at the others', until this ends or may not go on."""
        link = self._cluster.link
        while not self._stop.is_set():
            with self._noting("nodes"):
                link.call(lambda client: self._beat_once(client, nodes, relay, mirror), wait=False)
            if self._is_out():
                return
            self._stop.wait(BEAT_S)

    async def _beat_once(self, client: Client, nodes: Nodes, relay: Relay, mirror: Mirror) -> None:
        await nodes.beat(client, _sent(relay), mirror.settled)
        others = mirror.others = await nodes.all(client)
        await make_room(client, self._cluster.link, min(node.settled for node in others))

    def _is_out(self) -> bool:
        """Whether this node is not to go on: its name is another's, or it was taken out."""
        return isinstance(self._errors.get("nodes"), NodeRefused)

    def _join(self, nodes: Nodes, journal: Journal) -> None:
        self._cluster.link.call(lambda client: nodes.join(client, journal.length()))

    def _sent_before(self, nodes: Nodes) -> dict[str, int]:
        return {node.workspace: node.sent for node in self._cluster.link.call(nodes.all)}

    # --- errors ------------------------------------------------------------------------------

    def _keep_trying(self, name: str, turn: Callable[[], object], stop: threading.Event) -> bool:
        """Have *turn* succeed, however often that takes; False where this is to end."""
        failed = 0
        while not (stop.is_set() or self._stop.is_set()):
            with self._noting(name):
                turn()
                return True
            stop.wait(_AGAIN_S[min(failed, len(_AGAIN_S) - 1)])
            failed += 1
        return False

    @contextlib.contextmanager
    def _noting(self, name: str) -> Iterator[None]:
        try:
            yield
        except Busy:
            raise
        except DinoError as error:
            self._errors[name] = error
        except Exception as error:  # noqa: BLE001  a server says no in many ways
            self._errors[name] = ClusterError(f"the cluster's {name}: {error}")
        else:
            self._errors.pop(name, None)


def _sent(relay: Relay) -> int:
    return -1 if relay.note.prev is None else relay.note.prev


def lock_of(cluster: Cluster, by: str) -> ProcessLock:
    """Who carries for that workspace holds it."""
    what = "carrying messages between this node and the others"
    return ProcessLock(cluster.root / "memory" / "cluster.lock", by=by, what=what)


def joined_as(cluster: Cluster) -> dict[str, str]:
    """What the line says at which a node joins."""
    return {"node": cluster.node, "namespace": cluster.settings.namespace}
