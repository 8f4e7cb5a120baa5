"""The directory of a zip archive, which lies at its end; read record by record, whatever its size."""

from __future__ import annotations

import zlib
from calendar import timegm
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from jobd.errors import SourceError
from jobd.sources.packing.members import decoded_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobd.sources.stream import StoredFile

ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08PK\x03\x04")
LOCAL_HEADER = Struct("<4s5H3L2H")
_RECORD = Struct("<4s6H3L5H2L")
_END = Struct("<4s4H2LH")
_LOCATOR = Struct("<4sLQL")
_END_64 = Struct("<4sQ2H2L4Q")
_COMMENT_BYTES_MAX = 0xFFFF
_RECORD_BYTES_MAX = _RECORD.size + 3 * 0xFFFF
_READ_BYTES = 1 << 20
_UNKNOWN_32, _UNKNOWN_16 = 0xFFFFFFFF, 0xFFFF
_WINDOWS_HOSTS = {0, 10, 11, 14}  # FAT, NTFS, MVS, VFAT: some of their programs separate names by backslashes
_UNIX_HOSTS = {3, 19}


class ZipRecord(NamedTuple):
    """One member; ``mode`` is Unix's, 0 where it was packed elsewhere."""

    path: str
    flags: int
    method: int
    checksum: int
    packed_bytes: int
    size_bytes: int
    modified_ns: int
    mode: int
    header_position: int
    header_bytes: int


