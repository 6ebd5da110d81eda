"""One who speaks and one who hears: in one process, in two, and on two nodes of a cluster."""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dino_os.message_bus import MessageBus
from dino_os.message_bus import exchange as exchange_module
from dino_os.workspace import Workspace
from tests.cluster.servers import needs_server, server, settings_for, until

__all__ = ["server"]

_count = itertools.count()


class BusOf(MessageBus):
    """The bus of that workspace, as a program has it there."""

    def __init__(self, workspace: Workspace) -> None:
        self._there = workspace

    def _workspace(self) -> Workspace:
        return self._there


class AnotherProcess:
    """The bus of that workspace in another process, which publishes, asks and looks back."""

    def __init__(self, processes: ProcessPoolExecutor, home: Path) -> None:
        self._processes, self._home = processes, home

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            return self._processes.submit(_there, self._home, method, args, more).result()

        return call


def _there(home: Path, method: str, args: Any, more: Any) -> Any:
    return getattr(BusOf(Workspace.shared(home)), method)(*args, **more)


@dataclass
class Pair:
    """
    Attributes:
        kind: "embedded", "processes" or "cluster".
        speaks: The bus of who publishes and asks.
        hears: The bus of who subscribes and answers, in this process.
        workspace: Of who hears; `speaker`, of who speaks, where that is in this process too.
    """

    kind: str
    speaks: Any
    hears: MessageBus
    workspace: Workspace
    speaker: Workspace | None

    def come(self, subject: str, count: int) -> None:
        """Wait until so many messages of *subject* are on record where they are heard."""
        until(lambda: len(self.hears.channel_history(subject, 10**6)) >= count, "they do not come")


MakePair = Callable[..., Pair]


@pytest.fixture(scope="session")
def processes() -> Iterator[ProcessPoolExecutor]:
    """Another process, for all tests."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as found:
        yield found


@pytest.fixture(params=["embedded", "processes", pytest.param("cluster", marks=needs_server)])
def make_pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakePair]:
    """A pair with what is given in its settings besides."""
    made: list[Workspace] = []

    def make(settings: str = "") -> Pair:
        kind = request.param
        if kind == "cluster":
            url, namespace = request.getfixturevalue("server").url, f"b{next(_count)}"
            for name in ("here", "there"):
                home = tmp_path / name
                (home / "skills").mkdir(parents=True)
                settings_for(home, url, name, namespace)
                with (home / "config.yaml").open("a") as config:
                    config.write(settings)
                made.append(Workspace(home))
                made[-1].carry()
            for one in made:
                journal = one.memory / "bus.jsonl"
                until(
                    lambda file=journal: file.exists() and "stream_began" in file.read_text(),
                    "it does not join",
                )
            here, there = made
            return Pair(kind, BusOf(there), BusOf(here), here, there)
        (tmp_path / "skills").mkdir()
        (tmp_path / "config.yaml").write_text(f"system:\n  name: one\n{settings}")
        here = Workspace(tmp_path)
        made.append(here)
        if kind == "embedded":
            return Pair(kind, BusOf(here), BusOf(here), here, here)
        other = AnotherProcess(request.getfixturevalue("processes"), tmp_path)
        return Pair(kind, other, BusOf(here), here, None)

    yield make
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_ended, made))
    exchange_module.forget()


@pytest.fixture
def pair(make_pair: MakePair) -> Pair:
    return make_pair()


def _ended(workspace: Workspace) -> None:
    workspace.bus.close()
    if workspace.carrying:
        workspace.carrying.stop()
    if workspace.cluster:
        workspace.cluster.link.close()
