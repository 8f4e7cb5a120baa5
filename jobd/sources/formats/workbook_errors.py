"""Cells that hold an error, like #N/A, which the library that reads workbooks takes for empty ones.

A part of the program in ``workbook_child``, which imports nothing of jobd. What is damaged has no such cells, as
far as can be known here: whether it can be read at all, the library says.
"""

from __future__ import annotations

import html
import re
import struct
import zipfile
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Cells = dict[tuple[int, int], str]

_ERROR_CELL = re.compile(rb'<(?:\w+:)?c\b([^/>]*\bt="e"[^/>]*)>(.*?)</(?:\w+:)?c>', re.DOTALL)
_REFERENCE = re.compile(rb'\br="([A-Z]+)([0-9]+)"')
_VALUE = re.compile(rb"<(?:\w+:)?v>(#[A-Z0-9/_]+[!?]?)</")
_BOOK, _BINARY_BOOK, _OLE = "xl/workbook.xml", "xl/workbook.bin", b"\xd0\xcf\x11\xe0"
_CODES = {
    0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?", 0x24: "#NUM!", 0x2A: "#N/A",
    0x2B: "#GETTING_DATA",
}  # fmt: skip
# Of xlsb: a row, a cell with an error, one whose formula gives one, a sheet of the book.
_ROW, _ERROR, _FORMULA_ERROR, _SHEET = 0, 3, 11, 156
# Of xls: a sheet of the book, beginning and end of a stretch, a cell with an error or truth value, a formula.
_XLS_SHEET, _BEGIN, _END, _BOOL_OR_ERROR, _FORMULA = 0x85, 0x809, 0x0A, 0x205, 0x06
_SECTORS_PER_HEADER = 109
_SMALL_STREAM_BYTES = 4096
_NO_SECTOR = 0xFFFFFFFA  # from here on a number is a mark


def error_cells(content: IO[bytes], sheet: str) -> Cells:
    """Row and column, from 0, of the sheet's cells that hold an error."""
    content.seek(0)
    magic = content.read(4)
    try:
        if magic == _OLE:
            content.seek(0)
            return dict(_of_xls(content.read(), sheet))
        if magic[:2] != b"PK":
            return {}
        with zipfile.ZipFile(content) as archive:
            names = archive.namelist()
            if _BOOK in names:
                return dict(_of_xlsx(archive, sheet))
            return dict(_of_xlsb(archive, sheet)) if _BINARY_BOOK in names else {}
    except (struct.error, IndexError, KeyError, UnicodeDecodeError):
        return {}


def _of_xlsx(archive: zipfile.ZipFile, sheet: str) -> Iterator[tuple[tuple[int, int], str]]:
    targets = _targets(archive, _BOOK)
    for tag in re.findall(r"<(?:\w+:)?sheet\b[^>]*>", archive.read(_BOOK).decode("utf-8", "replace")):
        marks = dict(re.findall(r'([\w:]+)="([^"]*)"', tag))
        if html.unescape(marks.get("name", "")) == sheet:
            link = next((marks[mark] for mark in marks if mark.endswith(":id")), "")
            break
    else:
        return
    for cell in _ERROR_CELL.finditer(archive.read(targets[link])):
        place, value = _REFERENCE.search(cell[1]), _VALUE.search(cell[2])
        if place and value:
            column = 0
            for letter in place[1]:
                column = column * 26 + letter - ord("A") + 1
            yield (int(place[2]) - 1, column - 1), value[1].decode()


def _targets(archive: zipfile.ZipFile, book: str) -> dict[str, str]:
    """The archive's members that the book refers to."""
    folder, _, name = book.rpartition("/")
    targets = {}
    text = archive.read(f"{folder}/_rels/{name}.rels").decode("utf-8", "replace")
    for tag in re.findall(r"<(?:\w+:)?Relationship\b[^>]*>", text):
        marks = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        target = html.unescape(marks.get("Target", ""))
        targets[marks.get("Id", "")] = target.removeprefix("/") if target.startswith("/") else f"{folder}/{target}"
    return targets


def _of_xlsb(archive: zipfile.ZipFile, sheet: str) -> Iterator[tuple[tuple[int, int], str]]:
    targets = _targets(archive, _BINARY_BOOK)
    for kind, start, data in _binary_records(archive.read(_BINARY_BOOK)):
        if kind == _SHEET:
            link, after = _wide_text(data, start + 8)
            if _wide_text(data, after)[0] == sheet:
                break
    else:
        return
    row = 0
    for kind, start, data in _binary_records(archive.read(targets[link])):
        if kind == _ROW:
            (row,) = struct.unpack_from("<I", data, start)
        elif kind in {_ERROR, _FORMULA_ERROR}:
            (column,) = struct.unpack_from("<I", data, start)
            if data[start + 8] in _CODES:
                yield (row, column), _CODES[data[start + 8]]


