"""The filter of system calls, run in a machine of the tests' own and held against a model."""

from __future__ import annotations

import errno
import itertools
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dino_os.tool_sandbox.kernel import call_filter, system_calls
from dino_os.tool_sandbox.kernel.call_filter import Allowed
from tests.tool_sandbox import bpf

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
FOREIGN = (0x40000003, 0xC00000B7, 0xC000003E, 0x40000028, 0xC00000F3, 0x80000016, 0, 2**32 - 1)
TABLES = {
    "ordinary": system_calls.ORDINARY,
    "checked": system_calls.CHECKED,
    "switched": system_calls.SWITCHED,
    "dangerous": system_calls.DANGEROUS,
}
COMBINATIONS = [Allowed(*flags) for flags in itertools.product((False, True), repeat=4)]
MACHINES = pytest.mark.parametrize("machine", ARCHITECTURES)
X32 = 0x40000000
NO_SUCH_CALL = bpf.ERRNO | errno.ENOSYS
# CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
NEW_NAMESPACES = (0x80, *(1 << bit for bit in (17, 25, 26, 27, 28, 29, 30)))
# Call → where its mode is; and O_CREAT with what O_TMPFILE has of its own.
MODE_AT = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2}
MAKES = 0o20000100
words = st.integers(0, 2**32 - 1)


@cache
def table(kind: str, machine: str) -> dict[str, int]:
    return system_calls.numbers(TABLES[kind], machine)


@cache
def names(machine: str) -> dict[int, tuple[str, str]]:
    """Number → name and kind."""
    return {n: (name, kind) for kind in TABLES for name, n in table(kind, machine).items()}


@cache
def program(allowed: Allowed, machine: str) -> list[bpf.Instruction]:
    return bpf.decode(call_filter.program(allowed, machine))


def model(allowed: Allowed, machine: str, number: int, arguments: list[int]) -> int:
    """What has to be answered, in words instead of jumps."""
    refused = bpf.NOTIFY if allowed.notify else bpf.ERRNO | errno.EPERM
    name, kind = names(machine).get(number, ("", "unknown"))
    low = [argument & 0xFFFFFFFF for argument in arguments]
    if machine == "x86_64" and number >= X32:
        return bpf.KILL
    if kind == "switched":
        return switched(allowed, name, low, refused)
    if kind == "checked" and name != "clone3":
        return bpf.ALLOW if checked(allowed, name, low) else refused
    return {"ordinary": bpf.ALLOW, "dangerous": refused}.get(kind, NO_SUCH_CALL)


def switched(allowed: Allowed, name: str, low: list[int], refused: int) -> int:
    if name in {"execve", "execveat", "connect"}:
        return (
            bpf.ALLOW if (allowed.network if name == "connect" else allowed.programs) else refused
        )
    if allowed.metadata:
        mode = low[MODE_AT.get(name, 0)] & 0o6000 if name in MODE_AT else 0
        return refused if mode else bpf.ALLOW
    if name.startswith("inotify"):
        return refused
    if "xattr" in name:
        return bpf.ERRNO | errno.ENOTSUP
    return bpf.ERRNO | (errno.EPERM if "chown" in name else 0)


def checked(allowed: Allowed, name: str, low: list[int]) -> bool:
    first, second, third = low[:3]
    tcp = first == 2 and second & 0xF == 1 and third in {0, 6}
    return {
        "open": not (second & MAKES and third & 0o6000),
        "openat": not (third & MAKES and low[3] & 0o6000),
        "creat": not second & 0o6000,
        "sched_setaffinity": first == 0,
        "sendto": not low[3] & 0x20000000,
        "sendmsg": not third & 0x20000000,
        "sendmmsg": not low[3] & 0x20000000,
        "clone": not any(first & flag for flag in NEW_NAMESPACES),
        "ioctl": second not in {0x5412, 0x541C, 0x5423, 0x40086602, 0x401C5820},
        "prctl": first in {1, 2, 3, 7, 15, 16, 21, 23, 27, 37, 38, 39, 0x53564D41},
        "prlimit64": first == 0,
        "personality": first in {0, 0xFFFFFFFF},
        "socket": allowed.network and tcp,
        "socketpair": first == 1 and second & 0xF in {1, 5},
    }[name]


@MACHINES
@pytest.mark.parametrize("allowed", COMBINATIONS, ids=str)
def test_every_number_is_answered_as_the_model_says(allowed: Allowed, machine: str) -> None:
    """Every call from 0 to 600, of the kernel's last numbers, and of x86-64's second set."""
    own = ARCHITECTURES[machine]
    numbers = [*range(601), *range(X32, X32 + 8), X32 | 41, X32 + 548, 2**31, 2**32 - 1]
    answers = {n: bpf.run(program(allowed, machine), bpf.call(n, own)) for n in numbers}
    assert answers == {n: model(allowed, machine, n, [0] * 6) for n in numbers}


