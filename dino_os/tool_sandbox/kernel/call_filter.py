"""
The filter of system calls that a policy asks for: a program of the classic BPF machine
(`linux/filter.h`) that the kernel runs at each call.

The parent assembles it; `seccomp.py` installs it on the far side, which needs no table.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dino_os.tool_sandbox.kernel import calls, system_calls

_ALLOW, _KILL, _ERRNO, _NOTIFY = 0x7FFF0000, 0x80000000, 0x00050000, 0x7FC00000
_LOAD, _EQUAL, _GREATER, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x25, 0x35, 0x54, 0x06
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32 = 0x40000000  # x86-64's second set of numbers

_NEW_NAMESPACES = 0x7E020080
_TIOCSTI, _TIOCLINUX, _TIOCSETD = 0x5412, 0x541C, 0x5423
# Flags of a file (linux/fs.h), which its owner may set on what is open for reading alone.
_FS_SET_FLAGS, _FS_SET_ATTRIBUTES = 0x40086602, 0x401C5820
_REFUSED_IOCTLS = (_TIOCSTI, _TIOCLINUX, _TIOCSETD, _FS_SET_FLAGS, _FS_SET_ATTRIBUTES)
_PRCTL_ALLOWED = (1, 2, 3, 7, 15, 16, 21, 23, 27, 37, 38, 39, 0x53564D41)  # names, queries
_MAKES_A_FILE = 0o20000100  # O_CREAT, and of O_TMPFILE what is its own
_SET_ID = 0o6000
# Call → which argument is the mode.
_MODE_AT = {"chmod": 1, "creat": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2}
_FAST_OPEN = 0x20000000  # connects without a call that says so
_AF_UNIX, _AF_INET, _STREAM, _SEQPACKET, _KIND, _TCP = 1, 2, 1, 5, 0xF, 6

Instruction = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Allowed:
    """
    What a run's policy makes of the calls that are allowed for some.

    Attributes:
        programs: Start other programs.
        network: Make TCP connections (to where, the network wall says).
        metadata: Change modes, owners and times of files; only where the file walls cover them.
        notify: Refusals of dangerous calls are told to the listener.
    """

    programs: bool = False
    network: bool = False
    metadata: bool = False
    notify: bool = True


def program(allowed: Allowed, machine: str = calls.MACHINE) -> bytes:
    """
    The filter for *machine*: unknown calls do not exist, dangerous ones are refused.

    Raises:
        KeyError: *machine* is of an architecture that this was not written for.
    """

    def table(text: str) -> dict[str, int]:
        return system_calls.numbers(text, machine)

    refused = _NOTIFY if allowed.notify else _ERRNO | errno.EPERM
    body = _only(_ARCHITECTURE[machine])
    body += _checked_calls(table(system_calls.CHECKED), allowed, refused)
    ordinary = set(table(system_calls.ORDINARY).values())
    for name, number in table(system_calls.SWITCHED).items():
        answer = _switched(name, allowed, refused)
        if answer == _ALLOW and name in _MODE_AT:
            body += _on(number, _unless_any_bit(_MODE_AT[name], _SET_ID, refused))
        elif answer == _ALLOW:
            ordinary.add(number)
        else:
            body += _on(number, [(_RETURN, 0, 0, answer)])
    for number in table(system_calls.DANGEROUS).values():
        body += _on(number, [(_RETURN, 0, 0, refused)])
    body += _ranges(ordinary)
    body.append((_RETURN, 0, 0, _ERRNO | errno.ENOSYS))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in body)


def _only(architecture: int) -> list[Instruction]:
    """Die on a call of another architecture, whose numbers mean other calls."""
    x32 = [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _KILL)] if architecture == 0xC000003E else []  # noqa: PLR2004
    return [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        *x32,
    ]


def _checked_calls(number: dict[str, int], allowed: Allowed, refused: int) -> list[Instruction]:
    nonexistent = _ERRNO | errno.ENOSYS
    socket = _inet_stream(refused) if allowed.network else [(_RETURN, 0, 0, refused)]
    return [
        *_made_files(number, refused),
        *_on(number["clone"], _unless_any_bit(0, _NEW_NAMESPACES, refused)),
        # Its flags lie in memory, where no filter can look; every C library has another way.
        *_on(number["clone3"], [(_RETURN, 0, 0, nonexistent)]),
        *_on(number["ioctl"], _unless_one_of(1, _REFUSED_IOCTLS, refused)),
        *_on(number["prctl"], _if_one_of(0, _PRCTL_ALLOWED, refused)),
        *_on(number["prlimit64"], _if_one_of(0, (0,), refused)),  # its own limits
        *_on(number["sched_setaffinity"], _if_one_of(0, (0,), refused)),  # its own processors
        *_on(number["sendto"], _unless_any_bit(3, _FAST_OPEN, refused)),
        *_on(number["sendmsg"], _unless_any_bit(2, _FAST_OPEN, refused)),
        *_on(number["sendmmsg"], _unless_any_bit(3, _FAST_OPEN, refused)),
        *_on(number["personality"], _if_one_of(0, (0, 0xFFFFFFFF), refused)),
        *_on(number["socket"], socket),
        # No datagrams: one of those can be sent to any named socket.
        *_on(number["socketpair"], _pair(refused)),
    ]


def _made_files(number: dict[str, int], refused: int) -> list[Instruction]:
    """
    No file of a skill's own runs with the rights of its owner, who may be root.

    openat2 has its mode in memory, where no filter can look: it is in no table, and every C library
    has the others.
    """
    body: list[Instruction] = []
    for name, flags_at in (("open", 1), ("openat", 2)):
        if name in number:
            makes = [_argument(flags_at), (_AND, 0, 0, _MAKES_A_FILE), (_EQUAL, 0, 1, 0)]
            mode = _unless_any_bit(flags_at + 1, _SET_ID, refused)
            body += _on(number[name], [*makes, (_RETURN, 0, 0, _ALLOW), *mode])
    if "creat" in number:
        body += _on(number["creat"], _unless_any_bit(_MODE_AT["creat"], _SET_ID, refused))
    return body


def _switched(name: str, allowed: Allowed, refused: int) -> int:
    if name in {"execve", "execveat"}:
        return _ALLOW if allowed.programs else refused
    if name == "connect":
        return _ALLOW if allowed.network else refused
    if allowed.metadata:
        return _ALLOW
    if name.startswith("inotify"):  # whoever only watches, no file wall stops
        return refused
    if "xattr" in name:
        return _ERRNO | errno.ENOTSUP
    # Success without a change: copying a file goes on without its mode.
    return _ERRNO | (errno.EPERM if "chown" in name else 0)


# --- pieces of programs: each ends in an answer, and none changes the loaded number ------------


def _on(number: int, answer: Sequence[Instruction]) -> list[Instruction]:
    return [(_EQUAL, 0, len(answer), number), *answer]


def _argument(index: int) -> Instruction:
    """Load an argument's low half: what the kernel itself looks at in these calls."""
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index)


