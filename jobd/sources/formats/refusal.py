"""Why the reader refuses a record: the stable code, and the sentence for people."""

from __future__ import annotations

import re

from jobd.sources.options import RAW_BYTES_MAX
from jobd.sources.records import RefusedRecord

_CODE = re.compile("[a-z][a-z_]{0,62}")
_NOT_MENDED = "is not mended yet"


def ragged(fields: int, columns: int) -> tuple[str, str]:
    """Another number of fields than there are columns."""
    code = "too_few_fields" if fields < columns else "too_many_fields"
    return code, f"{fields} {_noun(fields)} where {columns} {'is' if columns == 1 else 'are'} expected"


def nul_byte() -> tuple[str, str]:
    """PostgreSQL's text cannot hold it."""
    return "nul_byte", "contains a NUL byte, which text in PostgreSQL cannot hold"


def undecodable(codec: str) -> tuple[str, str]:
    """Bytes that are not text."""
    return (
        "undecodable",
        f"contains bytes that are not {codec.upper()}; is another encoding meant? See option encoding",
    )


def too_long(limit: int) -> tuple[str, str]:
    """Longer, or of more parts, than may be held in memory."""
    return "record_too_long", (
        f"is longer than JOBD_RECORD_BYTES_MAX allows ({limit} bytes), or has more parts than fit"
    )


def too_long_for_pattern(limit: int) -> tuple[str, str]:
    """So long that the pattern would take too much time over it."""
    return "record_too_long", f"is longer than {limit} bytes, which is the most for so complicated a pattern"


def no_match() -> tuple[str, str]:
    """Text of another form."""
    return "no_match", "does not match the pattern"


def unterminated_quote() -> tuple[str, str]:
    """A quote opens here and is closed nowhere."""
    return "unterminated_quote", "opens a quote that is never closed; reading goes on with the next line"


def stray_quote() -> tuple[str, str]:
    """A quote in the middle of a field would swallow the lines that follow."""
    return "stray_quote", (
        "has a quote in the middle of a field that would swallow the next lines; reading goes on with the next one"
    )


def stray_line_end(name: str) -> tuple[str, str]:
    """Half a line end, or one of another kind, outside quotes."""
    return "stray_line_end", f"contains a {name} outside quotes that ends no line of this file"


def malformed_json(error: str) -> tuple[str, str]:
    """No JSON, though where it ends can be told."""
    reason = error.removeprefix("JSON is malformed: ").replace("Input data was truncated", "it breaks off")
    return "malformed_json", f"is not JSON: {reason}"


def not_an_object() -> tuple[str, str]:
    """JSON without keys."""
    return "not_an_object", "is JSON, but not an object of keys and values"


def half_character() -> tuple[str, str]:
    r"""An escape such as ``\ud800`` that stands alone."""
    return "undecodable", "contains an escape that is half of a character (a lone surrogate), which is not text"


def nested_too_deeply(limit: int) -> tuple[str, str]:
    """More brackets in brackets than may be."""
    return "nested_too_deeply", f"is nested more deeply than JOBD_NESTING_DEPTH_MAX allows ({limit} levels)"


def unknown_field(name: str) -> tuple[str, str]:
    """A key that is no column."""
    return "unknown_field", f"has the key {name!r}, which is none of the columns"


def not_mended(code: str | None, reason: str | None) -> tuple[str, str]:
    """A line of refused records that was left as it was, with the code and the reason of then."""
    known = code if code and _CODE.fullmatch(code) else "not_mended"
    if reason and reason.startswith(_NOT_MENDED):
        return known, reason
    because = f" ({reason})" if reason else ""
    return known, f"{_NOT_MENDED}{because}: fill its columns, or empty _jobd_record if they are right"


def too_many_keys(limit: int) -> tuple[str, str]:
    """A new key where there are as many as may be."""
    return "too_many_fields", f"has a new key where there are as many as JOBD_COLUMNS_MAX allows ({limit})"


def refused(
    reason: tuple[str, str], line: int, raw: bytes, field: str | None = None, row_number: int = 0
) -> RefusedRecord:
    """The record with its reason; line ends are no part of it."""
    code, message = reason
    return RefusedRecord(
        row_number=row_number,
        line_number=line,
        code=code,
        message=message,
        raw=raw[:RAW_BYTES_MAX].rstrip(b"\r\n"),
        field=field,
    )


def _noun(count: int) -> str:
    return "field" if count == 1 else "fields"
