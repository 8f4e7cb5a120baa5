"""Where the contents of lines begin and end, and which lines are records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jobd.sources.formats.csv_cutter import CR, LF

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jobd.sources.formats.csv_cutter import CsvShape, Cut

    Flags = NDArray[np.bool_]
    Offsets = NDArray[np.int64]


@dataclass(slots=True)
class Extent:
    """Where each record begins, where its last field ends, and where its line end ends."""

    starts: Offsets
    content_ends: Offsets
    ends: Offsets
    lines: Offsets
    next_lines: Offsets


def extents(text: bytes, cut: Cut, shape: CsvShape) -> Extent:
    """The records' extents; a line end may have another form than the file's first one."""
    array = np.frombuffer(text, np.uint8)
    starts = np.concatenate((np.zeros(min(1, len(cut)), np.int64), cut.ends[:-1]))
    content_ends = cut.ends - 1
    if shape.newline == CR:
        # A line feed behind a lone CR belongs to that line end.
        starts = starts + ((array[np.minimum(starts, len(array) - 1)] == LF) & (starts < content_ends))
    elif shape.is_crlf or text.find(CR) >= 0:
        has_cr = (array[np.maximum(content_ends - 1, 0)] == CR) & (content_ends > starts)
        content_ends = content_ends - has_cr
    next_lines = cut.next_lines
    lines = np.concatenate((np.zeros(min(1, len(cut)), np.int64), next_lines[:-1]))
    return Extent(starts, content_ends, cut.ends, lines, next_lines)


def is_record(buffer: bytes, extent: Extent, shape: CsvShape, columns: int) -> Flags:
    """Which lines are records: comments are none, and a blank line is one only where there is but one column."""
    is_blank = extent.content_ends == extent.starts
    records = np.ones(len(is_blank), np.bool_) if columns == 1 else ~is_blank
    if shape.comment is not None and buffer.find(shape.comment) >= 0 and len(records):
        array = np.frombuffer(buffer, np.uint8)
        records &= (array[extent.starts] != shape.comment) | is_blank
    return records
