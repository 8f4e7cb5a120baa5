"""Refused records that come back: CSV as ``jobd.rejects_csv`` writes it, mended by people and their spreadsheets.

Such a file is known by its header, where at least two of jobd's own columns stand. How it is written is jobd's
doing, or that of the spreadsheet that it went through; what is stated of how the first file was written is passed
over, so that whoever submits both may state the same for both.

A record that did not fit into the columns stands whole in ``_jobd_record``. Such a line is mended once more of its
columns are filled than were then, or ``_jobd_record`` is emptied; until then it is refused again. What else has
changed in it does not count: spreadsheets write numbers and dates in their own way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from jobd.model.own_columns import CODE, FIELD, FILLED, OWN_COLUMNS, REASON, RECORD, is_own
from jobd.sources.copy_dialect import CopyDialect, FieldValue, decode_field
from jobd.sources.formats import refusal
from jobd.sources.formats.block import Block, accepts_nothing
from jobd.sources.formats.csv_fields import divided
from jobd.sources.formats.csv_preamble import SEPARATOR_LINE
from jobd.sources.formats.text_probe import is_beginning_of
from jobd.sources.splice import keep_spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jobd.sources.formats.block import Accepts, Format, NewFields
    from jobd.sources.options import ReadOptions
    from jobd.sources.records import RefusedRecord
    from jobd.sources.stream import Stream

_DELIMITERS = ",;\t|"  # what spreadsheets write
_OWN_MIN = 2  # one alone may be a value, in a file without a header
_HEADER_BYTES_MAX = 1 << 18
_QUOTE_OR_LINE_END = re.compile(rb'"|\r\n|\r|\n')


def own_options(options: ReadOptions) -> ReadOptions:
    """The options without those that say how a file is written."""
    return replace(
        options,
        delimiter=None,
        quote=None,
        escape=None,
        header=True,
        comment=None,
        skip_rows=0,
        ragged="error",
        collects_rest=False,
        records_path=None,
        pattern=None,
        separator=None,
    )


def options_of_mended(sample: bytes, options: ReadOptions) -> ReadOptions | None:
    """How to read a file that begins with these bytes; None where it is no mended one."""
    is_wide = sample.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = sample.decode("utf-16", "ignore").encode() if is_wide else sample.removeprefix(b"\xef\xbb\xbf")
    if b"_jobd_" not in text[:_HEADER_BYTES_MAX]:
        return None
    stated = SEPARATOR_LINE.match(text)
    header = _first_record(text[stated.end() if stated else 0 :])
    for delimiter in _DELIMITERS:
        names = divided(header, CopyDialect(delimiter=delimiter)) or ()
        if len(OWN_COLUMNS.intersection(name.text for name in names)) >= _OWN_MIN:
            return replace(
                own_options(options),
                source_type="csv",
                # A line that says it is read by the reader of CSV, which passes over it then.
                delimiter=None if stated else delimiter,
                quote='"',
                escape='"',
                encoding=None if is_beginning_of(sample, "utf-8") else options.encoding,
            )
    return None


def _first_record(text: bytes) -> bytes:
    text = text.lstrip(b"\r\n")
    is_inside = False
    for found in _QUOTE_OR_LINE_END.finditer(text, 0, _HEADER_BYTES_MAX):
        if found[0] == b'"':
            is_inside = not is_inside
        elif not is_inside:
            return text[: found.start()]
    return text[:_HEADER_BYTES_MAX]


def is_mended(header: Sequence[str]) -> bool:
    """Whether a header has jobd's own columns in it."""
    return any(map(is_own, header))


