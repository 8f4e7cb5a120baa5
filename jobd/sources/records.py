"""Records in bulk: bytes that COPY can take, and where each record and field lies in them.

No object per row is made. A record is an index into the arrays of its batch.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jobd.sources.copy_dialect import decode_field
from jobd.sources.splice import keep_spans

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from jobd.model.cursor import Cursor
    from jobd.sources.copy_dialect import CopyDialect, FieldValue

    Offsets = NDArray[np.int64]

REST = "_rest"  # names the field that collects what is beyond a long record's last column

_ZERO = np.zeros(1, np.int64)


@dataclass(slots=True)
class RefusedRecord:
    """A record that the reader could not take. ``raw`` is its bytes in the file, cut at ``RAW_BYTES_MAX``.

    Its row number becomes known last, when its batch is put together. ``values``: those of its columns, where the
    reader knows more of them than ``raw`` says.
    """

    row_number: int
    line_number: int
    code: str
    message: str
    raw: bytes
    field: str | None = None
    error_type: str = "parse"
    values: Sequence[FieldValue] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RawText:
    """Records as they stand in their source, where they are sent as another text: JSON, which goes to COPY as CSV.

    Record i is ``data[starts[i]:ends[i]]``.
    """

    data: bytes
    starts: Offsets
    ends: Offsets


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSpan:
    """The part of a batch that is of one file: records up to ``stop``, refused ones up to ``refused_stop``.

    Both together are the file's ``record_count`` records from ``first_row`` on.

    ``file`` is the file's place in the list, from 1. ``is_ended``: none of its records come later. ``detected``:
    how it is read, of one that goes on in the next batch and is not the first of several.
    """

    file: int
    name: str
    first_row: int
    record_count: int
    stop: int
    refused_stop: int
    is_ended: bool = False
    detected: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEnd:
    """How a file ended of which no record is left to be read: ``completed``, ``failed`` or ``unchanged``."""

    file: int
    name: str
    status: str
    error_code: str | None = None
    error_message: str | None = None


class Layout(NamedTuple):
    """How the records of a batch are written, and what their fields are called, if they have names."""

    dialect: CopyDialect
    header: tuple[str, ...]
    column_count: int
    quotes_texts: bool
    is_typed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordBatch:
    """Consecutive records of one file, or of several that are read in the same way.

    ``ends[i]`` is the offset in ``data`` behind record i's line end, ``rows[i]`` its number in the file (from 1),
    ``lines[i]`` the physical line it starts on (from 1), ``field_ends[i, j]`` the offset where field j's delimiter
    or line end stands. Records that were refused are in none of them, but take their row numbers.
    ``header`` names the fields; empty where the source does not. ``quotes_texts``: every text stands in quotes,
    so that they say nothing. ``is_typed``: what stands without is a number or truth value of the source's own.
    ``raw`` None: ``data`` is the source's own text.
    What is derived from a batch (fewer records, fewer columns) keeps the ``spans``, ``header`` and ``raw`` of the
    batch as it was read.
    """

    data: bytes
    ends: Offsets
    rows: Offsets
    lines: Offsets
    field_ends: NDArray[np.int32]
    dialect: CopyDialect
    cursor: Cursor
    header: tuple[str, ...] = ()
    quotes_texts: bool = False
    is_typed: bool = False
    raw: RawText | None = None
    spans: tuple[FileSpan, ...] = ()
    ended: tuple[FileEnd, ...] = ()  # files that ended without a record here; they are in none of the spans
    refused: list[RefusedRecord] = field(default_factory=list)
    bytes_read: int = 0
    fraction_read: float = 0.0  # share of the source's bytes that lie before the cursor, 0 to 1

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def record_count(self) -> int:
        """Records of the file that this batch stands for, refused ones included."""
        return len(self.ends) + len(self.refused)

    @property
    def starts(self) -> Offsets:
        """Offset in ``data`` of each record's first byte."""
        return np.concatenate((_ZERO, self.ends[:-1])) if len(self.ends) else self.ends

    def record(self, index: int) -> bytes:
        """One record's bytes, its line end included."""
        return self.data[int(self.ends[index - 1]) if index else 0 : int(self.ends[index])]

    @property
    def layout(self) -> Layout:
        """What batches must share to be one: how they are written, and their fields."""
        return Layout(self.dialect, self.header, self.field_ends.shape[1], self.quotes_texts, self.is_typed)

    def file_of(self, index: int) -> str:
        """The name of the file that a record is of."""
        return self._name_of("stop", index)

    def file_of_refused(self, index: int) -> str:
        """The name of the file that a refused record is of."""
        return self._name_of("refused_stop", index)

    def _name_of(self, stop: str, index: int) -> str:
        if len(self.spans) == 1:
            return self.spans[0].name
        return self.spans[bisect_right(self.spans, index, key=attrgetter(stop))].name

    def raw_record(self, index: int) -> bytes:
        """One record as it stands in its source, without its line end."""
        if self.raw is None:
            return self.record(index).rstrip(b"\r\n")
        return self.raw.data[int(self.raw.starts[index]) : int(self.raw.ends[index])].rstrip(b"\r\n")

    def raw_records(self, indices: Sequence[int]) -> list[bytes]:
        """The same of many."""
        text = self if self.raw is None else self.raw
        places = np.array(indices, np.int64)
        starts, ends, data = text.starts[places].tolist(), text.ends[places].tolist(), text.data
        return [data[start:end].rstrip(b"\r\n") for start, end in zip(starts, ends, strict=True)]

    def fields(self, index: int) -> list[FieldValue]:
        """One record's values, exactly as COPY would read them."""
        start = int(self.ends[index - 1]) if index else 0
        values = []
        for end in self.field_ends[index].tolist():
            values.append(decode_field(self.data[start:end], self.dialect))
            start = end + 1
        return values

    def column_starts(self, column: int) -> Offsets:
        """Offset in ``data`` of the first byte of this field in each record."""
        return self.starts if column == 0 else self.field_ends[:, column - 1].astype(np.int64) + 1

    def empty_fields(self, column: int, *, quoted: bool = False) -> Offsets:
        """Indices of records whose field is empty (NULL to COPY); with ``quoted`` also those written ``""``."""
        starts = self.column_starts(column)
        lengths = self.field_ends[:, column] - starts
        empty = lengths == 0
        if quoted and len(starts):
            pair = np.flatnonzero(lengths == 2)
            array = np.frombuffer(self.data, np.uint8)
            mark = ord(self.dialect.quote)
            empty[pair] = (array[starts[pair]] == mark) & (array[starts[pair] + 1] == mark)
        return np.flatnonzero(empty)

    def fields_equal(self, column: int, value: bytes) -> Offsets:
        """Indices of records whose field is written exactly as ``value`` (quotes count)."""
        starts = self.column_starts(column)
        found = np.flatnonzero(self.field_ends[:, column] - starts == len(value))
        if not value:
            return found
        array = np.frombuffer(self.data, np.uint8)
        for offset, byte in enumerate(value):
            found = found[array[starts[found] + offset] == byte]
        return found

    def keep_records(self, keep: NDArray[np.bool_]) -> RecordBatch:
        """The batch without the records where ``keep`` is false; cursor and numbers stay as they are."""
        if keep.all():
            return self
        starts = self.starts
        data = keep_spans(self.data, starts[keep], self.ends[keep])
        lengths = self.ends - starts
        removed = np.cumsum(np.where(keep, 0, lengths))
        return replace(
            self,
            data=data,
            ends=(self.ends - removed)[keep],
            rows=self.rows[keep],
            lines=self.lines[keep],
            field_ends=(self.field_ends - removed[:, None]).astype(np.int32)[keep],
        )

    def slice(self, start: int, stop: int) -> RecordBatch:
        """Records ``start`` up to ``stop`` alone, for halving; cursor and refused records stay as they are."""
        offset = int(self.ends[start - 1]) if start else 0
        ends = self.ends[start:stop] - offset
        return replace(
            self,
            data=self.data[offset : offset + (int(ends[-1]) if len(ends) else 0)],
            ends=ends,
            rows=self.rows[start:stop],
            lines=self.lines[start:stop],
            field_ends=(self.field_ends[start:stop] - offset).astype(np.int32),
        )

    def keep_columns(self, columns: Sequence[int]) -> RecordBatch:
        """The batch with these fields only (ascending), for files with columns that nobody wants."""
        wanted = np.zeros(self.field_ends.shape[1], np.bool_)
        wanted[list(columns)] = True
        if wanted.all() or not len(self):
            return replace(self, field_ends=self.field_ends[:, wanted])
        starts = np.column_stack((self.starts, self.field_ends[:, :-1] + 1))[:, wanted].astype(np.int64)
        ends = self.field_ends[:, wanted].astype(np.int64)
        content_ends = self.field_ends[:, -1].astype(np.int64)
        line_ends = self.ends - content_ends
        # Each field is taken with the delimiter before the next one; the last with the record's line end.
        spans_start = np.column_stack((starts, content_ends)).ravel()
        spans_end = np.column_stack((ends[:, :-1] + 1, ends[:, -1], self.ends)).ravel()
        widths = ends - starts + 1
        widths[:, -1] += line_ends - 1
        moved = np.cumsum(widths).reshape(widths.shape)
        new_ends = moved[:, -1].copy()
        moved[:, :-1] -= 1
        moved[:, -1] -= line_ends
        return replace(
            self,
            data=keep_spans(self.data, spans_start, spans_end),
            ends=new_ends,
            field_ends=moved.astype(np.int32),
        )


