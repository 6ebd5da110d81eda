"""
The drill of a workspace: in a folder of its own, with the other side served by the protocol server,
and the result in the journal.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dino_os.offline.guard import USER
from dino_os.offline.protocol import DATABASE
from dino_os.offline.server import ProtocolServer, served
from engines.durable import make_folder

if TYPE_CHECKING:
    from dino_os.workspace import Workspace
    from engines.drill import Drill, Exchanged, Result
    from engines.latent_cache import DocumentStore

_RECORDED = ("ok", "hours", "seed", "operations", "faults", "met_outage", "survived", "lost")
_MORE = ("doubled", "differing_documents", "attempts_failed", "seconds")


Watch = Callable[[int], contextlib.AbstractContextManager[Callable[[int], None]]]


class Simulation:
    """
    A drill beside the documents of *workspace*, which it never opens.

    Args:
        hours: Of its clock.
        operations: About how many edits and requests.
    """

    def __init__(self, workspace: Workspace, *, hours: float, seed: int, operations: int) -> None:
        self._workspace = workspace
        self._hours, self._seed, self._operations = hours, seed, operations

    def run(self, watch: Watch) -> Result:
        """
        Run it and record what it came to.

        Args:
            watch: Given the number of turns, a context with what is told of each.
        """
        make_folder(self._workspace.memory)
        folder = tempfile.TemporaryDirectory(prefix=".drill-", dir=self._workspace.memory)
        with folder as path:
            drill = self._drill(Path(path))
            with watch(drill.turns) as step:
                result = drill.run(step)
        found = result.as_dict()
        facts = {name: found[name] for name in (*_RECORDED, *_MORE)}
        self._workspace.offline_log.simulated(**facts)
        return result

    def _drill(self, folder: Path) -> Drill:
        from engines.drill import Drill  # noqa: PLC0415

        return Drill(
            folder,
            hours=self._hours,
            seed=self._seed,
            operations=self._operations,
            serve=_serve,
        )


@contextlib.contextmanager
def _serve(store: DocumentStore) -> Iterator[_Far]:
    with served(store) as server:
        yield _Far(server)


class _Far:
    """The other side, behind the protocol server."""

    def __init__(self, server: ProtocolServer) -> None:
        self.port = server.port
        self._password = server.password

    def exchange(self, here: DocumentStore, port: int, patience_s: float) -> Exchanged:
        from engines.drill import Exchanged  # noqa: PLC0415
        from engines.replication import (  # noqa: PLC0415
            Basic,
            Http,
            LocalPeer,
            Options,
            RemotePeer,
            ReplicationError,
            replicate,
        )

        url = f"http://127.0.0.1:{port}/{DATABASE}"
        moved = failed = 0
        http = Http(connect_s=patience_s, silence_s=patience_s)
        shown = Basic(USER, self._password)
        for pushes in (True, False):
            local = LocalPeer(here)
            remote = RemotePeer(url, credentials=lambda: shown, http=http)
            one, other = (local, remote) if pushes else (remote, local)
            try:
                moved += replicate(one, other, Options(attempts=1)).docs_written
            except ReplicationError as error:
                moved += error.report.docs_written if error.report else 0
                failed += 1
        return Exchanged(moved, failed)
