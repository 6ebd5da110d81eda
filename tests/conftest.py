"""What all tests share: a workspace of their own, and `dino` as a process of its own in it."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import unsynced  # noqa: F401  before anything keeps a sync by another name

# isort: split

from dino_os import workspace as workspace_module
from dino_os.message_bus import exchange as exchange_module
from tests.doors import can_run, doors

REPOSITORY = Path(__file__).resolve().parent.parent

# Each run tries other examples: fewer at a time, and the whole still takes minutes.
settings.register_profile(
    "dino",
    deadline=None,
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("dino")


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The JSON error on standard error."""
        return json.loads(self.err)


Dino = Callable[..., Outcome]


def environment(**more: str) -> dict[str, str]:
    """What a command's process gets: nothing of the developer's own settings."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TZ") if key in os.environ}
    # No test reaches for the keyring of whoever runs it.
    keyring = "keyring.backends.fail.Keyring"
    ours = {"USER": "tester", "DINO_NO_PLUGINS": "1", "PYTHON_KEYRING_BACKEND": keyring}
    return {**kept, **ours, **more}


def command(*args: object, door: str = "dino") -> list[str]:
    start = f"from dino_os.commands import {door}; {door}(prog_name={door!r})"
    return [sys.executable, "-c", start, *map(str, args)]


@pytest.fixture(autouse=True)
def _no_workspace_but_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DINO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests are a large heap that never changes: the collector passes it over."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


# Where most of the time goes.  Of each in turn one file: some compute, others wait for servers.
_LONG = (
    *("cluster", "commands", "crash", "journal", "memory_layer", "message_bus", "offline"),
    *("replication", "security", "tool_sandbox"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins early, so that in the end nobody waits for it."""
    tests = REPOSITORY / "tests"
    turns: dict[Path, tuple[bool, int]] = {}
    files: Counter[Path] = Counter()
    for path in dict.fromkeys(item.path for item in items):
        is_long = path.relative_to(tests).parts[0] in _LONG
        turns[path] = not is_long, files[path.parent] if is_long else 0
        files[path.parent] += 1
    items.sort(key=lambda item: turns[item.path])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """A file's tests are one worker's, and share what they prepare; files go in their order."""
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False
    return LoadFileScheduling(config, log)


@pytest.fixture(autouse=True, scope="module")
def _nothing_stays_open() -> Iterator[None]:
    """Engines that a module dropped close their files now, not some modules later."""
    yield
    gc.collect()
    gc.freeze()  # what is left stays, and need not be looked at behind every module


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> Random:
    """Drawn anew by each run: where its test fails its seed is shown, for $SEED to draw it again."""
    seed = os.environ.get("SEED") or str(random.SystemRandom().getrandbits(32))
    request.node.add_report_section("call", "seed", f"SEED={seed}")
    return Random(seed)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """An empty workspace."""
    (tmp_path / "config.yaml").write_text("system:\n  name: test\n")
    (tmp_path / "skills").mkdir()
    return tmp_path


@pytest.fixture
def home(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The workspace as the one that `MemoryLayer()` and the other faces find."""
    monkeypatch.setenv("DINO_HOME", str(workspace))
    yield workspace
    exchange_module.forget()
    workspace_module._shared.clear()
    workspace_module._memories.clear()


@pytest.fixture
def dino(workspace: Path) -> Dino:
    """
    Run `dino …` in the workspace: `dino("zone", "list", "--json").json`.

    The exit code must be the one expected (0 unless told), and there is never a traceback.  What
    is *given* it reads from a pipe.
    """

    def call(
        *args: object,
        code: int | None = 0,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        door: str = "dino",
        given: bytes = b"",
        timeout_s: float = 60,
    ) -> Outcome:
        variables = environment(**{"PYTHONPATH": str(REPOSITORY), **(env or {})})
        arguments, folder = [str(arg) for arg in args], cwd or workspace
        if can_run(variables, arguments):
            done = doors().run(
                door,
                arguments,
                folder=folder,
                environment=variables,
                given=given,
                timeout_s=timeout_s,
            )
        else:
            done = subprocess.run(
                command(*args, door=door),
                cwd=folder,
                env=variables,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
                input=given.decode(),
            )
        outcome = Outcome(done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in outcome.err, outcome.err
        assert code is None or outcome.code == code, outcome
        return outcome

    return call


@contextlib.contextmanager
def ended_at_last() -> Iterator[list[subprocess.Popen[str]]]:
    """A list of processes: those that still run are ended when it is left."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def started(workspace: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `dino …` in the workspace and hand out its process; whatever still runs is ended."""

    def start(*args: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command(*args),
            cwd=workspace,
            env=environment(PYTHONPATH=str(REPOSITORY)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        processes.append(process)
        return process

    with ended_at_last() as processes:
        yield start
