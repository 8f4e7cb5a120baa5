"""Well-formed files of every kind, small: what is to be broken."""

from __future__ import annotations

import datetime as dt
import json
import struct
import tarfile
from typing import Any

from tests.support.packing import PACKERS, ZIP_METHODS, tarred, zipped
from tests.support.workbooks import ods, xlsx

TABLE = [
    ["id", "name", "amount", "day", "note"],
    ["1", "Ann", "1.50", "2024-02-29", "a, comma"],
    ["2", "Bö", "-3", "2024-01-01", 'a "quote"'],
    ["3", "", "1e3", "", "two\nlines"],
    ["4", "Änn \N{SNOWMAN}", "12", "1999-12-31", "\\."],
    ["5", "it's", "0", "2024-05-06", " blanks "],
]
ROWS = [dict(zip(TABLE[0], row, strict=True)) for row in TABLE[1:]]


def csv(delimiter: str = ",", quote: str = '"', escape: str = '"', end: str = "\n") -> str:
    """The table in a dialect; without a quote, values that need one are left out."""
    lines = []
    for row in TABLE:
        fields = []
        for value in row:
            if quote and (set(value) & {delimiter, quote, escape, "\n", "\r"} or value == ""):
                text = value.replace(escape, escape * 2) if escape != quote else value
                fields.append(quote + text.replace(quote, escape + quote) + quote)
            else:
                fields.append(value if quote else "".join(c for c in value if c not in {delimiter, "\n", "\\"}))
        lines.append(delimiter.join(fields) + end)
    return "".join(lines)


_NESTED = {"data": {"count": 5, "items": [{**row, "tags": ["x", {"y": [1, 2]}]} for row in ROWS]}, "next": None}
_LATE = [{"id": 1}, {"id": 2, "name": "Ann"}, {"id": 3, "late": {"a": [1.0, 1e300, True]}, "id2": "é😀"}]
_GEO = {
    "type": "FeatureCollection",
    "features": [
        {"type": "Feature", "properties": {"id": n}, "geometry": {"type": "Point", "coordinates": [n, 2.5]}}
        for n in range(4)
    ],
}
_LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
_LOG = "".join(
    f'127.0.0.{n} - - [10/Oct/2026:13:55:0{n} +0000] "GET /{n} HTTP/1.1" 200 {n * 7}\n' for n in range(6)
)
_BLOCKS = "Q: What is it?\nA: A thing.\n\nQ: Who?\nA: One\nor two.\n\n\nQ: No answer\n---\nQ: Last\nA: x\n"

TEXTS: dict[str, bytes] = {
    "plain.csv": csv().encode(),
    "semicolon.csv": csv(";", end="\r\n").encode("utf-8-sig"),
    "tab.tsv": csv("\t", "").encode(),
    "pipe.csv": csv("|", "'", "\\").encode("cp1252", "replace"),
    "carriage.csv": csv(end="\r").encode(),
    "utf16.csv": csv(";").encode("utf-16"),
    "utf32.csv": csv().encode("utf-32"),
    "preamble.csv": ("Title of it\n\n# made today\n" + csv(";")).encode(),
    "comment.csv": ("# by hand\n" + csv().replace("\n3", "\n# skipped\n3")).encode(),
    "numbers.csv": b"1,2,3\n4,5,6\n7,8,9\n",
    "one.csv": b"name\nAnn\n\nBob\n",
    "array.json": json.dumps(ROWS, indent=1).encode(),
    "late.json": json.dumps(_LATE).encode(),
    "keyed.json": json.dumps({row["id"]: row for row in ROWS}).encode(),
    "nested.json": json.dumps(_NESTED, ensure_ascii=False).encode(),
    "object.json": json.dumps(ROWS[0]).encode(),
    "row.json": "".join(json.dumps(row, indent=2) for row in ROWS).encode(),
    "utf16.json": json.dumps(ROWS).encode("utf-16"),
    "places.geojson": json.dumps(_GEO).encode(),
    "lines.jsonl": _LINES.encode(),
    "late.jsonl": "".join(json.dumps(row) + "\n" for row in _LATE).encode(),
    "utf16.ndjson": _LINES.encode("utf-16-le"),
    "deep.jsonl": b'{"a":' * 30 + b"1" + b"}" * 30 + b"\n" + b'{"a":' + b"[" * 60 + b"]" * 60 + b"}\n",
    "access.log": _LOG.encode(),
    "faq.txt": _BLOCKS.encode(),
    "german.txt": "Über\nÄrger\n\nstraße\n".encode("cp1252"),
    "nothing": b"",
}
_NAMES = ("plain.csv", "late.json", "lines.jsonl", "faq.txt", "late.jsonl")
PACKED: dict[str, bytes] = {
    f"{name}.{suffix}": PACKERS[codec](TEXTS[name] * times)
    for name, times in (("plain.csv", 1), ("lines.jsonl", 40), ("faq.txt", 3))
    for codec, suffix in (("gzip", "gz"), ("zstd", "zst"), ("bzip2", "bz2"), ("xz", "xz"), ("lzma", "lzma"))
} | {
    "members.csv.gz": PACKERS["gzip"](TEXTS["plain.csv"]) + PACKERS["gzip"](b"6,x,1,,y\n") + bytes(20),
    "frames.jsonl.zst": PACKERS["zstd"](TEXTS["lines.jsonl"]) * 3,
    "bomb.csv.gz": PACKERS["gzip"](b"a,b\n" + (b"1," + b"2" * 5_000 + b"\n") * 40),
    "bomb.json.xz": PACKERS["xz"](b"[" * 100_000),
    "twice.csv.gz.gz": PACKERS["gzip"](PACKERS["gzip"](TEXTS["plain.csv"])),
}
_SEVERAL = {name: TEXTS[name] for name in _NAMES}
_ALIKE = {f"{number}.json": b'{"id": %d, "name": "x"}\n' % number for number in range(6)}
_LINK = tarfile.TarInfo("link.csv")
_LINK.type, _LINK.linkname = tarfile.SYMTYPE, "/etc/passwd"
_TAR = tarred(_SEVERAL)
ARCHIVES: dict[str, bytes] = {
    **{f"{method}.zip": zipped(_SEVERAL, method) for method in ZIP_METHODS},
    "alike.zip": zipped(_ALIKE),
    "one.zip": zipped({"plain.csv": TEXTS["plain.csv"]}),
    "nested.zip": zipped({"inner.zip": zipped(_SEVERAL), "plain.csv": TEXTS["plain.csv"]}),
    "climbing.zip": zipped({"../up.csv": b"a,b\n1,2\n", "/etc/x.csv": b"a\n1\n", "dir/ok.csv": b"a,b\n1,2\n"}),
    "several.tar": _TAR,
    "gnu.tar": tarred({"n" * 150 + ".csv": TEXTS["plain.csv"], "b.csv": b"a,b\n1,2\n"}, tarfile.GNU_FORMAT),
    "link.tar": tarred({"a.csv": TEXTS["plain.csv"], "link.csv": _LINK}),
    "several.tar.gz": PACKERS["gzip"](_TAR),
    "several.tar.xz": PACKERS["xz"](_TAR),
    "alike.tar.zst": PACKERS["zstd"](tarred(_ALIKE)),
}