def joined(batches: Sequence[RecordBatch]) -> RecordBatch:
    """Batches of one layout as one batch, in their order."""
    if len(batches) == 1:
        return batches[0]
    lengths = np.cumsum([0, *(len(batch.data) for batch in batches)])
    counts = np.cumsum([0, *(len(batch) for batch in batches)]).tolist()
    refusals = np.cumsum([0, *(len(batch.refused) for batch in batches)]).tolist()
    spans = [
        replace(span, stop=span.stop + counts[place], refused_stop=span.refused_stop + refusals[place])
        for place, batch in enumerate(batches)
        for span in batch.spans
    ]
    return replace(
        batches[-1],
        data=b"".join(batch.data for batch in batches),
        ends=np.concatenate([batch.ends + start for batch, start in zip(batches, lengths, strict=False)]),
        rows=np.concatenate([batch.rows for batch in batches]),
        lines=np.concatenate([batch.lines for batch in batches]),
        field_ends=np.concatenate(
            [batch.field_ends + np.int32(start) for batch, start in zip(batches, lengths, strict=False)]
        ),
        raw=_joined_raw([batch.raw for batch in batches if len(batch)]),
        spans=tuple(spans),
        ended=tuple(end for batch in batches for end in batch.ended),
        refused=[record for batch in batches for record in batch.refused],
        bytes_read=sum(batch.bytes_read for batch in batches),
    )


def _joined_raw(texts: Sequence[RawText | None]) -> RawText | None:
    known = [text for text in texts if text is not None]
    if not known:
        return None
    starts = np.cumsum([0, *(len(text.data) for text in known)])
    return RawText(
        data=b"".join(text.data for text in known),
        starts=np.concatenate([text.starts + start for text, start in zip(known, starts, strict=False)]),
        ends=np.concatenate([text.ends + start for text, start in zip(known, starts, strict=False)]),
    )
