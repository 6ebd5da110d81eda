"""What one process may use at most, by its own hard limits: it cannot raise them again."""

from __future__ import annotations

import resource

_LIMITS = {
    "cpu_s": resource.RLIMIT_CPU,
    "memory_bytes": resource.RLIMIT_AS,
    "file_bytes": resource.RLIMIT_FSIZE,
    "files": resource.RLIMIT_NOFILE,
    "processes": resource.RLIMIT_NPROC,
}
_NOTHING = (
    resource.RLIMIT_CORE,
    resource.RLIMIT_MEMLOCK,
    resource.RLIMIT_MSGQUEUE,
    resource.RLIMIT_NICE,
    resource.RLIMIT_RTPRIO,
)


def limit(amounts: dict[str, int]) -> None:
    """
    Set this process's limits; those not in *amounts* stay, and some are always none at all.

    Args:
        amounts: cpu_s, memory_bytes (of addresses), file_bytes (each), files (open), processes (of
            this user, threads counted).
    """
    for name, amount in amounts.items():
        kind = _LIMITS[name]
        _, hard = resource.getrlimit(kind)
        most = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        resource.setrlimit(kind, (most, most))
    for kind in _NOTHING:
        resource.setrlimit(kind, (0, 0))