def _binary_records(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The kind of each record and where its content begins."""
    at = 0
    while at < len(data):
        kind = data[at]
        at += 1
        if kind & 0x80:
            kind = kind & 0x7F | data[at] << 7
            at += 1
        size = shift = 0
        while True:
            byte = data[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        yield kind, at, data
        at += size


def _wide_text(data: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<I", data, at)
    if length == 0xFFFFFFFF:
        return "", at + 4
    end = at + 4 + 2 * length
    return data[at + 4 : end].decode("utf-16-le"), end


def _of_xls(document: bytes, sheet: str) -> Iterator[tuple[tuple[int, int], str]]:
    data = _workbook_stream(document)
    start = next((offset for offset, name in _xls_sheets(data) if name == sheet), None)
    if start is None:
        return
    for kind, at in _xls_records(data, start):
        if kind == _BOOL_OR_ERROR:
            row, column, _, code, is_error = struct.unpack_from("<HHHBB", data, at)
        elif kind == _FORMULA:
            row, column, _, sort, code, mark = struct.unpack_from("<HHHBxBxxxH", data, at)
            is_error = mark == 0xFFFF and sort == 2
        else:
            continue
        if is_error and code in _CODES:
            yield (row, column), _CODES[code]


def _xls_sheets(data: bytes) -> Iterator[tuple[int, str]]:
    (version,) = struct.unpack_from("<H", data, 4)
    for kind, at in _xls_records(data, 0):
        if kind == _XLS_SHEET:
            offset, length = struct.unpack_from("<IxxB", data, at)
            if version < 0x600:
                yield offset, data[at + 7 : at + 7 + length].decode("cp1252", "replace")
            elif data[at + 7] & 1:
                yield offset, data[at + 8 : at + 8 + 2 * length].decode("utf-16-le")
            else:
                yield offset, data[at + 8 : at + 8 + length].decode("latin-1")


def _xls_records(data: bytes, start: int) -> Iterator[tuple[int, int]]:
    """The kind of each record of a stretch, without those that are within it, and where its content begins."""
    depth = 0
    while start + 4 <= len(data):
        kind, size = struct.unpack_from("<HH", data, start)
        depth += (kind == _BEGIN) - (kind == _END)
        if depth <= 0:
            return
        if depth == 1:
            yield kind, start + 4
        start += 4 + size


def _workbook_stream(document: bytes) -> bytes:
    """What an old office document holds of a workbook."""
    (shift,) = struct.unpack_from("<H", document, 30)
    directory, small_start, more = (struct.unpack_from("<I", document, at)[0] for at in (48, 60, 68))

    def sector(number: int) -> bytes:
        return document[(number + 1) << shift : (number + 2) << shift]

    def numbers(data: bytes) -> tuple[int, ...]:
        return struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])

    listed = list(struct.unpack_from(f"<{_SECTORS_PER_HEADER}I", document, 76))
    while more < _NO_SECTOR and len(listed) << shift <= len(document):
        *found, more = numbers(sector(more))
        listed += found
    table = [next_ for number in listed if number < _NO_SECTOR for next_ in numbers(sector(number))]
    entries = _chain(directory, table, sector)
    streams = {}
    for at in range(0, len(entries) - 127, 128):
        (name_bytes,) = struct.unpack_from("<H", entries, at + 64)
        name = entries[at : at + max(0, name_bytes - 2)].decode("utf-16-le", "replace")
        streams[name] = struct.unpack_from("<II", entries, at + 116)
    start, size = streams.get("Workbook") or streams["Book"]
    if size >= _SMALL_STREAM_BYTES:
        return _chain(start, table, sector)[:size]
    small = _chain(streams["Root Entry"][0], table, sector)
    small_table = list(numbers(_chain(small_start, table, sector)))
    return _chain(start, small_table, lambda number: small[number * 64 : number * 64 + 64])[:size]


def _chain(first: int, table: list[int], sector: Callable[[int], bytes]) -> bytes:
    """The sectors that follow one another from the first one on."""
    pieces: list[bytes] = []
    while first < _NO_SECTOR and len(pieces) < len(table):
        pieces.append(sector(first))
        first = table[first]
    return b"".join(pieces)
