"""
Asynchronous work for those who wait: pieces as they come, the result at the end.

The work has a thread and an event loop of its own, so that it can be waited for anywhere: in a
program's only thread, in one of several, and where an event loop runs already.  Whoever stops
waiting (Ctrl-C, a generator that is closed) ends the work first.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Generator
from queue import SimpleQueue
from typing import Any, TypeVar

_HAND_OVER_S = 0.005

T = TypeVar("T")
Tell = Callable[[str], None]


def pieces(work: Callable[[Tell], Coroutine[Any, Any, T]]) -> Generator[str, None, T]:
    """What *work* tells, piece by piece; its result is what the generator returns."""
    told: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    waits, taken = threading.Event(), threading.Event()
    begun = threading.Event()
    there: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def main() -> T:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine that runs has one
        there.append((asyncio.get_running_loop(), task))
        begun.set()
        return await work(tell)

    def tell(piece: str) -> None:
        taken.clear()
        told.put(("piece", piece))
        # The interpreter would go on here for some milliseconds, and leave who waits asleep.
        if waits.is_set():
            taken.wait(_HAND_OVER_S)

    def run() -> None:
        try:
            told.put(("result", asyncio.run(main())))
        except BaseException as error:  # noqa: BLE001  raised again where it is waited for
            told.put(("error", error))
        finally:
            begun.set()

    thread = threading.Thread(target=run, name="dino-model", daemon=True)
    thread.start()
    try:
        while True:
            waits.set()
            kind, what = told.get()
            waits.clear()
            taken.set()
            if kind == "piece":
                yield what
            elif kind == "error":
                raise what
            else:
                result: T = what
                return result
    finally:
        begun.wait()
        with contextlib.suppress(RuntimeError, IndexError):  # it has ended
            loop, task = there[0]
            loop.call_soon_threadsafe(task.cancel)
        thread.join()


def result_of(work: Callable[[Tell], Coroutine[Any, Any, T]]) -> T:
    """The result of *work*, whose pieces nobody wants."""
    found = pieces(work)
    while True:
        try:
            next(found)
        except StopIteration as end:
            result: T = end.value
            return result
