"""What a process has without asking: environment, descriptors, standard input, a home."""

from __future__ import annotations

import os

from tests.security.attack import attack
from tests.security.kit import World, sys, text_of


@attack("bare")
def reads_the_environment(w: World):
    return [name for name, value in os.environ.items() if w.canary in value]


@attack("bare")
def reads_it_as_a_file(w: World):
    """As the kernel has it, whatever Python was told to forget."""
    return w.canary in text_of("/proc/self/environ")


@attack("bare")
def reads_its_arguments(w: World):
    return w.canary in repr(sys.orig_argv) or w.canary in text_of("/proc/self/cmdline")


@attack("bare")
def reads_an_inherited_file(w: World):
    for descriptor in range(4096):
        try:
            if w.canary.encode() in os.pread(descriptor, 100, 0):
                return descriptor
        except OSError:
            continue
    raise PermissionError


@attack("bare")
def opens_by_an_inherited_folder(w: World):
    """The folder itself, or one from which dots lead there."""
    for descriptor in range(4096):
        for path in ("secret", "../secret", "../../outside/secret"):
            try:
                return os.read(os.open(path, os.O_RDONLY, dir_fd=descriptor), 100).decode()
            except OSError:
                continue
    raise PermissionError


@attack("bare")
def reads_standard_input(w: World):
    return os.read(0, 100).decode()


@attack("bare")
def asks_for_the_home_folder(w: World):
    return text_of(os.path.expanduser("~/.ssh/id_ed25519"))
