"""Files that are nobody's business inside: read, changed, made, renamed, linked, by every name."""

# Attacks run on their own, as text: what one needs it imports, or has from the kit.
from __future__ import annotations

import os

from tests.security.attack import attack
from tests.security.kit import (
    AT_FDCWD,
    PROC,
    World,
    errno,
    kernel_said,
    libc,
    looked_at,
    name_it,
    system_call,
    text_of,
    wrote,
)

VIEWS = ("namespaces", "own-user", "landlock")
MOUNTED = ("namespaces", "own-user")


@attack(*VIEWS)
def reads_a_file_beside_the_workspace(w: World):
    return text_of(w.secret)


@attack(*VIEWS)
def reads_the_ssh_key(w: World):
    return text_of(f"{w.home}/.ssh/id_ed25519")


@attack(*VIEWS)
def reads_the_vault(w: World):
    return text_of(f"{w.workspace}/memory/vault/vault.json")


@attack(*VIEWS)
def reads_a_journal(w: World):
    return text_of(f"{w.workspace}/memory/runs.jsonl")


@attack(*VIEWS)
def reads_the_settings(w: World):
    return text_of(f"{w.workspace}/config.yaml")


@attack(*VIEWS)
def reads_who_has_an_account(w: World):
    return text_of("/etc/passwd")


@attack(*VIEWS)
def reads_the_machines_temporary_files(w: World):
    return text_of(w.temporary)


@attack(*VIEWS)
def reads_the_machines_shared_memory(w: World):
    return text_of(w.shared_file)


@attack(*VIEWS)
def lists_the_home_folder(w: World):
    return os.listdir(w.home)


@attack(*VIEWS)
def goes_up_by_dots(w: World):
    os.chdir(w.workspace)
    return text_of("../outside/secret")


@attack(*VIEWS)
def goes_up_from_a_granted_folder(w: World):
    return text_of(f"{w.workspace}/data/../out/../../outside/./secret")


@attack(*VIEWS)
def goes_up_by_descriptor(w: World):
    folder = os.open(f"{w.workspace}/data", os.O_RDONLY)
    return os.read(os.open("../../outside/secret", os.O_RDONLY, dir_fd=folder), 100).decode()


@attack(*VIEWS)
def follows_its_own_link(w: World):
    link = f"{w.workspace}/out/link"
    os.symlink(w.secret, link)
    return text_of(link)


@attack(*VIEWS)
def follows_a_link_that_was_there(w: World):
    return text_of(f"{w.workspace}/data/link")


@attack(*VIEWS)
def goes_through_its_own_root(w: World):
    return text_of(f"{PROC}/self/root{w.secret}")


@attack(*VIEWS)
def goes_through_its_own_folder(w: World):
    os.chdir(f"{w.workspace}/data")
    return text_of(f"{PROC}/self/cwd/../../outside/secret")


@attack(*VIEWS)
def goes_through_anothers_root(w: World):
    return text_of(f"{PROC}/{w.victim}/root{w.secret}")


@attack(*VIEWS)
def goes_through_anothers_folder(w: World):
    return text_of(f"{PROC}/{w.victim}/cwd/secret")


@attack(*VIEWS)
def goes_through_anothers_descriptor(w: World):
    return text_of(f"{PROC}/{w.victim}/fd/{w.held}")


@attack(*VIEWS)
def opens_again_what_it_only_named(w: World):
    """O_PATH asks for no right to read; its descriptor's name in /proc may."""
    named = os.open(w.secret, os.O_PATH)
    return text_of(f"{PROC}/self/fd/{named}")


@attack(*VIEWS, "seccomp")
def opens_by_a_call_that_few_know(w: World):
    """openat2, whose arguments no filter of system calls can see."""
    import struct

    how = struct.pack("=QQQ", os.O_RDONLY, 0, 0)
    opened = system_call(437, 437, AT_FDCWD, w.secret.encode() + b"\0", how, 24)
    return os.read(opened, 100).decode()


@attack(*MOUNTED, without_namespaces=False)
def learns_that_a_file_is_there(w: World):
    """Landlock hides what is in a file, not that there is one."""
    return os.stat(w.secret).st_size


@attack(*MOUNTED, without_namespaces=False)
def reads_where_a_link_leads(w: World):
    return os.readlink(f"{w.outside}/link")


@attack(*VIEWS)
def links_a_file_in(w: World):
    inside = f"{w.workspace}/out/linked"
    os.link(w.secret, inside)
    return text_of(inside)


@attack(*VIEWS)
def renames_a_file_in(w: World):
    inside = f"{w.workspace}/out/renamed"
    os.rename(w.secret, inside)
    return text_of(inside)


@attack(*VIEWS)
def exchanges_two_files(w: World):
    own, exchange = f"{w.workspace}/out/own", 2
    with open(own, "w") as file:
        file.write("mine")
    paths = own.encode() + b"\0", w.secret.encode() + b"\0"
    system_call(316, 276, AT_FDCWD, paths[0], AT_FDCWD, paths[1], exchange)
    return text_of(own)


@attack(*VIEWS)
def writes_to_a_file_outside(w: World):
    return wrote(w.secret)


@attack(*VIEWS)
def appends_to_a_journal(w: World):
    return wrote(f"{w.workspace}/memory/runs.jsonl", os.O_APPEND)


@attack(*VIEWS)
def adds_a_skill(w: World):
    return wrote(f"{w.workspace}/skills/mine.py", os.O_CREAT)


@attack(*VIEWS)
def changes_the_settings(w: World):
    return wrote(f"{w.workspace}/config.yaml", os.O_TRUNC)