class ZipDirectory:
    """Where the records lie; ``shift`` is what was put before the archive, which its positions do not count."""

    def __init__(self, file: StoredFile) -> None:
        self._file = file
        at, end = self._find_end()
        _, disk, first_disk, _, _, size, start, _ = _END.unpack(end)
        locator = self._file.read(max(0, at - _LOCATOR.size), _LOCATOR.size)
        if at >= _LOCATOR.size and locator.startswith(b"PK\x06\x07"):
            at, disk, first_disk, size, start = self._find_end_64(at - _LOCATOR.size, locator)
        if (disk or first_disk) and disk != _UNKNOWN_16:
            raise SourceError(
                f"{file.name} is one part of a zip archive that was split; join its parts first",
                code="source_corrupt",
            )
        self.position = at - size
        self.shift = self.position - start
        self._end = at
        if size > at or self.shift < 0:
            raise self._corrupt("its directory does not lie where it should", at)

    def _find_end(self) -> tuple[int, bytes]:
        size = self._file.size_bytes
        tail_position = max(0, size - _END.size - _COMMENT_BYTES_MAX)
        tail = self._file.read(tail_position, size - tail_position)
        ends: dict[int, int] = {}  # by how many bytes stand behind its comment: none, if it is what it seems
        at = tail.find(b"PK\x05\x06")
        while 0 <= at <= len(tail) - _END.size:
            comment_at = at + _END.size
            behind = len(tail) - comment_at - int.from_bytes(tail[comment_at - 2 : comment_at], "little")
            if behind >= 0:
                ends[behind] = at
            at = tail.find(b"PK\x05\x06", at + 1)
        if ends:
            at = ends[min(ends)]
            return tail_position + at, tail[at : at + _END.size]
        raise SourceError(
            f"{self._file.name} is a zip archive without its end, where its directory lies. "
            "Send the whole archive and retry",
            code="source_truncated",
        )

    def _find_end_64(self, locator_at: int, locator: bytes) -> tuple[int, int, int, int, int]:
        stated = _LOCATOR.unpack(locator)[2]
        for at in (locator_at - _END_64.size, stated):
            end = self._file.read(at, _END_64.size) if 0 <= at <= locator_at - _END_64.size else b""
            if end.startswith(b"PK\x06\x06"):
                _, _, _, _, disk, first_disk, _, _, size, start = _END_64.unpack(end)
                return at, disk, first_disk, size, start
        raise self._corrupt("the end of its directory (zip64) is missing", locator_at)

    def records(self) -> Iterator[ZipRecord]:
        """All members, in the directory's order."""
        position, held, at = self.position, b"", 0
        while position < self._end:
            behind = position + len(held) - at
            if len(held) - at < _RECORD_BYTES_MAX and behind < self._end:
                held = held[at:] + self._file.read(behind, min(_READ_BYTES, self._end - behind))
                at = 0
            if len(held) - at < _RECORD.size or not held.startswith(b"PK\x01\x02", at):
                raise self._corrupt("its directory is damaged", position)
            fields = _RECORD.unpack_from(held, at)
            size = _RECORD.size + fields[10] + fields[11] + fields[12]
            if len(held) - at < size:
                raise self._corrupt("its directory is damaged", position)
            yield self._record(fields, held[at + _RECORD.size : at + size], position)
            at += size
            position += size

    def mentions(self, *texts: bytes) -> bool:
        """Whether one of these stands anywhere in it, which is far sooner known than all of its records."""
        position, held = self.position, b""
        while position < self._end:
            piece = self._file.read(position, min(_READ_BYTES, self._end - position))
            held = held[1 - max(map(len, texts)) :] + piece
            if any(text in held for text in texts):
                return True
            if not piece:
                break
            position += len(piece)
        return False

    def _record(self, fields: tuple[int, ...], variable: bytes, position: int) -> ZipRecord:
        version, flags, method, clock, date = fields[1], fields[3], fields[4], fields[5], fields[6]
        name, rest = variable[: fields[10]], variable[fields[10] :]
        extra = dict(_extra_fields(rest[: fields[11]]))
        sizes = [fields[9], fields[8], fields[16]]
        large = extra.get(0x0001)
        for at, value in enumerate(sizes):
            if value == _UNKNOWN_32 and large is not None:
                if len(large) < 8:
                    raise self._corrupt("a member's size is missing", position)
                sizes[at], large = int.from_bytes(large[:8], "little"), large[8:]
        host = version >> 8
        return ZipRecord(
            path=_path(name, extra.get(0x7075, b""), host),
            flags=flags,
            method=method,
            checksum=fields[7],
            packed_bytes=sizes[1],
            size_bytes=sizes[0],
            modified_ns=_modified(extra.get(0x5455, b""), date, clock),
            mode=fields[15] >> 16 if host in _UNIX_HOSTS else 0,
            header_position=sizes[2] + self.shift,
            header_bytes=LOCAL_HEADER.size + len(name),
        )

    def _corrupt(self, what: str, position: int) -> SourceError:
        return SourceError(
            f"{self._file.name} is a damaged zip archive: {what}, near byte {position}", code="source_corrupt"
        )


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    while len(extra) >= 4:
        kind, size = int.from_bytes(extra[:2], "little"), int.from_bytes(extra[2:4], "little")
        yield kind, extra[4 : 4 + size]
        extra = extra[4 + size :]


def _path(name: bytes, unicode_path: bytes, host: int) -> str:
    """UTF-8 whether it is flagged or not, since many do not flag it; what is none is cp437."""
    if unicode_path[:1] == b"\x01" and int.from_bytes(unicode_path[1:5], "little") == zlib.crc32(name):
        name = unicode_path[5:]
    path = decoded_name(name, "cp437")
    return path.replace("\\", "/") if host in _WINDOWS_HOSTS else path


def _modified(stamp: bytes, date: int, clock: int) -> int:
    """Unix's time where it is recorded, else the time of an unknown zone, taken as UTC."""
    if len(stamp) >= 5 and stamp[0] & 1:
        return max(0, int.from_bytes(stamp[1:5], "little", signed=True)) * 1_000_000_000
    month, day = date >> 5 & 15, date & 31
    if not (1 <= month <= 12 and day):
        return 0
    moment = ((date >> 9) + 1980, month, day, clock >> 11, clock >> 5 & 63, (clock & 31) * 2)
    return timegm(moment) * 1_000_000_000
