"""Ways to change a journal's files behind its back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random

from tests.journal.victims import Mutation, Victim, beginning, forge, lines_of, packed

# --- ways to change the lines of one file, packed or not ------------------------------------------

Change = Callable[[Victim, bytes, Random], tuple[bytes, list[bytes]] | bytes]


def flip_a_bit(victim: Victim, content: bytes, chance: Random) -> bytes:
    at = chance.randrange(len(content))
    return _with(content, at, bytes([content[at] ^ 1 << chance.randrange(8)]))


def change_a_byte(victim: Victim, content: bytes, chance: Random) -> bytes:
    return _with(content, chance.randrange(len(content)), bytes([chance.randrange(256)]))


def insert_bytes(victim: Victim, content: bytes, chance: Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    more = chance.choice([b"\n", b" ", b"\0", b",", b'"', chance.randbytes(chance.randint(1, 40))])
    return content[:at] + more + content[at:]


def delete_bytes(victim: Victim, content: bytes, chance: Random) -> bytes:
    at = chance.randrange(len(content))
    return content[:at] + content[at + chance.choice([1, 1, 2, 10, 100, 1000]) :]


def cut(victim: Victim, content: bytes, chance: Random) -> bytes:
    return content[: chance.randrange(len(content))]


def cut_whole_lines(victim: Victim, content: bytes, chance: Random) -> bytes:
    lines = lines_of(content)
    return b"".join(lines[: chance.randrange(1, len(lines))])


def append_garbage(victim: Victim, content: bytes, chance: Random) -> bytes:
    more = chance.choice([b"\0" * chance.randint(1, 600), chance.randbytes(chance.randint(1, 200))])
    return content + more + chance.choice([b"", b"\n"])


def remove_lines(victim: Victim, content: bytes, chance: Random) -> bytes:
    lines = lines_of(content)
    at = chance.randrange(len(lines))
    del lines[at : at + chance.randint(1, 4)]
    return b"".join(lines)


def swap_lines(victim: Victim, content: bytes, chance: Random) -> bytes:
    lines = lines_of(content)
    one, other = chance.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def duplicate_a_line(victim: Victim, content: bytes, chance: Random) -> bytes:
    lines = lines_of(content)
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
    return b"".join(lines)


def move_a_line(victim: Victim, content: bytes, chance: Random) -> bytes:
    lines = lines_of(content)
    line = lines.pop(chance.randrange(len(lines)))
    lines.insert(chance.randrange(len(lines) + 1), line)
    return b"".join(lines)


def take_one_from_another_journal(
    victim: Victim, content: bytes, chance: Random
) -> tuple[bytes, list[bytes]]:
    """In the place of the line of that number, or in between."""
    lines = lines_of(content)
    at = chance.randrange(len(lines))
    line = victim.other[json.loads(lines[at])["seq"]]
    lines[at : at + chance.randint(0, 1)] = [line]
    return b"".join(lines), [victim.other[0]]  # only its first line has no parent to betray it


def seal_a_line_anew(victim: Victim, content: bytes, chance: Random) -> tuple[bytes, list[bytes]]:
    lines = lines_of(content)
    at = chance.randrange(len(lines))
    lines[at] = forge.resealed(lines[at], timestamp=chance.random())
    return b"".join(lines), [lines[at]]


def seal_all_from_a_line_on(
    victim: Victim, content: bytes, chance: Random
) -> tuple[bytes, list[bytes]]:
    lines = lines_of(content)
    at = chance.randrange(len(lines))
    lines = forge.rechained(lines, at, timestamp=chance.random())
    return b"".join(lines), lines[at:]


def append_forged_lines(
    victim: Victim, content: bytes, chance: Random
) -> tuple[bytes, list[bytes]]:
    """Well-formed, and each follows from the one before."""
    last, more = lines_of(content)[-1], []
    for _ in range(chance.randint(1, 3)):
        seq, parent = json.loads(last)["seq"] + 1, last[-67:-3].decode()
        last = forge.resealed(last, seq=seq, parent_hash=parent, timestamp=chance.random())
        more.append(last)
    torn = chance.choice([b"", last[: chance.randrange(len(last))]])
    return content + b"".join(more) + torn, more


def _with(content: bytes, at: int, byte: bytes) -> bytes:
    return content[:at] + byte + content[at + 1 :]


def changed(victim: Victim, change: Change, count: int, chance: Random) -> Iterator[Mutation]:
    """*count* different ones of this kind, each in some file."""
    seen = {*victim.content.values()}
    while count:
        name = chance.choice(victim.names)
        found = change(victim, victim.content[name], chance)
        content, forged = found if isinstance(found, tuple) else (found, [])
        if content not in seen:
            seen.add(content)
            count -= 1
            yield Mutation({name: packed(name, content)}, frozenset(forged))


# --- ways to change the files themselves ----------------------------------------------------------


def remove_a_file(victim: Victim, chance: Random) -> Mutation:
    return Mutation({chance.choice(victim.names): None})


def empty_a_file(victim: Victim, chance: Random) -> Mutation:
    return Mutation({chance.choice(victim.names): b""})


def swap_files(victim: Victim, chance: Random) -> Mutation:
    """What is in them; packed stays packed."""
    one, other = chance.sample(victim.names[:-1], 2)
    files: dict[str, bytes | None] = {
        one: packed(one, victim.content[other]),
        other: packed(other, victim.content[one]),
    }
    return Mutation(files)


def _a_packed_one(victim: Victim, chance: Random) -> tuple[str, bytes]:
    name = chance.choice([name for name in victim.names if name.endswith(".zst")])
    return name, victim.raw[name]


def damage_a_packed_file(victim: Victim, chance: Random) -> Mutation:
    name, raw = _a_packed_one(victim, chance)
    return Mutation({name: chance.choice([flip_a_bit, change_a_byte])(victim, raw, chance)})


def cut_a_packed_file(victim: Victim, chance: Random) -> Mutation:
    name, raw = _a_packed_one(victim, chance)
    return Mutation({name: cut(victim, raw, chance)})


def append_to_a_packed_file(victim: Victim, chance: Random) -> Mutation:
    """Another frame, or what is none."""
    name, raw = _a_packed_one(victim, chance)
    content = victim.content[name]
    longer, forged = append_forged_lines(victim, content, chance)
    more = [
        chance.randbytes(chance.randint(1, 30)),
        b"\0" * chance.randint(1, 30),
        packed(name, longer[len(content) :]),
        packed(name, b"x" * chance.randint(1, 30)),
    ]
    return Mutation({name: raw + chance.choice(more)}, frozenset(forged))


def pack_a_file_differently(victim: Victim, chance: Random) -> Mutation:
    """Its checksum right: with an altered line."""
    name, _ = _a_packed_one(victim, chance)
    content = victim.content[name]
    altered = chance.choice([flip_a_bit, insert_bytes, delete_bytes, swap_lines])
    return Mutation({name: packed(name, altered(victim, content, chance))})


FileChange = Callable[[Victim, Random], Mutation]


def changed_files(
    victim: Victim, change: FileChange, count: int, chance: Random
) -> Iterator[Mutation]:
    """*count* different ones of this kind that leave other lines than were there."""
    seen: set[tuple[tuple[str, bytes | None], ...]] = set()
    while len(seen) < count:
        mutation = change(victim, chance)
        files = tuple(sorted(mutation.files.items()))
        if files not in seen and beginning(victim, mutation):
            seen.add(files)
            yield mutation
