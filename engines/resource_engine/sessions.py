"""
Whether the processes that claimed tasks still live.

Their lock files say so.  Elsewhere, and for one that hangs, there is the time until which it gave a
sign of life; it is counted by the clock that nobody sets, as long as the machine has not been
started anew.
"""

from __future__ import annotations

from engines.liveness import LockFiles, Now
from engines.resource_engine.state import Session

LEASE_S = 60.0
BEAT_S = 15.0


def why_lost(session: Session, now: Now, files: LockFiles, *, holds: bool) -> str | None:
    """
    Why *session* can no longer do anything, or None where it may.

    Args:
        holds: Whether it has tasks: one that has none gives no sign of life.
    """
    same_boot = session.boot == now.boot
    if files.is_free(session.name) or (same_boot and files.is_gone(session.name, session.pid)):
        return "its processes have ended"
    over = now.mono > session.until_mono if same_boot else now.clock > session.until
    if over and (holds or not same_boot):
        return f"no sign of life for {LEASE_S:g} s"
    return None
