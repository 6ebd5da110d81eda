"""Other processes: seen, signalled, read, written, slowed, robbed, and outlived."""

from __future__ import annotations

import ctypes
import os

from tests.security.attack import attack
from tests.security.kit import PROC, World, checked, libc, system_call, text_of
from tests.security.machine import no_typing, yama

APART = ("namespaces", "own-user")
# Root may all the same.
ROOTS = ("bare",) if os.geteuid() else ()
HIDDEN = ("namespaces", "own-user", "landlock")


@attack(*HIDDEN)
def sees_a_process(w: World):
    return text_of(f"{PROC}/{w.victim}/cmdline")


@attack(*HIDDEN)
def reads_anothers_environment(w: World):
    return w.canary in text_of(f"{PROC}/{w.victim}/environ")


@attack(*HIDDEN, needs=yama)
def reads_anothers_memory_as_a_file(w: World):
    with open(f"{PROC}/{w.victim}/mem", "rb", buffering=0) as memory:
        memory.seek(w.address)
        return memory.read(len(w.canary)).decode()


@attack("seccomp", *HIDDEN, needs=yama)
def reads_anothers_memory(w: World):
    import struct

    found = ctypes.create_string_buffer(64)
    here = struct.pack("PN", ctypes.addressof(found), 32)
    there = struct.pack("PN", w.address, 32)
    system_call(310, 270, w.victim, here, 1, there, 1, 0)
    return found.value.decode()


@attack("seccomp", *HIDDEN, needs=yama)
def writes_anothers_memory(w: World):
    """What is there already."""
    import struct

    same = ctypes.create_string_buffer(w.canary.encode())
    here = struct.pack("PN", ctypes.addressof(same), 8)
    there = struct.pack("PN", w.address, 8)
    return system_call(311, 271, w.victim, here, 1, there, 1, 0)


@attack("seccomp", *HIDDEN, needs=yama)
def traces_a_process(w: World):
    seize, detach = 0x4206, 17
    system_call(101, 117, seize, w.victim, 0, 0)
    libc.ptrace(detach, w.victim, None, None)
    return True


@attack("seccomp", *HIDDEN, needs=yama)
def takes_a_descriptor(w: World):
    taken = system_call(438, 438, os.pidfd_open(w.victim), w.held, 0)
    return os.pread(taken, 100, 0).decode()


@attack("seccomp", *HIDDEN, needs=yama)
def compares_itself_with_a_process(w: World):
    return system_call(312, 272, os.getpid(), w.victim, 1, 0, 0) >= 0


@attack(*HIDDEN, proof="was_struck")
def signals_a_process(w: World):
    os.kill(w.victim, 10)


@attack(*HIDDEN, proof="was_struck")
def signals_a_process_by_descriptor(w: World):
    import signal

    signal.pidfd_send_signal(os.pidfd_open(w.victim), 10)


@attack(*HIDDEN, proof="was_struck")
def signals_a_thread(w: World):
    system_call(234, 131, w.victim, w.victim, 10)


@attack(*HIDDEN, proof="was_struck")
def sends_a_signal_with_a_value(w: World):
    checked(libc.sigqueue(w.victim, 10, None))


@attack(*HIDDEN, proof="was_struck")
def has_a_pipe_signal_a_process(w: World):
    """The kernel signals whom a descriptor says, with what it says, when something comes."""
    import fcntl

    reader, writer = os.pipe()
    fcntl.fcntl(reader, fcntl.F_SETOWN, w.victim)
    fcntl.fcntl(reader, 10, 10)  # F_SETSIG, SIGUSR1
    fcntl.fcntl(reader, fcntl.F_SETFL, os.O_ASYNC)
    os.write(writer, b"!")


@attack("landlock")
def signals_its_keeper(w: World):
    os.kill(os.getppid(), 0)
    return True


