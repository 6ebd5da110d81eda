"""
Imported first where tests run: nothing waits for the disk any more.

What a process wrote outlives it without that, and no test cuts the power: that, and which calls are
made in which order, is for the processes of `crash/`, whose syncs are real and watched by strace.
"""

import functools
import os
from collections.abc import Callable
from typing import Any


def _at_once(sync: Callable[[Any], None]) -> Callable[[Any], None]:
    @functools.wraps(sync)
    def check(fd: Any) -> None:
        os.fstat(fd if isinstance(fd, int) else fd.fileno())  # what is no descriptor fails still

    return check


os.fsync, os.fdatasync = _at_once(os.fsync), _at_once(os.fdatasync)
