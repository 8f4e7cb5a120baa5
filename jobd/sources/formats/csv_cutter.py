"""Where the records and fields of CSV lie, found in bulk: a mask, a parity, and no Python step per byte or row.

The rules are COPY's. A quote switches quoting on and off wherever it stands; delimiters and line ends count
outside quotes only. One rule is jobd's own, because COPY would swallow good records without a word: **a quoted
stretch that spans lines must begin where a field begins and end where it ends.** Where it does not, a stray quote
stood in a field: the record is given up at the end of that quote's line, and the next line begins a new one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Flags = NDArray[np.bool_]
    Offsets = NDArray[np.int64]

LF, CR = 10, 13
_BLANKS = b" \t"


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvShape:
    """The bytes that give CSV its structure; ``newline`` is a line end's last byte, CR in files of lone CRs.

    Without ``has_quotes``, ``quote`` is a byte that the file does not use, for COPY, which must have one.
    ``escapes_unquoted``: an escape takes the next byte as it is outside quotes, too, which COPY does not know.
    """

    delimiter: int
    quote: int
    escape: int
    newline: int = LF
    is_crlf: bool = False
    comment: int | None = None
    has_quotes: bool = True
    escapes_unquoted: bool = False

    @property
    def masked(self) -> CsvShape:
        """The shape of a text in which escaped bytes are masked already (see csv_mask)."""
        return replace(self, escape=self.quote, escapes_unquoted=False) if self.escapes_unquoted else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The complete records at the beginning of a buffer, offsets from its start; blank lines are among them.

    ``separators`` are the delimiters and line ends outside quotes, ``counts[k]`` of which belong to record k.
    ``next_lines[k]`` counts the physical lines up to the end of record k. ``stray`` says of a record with a stray
    quote where it begins, where it is given up, and where it would have ended; nothing follows it here.
    """

    ends: Offsets
    next_lines: Offsets
    separators: Offsets
    counts: Offsets
    quotes: Offsets
    stray: tuple[int, int, int] | None

    def __len__(self) -> int:
        return len(self.ends)

    def first(self, count: int) -> Cut:
        """The first records alone."""
        separators = int(self.counts[:count].sum())
        return replace(
            self,
            ends=self.ends[:count],
            next_lines=self.next_lines[:count],
            separators=self.separators[:separators],
            counts=self.counts[:count],
            stray=None,
        )


@dataclass(frozen=True, slots=True)
class Marks:
    """Positions of everything structural in a buffer, in order, and which lie inside quotes."""

    positions: Offsets
    kinds: Bytes
    quotes: Offsets
    is_inside: Flags | None  # None: there are no quotes

    @classmethod
    def of(cls, buffer: bytes, shape: CsvShape, *, with_delimiters: bool) -> Marks:
        """Find them; a buffer begins outside quotes."""
        array = np.frombuffer(buffer, np.uint8)
        mask = array == shape.newline
        if with_delimiters:
            mask |= array == shape.delimiter
        if not shape.has_quotes or buffer.find(shape.quote) < 0:
            positions = np.flatnonzero(mask)
            return cls(positions, array[positions], _NONE, None)
        if shape.escape != shape.quote and buffer.find(shape.escape) >= 0:
            mask[switches_with_escape(buffer, shape)] = True
        else:
            mask |= array == shape.quote
        positions = np.flatnonzero(mask)
        kinds = array[positions]
        is_quote = kinds == shape.quote
        return cls(positions, kinds, positions[is_quote], np.logical_xor.accumulate(is_quote) | is_quote)


_NONE = np.zeros(0, np.int64)
_TRUE = np.ones(1, np.bool_)


