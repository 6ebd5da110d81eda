"""
Several files as one: a ZIP archive of which there is exactly one spelling.

Nothing is packed, nothing is dated, names stand in order: the same files give the same bytes
anywhere, whatever compression library is there, and nothing grows when it is opened.  Reading
takes only what writing makes, byte for byte.  So no byte lies outside of what is checked, and no
two programs can see different files in it: ZIP says each name and size twice.

Source: PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12, 4.3.16; method 0, UTF-8 names (bit 11).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from zlib import crc32

from engines.errors import DinoError, InvalidInput

MOST_FILES = 1_000
_MOST_BYTES = 2**32 - 2**20
_VERSION, _FLAGS, _STORED = 10, 0x0800, 0
_TIME, _DATE = 0, 0x0021  # 1980-01-01 00:00: the first there is
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_LOCAL_MARK, _CENTRAL_MARK, _END_MARK = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_is_name = re.compile(r"(?:[a-z]{1,20}/)?[A-Za-z0-9_~%-][A-Za-z0-9_.~%-]{0,199}").fullmatch


class NotAnArchive(DinoError):
    """Its bytes are not those of an archive that `pack` made; the text says from where on."""


class Member(NamedTuple):
    """
    One file in an archive.

    Attributes:
        crc: CRC-32 of the data, or what is said to be it.
    """

    name: str
    data: bytes
    crc: int

    @property
    def is_whole(self) -> bool:
        return crc32(self.data) == self.crc


def pack(files: Mapping[str, bytes]) -> bytes:
    """
    The archive of *files*, by name.

    Raises:
        InvalidInput: They are too many or too large, or a name could leave a folder.
    """
    for name in files:
        if not _is_name(name):
            raise InvalidInput(f"not a name in an archive: {name!r}")
    if len(files) > MOST_FILES or sum(map(len, files.values())) > _MOST_BYTES:
        raise InvalidInput(f"an archive holds {MOST_FILES} files and 4 GiB at the most")
    return b"".join(
        _parts([Member(name, files[name], crc32(files[name])) for name in sorted(files)])
    )


def unpack(archive: bytes) -> list[Member]:
    """
    The files in *archive*; whether each is whole is still to be asked.

    Raises:
        NotAnArchive: `pack` would not have written it so.
    """
    found: list[Member] = []
    here = 0
    while archive[here : here + 4] == _LOCAL_MARK:
        member = _member(archive, here)
        if found and member.name <= found[-1].name:
            raise NotAnArchive(f"byte {here}: {member.name!r} stands twice, or out of order")
        if len(found) == MOST_FILES:
            raise NotAnArchive(f"byte {here}: more than {MOST_FILES} files")
        found.append(member)
        here += _LOCAL.size + len(member.name) + len(member.data)
    place = 0
    for part in _parts(found):
        if archive[place : place + len(part)] != part:
            raise NotAnArchive(f"byte {place}: not as an archive of Dino's is written")
        place += len(part)
    if place != len(archive):
        raise NotAnArchive(f"byte {place}: something follows on the archive")
    return found


def _member(archive: bytes, here: int) -> Member:
    if len(archive) < here + _LOCAL.size:
        raise NotAnArchive(f"byte {here}: cut off")
    *_, crc, size, _, name_size, _ = _LOCAL.unpack_from(archive, here)
    begin = here + _LOCAL.size + name_size
    name = archive[here + _LOCAL.size : begin].decode("ascii", "replace")
    if not _is_name(name):
        raise NotAnArchive(f"byte {here}: not a name that is allowed: {name[:80]!r}")
    if begin + size > len(archive):
        raise NotAnArchive(f"byte {here}: {name!r} is longer than the archive")
    return Member(name, archive[begin : begin + size], crc)


def _parts(members: Iterable[Member]) -> Iterable[bytes]:
    central, offset = [], 0
    for name, data, crc in members:
        encoded, size = name.encode(), len(data)
        shared = (_FLAGS, _STORED, _TIME, _DATE, crc, size, size, len(encoded), 0)
        yield _LOCAL.pack(_LOCAL_MARK, _VERSION, *shared) + encoded
        yield data
        entry = _CENTRAL.pack(_CENTRAL_MARK, _VERSION, _VERSION, *shared, 0, 0, 0, 0, offset)
        central.append(entry + encoded)
        offset += _LOCAL.size + len(encoded) + size
    listed, count = b"".join(central), len(central)
    yield listed
    yield _END.pack(_END_MARK, 0, 0, count, count, len(listed), offset, 0)
