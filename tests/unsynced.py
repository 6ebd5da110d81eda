"""
Imported first where tests run: nothing waits for the disk any more.

What a process wrote outlives it without that, and no test cuts the power: that, and which calls are
made in which order, is for the processes of `crash/`, whose syncs are real and watched by strace.
"""

import os
from typing import Any


def _at_once(fd: Any) -> None:
    os.fstat(fd if isinstance(fd, int) else fd.fileno())  # a descriptor that is none is one still


os.fsync = os.fdatasync = _at_once