@dataclass(frozen=True, kw_only=True)
class MendedFormat:
    """A mended file: CSV, or a sheet that was made of it."""

    lines: Format

    @property
    def dialect(self) -> CopyDialect:
        """That of the lines."""
        return self.lines.dialect

    @property
    def header(self) -> list[str]:
        """The columns' names, jobd's own among them."""
        return self.lines.header

    @property
    def column_count(self) -> int:
        """Fields of a line."""
        return self.lines.column_count

    @property
    def data_position(self) -> int:
        """Where the first record begins."""
        return self.lines.data_position

    @property
    def data_line(self) -> int:
        """The line that it begins on."""
        return self.lines.data_line

    def frozen(self) -> dict[str, Any]:
        """That of the lines, and that they are mended ones."""
        return {**self.lines.frozen(), "is_mended": True}

    def widened(self, names: Sequence[str]) -> Format:
        """Columns are those of the header."""
        return self.lines.widened(names)

    def blocks(
        self, stream: Stream, position: int, line: int, accepts: Accepts = accepts_nothing
    ) -> Iterator[Block | NewFields]:
        """Records from ``position`` on; those that are not mended are refused."""
        place = self._places.get(RECORD)
        for block in self.lines.blocks(stream, position, line, accepts):
            if place is None or not isinstance(block, Block) or not len(block.ends):
                yield block
            else:
                yield self._without_unmended(block, place)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name.strip().casefold(): place for place, name in enumerate(self.header) if is_own(name)}

    def record_counts(self, stream: Stream) -> Iterator[int]:
        """Numbers of records."""
        return self.lines.record_counts(stream)

    def _without_unmended(self, block: Block, place: int) -> Block:
        values = {index: self._values(block, index) for index in _filled(block, place)}
        unmended = [index for index, fields in values.items() if not self._is_mended(fields)]
        if not unmended:
            return block
        taken = np.delete(np.arange(len(block)), block.refused_at)
        found = dict(zip(block.refused_at, block.refused, strict=True))
        for index in unmended:
            number = int(taken[index])
            found[number] = self._refused(values[index], int(block.lines[number]))
        keep = np.ones(len(taken), np.bool_)
        keep[unmended] = False
        return _kept(block, keep, dict(sorted(found.items())))

    def _is_mended(self, values: Sequence[FieldValue]) -> bool:
        if not values[self._places[RECORD]].text.strip():
            return True
        then = values[self._places[FILLED]].text if FILLED in self._places else ""
        own = set(self._places.values())
        filled = sum(bool(value.text) for place, value in enumerate(values) if place not in own)
        return then.isdecimal() and filled > int(then)

    def _values(self, block: Block, index: int) -> list[FieldValue]:
        start, values = int(block.ends[index - 1]) if index else 0, []
        for end in block.field_ends[index].tolist():
            values.append(decode_field(block.data[start:end], self.dialect))
            start = end + 1
        return values

    def _refused(self, values: Sequence[FieldValue], line: int) -> RefusedRecord:
        own = {name: values[place].text for name, place in self._places.items()}
        reason = refusal.not_mended(own.get(CODE), own.get(REASON))
        raw = own[RECORD].encode(self.dialect.codec, "replace")
        return replace(refusal.refused(reason, line, raw, own.get(FIELD) or None), values=values)


def _filled(block: Block, place: int) -> list[int]:
    """The taken records whose field is not empty."""
    starts = np.concatenate((np.zeros(1, np.int64), block.ends[:-1]))
    if place:
        starts = block.field_ends[:, place - 1].astype(np.int64) + 1
    filled: list[int] = np.flatnonzero(block.field_ends[:, place] > starts).tolist()
    return filled


def _kept(block: Block, keep: np.ndarray[Any, np.dtype[np.bool_]], refused: dict[int, RefusedRecord]) -> Block:
    """The block with only these of its taken records, and these refused ones."""
    starts = np.concatenate((np.zeros(1, np.int64), block.ends[:-1]))
    removed = np.cumsum(np.where(keep, 0, block.ends - starts))
    return replace(
        block,
        refused_at=list(refused),
        refused=list(refused.values()),
        data=keep_spans(block.data, starts[keep], block.ends[keep]),
        ends=(block.ends - removed)[keep],
        field_ends=(block.field_ends - removed[:, None]).astype(np.int32)[keep],
        raw_starts=None if block.raw_starts is None else block.raw_starts[keep],
        raw_ends=None if block.raw_ends is None else block.raw_ends[keep],
    )
