"""Tasks between this node and the others: one process of a node at a time deals in them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from dino_os.cluster.abilities import Abilities, Others
from dino_os.cluster.carrying import HAD
from dino_os.cluster.desk import Desk
from dino_os.cluster.jobs import Able, Stop
from dino_os.cluster.ledger import Ledger
from dino_os.cluster.nodes import BEAT_S, NodeRefused, Nodes
from dino_os.cluster.offering import Offering
from dino_os.cluster.task_news import (
    ArrivedJob,
    ArrivedReport,
    Gone,
    News,
    Refused,
    Reported,
    Taken,
)
from dino_os.cluster.trouble import Trouble
from dino_os.cluster.working import Working
from dino_os.errors import ClusterError, DinoError
from dino_os.process_lock import Busy, ProcessLock

if TYPE_CHECKING:
    from concurrent.futures import Future

    from dino_os.cluster.cluster import Cluster
    from dino_os.cluster.link import Client
    from dino_os.workspace import Workspace

_TRY_AGAIN_S = 2.0
_SOON_S = 0.02
_ANSWER_S = 5.0


class Traffic:
    """
    What a service of *workspace* does about the cluster's tasks, a turn at a time.

    Args:
        places: How many tasks its workers run at once.

    Attributes:
        name: What it is called where it fails.
    """

    name = "cluster"

    def __init__(self, workspace: Workspace, cluster: Cluster, places: Callable[[], int]) -> None:
        self._workspace = workspace
        self._cluster = cluster
        self._places = places
        self._closing = contextlib.ExitStack()
        self._next_try = 0.0
        self._desk: Desk | None = None
        self._refused: DinoError | None = None
        self._name = _Name(workspace, cluster)
        self._others = Others(cluster.node)
        self._trouble = Trouble(cluster)

    @property
    def error(self) -> DinoError | None:
        """Why there is no cluster now, as far as that is known."""
        return self._refused or self._cluster.link.failure

    def sockets(self) -> Iterator[socket.socket]:
        """Can be read where there is something to do."""
        if self._desk:
            yield self._desk.bell

    def wake_at(self) -> float:
        """When there is something to do even if nothing happens until then; monotonic."""
        if self._desk is None:
            return self._next_try
        return min(self._offering.wake_at(), self._working.wake_at())

    def turn(self, *, claim: bool) -> int:
        """
        Take in what came, and do what it makes possible.

        Args:
            claim: Whether to begin anything.

        Returns:
            How many tasks moved.

        Raises:
            DinoError: The journal does not take it.
        """
        try:
            return self._turn(claim=claim)
        finally:
            self._trouble.tell(self.error)

    def _turn(self, *, claim: bool) -> int:
        if self._desk is None and (time.monotonic() < self._next_try or not self._open()):
            return 0
        if refusal := self._name.refusal():
            self.close()
            self._refused = refusal
            return 0
        try:
            return self._deal(self._now(), claim=claim)
        except ClusterError as error:  # the connection was closed, for example
            self._refused = error
            return 0

    def _deal(self, desk: Desk, *, claim: bool) -> int:
        takes = claim and not self._cluster.draining
        places = self._places() if takes else 0
        desk.can(self._own.tokens(), places)
        for news in desk.news():
            self._hear(news)
        moved = self._offering.turn(claim=claim)
        return moved + self._working.turn(places)

    def close(self) -> None:
        """Leave: what this node has of others goes back, and what others have of it is void."""
        self._trouble.tell(None)
        if self._desk is None:
            return
        desk, self._desk = self._desk, None
        with self._closing:
            for part in (self._working, self._offering):
                with contextlib.suppress(DinoError):  # whoever is next finds it lost
                    part.close()
            desk.flush(1.0)

    # --- below the face ------------------------------------------------------------------------

    def _open(self) -> bool:
        """Begin, where no other process of this node does it already."""
        workspace, node = self._workspace, self._cluster.node
        self._next_try = time.monotonic() + _TRY_AGAIN_S
        lock = ProcessLock(
            workspace.memory / "cluster-tasks.lock",
            by=workspace.operator,
            what="dealing in the cluster's tasks",
        )
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(lock.held())
            except Busy:
                return False
            if self._has_left():
                return False
            if not self._name.is_known():
                self._refused = self._name.refusal() or self._name.trouble
                if self._refused is None:
                    self._next_try = time.monotonic() + _SOON_S
                return False
            desk = Desk(self._cluster.link, node)
            stack.callback(desk.close)
            if not self._lives(desk):
                return False
            resources = workspace.resources
            self._own, self._others = Abilities(workspace), Others(node)
            self._working = Working(resources, desk, node, self._own)
            self._offering = Offering(resources, desk, node, self._own, self._others)
            self._desk, self._closing = desk, stack.pop_all()
        return True

    def _has_left(self) -> bool:
        cluster = self._cluster
        ledger = Ledger(self._workspace.own_journal("bus"), cluster.folder / HAD)
        left = ledger.load().left
        hint = "`dino cluster join`"
        self._refused = ClusterError("this node left the cluster", hint=hint) if left else None
        return left

    def _now(self) -> Desk:
        desk = self._desk
        if desk is None:
            raise RuntimeError("nothing was begun")
        self._lives(desk)
        return desk

    def _lives(self, desk: Desk) -> bool:
        """Whether it can be tried to connect: the settings, and the keys, may not stand."""
        try:
            desk.live()
        except DinoError as error:
            self._refused = error
            return False
        self._refused = None
        return True

    def _hear(self, news: News) -> None:
        offering, working = self._offering, self._working
        match news:
            case ArrivedReport():
                offering.take_report(news.handle, news.data)
            case ArrivedJob():
                working.take_job(news)
            case Reported():
                working.reported(news.number)
            case Taken():
                offering.taken(news.lease, news.seq)
            case Refused():
                offering.refused(news.lease)
            case Gone():
                offering.gone(news.lease)
            case Able():
                self._others.hear(news)
            case Stop():
                working.stop(news)


class _Name:
    """
    Whether the registry says that this node's name is ours; asked without waiting for it.

    Attributes:
        trouble: Why it cannot be asked, as far as that lies here.
    """

    def __init__(self, workspace: Workspace, cluster: Cluster) -> None:
        self._workspace, self._cluster = workspace, cluster
        self._asked: Future[object] | None = None
        self._next = 0.0
        self._is_ours = False
        self._refusal: DinoError | None = None
        self.trouble: DinoError | None = None

    def is_known(self) -> bool:
        """Whether it is ours, as far as anybody can say: without servers nothing is dealt in."""
        self._look()
        return self._is_ours or self._cluster.link.failure is not None

    def refusal(self) -> DinoError | None:
        """Why it is not ours, if it is not."""
        self._look()
        return self._refusal

    def _look(self) -> None:
        if self._asked is None and time.monotonic() >= self._next:
            self._next = time.monotonic() + BEAT_S
            self._asked = self._ask()
        if self._asked is None or not self._asked.done():
            return
        asked, self._asked = self._asked, None
        try:
            asked.result()
            self._is_ours, self._refusal = True, None
        except NodeRefused as error:
            self._is_ours, self._refusal = False, error
        except (Exception, CancelledError):  # noqa: BLE001  a server says no in many ways
            return  # as it was; it is asked again

    def _ask(self) -> Future[object] | None:
        nodes, ours = Nodes(self._cluster), self._is_ours
        lines = 0 if ours else self._workspace.own_journal("bus").length()

        async def ask(client: Client) -> object:
            async with asyncio.timeout(_ANSWER_S):
                return await (nodes.check(client) if ours else nodes.join(client, lines))

        self.trouble = None
        try:
            return self._cluster.link.spawn(ask)
        except DinoError as error:
            self.trouble = error
            return None
