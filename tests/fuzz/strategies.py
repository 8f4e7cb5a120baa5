"""How well-formed files are broken, and what hostile jobs say of them."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.case import Case
from tests.fuzz.seeds import SEEDS, TEXTS, WORKBOOKS
from tests.support.packing import PACKERS, ZIP_METHODS, tarred, zipped
from tests.support.workbooks import replaced

# Bytes that mean something to one format or another.
_PIECES = [
    *(bytes([byte]) for byte in b"\n\r\t ,;|:'\"\\#{}[]/.-+0e9a\0\x1a\x1e\x1f\x7f\x80\xff"),
    b"\r\n", b"\n\n", b'""', b'","', b'"\n', b"\\.", b"\n\\.\n", b"\\u0000", b"\\ud800",
    b"\\udc00\\ud800",     b"null", b"true", b"NaN", b"-0", b"1e999", b"{}", b"[]", b'{"a":1}',
    b'{"id":1}\n', b'":', b"},{", b"]]",     b"---\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff",
    b"\xff\xfe\0\0", b"\xc3\xa9", b"\xed\xa0\x80",     b"\xf4\x90\x80\x80", b"\xc0\x80", b"\xe2\x80\xa8",
    b"PK\3\4", b"PK\1\2", b"PK\5\6", b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd",     b"BZh9", b"\xfd7zXZ\0",
    b"ustar\0", b"ustar  \0", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"7777777777",
]  # fmt: skip
_CHANGES = ["flip", "insert", "delete", "truncate", "double", "repeat", "splice", "replace"]
pieces = st.sampled_from(_PIECES)
few_pieces = st.lists(pieces, min_size=1, max_size=4).map(b"".join)
noise = st.one_of(st.lists(pieces, max_size=60).map(b"".join), st.binary(max_size=200))


@st.composite
def broken(draw: st.DrawFn, content: bytes, others: dict[str, bytes]) -> bytes:
    """The content with some changes, or with none."""
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(content)))
        stop = min(len(content), at + draw(st.one_of(st.integers(0, 8), st.integers(0, 600))))
        match draw(st.sampled_from(_CHANGES)):
            case "flip" if at < len(content):
                content = content[:at] + bytes([content[at] ^ (1 << draw(st.integers(0, 7)))]) + content[at + 1 :]
            case "insert":
                content = content[:at] + draw(few_pieces) + content[at:]
            case "delete":
                content = content[:at] + content[stop:]
            case "truncate":
                content = content[:at]
            case "double":
                content = content[:stop] + content[at:]
            case "repeat":
                content = content[:at] + content[at:stop] * draw(st.integers(2, 40)) + content[stop:]
            case "splice":
                other = draw(st.sampled_from(sorted(others.values())))
                content = content[:at] + other[draw(st.integers(0, len(other))) :]
            case "replace":
                content = content[:at] + draw(few_pieces) + content[stop:]
    return content[: 1 << 18]


_marks = st.one_of(st.sampled_from(list(",;\t|'\"\\#: !{[")), st.characters(min_codepoint=1, max_codepoint=127))
_ENCODINGS = [
    "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be", "cp1252", "latin-1", "ascii", "shift_jis", "gb18030",
    "utf-7", "idna", "punycode", "rot13", "base64", "cp037", "hz", "iso2022_jp", "big5", "nope", "unicode_escape",
    "undefined", "raw_unicode_escape", "mbcs",
]  # fmt: skip
_PATTERNS = [
    r"(?P<a>.*)", r"^(?P<host>\S+) .*?(?P<size>\d+)$", r"(?s)^Q: (?P<q>[^\n]*)(?:\nA: (?P<a>.*))?$", r"(?P<a>)*",
    r"(?P<a>a|b|)+(?P<b>x*)*", r"(.)", r"(?P<a", r"(?P<a>\x{10FFFF})", r"(?P<a>(?:(?:a{1,30}){1,30}){1,30})",
    r"(?P<a>(?i)straße)", r"(?P<a>\C)", r"(?P<ä>.)", r"(?P<a>\pL+)|(?P<b>\d)", "(?P<a>\\z)", "(?P<a>\\n)(?P<b>.?)",
]  # fmt: skip
_PATHS = ["data.items", "/data/items", "data", "*", "*.*", "/", "", ".", "a.b.c.d", "by_id.*", "/~0~1", "features",
          "items[0]", "data.items.0", "~", "$.data", "0"]  # fmt: skip
_OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "delimiter": _marks,
    "quote": st.one_of(_marks, st.just("")),
    "escape": _marks,
    "encoding": st.sampled_from(_ENCODINGS),
    "header": st.one_of(st.booleans(), st.integers(0, 4), st.just(100)),
    "skip_rows": st.sampled_from([0, 1, 2, 7, 1_000_000]),
    "comment": _marks,
    "ragged": st.sampled_from(["error", "pad", "truncate"]),
    "rest": st.just("more"),
    "records_path": st.one_of(st.sampled_from(_PATHS), st.text(max_size=5)),
    "pattern": st.sampled_from(_PATTERNS),
    "separator": st.one_of(st.sampled_from(["\n\n", "---\n", "\n", "a", "\r\n", "\n\n\n", " ", "é", "\ud800"])),
    "ignore_unknown": st.booleans(),
}
_SOME = st.sets(st.sampled_from(sorted(_OPTIONS)), max_size=4).map(sorted)
# Mostly what a daemon may be set to; records shorter than it may be set to bring the bounds to small files.
_BOUNDS: dict[str, st.SearchStrategy[int]] = {
    "record_bytes": st.sampled_from([30, 200, 1 << 10, 1 << 24]),
    "columns": st.sampled_from([1, 3, 10_000]),
    "nesting_depth": st.sampled_from([1, 3, 50, 10_000]),
    "expansion_ratio": st.sampled_from([1, 20, 1000]),
    "expanded_bytes": st.sampled_from([1, 300, 1 << 40]),
    "files": st.sampled_from([1, 3, 100]),
}
source_types = st.sampled_from([None, None, None, None, "csv", "json", "jsonl", "text", "xlsx"])


@st.composite
def options(draw: st.DrawFn, names: st.SearchStrategy[list[str]] = _SOME) -> dict[str, Any]:
    """What a job may say; half of them say nothing."""
    return {} if draw(st.booleans()) else {name: draw(_OPTIONS[name]) for name in draw(names)}


@st.composite
def bounds(draw: st.DrawFn) -> dict[str, int]:
    """What a daemon may be set to; most are as they come."""
    if draw(st.integers(0, 2)):
        return {}
    return {name: draw(_BOUNDS[name]) for name in draw(st.sets(st.sampled_from(sorted(_BOUNDS)), max_size=3))}


@st.composite
def cases(draw: st.DrawFn, seeds: dict[str, bytes], names: list[str] | None = None) -> Case:
    """One of these seeds, broken, under its own name or another's."""
    name = draw(st.sampled_from(sorted(seeds)))
    content = draw(broken(seeds[name], SEEDS))
    return _case(draw, name if draw(st.integers(0, 3)) else draw(st.sampled_from(names or sorted(seeds))), content)


