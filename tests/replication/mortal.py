"""
A replication that is killed at its n-th step, as a program: by itself, with SIGKILL.

Reads orders as lines of JSON (way, store, url, step), does each in a process of its own and answers
with the signal that ended it, 0 for none.  A step is the moment before and the moment after whatever
changes something: a request, a transaction.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from random import Random
from typing import Any

from engines.latent_cache import DocumentStore
from engines.replication import LocalPeer, Options, RemotePeer, replicate
from engines.replication.connections import Connections


class Steps:
    """Counts them, and is killed at the one that was ordered."""

    def __init__(self, last: int) -> None:
        self.left = last
        self.guard = threading.Lock()

    def take(self) -> None:
        with self.guard:
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= 1

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*given: Any, **named: Any) -> Any:
            self.take()
            found = work(*given, **named)
            self.take()
            return found

        return stepping


def live_once(order: dict[str, Any]) -> None:
    steps = Steps(order["step"])
    Connections.ask = steps.around(Connections.ask)  # type: ignore[method-assign]
    store = DocumentStore(order["store"])
    store.write_revisions = steps.around(store.write_revisions)  # type: ignore[method-assign]
    store.put_local = steps.around(store.put_local)  # type: ignore[method-assign]
    peers = [LocalPeer(store), RemotePeer(order["url"])]
    if order["way"] == "pull":
        peers.reverse()
    replicate(*peers, Options(batch_size=2, batch_max=2), random=Random(1))


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                live_once(json.loads(line))
                os._exit(0)
            except BaseException as error:  # noqa: BLE001  nothing goes on in this process
                sys.stderr.write(repr(error))
                os._exit(1)
        _, status = os.waitpid(child, 0)
        ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)
        sys.stdout.write(f"{ended}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
