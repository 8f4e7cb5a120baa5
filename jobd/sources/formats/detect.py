"""What a source is: its compression, encoding, format and dialect, from its first bytes, then from its name.

Options that are stated win. What is decided here is frozen with the job: a later attempt reads the same way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from jobd.errors import OptionError, SourceError
from jobd.sources.formats.csv_dialect import STRONG, DialectProbe
from jobd.sources.formats.encodings import codec_name
from jobd.sources.formats.text_probe import likely_codec

if TYPE_CHECKING:
    from jobd.sources.options import ReadOptions

SAMPLE_BYTES = 1 << 18
_DATED = re.compile(rb"\[\s*[0-9tfn-]")  # how lines of logs begin, and hardly any JSON
_SHARE_OF_TABLE = 0.8  # of the lines that a delimiter divides alike in a table that is called .txt
_FIRST_LINES = 10
_BOMS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_WITHIN = " within an archive or a compressed file (archives are opened one level deep)"
_TWICE = " twice (it is unpacked once)"
_UNREADABLE = (
    (b"PK\x03\x04", f"a zip archive{_WITHIN}, or an office document"),
    (b"\x1f\x8b", f"compressed by gzip{_TWICE}"),
    (b"\x28\xb5\x2f\xfd", f"compressed by zstd{_TWICE}"),
    (b"BZh", f"compressed by bzip2{_TWICE}"),
    (b"\xfd7zXZ\x00", f"compressed by xz{_TWICE}"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
    (b"\x1f\x9d", "compressed by compress (.Z)"),
    (b"\x04\x22\x4d\x18", "compressed by lz4"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF-", "a PDF document"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x7fELF", "a program"),
    (b"\xd0\xcf\x11\xe0", "an old office document"),
)
_PACKED_SUFFIXES = {".gz", ".gzip", ".zst", ".zstd", ".bz2", ".xz", ".lzma"}
_NAMES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".json": "json",
    ".geojson": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".txt": "text",
    ".log": "text",
}
# How JSON without a mark begins in the other encodings: its first two characters are ASCII (RFC 4627, section 3).
_JSON_WITHOUT_MARK = (
    (re.compile(rb"[{\[ \t\r\n]\0\0\0.\0\0\0", re.DOTALL), "utf-32-le"),
    (re.compile(rb"\0\0\0[{\[ \t\r\n]\0\0\0.", re.DOTALL), "utf-32-be"),
    (re.compile(rb"[{\[ \t\r\n]\0[^\0]\0"), "utf-16-le"),
    (re.compile(rb"\0[{\[ \t\r\n]\0[^\0]"), "utf-16-be"),
)
_NEEDS_MARK = {"utf-16", "utf-32"}


@dataclass(frozen=True, slots=True)
class Encoding:
    """The character set, and how many bytes of a mark stand before the text."""

    codec: str
    bom_bytes: int


def detect_encoding(sample: bytes, name: str, options: ReadOptions) -> Encoding:
    """By the mark at the beginning, else as stated, else by how JSON may begin, else by the bytes themselves."""
    for mark, codec in _BOMS:
        if sample.startswith(mark):
            return Encoding(codec, len(mark))
    if options.encoding is None:
        found = (codec for beginning, codec in _JSON_WITHOUT_MARK if beginning.match(sample))
        return Encoding(next(found, None) or likely_codec(sample), 0)
    stated = codec_name(options.encoding)
    if stated is None:
        raise OptionError(f"encoding: {options.encoding!r} is no character set that is known here")
    if stated in _NEEDS_MARK:
        raise SourceError(
            f"{name} has no byte order mark, without which encoding {stated} does not say in which order its "
            f"bytes are; say {stated}-le or {stated}-be",
            code="format_undetectable",
        )
    return Encoding("utf-8" if stated == "utf-8-sig" else stated, 0)


def detect_format(sample: bytes, name: str, options: ReadOptions) -> str:
    """``csv``, ``json``, ``jsonl`` or ``text``; raises where it is none of them, or cannot be told."""
    if options.source_type == "xlsx":
        raise SourceError(
            f"{name} is no workbook (xlsx, xlsb, xls or ods), as source_type says it is",
            code="format_undetectable",
        )
    if options.source_type is not None:
        if options.source_type not in {"csv", "json", "jsonl", "text"}:
            raise OptionError(
                f"source_type: {options.source_type} is none of csv, json, jsonl, text and xlsx",
                code="option_unsupported",
            )
        return options.source_type
    _refuse_binary(sample, name)
    if options.pattern is not None or options.separator is not None:
        return "text"
    text = sample.lstrip(b" \t\r\n")
    if not text:
        raise SourceError(f"{name} holds nothing but blank lines", code="format_undetectable")
    named = _named(name)
    if options.records_path is not None:
        return "json"
    if text[:1] in b"{[" and (kind := _json_kind(text, named)) is not None:
        return kind
    if named == "text":
        return "csv" if _states_csv(options) or _is_divided(sample, options) else "text"
    return named or "csv"


def _json_kind(text: bytes, named: str | None) -> str | None:
    """Whether text that begins as JSON does is a document, or an object per line; None where it is neither."""
    first, _, rest = text.partition(b"\n")
    if first.startswith(b"{") and _is_json(first):
        # A single line is one record either way, unless it is an object of many.
        return "jsonl" if rest.strip() or named == "jsonl" else "json"
    if named == "jsonl" and any(
        line.startswith(b"{") and _is_json(line) for line in rest.splitlines()[:_FIRST_LINES]
    ):
        return "jsonl"  # its first line is malformed
    if named == "csv" or (named == "text" and _DATED.match(text)):
        return None
    return "json" if _is_beginning_of_json(text) else None


def _named(name: str) -> str | None:
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    if suffixes and suffixes[-1] in _PACKED_SUFFIXES:
        suffixes.pop()
    return _NAMES.get(suffixes[-1]) if suffixes else None


def _states_csv(options: ReadOptions) -> bool:
    stated = (options.delimiter, options.quote, options.escape, options.comment)
    return any(each is not None for each in stated) or options.header is not True or options.skip_rows > 0


def _is_divided(sample: bytes, options: ReadOptions) -> bool:
    """Whether one delimiter divides nearly all of the first lines alike; commas in prose do not."""
    whole = sample[: sample.rfind(b"\n") + 1] or sample + b"\n"
    fit = DialectProbe(options).best(whole, is_whole=True)
    return fit.columns > 1 and fit.share >= _SHARE_OF_TABLE and fit.shape.delimiter in STRONG


def _refuse_binary(sample: bytes, name: str) -> None:
    for magic, what in _UNREADABLE:
        if sample.startswith(magic):
            raise SourceError(f"{name} is {what}, which cannot be read yet", code="format_undetectable")
    if sample[257:262] == b"ustar":
        raise SourceError(f"{name} is a tar archive{_WITHIN}, which cannot be read", code="format_undetectable")
    head = sample[: 1 << 16]
    if head.count(0) * 10 > len(head):
        raise SourceError(
            f"{name} does not look like text: every tenth byte or more is NUL. If it is UTF-16 without a mark, "
            "say so: encoding utf-16-le or utf-16-be",
            code="format_undetectable",
        )


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _is_beginning_of_json(text: bytes) -> bool:
    """Whether it could be a JSON document of several lines (or one that is longer than the sample)."""
    return bool(re.match(rb'\{\s*("|\}|$)|\[\s*([\[{"\]0-9-]|true\b|false\b|null\b|$)', text))