def _xls() -> bytes:
    """A workbook of the old binary kind with one sheet: two texts, and two rows of numbers below."""

    def record(kind: int, content: bytes) -> bytes:
        return struct.pack("<HH", kind, len(content)) + content

    begin = struct.pack("<HHHHII", 0x0600, 0x0005, 0x0DBB, 0x07CC, 0, 0x06)
    name = b"\x05\x00Sheet"
    end = record(0x0A, b"")
    sheet_at = len(record(0x809, begin)) + 4 + 6 + len(name) + len(end)
    globals_ = record(0x809, begin) + record(0x85, struct.pack("<IH", sheet_at, 0) + name) + end
    begin = begin[:2] + b"\x10\x00" + begin[4:]
    cells = [record(0x200, struct.pack("<IIHHH", 0, 3, 0, 2, 0))]
    cells += [
        record(0x204, struct.pack("<HHHH", 0, column, 0, len(text)) + b"\x00" + text)
        for column, text in enumerate((b"id", b"name"))
    ]
    cells += [
        record(0x203, struct.pack("<HHHd", row, column, 0, row + column)) for row in (1, 2) for column in (0, 1)
    ]
    stream = (globals_ + record(0x809, begin) + b"".join(cells) + end).ljust(4096, b"\0")
    sectors = len(stream) // 512
    free, chain_end, fat_sector = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
    fat = [fat_sector, chain_end, *range(3, 2 + sectors), chain_end]
    table = struct.pack("<128I", *fat, *[free] * (128 - len(fat)))

    def entry(title: str, kind: int, child: int, start: int, size: int) -> bytes:
        text = title.encode("utf-16-le")
        head = text.ljust(64, b"\0") + struct.pack(
            "<HBBIII", len(text) + 2 if text else 0, kind, 1, free, free, child
        )
        return head + bytes(16 + 4 + 16) + struct.pack("<IQ", start, size)

    directory = entry("Root Entry", 5, 1, chain_end, 0) + entry("Workbook", 2, free, 2, len(stream))
    directory += entry("", 0, free, 0, 0) * 2
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
    header += bytes(6) + struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, chain_end, 0, chain_end, 0)
    header += struct.pack("<109I", 0, *[free] * 108)
    return header + table + directory + stream


_CELLS: list[list[Any]] = [
    ["id", "name", "day", "ok"],
    [1, "Ann", dt.date(2024, 2, 29), True],
    [2.5, "#ERROR #N/A", None, False],
]
WORKBOOKS: dict[str, bytes] = {
    "book.xlsx": xlsx({"Empty": [], "T": _CELLS, "Hidden": [["x"], [1]]}, hidden=["Hidden"]),
    "book.xls": _xls(),
    "book.ods": ods([["id", "name"], ["1", "Ann"], ["2", "<&>"]]),
}

SEEDS: dict[str, bytes] = {**TEXTS, **PACKED, **ARCHIVES}
