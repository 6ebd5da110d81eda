"""
Synchronising a workspace's cache with the remote that its settings name.

    cache.remote        https://site.example/desk        a database of a CouchDB-protocol server
    cache.remote_key    desk                             in the vault: USER:PASSWORD, or a token
    cache.direction     both, push or pull

Documents need no queue: what changed since the last checkpoint is what is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dino_os.errors import ConfigError, DinoError
from dino_os.web_calls import checked_url

if TYPE_CHECKING:
    from dino_os.workspace import Workspace
    from engines.latent_cache import DocumentStore
    from engines.replication import Basic, Bearer, LocalPeer, RemotePeer, Report

PUSH, PULL = "push", "pull"
_DIRECTIONS = {"both": (PUSH, PULL), PUSH: (PUSH,), PULL: (PULL,)}
_UNAVAILABLE = 4
_NAMED = 20
_COUNTS = ("docs_read", "docs_written", "doc_write_failures", "seconds")


class NotReached(DinoError):
    """The remote was not reached; what waits goes on waiting."""

    exit_code = 4


class Syncing:
    """
    The cache of *workspace* and its remote.

    Args:
        remote: Another one than the settings name.
        direction: As above.
    """

    def __init__(
        self, workspace: Workspace, *, remote: str | None = None, direction: str | None = None
    ) -> None:
        settings = workspace.config.settings.cache
        self._workspace = workspace
        self.url = remote or settings.remote
        # A key goes to the place that it was configured for.
        self._key = settings.remote_key if self.url == settings.remote else ""
        self.directions = _DIRECTIONS[direction or settings.direction]
        if self.url:
            checked_url(self.url)

    @property
    def is_configured(self) -> bool:
        return bool(self.url)

    def once(self) -> list[dict[str, Any]]:
        """
        Synchronise, each direction by itself; what came of each, and that is recorded.

        Raises:
            ConfigError: There is no remote.
            DinoError: It refused us, or there is no such database; the other direction is done.
        """
        from engines.replication import ReplicationError  # noqa: PLC0415

        outcomes, errors = [], []
        for direction in self.directions:
            try:
                outcomes.append(self._one(direction))
            except ReplicationError as error:
                self._workspace.offline_log.unreached(direction, self.shown, error.message)
                errors.append(error)
        if errors:
            raise errors[0]
        return outcomes

    def _one(self, direction: str) -> dict[str, Any]:
        from engines.replication import replicate  # noqa: PLC0415

        told: dict[str, Any] = {"direction": direction, "remote": self.shown, "reached": True}
        try:
            here, there = self.here(), self.there()
            report = replicate(here, there) if direction == PUSH else replicate(there, here)
        except DinoError as error:
            if error.exit_code != _UNAVAILABLE:
                raise
            self._workspace.offline_log.unreached(direction, self.shown, error.message)
            return {**told, "reached": False, "reason": error.message}
        facts = self.note(direction, report)
        self.settle(direction, report)
        return {**told, **facts, "errors": [failure.as_dict() for failure in report.errors]}

    def bring(self, store: DocumentStore) -> bool:
        """
        Synchronise *store*, the workspace's own, for whoever waits for it.

        Returns:
            Whether what was done here was sent; by the direction `pull` it is not.

        Raises:
            DinoError: The remote was not reached, or did not take all of it.
        """
        del store
        for outcome in self.once():
            if not outcome["reached"]:
                raise NotReached(outcome["reason"])
            if not outcome["ok"]:
                raise DinoError(f"{outcome['remote']}: not all documents got through")
        return PUSH in self.directions

    def note(self, direction: str, report: Report, before: Report | None = None) -> dict[str, Any]:
        """Record what a replication did, since it was noted *before*; the facts of it."""
        facts: dict[str, Any] = {
            name: getattr(report, name) - (getattr(before, name) if before else 0)
            for name in _COUNTS
        }
        denied = list(dict.fromkeys(failure.id for failure in report.errors))
        facts |= {"ok": report.ok, "end_last_seq": report.end_last_seq, "denied": denied[:_NAMED]}
        self._workspace.offline_log.synced(direction, self.shown, **facts)
        return facts

    def settle(self, direction: str, report: Report) -> None:
        """What was pushed to the remote that the settings name waits no more."""
        configured = self.url == self._workspace.config.settings.cache.remote
        if direction == PUSH and report.ok and configured:
            self._workspace.cache.mark_synced(int(report.end_last_seq))

    def here(self) -> LocalPeer:
        from engines.replication import LocalPeer  # noqa: PLC0415

        return LocalPeer(self._workspace.documents)

    def there(self) -> RemotePeer:
        """
        The remote, as a peer.

        Raises:
            ConfigError: There is none.
        """
        from engines.replication import RemotePeer  # noqa: PLC0415

        if not self.url:
            raise ConfigError(
                "no remote to synchronise with",
                hint="`dino config set cache.remote https://host/database`",
            )
        return RemotePeer(self.url, credentials=self._credentials)

    @property
    def shown(self) -> str:
        """The remote's address; it has no password in it."""
        return self.url

    def to_push(self) -> int:
        """How many documents were changed here and wait to be pushed."""
        return sum(one.kind != "request" for one in self._workspace.cache.queue)

    def _credentials(self) -> Basic | Bearer | None:
        from engines.replication import Basic, Bearer  # noqa: PLC0415

        if not self._key:
            return None
        user, colon, password = self._workspace.key(self._key).partition(":")
        return Basic(user, password) if colon else Bearer(user)


def for_workspace(memory: Path) -> Callable[[DocumentStore], bool] | None:
    """
    How the cache of the workspace whose journals lie in *memory* is synchronised, if it is.

    What `dino.cache_remote` names: so a bare `LatentCache()` does what `Workspace(folder).cache`
    does.  Settings are read; credentials and the network wait until it is called.
    """
    from dino_os.workspace import Workspace  # noqa: PLC0415  which imports much

    syncing = Syncing(Workspace.shared(memory.parent))
    return syncing.bring if syncing.is_configured else None


def send_waiting(workspace: Workspace) -> dict[str, int] | None:
    """Send the requests that are due, through their gates; what it came to; None: none waits."""
    if not workspace.documents_file.exists() or not workspace.requests.waiting():
        return None
    from dino_os.nav.duty import replay_in  # noqa: PLC0415

    return replay_in(workspace).as_dict()