@st.composite
def packed_cases(draw: st.DrawFn) -> Case:
    """Broken files, packed well."""
    inside = {
        name: draw(broken(TEXTS[name], TEXTS))
        for name in draw(st.sets(st.sampled_from(sorted(TEXTS)), min_size=1, max_size=4).map(sorted))
    }
    kind = draw(st.sampled_from([*PACKERS, *(f"zip {method}" for method in ZIP_METHODS), "tar", "tar gzip"]))
    if kind.startswith("zip "):
        return _case(draw, "all.zip", zipped(inside, kind.removeprefix("zip ")))
    if kind.startswith("tar"):
        return _case(draw, "all.tar", (PACKERS["gzip"] if kind == "tar gzip" else bytes)(tarred(inside)))
    name, content = next(iter(inside.items()))
    return _case(
        draw, name + {"gzip": ".gz", "zstd": ".zst", "bzip2": ".bz2"}.get(kind, ".xz"), PACKERS[kind](content)
    )


@st.composite
def random_cases(draw: st.DrawFn) -> Case:
    """Bytes that were never well-formed, under any name."""
    return _case(draw, draw(st.sampled_from([*SEEDS, *WORKBOOKS])), draw(noise))


@st.composite
def workbook_cases(draw: st.DrawFn) -> Case:
    """Workbooks broken as files, or with a broken document in a well-formed archive."""
    name = draw(st.sampled_from(sorted(WORKBOOKS)))
    content = WORKBOOKS[name]
    if content.startswith(b"PK") and draw(st.booleans()):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            member = draw(st.sampled_from(archive.namelist()))
            content = replaced(content, {member: draw(broken(archive.read(member), WORKBOOKS))})
    else:
        content = draw(broken(content, {**WORKBOOKS, "zip": SEEDS["one.zip"]}))
    some = st.sets(st.sampled_from(["header", "skip_rows", "ragged", "rest"]), max_size=3).map(sorted)
    return Case(
        name=name,
        content=content,
        source_type=draw(st.sampled_from([None, None, "xlsx"])),
        options=draw(options(some)),
        bounds=draw(bounds()),
    )


def _case(draw: st.DrawFn, name: str, content: bytes) -> Case:
    return Case(
        name=name,
        content=content,
        source_type=draw(source_types),
        options=draw(options()),
        bounds=draw(bounds()),
        takes_fields=draw(st.booleans()),
    )
