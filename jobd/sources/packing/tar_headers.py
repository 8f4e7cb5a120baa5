"""tar, header by header: ustar, GNU's long names and pax."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, NamedTuple

from jobd.errors import SourceError
from jobd.sources.packing.members import decoded_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobd.sources.packing.span import Readable

BLOCK_BYTES = 512
_EXTENDED_BYTES_MAX = 1 << 20
_CHECKSUM = slice(148, 156)
_NO_CONTENT = b"123456"  # links, devices, directories, FIFOs
_GNU = b"ustar  \0"


class TarHeader(NamedTuple):
    """One member; ``kind`` is tar's letter for it, ``start`` where its ``size_bytes`` lie."""

    path: str
    kind: bytes
    size_bytes: int
    modified_ns: int
    link: str
    is_sparse: bool
    start: int

    @property
    def next_position(self) -> int:
        """Where the next header lies."""
        stored = 0 if self.kind in _NO_CONTENT else self.size_bytes
        return self.start + -(-stored // BLOCK_BYTES) * BLOCK_BYTES


def is_tar(block: bytes) -> bool:
    """Whether a header stands here: its checksum is right."""
    if len(block) < BLOCK_BYTES or not block[0]:
        return False
    try:
        stated = _number(block[_CHECKSUM])
    except ValueError:
        return False
    unsigned = sum(block) - sum(block[_CHECKSUM]) + 8 * ord(" ")
    signed = unsigned - 256 * sum(byte > 127 for byte in block[:148] + block[156:])
    return stated in {unsigned, signed}


def tar_headers(archive: Readable, name: str) -> Iterator[TarHeader]:
    """All members, in the archive's order; ``source_truncated`` or ``source_corrupt`` where it breaks off."""
    position = 0
    everywhere: dict[str, bytes] = {}
    here: dict[str, bytes] = {}
    while (block := archive.read(position, BLOCK_BYTES)) and any(block):
        if len(block) < BLOCK_BYTES:
            raise _broken(name, "ends in the middle of a header", position, "source_truncated")
        try:
            kind, size = _kind_and_size(block)
            if kind in b"xXgLK":
                here |= _extended(archive, kind, position + BLOCK_BYTES, size)
                if kind == b"g":
                    everywhere, here = here, {}
                position += BLOCK_BYTES + -(-size // BLOCK_BYTES) * BLOCK_BYTES
                continue
            header = _header(archive, block, position + BLOCK_BYTES, everywhere | here)
        except ValueError as error:
            raise _broken(name, f"has a damaged header ({error})", position, "source_corrupt") from error
        here = {}
        yield header
        position = header.next_position
        end = header.start + (0 if header.kind in _NO_CONTENT else header.size_bytes)
        if end > header.start and not archive.read(position, 1) and not archive.read(end - 1, 1):
            raise _broken(name, "ends in the middle of a member", header.start, "source_truncated")


def _broken(name: str, what: str, position: int, code: str) -> SourceError:
    return SourceError(f"{name} {what}, at byte {position} of the tar archive", code=code)


def _kind_and_size(block: bytes) -> tuple[bytes, int]:
    if not is_tar(block):
        raise ValueError("not a header")
    return block[156:157], _number(block[124:136])


def _number(field: bytes) -> int:
    """Octal digits, or GNU's binary form for what is too large for them."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    if field[0] > 0x80:
        raise ValueError("a negative number")
    digits = field.partition(b"\0")[0].strip()
    if not digits.isdigit() and digits:
        raise ValueError("a number that is none")
    return int(digits or b"0", 8)


def _extended(archive: Readable, kind: bytes, start: int, size: int) -> dict[str, bytes]:
    """What a header says of the member behind it that does not fit into that one's own."""
    if size > _EXTENDED_BYTES_MAX:
        raise ValueError(f"an extended header of {size} bytes")
    content = archive.read(start, size)
    if kind in b"LK":
        return {"path" if kind == b"L" else "linkpath": content.rstrip(b"\0")}
    return _pax(content)


def _pax(content: bytes) -> dict[str, bytes]:
    """Records of ``length key=value``, each closed by a line end."""
    found: dict[str, bytes] = {}
    position = 0
    while position < len(content) and content[position]:
        digits = content[position : position + 20].partition(b" ")[0]
        length = int(digits)
        key, equals, value = content[position + len(digits) + 1 : position + length - 1].partition(b"=")
        if length <= len(digits) + 2 or position + length > len(content) or not equals:
            raise ValueError("a damaged pax record")
        found[key.decode("utf-8", "replace")] = value
        position += length
    return found


def _header(archive: Readable, block: bytes, start: int, extended: dict[str, bytes]) -> TarHeader:
    path = block[:100].partition(b"\0")[0]
    prefix = block[345:500].partition(b"\0")[0]
    if prefix and block[257:262] == b"ustar" and block[257:265] != _GNU:
        path = prefix + b"/" + path
    path = extended.get("GNU.sparse.name", extended.get("path", path))
    kind = block[156:157].replace(b"\0", b"0").replace(b"7", b"0")
    if kind == b"0" and path.endswith(b"/"):
        kind = b"5"  # before ustar there was no letter for directories
    size = extended.get("size")
    if kind == b"S":
        start = _behind_sparse_map(archive, block, start)
    return TarHeader(
        path=decoded_name(path, "latin-1"),
        kind=kind,
        size_bytes=_number(block[124:136]) if size is None else int(size),
        modified_ns=_nanoseconds(extended.get("mtime"), block[136:148]),
        link=decoded_name(extended.get("linkpath", block[157:257].partition(b"\0")[0]), "latin-1"),
        is_sparse=kind == b"S" or any(key.startswith("GNU.sparse.") for key in extended),
        start=start,
    )


def _behind_sparse_map(archive: Readable, block: bytes, start: int) -> int:
    has_more = bool(block[482])
    while has_more:
        more = archive.read(start, BLOCK_BYTES)
        has_more = len(more) == BLOCK_BYTES and bool(more[504])
        start += BLOCK_BYTES
    return start


def _nanoseconds(stated: bytes | None, field: bytes) -> int:
    try:
        seconds = Decimal(_number(field)) if stated is None else Decimal(stated.decode())
        nanoseconds = int(seconds * 1_000_000_000)
    except (ValueError, InvalidOperation, OverflowError):
        return 0
    return nanoseconds if 0 <= nanoseconds < 1 << 63 else 0
