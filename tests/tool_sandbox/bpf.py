"""A machine for the kernel's classic BPF programs, as `linux/filter.h` describes them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

RETURN, LOAD, AND = 0x06, 0x20, 0x54
JUMPS = {
    0x15: lambda a, k: a == k,
    0x25: lambda a, k: a > k,
    0x35: lambda a, k: a >= k,
}
KILL, ERRNO, NOTIFY, ALLOW = 0x80000000, 0x00050000, 0x7FC00000, 0x7FFF0000

Instruction = tuple[int, int, int, int]


def decode(program: bytes) -> list[Instruction]:
    return list(struct.iter_unpack("=HBBI", program))


def call(number: int, architecture: int, arguments: Sequence[int] = ()) -> bytes:
    """`struct seccomp_data`; arguments are 64 bits wide."""
    six = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    return struct.pack(
        "=iIQ6Q", struct.unpack("=i", struct.pack("=I", number))[0], architecture, 0, *six
    )


def run(program: Sequence[Instruction], data: bytes) -> int:
    """What *program* answers for *data*."""
    at, accumulator = 0, 0
    words = struct.unpack(f"={len(data) // 4}I", data)
    while True:
        code, if_true, if_false, k = program[at]
        at += 1
        if code in JUMPS:
            at += if_true if JUMPS[code](accumulator, k) else if_false
        elif code == LOAD:
            accumulator = words[k // 4]
        elif code == AND:
            accumulator &= k
        else:
            assert code == RETURN, f"an instruction that this machine does not have: {code:#x}"
            return k


def faults(program: Sequence[Instruction]) -> Iterator[str]:
    """What the kernel's own check would refuse: see bpf_check_classic and seccomp_check_filter."""
    if not 0 < len(program) <= 4096:
        yield f"{len(program)} instructions"
    if program[-1][0] != RETURN:
        yield "it runs off its end"
    for at, (code, if_true, if_false, k) in enumerate(program):
        if code in JUMPS and at + 1 + max(if_true, if_false) >= len(program):
            yield f"{at}: a jump out of it"
        if code == LOAD and (k % 4 or k >= 64):
            yield f"{at}: a load that is not aligned or past the end"
        if code not in JUMPS and (if_true or if_false):
            yield f"{at}: jumps where there are none"
