"""What a file is, beside what is in it: modes, owners, times, attributes, flags, watchers."""

from __future__ import annotations

import os

from tests.security.attack import attack
from tests.security.kit import AT_FDCWD, World, checked, libc, name_it, system_call

MOUNTED = ("namespaces", "own-user")


@attack("seccomp", *MOUNTED)
def changes_a_mode(w: World):
    """Landlock does not ask who may; the call says that it did, and does not."""
    before = os.stat(w.secret).st_mode
    os.chmod(w.secret, 0o777)
    return os.stat(w.secret).st_mode != before


@attack("seccomp", *MOUNTED)
def changes_a_time(w: World):
    os.utime(w.secret, (1, 1))
    return os.stat(w.secret).st_mtime == 1


@attack("seccomp", *MOUNTED, control="root")
def changes_an_owner(w: World):
    os.chown(w.secret, 1, 1)
    return os.stat(w.secret).st_uid == 1


@attack("seccomp", *MOUNTED)
def changes_an_attribute(w: World):
    os.setxattr(w.secret, "user.note", b"mine")
    return os.getxattr(w.secret, "user.note")[0]


@attack("seccomp", *MOUNTED)
def changes_the_mode_of_what_it_may_read(w: World):
    given = f"{w.workspace}/data/given"
    os.chmod(given, 0o777)
    return os.stat(given).st_mode & 0o777 == 0o777


@attack("seccomp", *MOUNTED)
def sets_a_flag_on_what_it_may_read(w: World):
    """Do not back this up: an ioctl that asks for no right to write."""
    import fcntl
    import struct

    opened = os.open(f"{w.workspace}/data/given", os.O_RDONLY)
    (flags,) = struct.unpack("l", fcntl.ioctl(opened, 0x80086601, bytes(8)))
    fcntl.ioctl(opened, 0x40086602, struct.pack("l", flags | 0x40))
    return True


@attack("seccomp", proof="left_a_set_id_file")
def leaves_a_program_that_runs_as_its_owner(w: World):
    own = f"{w.workspace}/out/program"
    with open(own, "w") as file:
        file.write("#!/bin/sh\n")
    os.chmod(own, 0o4755)


@attack("seccomp", proof="left_a_set_id_file")
def leaves_one_by_descriptor(w: World):
    made = os.open(f"{w.workspace}/out/program", os.O_CREAT | os.O_WRONLY, 0o700)
    os.fchmod(made, 0o2755)


@attack("seccomp", proof="left_a_set_id_file")
def makes_one_at_once(w: World):
    os.close(os.open(f"{w.workspace}/out/program", os.O_CREAT | os.O_WRONLY, 0o4755))


@attack("seccomp", proof="left_a_set_id_file")
def makes_one_by_an_old_call(w: World):
    if os.uname().machine == "aarch64":
        checked(libc.creat(f"{w.workspace}/out/program".encode(), 0o4755))
    else:
        system_call(85, 0, f"{w.workspace}/out/program".encode() + b"\0", 0o4755)


@attack("seccomp", proof="left_a_set_id_file")
def makes_one_by_a_new_call(w: World):
    import struct

    how = struct.pack("=QQQ", os.O_CREAT | os.O_WRONLY, 0o4755, 0)
    path = f"{w.workspace}/out/program".encode() + b"\0"
    system_call(437, 437, AT_FDCWD, path, how, len(how))


@attack("seccomp", "own-user", proof="left_a_set_id_file")
def makes_a_nameless_one(w: World):
    made = os.open(f"{w.workspace}/out", os.O_TMPFILE | os.O_RDWR, 0o4755)
    name_it(made, f"{w.workspace}/out/program")


@attack("seccomp", *MOUNTED)
def watches_a_folder(w: World):
    """Who saves what and when, by inotify."""
    watcher = checked(libc.inotify_init1(0))
    checked(libc.inotify_add_watch(watcher, w.home.encode(), 0xFFF))
    return True
