"""Lines before the header that are no records: what a report's title, its notes and blank lines leave of a table.

Only what could hardly be anything else is taken for it: a note that is taken for the header is noticed at once,
while a record that is taken for a note would be lost without a word.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobd.sources.formats.csv_dialect import DialectProbe, Fit

_LINES_MAX = 20
_SHARE_MIN = 0.9
_JUDGED_ROWS = 20
_NUMBER = re.compile(rb"[-+\d.,:/ %T]*\d[-+\d.,:/ %TZ]*")
_LINE_END = re.compile(rb"\r\n|\r|\n")
SEPARATOR_LINE = re.compile(rb'"?sep=([^\r\n])"?(?:\r\n|\r|\n|$)', re.IGNORECASE)


def first_line_end(text: bytes) -> bytes:
    """The line end that comes first, whatever stands before it."""
    found = _LINE_END.search(text)
    return found[0] if found else b"\n"


def skip_lines(text: bytes, count: int) -> int | None:
    """How many bytes the first physical lines take; None: there are not so many."""
    newline = first_line_end(text)[-1:]
    position = 0
    for _ in range(count):
        position = text.find(newline, position) + 1
        if not position:
            return None
    return position


def preamble_lines(text: bytes, first: Fit, probe: DialectProbe, *, is_whole: bool) -> int:
    """How many physical lines stand before the header; ``first`` is what the text is if there are none."""
    if first.columns > 1 and first.is_covered and _share_of_others(first) >= _SHARE_MIN:
        return 0
    lines = text.splitlines(keepends=True)[: _LINES_MAX + 1]
    position = 0
    for count, line in enumerate(lines):
        if count and line.strip():
            fit = probe.best(text[position:], is_whole=is_whole)
            if _is_table(fit, lines[:count]):
                return count
        position += len(line)
    return _leading_notes(lines) if first.columns <= 1 else 0


def _share_of_others(fit: Fit) -> float:
    others = fit.counts[1:]
    return others.count(fit.columns) / len(others) if others else 1.0


def _is_table(fit: Fit, before: list[bytes]) -> bool:
    """Whether a header and its records begin here, and what stands before them cannot be any of these."""
    if not fit.is_covered or fit.columns < 2 or len(fit.counts) < 2 or _share_of_others(fit) < _SHARE_MIN:
        return False
    delimiter = bytes([fit.shape.delimiter])
    are_notes = all(line.startswith(b"#") or not line.strip() for line in before)
    widths = [line.count(delimiter) + 1 for line in before]
    is_divided = max(widths) > 1 and not are_notes
    if is_divided and max(widths) > fit.columns - 2:
        return False
    if are_notes and fit.columns in widths:
        return False
    header, *rows = [[field.strip(b" \t\"'") for field in row] for row in fit.rows(_JUDGED_ROWS)]
    if not all(header) or len(set(header)) < len(header) or any(map(_NUMBER.fullmatch, header)):
        return False
    rows = [row for row in rows if len(row) == len(header)]
    has_numbers = any(_is_numeric([row[column] for row in rows]) for column in range(len(header)))
    is_wide = fit.columns > 2 and not is_divided
    return are_notes or not before[-1].strip() or is_wide or has_numbers


def _is_numeric(values: list[bytes]) -> bool:
    stated = [value for value in values if value]
    return bool(stated) and all(map(_NUMBER.fullmatch, stated))


def _leading_notes(lines: list[bytes]) -> int:
    """Lines with a ``#`` and a blank (or another ``#``) above a file of one column."""
    count = 0
    while count < len(lines) and re.match(rb"#[ \t#]", lines[count]):
        count += 1
    return count if count < min(len(lines), _LINES_MAX + 1) else 0