def cut(buffer: bytes, shape: CsvShape, *, with_fields: bool = True) -> Cut:
    """The complete records of a buffer that begins at a record's first byte."""
    marks = Marks.of(buffer, shape, with_delimiters=with_fields)
    if marks.is_inside is None:
        separators, kinds = marks.positions, marks.kinds
        at = np.flatnonzero(kinds == shape.newline) if with_fields else np.arange(len(kinds))
        next_lines = np.arange(1, len(at) + 1)
        quoted_newlines = _NONE
    else:
        is_outside = ~marks.is_inside
        separators, kinds = marks.positions[is_outside], marks.kinds[is_outside]
        at = np.flatnonzero(kinds == shape.newline)
        is_newline = marks.kinds == shape.newline
        newline_is_outside = is_outside[is_newline]
        next_lines = np.flatnonzero(newline_is_outside) + 1
        quoted_newlines = marks.positions[is_newline][~newline_is_outside]
    ends = separators[at] + 1
    stray = None
    if len(quoted_newlines) and len(ends):
        opener = find_stray(buffer, marks.quotes, quoted_newlines[quoted_newlines < ends[-1]], shape)
        if opener is not None:
            whole = int(np.searchsorted(ends, opener, "right"))
            start = int(ends[whole - 1]) if whole else 0
            stray = (start, buffer.index(shape.newline, opener) + 1, int(ends[whole]))
            ends, at, next_lines = ends[:whole], at[:whole], next_lines[:whole]
    return Cut(
        ends=ends,
        next_lines=next_lines,
        separators=separators[: int(at[-1]) + 1] if len(at) else _NONE,
        counts=np.diff(at, prepend=-1),
        quotes=marks.quotes,
        stray=stray,
    )


def find_stray(buffer: bytes, quotes: Offsets, quoted_newlines: Offsets, shape: CsvShape) -> int | None:
    """The first quote that opens a stretch with one of these newlines, and should not have.

    A stretch that is still open at the end of the buffer is judged by its beginning alone.
    """
    if not len(quoted_newlines):
        return None
    openers, closers = sections(quotes)
    spanning = np.unique(np.searchsorted(openers, quoted_newlines) - 1)
    array = np.frombuffer(buffer, np.uint8)
    opens = openers[spanning]
    before = array[np.maximum(opens - 1, 0)]
    is_good = (opens == 0) | (before == shape.delimiter) | (before == LF) | (before == CR)
    closed = spanning[spanning < len(closers)]
    closes = closers[closed]
    after = array[np.minimum(closes + 1, len(array) - 1)]
    closes_well = (after == shape.delimiter) | (after == LF) | (after == CR) | (closes + 1 == len(array))
    is_good[: len(closed)] &= closes_well
    for index in np.flatnonzero(~is_good).tolist():
        opener = int(opens[index])
        closer = int(closes[index]) if index < len(closes) else None
        if not (begins_field(buffer, opener, shape) and (closer is None or ends_field(buffer, closer, shape))):
            return opener
    return None


def sections(quotes: Offsets) -> tuple[Offsets, Offsets]:
    """First and last quotes of the quoted stretches; a doubled quote inside one does not divide it."""
    openers, closers = quotes[0::2], quotes[1::2]
    divides = openers[1:] != closers[: len(openers) - 1] + 1
    last_closers = np.ones(len(closers) - len(divides), np.bool_)
    return openers[np.concatenate((_TRUE, divides))], closers[np.concatenate((divides, last_closers))]


def begins_field(buffer: bytes, opener: int, shape: CsvShape, start: int = 0) -> bool:
    """Whether nothing but blanks stands between the field's beginning and the quote; ``start`` is the record's."""
    at = opener - 1
    while at >= start and buffer[at] in _BLANKS and buffer[at] != shape.delimiter:
        at -= 1
    return at < start or buffer[at] in (shape.delimiter, LF, CR)


def ends_field(buffer: bytes, closer: int, shape: CsvShape) -> bool:
    """Whether nothing but blanks stands between the quote and the field's end."""
    at = closer + 1
    while at < len(buffer) and buffer[at] in _BLANKS and buffer[at] != shape.delimiter:
        at += 1
    return at >= len(buffer) or buffer[at] in (shape.delimiter, LF, CR)


def switches_with_escape(buffer: bytes, shape: CsvShape, *, is_inside: bool = False) -> Offsets:
    """The quotes that switch quoting where the escape character is another one: step by step, so slower.

    Inside quotes an escape takes the quote or escape behind it as it is; outside it is an ordinary character.
    """
    escape, quote = re.escape(bytes([shape.escape])), re.escape(bytes([shape.quote]))
    switches = []
    for run in re.finditer(escape + b"*" + quote, buffer):
        escapes = run.end() - run.start() - 1
        if is_inside and escapes % 2:
            continue
        is_inside = not is_inside
        switches.append(run.end() - 1)
    return np.array(switches, np.int64)
