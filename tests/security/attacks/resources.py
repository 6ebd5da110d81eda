"""More than its share: processes, memory, files, disk, time, output."""

from __future__ import annotations

import os
import time

from tests.security.attack import attack
from tests.security.kit import World, libc

# What every run is denied, root may take back.
ROOTS = ("bare",) if os.geteuid() else ()


@attack("limits")
def multiplies(w: World):
    """A fork bomb, of a hundred that wait for the end of a pipe."""
    gone, stays = os.pipe()
    children = []
    try:
        for _ in range(100):
            child = os.fork()
            if child == 0:
                os.close(stays)
                os.read(gone, 1)
                os._exit(0)
            children.append(child)
    finally:
        os.close(stays)
        for child in children:
            os.waitpid(child, 0)
    return len(children)


@attack("limits")
def starts_threads(w: World):
    import threading

    leave = threading.Event()
    threads = [threading.Thread(target=leave.wait) for _ in range(100)]
    try:
        for thread in threads:
            thread.start()
    finally:
        leave.set()
    return True


@attack("limits", limits={"memory_bytes": 2**29})
def takes_memory(w: World):
    """Addresses, none of which is used."""
    import mmap

    return len(mmap.mmap(-1, 2**29 + 2**20)) > 0


@attack("bare", limits={"memory_bytes": 2**26 + 2**25})
def takes_memory_by_many_hands(w: World):
    """Each a little, all together too much."""
    children = []
    for _ in range(4):
        children.append(os.fork())
        if children[-1] == 0:
            page = bytearray(b"x") * (40 * 2**20)
            time.sleep(1.5)
            os._exit(len(page) & 0)
    return sum(os.waitpid(child, 0)[1] for child in children) == 0


@attack("limits", limits={"open_files": 100})
def opens_many_files(w: World):
    return [os.dup(0) for _ in range(200)][-1]


@attack("limits", limits={"file_bytes": 2**20})
def writes_a_large_file(w: World):
    with open(f"{w.workspace}/out/large", "wb") as file:
        return file.write(bytes(2**20 + 1)) and not file.flush()


@attack("limits", limits={"cpu_s": 1}, alone=("limits",))
def burns_the_processor(w: World):
    while time.process_time() < 1.4:
        pass
    return True


@attack(*ROOTS, "namespaces", "own-user")
def locks_memory(w: World):
    page = bytearray(4096)
    import ctypes

    return libc.mlock(ctypes.byref(ctypes.c_char.from_buffer(page)), 4096) == 0


@attack(*ROOTS, "namespaces", "own-user", alone=("namespaces", "own-user", "limits"))
def asks_for_core_files(w: World):
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_CORE, (4096, 4096))
    except ValueError as error:
        raise PermissionError from error
    return resource.getrlimit(resource.RLIMIT_CORE)[1] > 0


@attack("limits", limits={"open_files": 100})
def raises_its_limits(w: World):
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
    except ValueError as error:
        raise PermissionError from error
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 200


@attack("bare", limits={"timeout_s": 0.4})
def sleeps_and_ignores_everything(w: World):
    import signal

    for number in range(1, 32):
        if number not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
    time.sleep(1.5)
    return True


@attack("bare")
def fills_the_disk(w: World):
    """Its own folder, with more than it holds; the keeper looks several times a second."""
    import tempfile

    with open(f"{tempfile.mkdtemp()}/large", "wb") as file:
        for _ in range(24):
            file.write(bytes(2**20))
            file.flush()
        time.sleep(2)
    return True


@attack("bare")
def fills_it_with_names(w: World):
    import tempfile

    folder = tempfile.mkdtemp()
    for number in range(2500):
        os.close(os.open(f"{folder}/{number}", os.O_CREAT | os.O_WRONLY, 0o600))
    time.sleep(2)
    return True


@attack("bare", limits={"result_bytes": 2**20})
def returns_too_much(w: World):
    return "x" * (2**20 + 1)
