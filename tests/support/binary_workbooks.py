"""Small workbooks in Excel's binary formats, which no library at hand writes with errors in their cells."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CODES = {"#NULL!": 0x00, "#DIV/0!": 0x07, "#REF!": 0x17, "#N/A": 0x2A}
_RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"
_SHEET = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"
_FREE, _END = 0xFFFFFFFF, 0xFFFFFFFE


def _cells(rows: Sequence[Sequence[Any]]) -> Iterator[tuple[int, int, Any, int | None]]:
    """Row, column and value; of ``#ERROR …`` the code, of ``#FORMULA …`` that of a formula's result."""
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            if value is not None:
                word = value.partition(" ")[2] if isinstance(value, str) and value.startswith("#") else None
                yield row, column, value, None if word is None else CODES[word]


def xlsb(rows: Sequence[Sequence[Any]], name: str = "Sheet") -> bytes:
    """A workbook with one sheet of texts, numbers and errors."""
    book = _record(131) + _record(143)
    book += _record(156, struct.pack("<II", 0, 1) + _wide("rId1") + _wide(name)) + _record(144) + _record(132)
    sheet = _record(129)
    sheet += _record(148, struct.pack("<IIII", 0, len(rows) - 1, 0, max(map(len, rows)) - 1)) + _record(145)
    row_before = -1
    for row, column, value, code in _cells(rows):
        if row != row_before:
            sheet += _record(0, struct.pack("<II9x", row, 0))
            row_before = row
        place = struct.pack("<II", column, 0)
        if code is not None and value.startswith("#FORMULA"):
            sheet += _record(11, place + struct.pack("<B10x", code))
        elif code is not None:
            sheet += _record(3, place + bytes([code]))
        elif isinstance(value, str):
            sheet += _record(6, place + _wide(value))
        else:
            sheet += _record(5, place + struct.pack("<d", value))
    sheet += _record(146) + _record(130)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.bin", book)
        archive.writestr(
            "xl/_rels/workbook.bin.rels",
            f'<Relationships xmlns="{_RELATIONSHIPS}">'
            f'<Relationship Id="rId1" Type="{_SHEET}" Target="worksheets/sheet1.bin"/></Relationships>',
        )
        archive.writestr("xl/worksheets/sheet1.bin", sheet)
    return content.getvalue()


def _record(kind: int, data: bytes = b"") -> bytes:
    head = bytes([kind]) if kind < 0x80 else bytes([kind & 0x7F | 0x80, kind >> 7])
    size, rest = b"", len(data)
    while True:
        size += bytes([rest & 0x7F | (0x80 if rest > 0x7F else 0)])
        rest >>= 7
        if not rest:
            return head + size + data


def _wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def xls(rows: Sequence[Sequence[Any]], name: str = "Sheet", *, is_small: bool = False) -> bytes:
    """The same as an old office document; ``is_small``: with the workbook among its small streams."""
    cells = b""
    for row, column, value, code in _cells(rows):
        place = struct.pack("<HHH", row, column, 0)
        if code is not None and value.startswith("#FORMULA"):
            result = struct.pack("<BxBxxxH", 2, code, 0xFFFF)
            cells += _old(0x06, place + result + struct.pack("<HIH", 0, 0, 2) + bytes([0x1C, code]))
        elif code is not None:
            cells += _old(0x205, place + bytes([code, 1]))
        elif isinstance(value, bool):
            cells += _old(0x205, place + bytes([value, 0]))
        elif isinstance(value, str):
            cells += _old(0x204, place + struct.pack("<HB", len(value), 1) + value.encode("utf-16-le"))
        else:
            cells += _old(0x203, place + struct.pack("<d", value))
    size = struct.pack("<IIHHH", 0, len(rows), 0, max(map(len, rows)), 0)
    sheet = _begin(0x10) + _old(0x200, size) + cells + _old(0x0A)
    title = struct.pack("<BB", len(name), 1) + name.encode("utf-16-le")
    before = len(_begin(5)) + len(_old(0x85, b"\0" * 6 + title)) + len(_old(0x0A))
    book = _begin(5) + _old(0x85, struct.pack("<IBB", before, 0, 0) + title) + _old(0x0A) + sheet
    return _document(book if is_small else book.ljust(4096, b"\0"))


def _old(kind: int, data: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def _begin(kind: int) -> bytes:
    return _old(0x809, struct.pack("<HHHHII", 0x600, kind, 0, 0, 0, 0))


def _document(stream: bytes) -> bytes:
    """One stream called Workbook: the table of sectors first, then the directory, then the stream."""
    is_small = len(stream) < 4096
    sectors = -(-len(stream) // 512)
    table = [0xFFFFFFFD, _END, *range(3, 2 + sectors), _END]
    if is_small:
        table.append(_END)  # of the table of small sectors, behind them
    small_count = -(-len(stream) // 64)
    small_table = struct.pack("<128I", *([*range(1, small_count), _END] + [_FREE] * (128 - small_count)))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(24, b"\0") + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, 2 + sectors if is_small else _END, is_small, _END, 0)
    header += struct.pack("<109I", 0, *[_FREE] * 108)
    root = (2, small_count * 64) if is_small else (_END, 0)
    entries = _entry("Root Entry", 5, 1, *root) + _entry("Workbook", 2, _FREE, 0 if is_small else 2, len(stream))
    body = stream.ljust(512 * sectors, b"\0") + (small_table if is_small else b"")
    return header + struct.pack("<128I", *table, *[_FREE] * (128 - len(table))) + entries + bytes(256) + body


def _entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    text = (name + "\0").encode("utf-16-le")
    return text.ljust(64, b"\0") + struct.pack(
        "<HBBIII36xIQ", len(text), kind, 1, _FREE, _FREE, child, start, size
    )