@attack(*VIEWS)
def makes_a_hook_that_was_not_there(w: World):
    os.makedirs(f"{w.workspace}/.git/hooks")
    return wrote(f"{w.workspace}/.git/hooks/post-checkout", os.O_CREAT)


@attack(*VIEWS)
def cuts_a_file_off(w: World):
    os.truncate(w.secret, 0)
    return True


@attack(*VIEWS)
def deletes_a_file(w: World):
    os.remove(w.secret)
    return True


@attack(*VIEWS)
def removes_a_folder(w: World):
    os.rmdir(f"{w.outside}/empty")
    return True


@attack(*VIEWS)
def makes_a_folder_outside(w: World):
    os.mkdir(f"{w.outside}/made")
    return True


@attack(*VIEWS)
def makes_a_link_outside(w: World):
    os.symlink("/nowhere", f"{w.outside}/made")
    return True


@attack(*VIEWS, "seccomp")
def makes_a_pipe_outside(w: World):
    os.mkfifo(f"{w.outside}/made")
    return True


@attack(*VIEWS)
def renames_a_file_out(w: World):
    own = f"{w.workspace}/out/own"
    with open(own, "w") as file:
        file.write("mine")
    os.rename(own, f"{w.outside}/home/.bashrc")
    return True


@attack(*VIEWS)
def links_a_file_out(w: World):
    own = f"{w.workspace}/out/own"
    with open(own, "w") as file:
        file.write("mine")
    os.link(own, f"{w.outside}/home/.bashrc")
    return True


@attack(*VIEWS)
def gives_a_nameless_file_a_name_outside(w: World):
    nameless = os.open(f"{w.workspace}/out", os.O_TMPFILE | os.O_RDWR, 0o600)
    os.write(nameless, b"mine")
    name_it(nameless, f"{w.outside}/home/.bashrc")
    return True


@attack(*VIEWS)
def writes_to_what_it_may_read(w: World):
    return wrote(f"{w.workspace}/data/given")


@attack(*VIEWS)
def maps_for_writing_what_it_may_read(w: World):
    import mmap

    for flags in (os.O_RDWR, os.O_RDONLY):
        try:
            opened = os.open(f"{w.workspace}/data/given", flags)
            mmap.mmap(opened, 5, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)[0] = 33
        except OSError as error:
            refused = error
        else:
            return True
    raise refused


@attack(*VIEWS)
def turns_a_reader_into_a_writer(w: World):
    reader = os.open(f"{w.workspace}/data/given", os.O_RDONLY)
    return wrote(f"{PROC}/self/fd/{reader}")


@attack(*VIEWS)
def swaps_a_granted_folder_for_a_link(w: World):
    """What is mounted or allowed is the folder itself, whatever its name comes to mean."""
    os.rename(f"{w.workspace}/out", f"{w.workspace}/elsewhere")
    os.symlink(w.outside, f"{w.workspace}/out")
    return True


@attack("seccomp", *VIEWS, control="root")
def opens_by_handle(w: World):
    """A file by its number on the disk, whatever the paths say."""
    import struct

    handle, mount = struct.pack("=Ii", 128, 0) + bytes(128), bytes(8)
    system_call(303, 264, AT_FDCWD, w.secret.encode() + b"\0", handle, mount, 0)
    folder = os.open(w.workspace, os.O_RDONLY)
    return os.read(system_call(304, 265, folder, handle, os.O_RDONLY), 100).decode()


@attack("seccomp", *MOUNTED, "landlock", control="root")
def mounts_a_folder_over_another(w: World):
    """An empty one, and away with it again."""
    if libc.mount(b"none", f"{w.outside}/empty".encode(), b"tmpfs", 0, None) < 0:
        raise kernel_said()
    return libc.umount2(f"{w.outside}/empty".encode(), 2) == 0


@attack("seccomp", *MOUNTED, "landlock", control="root")
def binds_a_secret_into_its_folder(w: World):
    inside = f"{w.workspace}/out/bound"
    os.mkdir(inside)
    if libc.mount(w.home.encode(), inside.encode(), None, 4096, None) < 0:
        raise kernel_said()
    seen = text_of(f"{inside}/.ssh/id_ed25519")
    libc.umount2(inside.encode(), 2)
    return seen


@attack("seccomp", *MOUNTED, "landlock", control="root")
def clones_a_mount(w: World):
    """open_tree, of the newer way to mount."""
    tree = system_call(428, 428, AT_FDCWD, w.outside.encode() + b"\0", 1)
    return os.read(os.open("secret", os.O_RDONLY, dir_fd=tree), 100).decode()


@attack("seccomp", *MOUNTED, control="root")
def opens_a_file_system(w: World):
    """fsopen, the same."""
    return looked_at(430, 430, b"tmpfs\0", 0)


@attack("seccomp", *MOUNTED, control="root")
def leaves_by_a_second_root(w: World):
    """The old way out of chroot(2)."""
    os.chroot(f"{w.workspace}/out")
    return True


@attack("seccomp", *VIEWS, control="root")
def makes_a_device(w: World):
    import stat

    os.mknod(f"{w.workspace}/out/device", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    return True


@attack(*VIEWS, control="root")
def opens_the_kernels_log(w: World):
    return os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)


@attack("own-user", "landlock", control="root")
def opens_the_kernels_switches(w: World):
    for path in ("kernel/core_pattern", "vm/drop_caches", "kernel/hostname"):
        try:
            return os.open(f"{PROC}/sys/{path}", os.O_WRONLY)
        except OSError as error:
            refused = error
    assert refused.errno in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT}
    raise refused
