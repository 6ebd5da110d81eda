"""
Starts processes for those who want many: each is forked from here, where everything is imported.

No journal is ever opened in this process, so a life that it starts is as fresh as a new
interpreter's and costs a hundredth.  Asked on standard input, a JSON object a line:

    {"life": [module, function, argument…], "said": file, "stopped": bool}     answer: its pid
    {"wait": pid}                                                              answer: its status

What a life says goes to its file; it ends with how it ended.  `stopped` lets it stop itself where it
calls `gate`, for somebody to look on from there.
"""

import gc
import json
import os
import signal
import sys
import traceback
from importlib import import_module

import msgspec

from dino_os.config.settings import Settings
from engines.errors import DinoError

MODULES = tuple(
    f"tests.crash.programs.{name}" for name in ("cycles", "lives", "operations", "queue_lives")
)


def live(module: str, function: str, *args: str, said: str, stopped: bool) -> None:
    out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def say(**words: object) -> None:  # by a call that nothing else makes
        os.writev(out, [json.dumps(words).encode(), b"\n"])

    def gate() -> None:
        if stopped:
            os.kill(os.getpid(), signal.SIGSTOP)

    try:
        getattr(import_module(module), function)(*args, say=say, gate=gate)
        say(end="done")
    except (DinoError, OSError) as error:
        why = "".join(traceback.format_exception(error))
        say(end="refused", dino=isinstance(error, DinoError), why=why)
    except BaseException:
        say(end="crashed", what=traceback.format_exc())
        raise


for name in MODULES:
    import_module(name)
msgspec.convert({}, Settings)  # what it works out of a type once, it works out here
gc.freeze()  # what is here already is not looked at again by every child
living = set()
for line in sys.stdin:
    asked = json.loads(line)
    if "life" in asked:
        pid = os.fork()
        if pid == 0:
            try:
                live(*asked["life"], said=asked["said"], stopped=asked["stopped"])
            finally:
                os._exit(0)
        if asked["stopped"]:
            os.waitpid(pid, os.WUNTRACED)
        living.add(pid)
        answer = pid
    else:
        answer = os.waitpid(asked["wait"], 0)[1]
        living.remove(asked["wait"])
    os.write(1, b"%d\n" % answer)
for pid in living:
    os.kill(pid, signal.SIGKILL)
