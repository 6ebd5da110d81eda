"""A lock that the kernel knows the holder of, whatever stands in its file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dino_os.process_lock import Busy, Holder, ProcessLock

_PROGRAM = """
import sys
from pathlib import Path
from dino_os.process_lock import ProcessLock
lock = ProcessLock(Path(sys.argv[1]), by="bob@cron", what="sailing", clock=lambda: 1.8e9)
if sys.argv[2] == "hold":
    with lock.held():
        print("held", flush=True)
        sys.stdin.read()
else:
    print(lock.holder())
"""


@pytest.fixture
def lock(tmp_path: Path) -> ProcessLock:
    return ProcessLock(tmp_path / "x.lock", by="ada@cron", what="sailing", clock=lambda: 1.8e9)


@contextmanager
def another_process(lock: ProcessLock) -> Iterator[subprocess.Popen[str]]:
    """One that holds the lock until it is killed."""
    command = [sys.executable, "-c", _PROGRAM, str(lock.path), "hold"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        try:
            yield other
        finally:
            other.kill()


def ask(lock: ProcessLock, *inside: str) -> str:
    """Who holds it, as another process sees it."""
    command = [*inside, sys.executable, "-c", _PROGRAM, str(lock.path), "ask"]
    return subprocess.check_output(command, text=True)


def test_the_kernel_says_which_process_holds_it(lock: ProcessLock) -> None:
    """Killed, it holds it no more, though the file still says so."""
    with another_process(lock) as other:
        assert lock.holder() == Holder(other.pid, "bob@cron", 1.8e9)
        said = rf"busy: bob@cron \(process {other.pid}\) since 2027-01-15T08:00:00Z is sailing"
        with pytest.raises(Busy, match=said) as busy, lock.held():
            pass
        assert busy.value.holder.pid == other.pid
        other.kill()
        other.wait()
        assert "bob@cron" in lock.path.read_text()
        assert lock.holder() is None
        with lock.held():
            assert lock.holder() == Holder(os.getpid(), "ada@cron", 1.8e9)


def test_nobody_holds_what_is_not_there(lock: ProcessLock) -> None:
    assert lock.holder() is None
    assert not lock.path.exists()


def test_a_process_holds_it_once(lock: ProcessLock, tmp_path: Path) -> None:
    """To the kernel the second were the same one, and its end that of both."""
    (tmp_path / "link").symlink_to(tmp_path)
    same = ProcessLock(tmp_path / "link" / lock.path.name, by="bob", what="rowing")
    with lock.held():
        with pytest.raises(Busy, match=r"ada@cron \(process \d+\) since"), same.held():
            pass
        assert same.holder() == Holder(os.getpid(), "ada@cron", 1.8e9)
        assert ask(lock) == f"ada@cron (process {os.getpid()}) since 2027-01-15T08:00:00Z\n"
    assert lock.holder() is None


def test_whoever_waits_gets_it_after_the_other(lock: ProcessLock) -> None:
    taken, leave = threading.Event(), threading.Event()

    def first() -> None:
        with lock.held():
            taken.set()
            leave.wait()

    thread = threading.Thread(target=first)
    thread.start()
    taken.wait()
    threading.Timer(0.01, leave.set).start()
    with lock.held(wait_s=60):
        assert leave.is_set()
    thread.join()


def test_a_child_does_not_inherit_it(lock: ProcessLock) -> None:
    """Nor does its end free it."""
    with lock.held():
        child = os.fork()
        if not child:
            holder = lock.holder()
            os._exit(0 if holder and holder.pid == os.getppid() else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert ask(lock) == f"ada@cron (process {os.getpid()}) since 2027-01-15T08:00:00Z\n"


@pytest.mark.parametrize("text", ["", "who knows", "[]", '{"pid": 1}', '{"pid": 1, "since": 1e99}'])
def test_a_file_that_says_nothing_is_not_believed(lock: ProcessLock, text: str) -> None:
    """Nor one that still speaks of the process before."""
    with another_process(lock) as other:
        for told in (text, json.dumps({"pid": other.pid + 1, "by": "eve", "since": 1})):
            lock.path.write_text(told)
            assert lock.holder() == Holder(other.pid)
            assert str(lock.holder()) == f"another process (process {other.pid})"


def test_a_holder_in_another_container_is_out_of_sight(lock: ProcessLock) -> None:
    inside = ["unshare", "--user", "--map-root-user", "--pid", "--fork"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine makes no namespaces")
    with another_process(lock):
        assert ask(lock, *inside) == "bob@cron since 2027-01-15T08:00:00Z\n"
