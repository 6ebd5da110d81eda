"""
What `AgentCore` costs above a bare HTTP call, and what a server that is down costs.

    python bench/models.py [CALLS]        default: 60

The scripted server of the tests answers at once, in a process of its own.  The bare call streams
the same answer by `http.client`; it and ours are taken in turns.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from side_by_side import verdict

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dino_os.agent_core.core import Core
from dino_os.workspace import Workspace
from tests.models.scripted import ScriptedServer, Text

MOST_MS = 10
NOBODY = "http://127.0.0.1:9/v1"
QUESTION = {"role": "user", "content": "When does the tide come in?"}


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    told, leave = multiprocessing.Queue(), multiprocessing.Event()
    server = multiprocessing.Process(target=serve, args=(told, leave))
    server.start()
    try:
        port = told.get()
        first_token(port, calls)
        fallback(port, calls // 3)
    finally:
        leave.set()
        server.join()


def serve(told: Any, leave: Any) -> None:
    with ScriptedServer(always=Text("At six, and again at half past six.")) as server:
        told.put(server.port)
        leave.wait()


def have(home: Workspace, *providers: tuple[str, str]) -> None:
    """From now on it asks *providers*, each a name and an address."""
    found = [{"name": name, "model": "m", "base_url": url} for name, url in providers]
    home.config.path.write_text(json.dumps({"llm": {"providers": found}}))
    home.config.reload()


def first_token(port: int, calls: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Workspace(Path(folder))
        asks = Core(home)
        have(home, ("here", f"http://127.0.0.1:{port}/v1"))
        ours: list[float] = []
        bare: list[float] = []
        busy: list[float] = []
        for _ in range(calls + 1):  # the first imports the library
            taken, cpu = _until_first(asks)
            ours.append(taken)
            busy.append(cpu)
            bare.append(_bare(port))
    ours, bare, busy = ours[1:], bare[1:], busy[1:]
    more = [(a - b) * 1000 for a, b in zip(ours, bare, strict=True)]
    median = statistics.median(more)
    print(
        f"to the first token   bare {statistics.median(bare) * 1000:5.1f} ms   AgentCore "
        f"{statistics.median(ours) * 1000:5.1f} ms "
        f"({statistics.median(busy) * 1000:.1f} of CPU)   {median:+5.1f} ms "
        f"(95% within {sorted(more)[int(len(more) * 0.95)]:.1f})   "
        f"{verdict(median, MOST_MS, at_least=False)}"
    )


def _until_first(asks: Core) -> tuple[float, float]:
    """Seconds, and of these those of the processor."""
    began, cpu = time.perf_counter(), time.process_time()
    pieces = asks.stream(QUESTION["content"])
    next(pieces)
    taken = time.perf_counter() - began, time.process_time() - cpu
    for _ in pieces:
        pass
    return taken


def _bare(port: int) -> float:
    began = time.perf_counter()
    connection = HTTPConnection("127.0.0.1", port)
    body = json.dumps({"model": "m", "stream": True, "messages": [QUESTION]})
    connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    answer.readline()
    taken = time.perf_counter() - began
    answer.read()
    connection.close()
    return taken


def fallback(port: int, rounds: int) -> None:
    """With the local server down, in turns with a chain without it: the first call, and later."""
    here = ("here", f"http://127.0.0.1:{port}/v1")
    first: list[float] = []
    later: list[float] = []
    alone: list[float] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Workspace(Path(folder))
        asks, health = Core(home), home.memory / "llm_health.json"
        for turn in range(rounds + 1):
            have(home, here)
            without = [_taken(asks) for _ in range(3)]
            health.unlink(missing_ok=True)
            have(home, ("dead", NOBODY), here)
            down = _taken(asks)
            skipped = [_taken(asks) for _ in range(3)]
            if turn:
                first.append(down)
                later += skipped
                alone += without
    medians = (statistics.median(t) * 1000 for t in (first, later, alone))
    print(
        "local server down    first call {:5.1f} ms   later {:5.1f} ms   "
        "where there is none {:5.1f} ms".format(*medians)
    )


def _taken(asks: Core) -> float:
    run: Callable[[str], str] = asks.run
    began = time.perf_counter()
    run(QUESTION["content"])
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