def _unless_any_bit(index: int, mask: int, refused: int) -> list[Instruction]:
    zero = [(_EQUAL, 0, 1, 0), (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, refused)]
    return [_argument(index), (_AND, 0, 0, mask), *zero]


def _if_one_of(index: int, values: Sequence[int], refused: int) -> list[Instruction]:
    yes = [part for v in values for part in ((_EQUAL, 0, 1, v), (_RETURN, 0, 0, _ALLOW))]
    return [_argument(index), *yes, (_RETURN, 0, 0, refused)]


def _unless_one_of(index: int, values: Sequence[int], refused: int) -> list[Instruction]:
    no = [part for v in values for part in ((_EQUAL, 0, 1, v), (_RETURN, 0, 0, refused))]
    return [_argument(index), *no, (_RETURN, 0, 0, _ALLOW)]


def _kind_of(family: int, refused: int) -> list[Instruction]:
    """Refuse a socket of another *family*; load the kind of this one."""
    return [
        _argument(0),
        (_EQUAL, 1, 0, family),
        (_RETURN, 0, 0, refused),
        _argument(1),
        (_AND, 0, 0, _KIND),
    ]


def _inet_stream(refused: int) -> list[Instruction]:
    return [
        *_kind_of(_AF_INET, refused),
        (_EQUAL, 1, 0, _STREAM),
        (_RETURN, 0, 0, refused),
        *_if_one_of(2, (0, _TCP), refused),
    ]


def _pair(refused: int) -> list[Instruction]:
    return [
        *_kind_of(_AF_UNIX, refused),
        (_EQUAL, 1, 0, _STREAM),
        (_EQUAL, 0, 1, _SEQPACKET),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, refused),
    ]


def _ranges(numbers: Iterable[int]) -> list[Instruction]:
    """Allow all of *numbers*, neighbours by one comparison of both ends."""
    body: list[Instruction] = []
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    for first, last in runs:
        body += [(_AT_LEAST, 0, 2, first), (_GREATER, 1, 0, last), (_RETURN, 0, 0, _ALLOW)]
    return body