@attack(*ROOTS, "landlock", "namespaces", "own-user", needs=yama)
def reads_its_keepers_memory(w: World):
    """Of a process that may not be dumped; as root, that takes a right that root has."""
    parent = os.getppid()
    with open(f"{PROC}/{parent}/maps") as maps:
        first = next(line for line in maps if " rw-p " in line)
    with open(f"{PROC}/{parent}/mem", "rb", buffering=0) as memory:
        memory.seek(int(first.partition("-")[0], 16))
        return len(memory.read(16))


@attack("seccomp", *APART)
def slows_a_process_down(w: World):
    os.setpriority(os.PRIO_PROCESS, w.victim, 5)
    return True


@attack("seccomp", *APART)
def pins_a_process_to_a_processor(w: World):
    os.sched_setaffinity(w.victim, os.sched_getaffinity(w.victim))
    return True


@attack("seccomp", *APART)
def schedules_a_process(w: World):
    os.sched_setscheduler(w.victim, os.SCHED_OTHER, os.sched_param(0))
    return True


@attack("seccomp", *APART)
def starves_a_process_of_the_disk(w: World):
    return system_call(251, 30, 1, w.victim, 2 << 13 | 7) == 0


@attack("seccomp", *APART)
def limits_a_process(w: World):
    import resource

    resource.prlimit(w.victim, resource.RLIMIT_CORE, (0, 0))
    return True


@attack("bare", *HIDDEN, proof="something_lives_on")
def lives_on(w: World):
    """A daemon, forked twice and of a session of its own; it goes when its file does."""
    import fcntl
    import time

    ready, told = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        file = os.open(f"{w.workspace}/out/lives", os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        os.write(told, b"!")
        os.closerange(0, file)
        while os.fstat(file).st_nlink:
            time.sleep(0.01)
        os._exit(0)
    os.wait()
    os.read(ready, 1)


@attack("bare")
def may_gain_rights(w: World):
    """Whether set-user-id programs work."""
    return libc.prctl(39, 0, 0, 0, 0) == 0


@attack("bare")
def may_leave_a_core(w: World):
    """Whether its memory is written to disk, or read by its user's other processes."""
    return libc.prctl(3, 0, 0, 0, 0) == 1


@attack("seccomp")
def makes_itself_readable(w: World):
    libc.prctl(4, 1, 0, 0, 0)
    return libc.prctl(3, 0, 0, 0, 0) == 1


@attack("seccomp", *APART, control="root")
def becomes_another_user(w: World):
    os.setuid(1234)
    return os.getuid() == 1234


@attack("seccomp", "own-user", control="root")
def is_root(w: World):
    """A file of root's, whoever may read it."""
    os.setresuid(0, 0, 0)
    return os.getuid() == 0


@attack("seccomp", "landlock")
def starts_a_program(w: World):
    import subprocess

    return subprocess.run(["/bin/echo", "hello"], stdout=-1, check=True).stdout.decode()


@attack("seccomp", "landlock", "own-user")
def starts_a_program_of_its_own(w: World):
    import shutil
    import subprocess
    import tempfile

    own = f"{tempfile.mkdtemp()}/program"
    shutil.copy("/bin/echo", own)
    os.chmod(own, 0o700)
    return subprocess.run([own, "hello"], stdout=-1, check=True).stdout.decode()


@attack("seccomp", "landlock")
def starts_one_by_the_loader(w: World):
    """The loader maps what the kernel would not start."""
    import glob
    import subprocess

    loader = next(iter(glob.glob("/lib64/ld-linux*") + glob.glob("/lib/ld-linux*")))
    return subprocess.run([loader, "/bin/echo", "hello"], stdout=-1, check=True).stdout.decode()


@attack("seccomp", "landlock")
def starts_one_from_memory(w: World):
    held = os.memfd_create("program", 0)
    with open("/bin/true", "rb") as program:
        os.write(held, program.read())
    child = os.fork()
    if child == 0:
        try:
            os.execve(held, ["true"], {})
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


@attack("seccomp", "landlock", *APART, control="root", needs=no_typing)
def types_into_a_terminal(w: World):
    """TIOCSTI, with a bit that the kernel does not look at."""
    _, terminal = os.openpty()
    return system_call(16, 29, terminal, 1 << 32 | 0x5412, b"x") == 0
