"""
Whether the hosts that a skill reaches can be reached: asked with TCP connects, beside the turn.

A probe runs in a thread of its own.  What it has not found within its time counts as not reached,
whatever hangs: the look-up of a name has no time limit of its own.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

_FRESH_S = 60.0  # an answer that nobody fetched for longer tells nothing

Target = tuple[str, int]
Dial = Callable[[Target, float], None]

_NETWORK_ERRORS = frozenset(
    {
        *("OSError", "ConnectionError", "ConnectionRefusedError", "ConnectionResetError"),
        *("ConnectionAbortedError", "BrokenPipeError", "TimeoutError", "timeout", "gaierror"),
        # Of the usual clients, and of the proxy that a sandboxed skill's connections go through.
        *("URLError", "HTTPError", "RemoteDisconnected", "IncompleteRead", "SSLError"),
        *("ConnectError", "ConnectTimeout", "ReadTimeout", "ReadError", "NetworkError"),
        *("ProxyError", "MaxRetryError", "NewConnectionError", "ClientConnectorError"),
    }
)


def is_of_the_network(outcome: str | None, error: str) -> bool:
    """Whether a run that ended so may have failed because its routes were down."""
    return outcome == "timeout" or (outcome == "error" and error in _NETWORK_ERRORS)


def targets_of(reaches: Iterable[str]) -> list[Target]:
    """Where to knock for hosts as a skill declares them; there is nothing to knock at for `*.…`."""
    from dino_os.tool_sandbox.egress.hosts import Rule  # noqa: PLC0415  few entities reach out

    rules = [Rule.parse(text) for text in reaches]
    return [(r.host, port) for r in rules if not r.subdomains for port in sorted(r.ports)]


def dial(target: Target, timeout_s: float) -> None:
    """
    Open a connection, and close it.

    Raises:
        OSError: Nobody answers there.
    """
    socket.create_connection(target, timeout_s).close()


@dataclass(slots=True)
class _Probe:
    until: float  # monotonic
    done: threading.Event = field(default_factory=threading.Event)
    reached: bool = False


class Prober:
    """
    Probes under way, by whom they are for.

    Args:
        timeout_s: After so long a probe has failed.
        dial: Connects, or raises OSError.
    """

    def __init__(self, timeout_s: float, dial: Dial = dial) -> None:
        self._timeout_s = timeout_s
        self._dial = dial
        self._probes: dict[str, _Probe] = {}

    @property
    def asked(self) -> bool:
        """Whether a question is still to be put again, for its answer."""
        return bool(self._probes)

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come."""
        return any(not _is_over(probe) for probe in self._probes.values())

    def ask(self, who: str, targets: list[Target]) -> bool | None:
        """
        Whether any of *targets* was reached; None as long as that is being tried.

        The answer is given once; the next question is tried anew.
        """
        probe = self._probes.get(who)
        if probe is None or time.monotonic() > probe.until + _FRESH_S:
            probe = self._probes[who] = _Probe(time.monotonic() + self._timeout_s)
            threading.Thread(target=self._try, args=(probe, targets), daemon=True).start()
        if not _is_over(probe):
            return None
        del self._probes[who]
        return probe.reached

    def wait(self) -> None:
        """Until every probe has its answer."""
        for probe in self._probes.values():
            probe.done.wait(max(probe.until - time.monotonic(), 0))

    def _try(self, probe: _Probe, targets: list[Target]) -> None:
        for target in targets:
            left = probe.until - time.monotonic()
            if left <= 0:
                break
            with contextlib.suppress(OSError, ValueError):  # a name that no resolver takes
                self._dial(target, left / 2 if len(targets) > 1 else left)
                probe.reached = True
                break
        probe.done.set()


def _is_over(probe: _Probe) -> bool:
    return probe.done.is_set() or time.monotonic() >= probe.until
