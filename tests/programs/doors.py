"""
Runs commands for tests: each in a process of its own, forked from here, where all is imported.

Nothing of Dino is ever called in this process, so a command that it starts is as fresh as one of a
new interpreter, and costs a tenth.  Asked on the socket of that number, a JSON object a message,
with four descriptors: standard input, output and error, and where to write how it ended.

    {"door": "dino", "arguments": […], "folder": "…", "environment": {…}}
"""

import atexit
import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, NoReturn

import msgspec

_USUAL = (
    "calendar",
    "click._textwrap",
    "click.shell_completion",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "csv",
    "difflib",
    "dino_os.admission",
    "dino_os.auditing",
    "dino_os.broker",
    "dino_os.json_value",
    "dino_os.message_bus.bus",
    "dino_os.offline.syncing",
    "dino_os.orders.desk",
    "dino_os.outbox",
    "dino_os.planning.cycle",
    "dino_os.plugins",
    "dino_os.process_lock",
    "dino_os.provenance.following",
    "dino_os.provenance.mapping",
    "dino_os.provenance.redacting",
    "dino_os.retention",
    "dino_os.runner",
    "dino_os.scheduler.due",
    "dino_os.secret",
    "dino_os.skill_sources",
    "dino_os.templates",
    "dino_os.tool_sandbox.sandbox",
    "dino_os.tool_sandbox.tools",
    "dino_os.tool_sandbox.view",
    "dino_os.web_calls",
    "dino_os.witnessing",
    "dino_os.work.service",
    "email.message",
    "email.parser",
    "encodings.idna",
    "encodings.utf_8_sig",
    "engines.assign",
    "engines.audit",
    "engines.entity_manager",
    "engines.latent_cache",
    "engines.metrics",
    "engines.nav_mesh",
    "engines.orchestrator",
    "engines.orders",
    "engines.passphrase",
    "engines.provenance",
    "engines.redaction",
    "engines.resource_engine",
    "engines.state",
    "engines.trace",
    "glob",
    "http.server",
    "importlib.resources",
    "mimetypes",
    "numpy.ma",
    "psutil",
    "rich._emoji_codes",
    "rich.console",
    "rich.table",
    "ruamel.yaml",
    "shutil",
    "sqlite3",
    "ssl",
    "unicodedata",
    "urllib.request",
    "zstandard",
)
_WHOLE = (
    "dino_os.commands",
    "dino_os.entities",
    "dino_os.memory_layer",
    "dino_os.nav",
    "dino_os.planning",
    "dino_os.scheduler",
    "dino_os.security_gateway",
    "engines.trajectory",
)
# What costs seconds, and few tests have a use for: imported before the first command that does.
_MODELS = frozenset({"agent", "approve", "ask", "chat", "llm", "persona"})
_FOR_MODELS = (
    "dino_os.agent.approvals",
    "dino_os.agent_core.chain",
    "dino_os.agent_core.checking",
    "dino_os.agent_core.sending",
)


def import_usual() -> None:
    """What commands import where they need it."""
    for name in _USUAL:
        import_module(name)
    for package in _WHOLE:
        for part in iter_modules(import_module(package).__path__, f"{package}."):
            import_module(part.name)
    # What msgspec works out of a type once, it works out here: half of what a short command costs.
    msgspec.convert({}, import_module("dino_os.config.settings").Settings)


@cache
def import_for_models() -> None:
    for name in _FOR_MODELS:
        import_module(name)
    import_module("dino_os.agent_core.opening").require_library()
    gc.freeze()


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
            message, descriptors, _, _ = socket.recv_fds(asked, 1 << 20, 4)
            if not message:
                os._exit(0)
            *streams, end = descriptors
            asked_for = json.loads(message)
            if not _MODELS.isdisjoint(asked_for["arguments"][:1]):
                import_for_models()
            pid = os.fork()
            if pid == 0:
                waiting.close()
                return _as_asked(asked_for, streams)
            for stream in streams:
                os.close(stream)
            os.write(end, b"%d\n" % pid)
            waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, end))


def _tell_the_end(watched: int, pid: int, end: int) -> None:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(watched)
    with contextlib.suppress(BrokenPipeError):  # nobody waited
        os.write(end, b"%d\n" % code)
    os.close(end)


def _as_asked(asked: dict[str, Any], streams: list[int]) -> dict[str, Any]:
    """Be a process as the shell would have started it."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, 1 << 16)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    _, *more = asked["environment"]["PYTHONPATH"].split(os.pathsep)
    sys.path[2:2] = more  # behind "" and the one that we were started with
    sys.argv = ["-c", *asked["arguments"]]
    return asked


def _done(door: Callable[..., None], name: str) -> int:
    """The exit code, as the interpreter would work it out."""
    try:
        door(prog_name=name)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    except BaseException:  # noqa: BLE001  told as the interpreter tells it
        traceback.print_exc()
        return 1
    return 0


def _leave(code: int) -> NoReturn:
    """Do all that an interpreter does at its end but take itself apart: what it was forked with
    is not its own, and some libraries crash over it."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path[0] = ""  # as behind `python -c`
    import_module("tests.unsynced")
    import_usual()
    gc.freeze()  # what is here already is not looked at again by every child
    found = serve(socket.socket(fileno=int(sys.argv[1])))
    _leave(_done(getattr(import_module("dino_os.commands"), found["door"]), found["door"]))