@MACHINES
@pytest.mark.parametrize("architecture", FOREIGN)
def test_a_call_of_another_architecture_is_the_last(machine: str, architecture: int) -> None:
    if architecture == ARCHITECTURES[machine]:
        architecture ^= 0x80000000
    for allowed, number in itertools.product(COMBINATIONS, (0, 1, 41, 59, 165, 221, X32)):
        answer = bpf.run(program(allowed, machine), bpf.call(number, architecture))
        assert answer == bpf.KILL


low_halves = st.sampled_from(
    [
        *(
            0,
            1,
            2,
            3,
            5,
            6,
            10,
            15,
            16,
            17,
            38,
            0x80,
            0x1200011,
            0x10000011,
            0x5401,
            0x541B,
            2**32 - 1,
        ),
        *(0x5412, 0x541C, 0x5423, 0x7E020080, 0x80001, 0x80801, 0x80002, 0x53564D41),
    ]
)
arguments = st.builds(lambda high, low: high << 32 | low, words, low_halves | words)


@MACHINES
@given(data=st.data())
def test_arguments_are_judged_by_their_low_half(machine: str, data: st.DataObject) -> None:
    """What the upper half holds changes nothing: the kernel does not look at it either."""
    allowed = data.draw(st.sampled_from(COMBINATIONS))
    kind = data.draw(st.sampled_from(("checked", "switched")))
    number = data.draw(st.sampled_from(sorted(table(kind, machine).values())))
    given_ = data.draw(st.lists(arguments, min_size=6, max_size=6))
    answer = bpf.run(program(allowed, machine), bpf.call(number, ARCHITECTURES[machine], given_))
    assert answer == model(allowed, machine, number, given_)
    low = [argument & 0xFFFFFFFF for argument in given_]
    again = bpf.run(program(allowed, machine), bpf.call(number, ARCHITECTURES[machine], low))
    assert again == answer


@given(words, st.sampled_from(COMBINATIONS), st.sampled_from(sorted(ARCHITECTURES)))
def test_a_number_that_no_table_has_does_not_exist(
    number: int, allowed: Allowed, machine: str
) -> None:
    answer = bpf.run(program(allowed, machine), bpf.call(number, ARCHITECTURES[machine]))
    assert answer == model(allowed, machine, number, [0] * 6)


@MACHINES
@pytest.mark.parametrize("allowed", COMBINATIONS, ids=str)
def test_the_kernel_would_take_the_program(allowed: Allowed, machine: str) -> None:
    assert not list(bpf.faults(program(allowed, machine)))


@MACHINES
@pytest.mark.parametrize("flag", ["programs", "network", "metadata"])
def test_a_flag_only_ever_adds(machine: str, flag: str) -> None:
    """Allowing one thing allows nothing that was allowed before to be refused."""
    for less in (a for a in COMBINATIONS if not getattr(a, flag)):
        more = Allowed(**{**{f: getattr(less, f) for f in Allowed.__slots__}, flag: True})
        for number in names(machine):
            data = bpf.call(number, ARCHITECTURES[machine], [2, 1, 6])
            if bpf.run(program(less, machine), data) == bpf.ALLOW:
                assert bpf.run(program(more, machine), data) == bpf.ALLOW, number


@MACHINES
def test_each_number_and_each_name_stands_once(machine: str) -> None:
    """In all tables together, so that no two of them judge one call."""
    rows = [entry.split(":") for text in TABLES.values() for entry in text.split()]
    assert not [name for name, count in Counter(row[0] for row in rows).items() if count > 1]
    found = Counter(number for kind in TABLES for number in table(kind, machine).values())
    assert not [number for number, count in found.items() if count > 1]
    assert all(len(row) == 3 for row in rows)


def test_newer_calls_have_one_number_everywhere() -> None:
    """From 424 on the kernel numbers calls alike on all architectures."""
    both = [dict(names("x86_64")), dict(names("aarch64"))]
    new = [{n: found for n, found in one.items() if n >= 424} for one in both]
    assert new[0] == new[1]


def test_an_architecture_that_it_was_not_written_for_is_an_error() -> None:
    with pytest.raises(KeyError):
        call_filter.program(Allowed(), "riscv64")


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@MACHINES
def test_the_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    """As far as the headers that are installed here go."""
    header = HEADERS[machine]
    if not header.is_file():
        pytest.skip("no kernel headers here")
    text = header.read_text()
    defined = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)
    theirs = {name: int(number) for name, number in defined}
    ours = {name: number for number, (name, _) in names(machine).items()}
    # Where 32 and 64 bits differ, the header gives the number under a name of its own.
    renamed = {"newfstatat": "fstatat"} if machine == "aarch64" else {}
    both = {n: theirs.get(n, theirs.get(renamed.get(n, ""))) for n in ours}
    assert {n: ours[n] for n, number in both.items() if number is not None} == {
        n: number for n, number in both.items() if number is not None
    }
    assert sum(number is not None for number in both.values()) > 200
