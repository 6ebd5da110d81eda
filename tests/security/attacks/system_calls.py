"""Calls into parts of the kernel that no skill needs, and other ways to make the same calls."""

from __future__ import annotations

import ctypes
import os

from tests.security.attack import attack
from tests.security.kit import NEW_USERS, World, checked, errno, libc, looked_at, system_call
from tests.security.machine import kernel_has, only_x86_64

APART = ("namespaces", "own-user")


@attack("seccomp", needs=kernel_has("user namespaces", "/proc/sys/user/max_user_namespaces"))
def makes_a_user_namespace(w: World):
    """Root in a world of its own, with the kernel's rarer parts in reach."""
    child = os.fork()
    if child == 0:
        os._exit(0 if libc.unshare(NEW_USERS) == 0 else 1)
    return os.waitpid(child, 0)[1] == 0


@attack("seccomp", needs=kernel_has("user namespaces", "/proc/sys/user/max_user_namespaces"))
def makes_one_by_clone(w: World):
    """In the bits of a call that every fork makes."""
    # clone's arguments: flags and the signal of its end, and no stack of its own.
    child = system_call(56, 220, NEW_USERS | 17, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


@attack("seccomp", needs=kernel_has("user namespaces", "/proc/sys/user/max_user_namespaces"))
def makes_one_by_a_call_that_hides_its_flags(w: World):
    import struct

    arguments = struct.pack("=11Q", NEW_USERS, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)
    child = system_call(435, 435, arguments, len(arguments))
    if child == 0:
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


@attack("seccomp", "namespaces", "own-user", control="root")
def makes_any_namespace(w: World):
    for flag in (0x00020000, 0x08000000, 0x04000000, 0x40000000, 0x20000000, 0x02000000):
        child = os.fork()
        if child == 0:
            os._exit(0 if libc.unshare(flag) == 0 else 1)
        if os.waitpid(child, 0)[1] == 0:
            return True
    raise PermissionError(errno.EPERM, "none")


@attack("seccomp", "namespaces", "own-user", "landlock", control="root")
def enters_anothers_namespace(w: World):
    child = os.fork()
    if child == 0:
        joined = libc.setns(os.open(f"/proc/{w.victim}/ns/mnt", os.O_RDONLY), 0)
        os._exit(0 if joined == 0 else 1)
    return os.waitpid(child, 0)[1] == 0


@attack("seccomp", "own-user", needs=kernel_has("keys", "/proc/keys"))
def reads_its_users_key(w: World):
    """By its number: no namespace hides it."""
    found = ctypes.create_string_buffer(64)
    system_call(250, 219, 11, w.key, found, 64)
    return found.value.decode()


@attack("seccomp", *APART, needs=kernel_has("keys", "/proc/keys"))
def finds_its_users_key(w: World):
    """By its name, in the user's keyring: that is another in a user namespace."""
    return system_call(250, 219, 10, -4, b"user\0", b"dino-test\0", 0)


@attack("seccomp", needs=kernel_has("keys", "/proc/keys"))
def keeps_a_key_for_later(w: World):
    return system_call(248, 217, b"user\0", b"dino-test-own\0", b"x", 1, -2)


@attack("seccomp", needs=kernel_has("keys", "/proc/keys"))
def has_a_key_asked_for(w: World):
    return looked_at(249, 218, b"user\0", b"dino-none\0", None, 0)


@attack("seccomp", "namespaces", control="plain", needs=kernel_has("System V", "/proc/sysvipc/shm"))
def reads_anothers_shared_memory(w: World):
    libc.shmat.restype = ctypes.c_void_p
    at = libc.shmat(w.shared_memory, None, 0o10000)
    return at != ctypes.c_void_p(-1).value and ctypes.string_at(at, 20).decode()


@attack("seccomp", "namespaces", needs=kernel_has("System V", "/proc/sysvipc/msg"))
def reads_anothers_messages(w: World):
    """A copy of one: it stays for whom it was meant."""
    found = ctypes.create_string_buffer(128)
    copy, nowait = 0o40000, 0o4000
    checked(libc.msgrcv(w.queue, found, 100, ctypes.c_long(0), copy | nowait))
    return found.raw[8:].rstrip(b"\0").decode()


@attack("seccomp", needs=kernel_has("System V", "/proc/sysvipc/sem"))
def makes_semaphores(w: World):
    made = checked(libc.semget(0, 1, 0o1600))
    libc.semctl(made, 0, 0)
    return True


@attack("seccomp", "bare", needs=kernel_has("POSIX queues", "/proc/sys/fs/mqueue"))
def makes_a_queue(w: World):
    name = f"dino-{os.getpid()}\0".encode()
    opened = system_call(240, 180, name, os.O_CREAT | os.O_RDWR, 0o600, None)
    system_call(241, 181, name)
    return opened


@attack("seccomp", *APART, control="root")
def loads_a_program_into_the_kernel(w: World):
    import struct

    return system_call(321, 280, 0, struct.pack("=IIII", 2, 4, 4, 1) + bytes(112), 128)


@attack("seccomp", *APART, control="root", needs=kernel_has("modules", "/proc/modules"))
def loads_a_module(w: World):
    """An empty one, which no kernel takes."""
    return looked_at(175, 105, b"", 0, b"\0")


@attack("seccomp", *APART, control="root", needs=kernel_has("modules", "/proc/modules"))
def loads_a_module_by_file(w: World):
    return looked_at(313, 273, os.open("/dev/null", os.O_RDONLY), b"\0", 0)


@attack("seccomp", *APART, control="root", needs=kernel_has("modules", "/proc/modules"))
def unloads_a_module(w: World):
    return looked_at(176, 106, b"dino_no_such_module\0", 0)


@attack("seccomp", *APART, control="root", needs=kernel_has("kexec", "/sys/kernel/kexec_loaded"))
def boots_another_kernel(w: World):
    """With numbers that mean no kernel."""
    return looked_at(246, 104, 0, 99, None, 0)


@attack("seccomp", *APART, control="root")
def switches_the_machine_off(w: World):
    """With numbers that mean nothing, which is asked only of who may."""
    return looked_at(169, 142, 0, 0, 0, None)


@attack("seccomp", *APART, control="root")
def sets_the_clock(w: World):
    """To the status that it has: whoever may not set it may not that."""
    state = ctypes.create_string_buffer(256)
    checked(libc.adjtimex(state))
    ctypes.c_uint.from_buffer(state, 0).value = 0x10  # ADJ_STATUS
    return libc.adjtimex(state) >= 0


@attack("seccomp", *APART, control="root")
def swaps_to_a_file(w: World):
    return looked_at(167, 224, b"/nowhere\0", 0)


@attack("seccomp", *APART, control="root")
def reads_the_kernels_messages(w: World):
    return system_call(103, 116, 10, None, 0)


@attack("seccomp", *APART, control="root")
def keeps_accounts(w: World):
    """Of every process that ends, in a file that cannot be."""
    return looked_at(163, 89, b"/nowhere\0")


@attack("seccomp", needs=kernel_has("performance events", "/proc/sys/kernel/perf_event_paranoid"))
def measures_the_processor(w: World):
    import struct

    counts_of_itself = struct.pack("=IIQQQQQ", 1, 112, 0, 0, 0, 0, 0x60) + bytes(64)
    return system_call(298, 241, counts_of_itself, 0, -1, -1, 0)


@attack("seccomp", needs=kernel_has("userfaultfd", "/proc/sys/vm/unprivileged_userfaultfd"))
def handles_page_faults(w: World):
    return system_call(323, 282, 1)


@attack("seccomp", *APART, control="root")
def hears_of_every_file(w: World):
    return system_call(300, 262, 0, 0)


@attack("seccomp")
def changes_its_personality(w: World):
    """Without the shuffling of addresses."""
    return system_call(135, 92, 0x0040000) >= 0


@attack("seccomp")
def makes_a_file_in_memory(w: World):
    return os.memfd_create("own")


@attack("seccomp")
def gives_its_pages_away(w: World):
    import struct

    _, writer = os.pipe()
    page = ctypes.create_string_buffer(16)
    return system_call(278, 75, writer, struct.pack("PN", ctypes.addressof(page), 16), 1, 0)


@attack("seccomp")
def writes_all_disks(w: World):
    """sync waits for everybody's files, and holds up everybody."""
    return looked_at(306, 267, os.open(f"{w.workspace}/out", os.O_RDONLY))


@attack("seccomp")
def adds_a_filter_of_its_own(w: World):
    """One that answers in the kernel's place makes other programs believe what is not so."""
    import struct

    allow = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000))
    program = struct.pack("=HxxxxxxQ", 1, ctypes.addressof(allow))
    child = os.fork()
    if child == 0:
        libc.prctl(38, 1, 0, 0, 0)
        os._exit(0 if libc.syscall(277 if os.uname().machine == "aarch64" else 317, 1, 0, program) >= 0 else 1)  # fmt: skip
    return os.waitpid(child, 0)[1] == 0


@attack("seccomp", needs=only_x86_64)
def calls_by_the_numbers_of_another_machine(w: World):
    """Of 32 bits, where the number of mkdir is another call's."""
    import mmap

    path = f"{w.workspace}/out/made".encode()
    low = mmap.mmap(-1, 4096, flags=0x22 | 0x40, prot=7)  # MAP_32BIT
    low.write(b"\x53\xb8\x27\0\0\0\xbb")
    base = ctypes.addressof(ctypes.c_char.from_buffer(low))
    low.write((base + 64).to_bytes(4, "little") + b"\xb9\xc0\x01\0\0\xcd\x80\x5b\xc3")
    low.seek(64)
    low.write(path + b"\0")
    ctypes.CFUNCTYPE(ctypes.c_int)(base)()
    return os.path.isdir(path)


@attack("seccomp", needs=only_x86_64)
def calls_by_a_second_set_of_numbers(w: World):
    """x32: the kernel says that there is none, the filter says it sooner."""
    child = os.fork()
    if child == 0:
        libc.syscall(ctypes.c_long(0x40000000 | 39))
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0
