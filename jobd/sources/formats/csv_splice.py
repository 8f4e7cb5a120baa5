"""The bytes that COPY gets: mostly the file's own, with what is refused cut out and what is rewritten put in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jobd.sources.formats.csv_cutter import LF
from jobd.sources.splice import keep_spans

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from jobd.sources.formats.csv_cutter import CsvShape, Cut
    from jobd.sources.formats.csv_extent import Extent

    Flags = NDArray[np.bool_]
    Offsets = NDArray[np.int64]


@dataclass(slots=True)
class Spliced:
    """Records one behind the other, and where each and its fields end, as in RecordBatch."""

    data: bytes
    ends: Offsets
    field_ends: NDArray[np.int32]


def spliced(buffer: bytes, cut: Cut, extent: Extent, taken: Flags, *, shape: CsvShape, columns: int) -> Spliced:
    """The taken records' bytes, every line end as the file's first one.

    The fields of a record that has not as many as there are columns are anywhere in it.
    """
    all_taken = bool(taken.all())
    if all_taken:
        starts, content_ends, ends = extent.starts, extent.content_ends, extent.ends
    else:
        starts, content_ends, ends = extent.starts[taken], extent.content_ends[taken], extent.ends[taken]
    field_ends = _field_ends(cut, taken, content_ends, columns)
    line_end = b"\r\n" if shape.is_crlf else b"\n"
    is_regular = bool((ends - content_ends == len(line_end)).all()) and shape.newline == LF
    if is_regular and all_taken and len(starts) and starts[0] == 0:
        stop = int(ends[-1])
        return Spliced(buffer if stop == len(buffer) else buffer[:stop], ends, field_ends)
    if is_regular:
        data, lengths = keep_spans(buffer, starts, ends), ends - starts
    else:
        contents = [buffer[start:end] for start, end in zip(starts.tolist(), content_ends.tolist(), strict=True)]
        data = line_end.join([*contents, b""])
        lengths = content_ends - starts + len(line_end)
    new_ends = np.cumsum(lengths)
    field_ends += (new_ends - lengths - starts).astype(np.int32)[:, None]
    return Spliced(data, new_ends, field_ends)


def _field_ends(cut: Cut, taken: Flags, content_ends: Offsets, columns: int) -> NDArray[np.int32]:
    is_whole = cut.counts[taken] == columns
    if is_whole.all():
        separators = cut.separators if taken.all() else cut.separators[np.repeat(taken, cut.counts)]
        field_ends = separators.reshape(-1, columns).astype(np.int32)
    else:
        field_ends = np.repeat(content_ends.astype(np.int32)[:, None], columns, axis=1)
        chosen = np.repeat(taken & (cut.counts == columns), cut.counts)
        field_ends[is_whole] = cut.separators[chosen].reshape(-1, columns)
    field_ends[:, -1] = content_ends
    return field_ends


def with_empty_field(records: Spliced, delimiter: int) -> Spliced:
    """The records with one more field, the last, which is empty."""
    at = records.field_ends[:, -1].astype(np.int64)
    data = np.insert(np.frombuffer(records.data, np.uint8), at, delimiter).tobytes()
    added = np.arange(len(at))
    field_ends = np.column_stack((records.field_ends + added[:, None], at + added + 1)).astype(np.int32)
    return Spliced(data, records.ends + added + 1, field_ends)


def replaced(records: Spliced, rewritten: Mapping[int, Sequence[bytes]], delimiter: int) -> Spliced:
    """The records with other fields in place of those of some, by index, ascending."""
    pieces = []
    changes = np.zeros(len(records.ends), np.int64)
    at = 0
    for index, fields in rewritten.items():
        start = int(records.ends[index - 1]) if index else 0
        stop = int(records.field_ends[index, -1])
        content = bytes([delimiter]).join(fields)
        pieces += [records.data[at:start], content]
        at = stop
        changes[index] = len(content) - (stop - start)
    pieces.append(records.data[at:])
    moved = np.cumsum(changes)
    ends = records.ends + moved
    field_ends = (records.field_ends + (moved - changes)[:, None]).astype(np.int32)
    for index, fields in rewritten.items():
        start = int(ends[index - 1]) if index else 0
        field_ends[index] = start - 1 + np.cumsum([len(value) + 1 for value in fields])
    return Spliced(b"".join(pieces), ends, field_ends)
