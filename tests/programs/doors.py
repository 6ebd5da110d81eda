"""
Runs commands for tests: each in a process of its own, forked from here, where all is imported.

Nothing of Dino is ever called in this process, so a command that it starts is as fresh as one of a
new interpreter, and costs a tenth.  Asked on the socket of that number, a JSON object a message,
with three descriptors: standard output, standard error, and where to write how it ended.

    {"door": "dino", "arguments": […], "folder": "…", "environment": {…}}
"""

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import sys
from importlib import import_module
from typing import Any

_USUAL = (
    "click.shell_completion",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "dino_os.commands.workspace",
    "dino_os.runner",
    "dino_os.work.service",
    "engines.assign",
    "engines.entity_manager",
    "engines.metrics",
    "engines.orchestrator",
    "engines.orders",
    "engines.resource_engine",
    "engines.state",
    "rich.table",
)


def serve(asked: socket.socket) -> dict[str, Any]:
    """Start what is asked for, until nobody asks any more; returns in a command's process alone."""
    waiting = selectors.DefaultSelector()
    waiting.register(asked, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.fileobj is not asked:
                waiting.unregister(key.fd)
                _tell_the_end(key.fd, *key.data)
                continue
            message, descriptors, _, _ = socket.recv_fds(asked, 1 << 20, 3)
            if not message:
                os._exit(0)
            out, err, end = descriptors
            pid = os.fork()
            if pid == 0:
                waiting.close()
                return _as_asked(json.loads(message), out, err)
            os.close(out)
            os.close(err)
            os.write(end, b"%d\n" % pid)
            waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, end))


def _tell_the_end(watched: int, pid: int, end: int) -> None:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(watched)
    with contextlib.suppress(BrokenPipeError):  # nobody waited
        os.write(end, b"%d\n" % code)
    os.close(end)


def _as_asked(asked: dict[str, Any], out: int, err: int) -> dict[str, Any]:
    """Be a process as the shell would have started it."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.closerange(3, 1 << 16)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["-c", *asked["arguments"]]
    return asked


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path[0] = ""  # as behind `python -c`
    for name in _USUAL:
        import_module(name)
    gc.freeze()  # what is here already is not looked at again by every child
    found = serve(socket.socket(fileno=int(sys.argv[1])))
    getattr(import_module("dino_os.commands"), found["door"])(prog_name=found["door"])
