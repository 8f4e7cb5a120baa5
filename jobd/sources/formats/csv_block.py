"""From a cut to a block: refuse what COPY would choke on, leave everything else as it stands in the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jobd.sources.formats import refusal
from jobd.sources.formats.block import Block
from jobd.sources.formats.csv_cutter import CR, LF, CsvShape, Cut
from jobd.sources.formats.encodings import is_decodable
from jobd.sources.splice import keep_spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]
    Offsets = NDArray[np.int64]
    Reasons = dict[int, tuple[str, str]]

_BISECTIONS_MAX = 16  # bad records found by where a bulk decode stops; beyond that each record is decoded alone


@dataclass(slots=True)
class Extent:
    """Where each record begins, where its last field ends, and where its line end ends."""

    starts: Offsets
    content_ends: Offsets
    ends: Offsets
    lines: Offsets
    next_lines: Offsets


def extents(buffer: bytes, cut: Cut, shape: CsvShape) -> Extent:
    """The records' extents; a line end may have another form than the file's first one."""
    array = np.frombuffer(buffer, np.uint8)
    starts = np.concatenate((np.zeros(min(1, len(cut)), np.int64), cut.ends[:-1]))
    content_ends = cut.ends - 1
    if shape.newline == CR:
        # A line feed behind a lone CR belongs to that line end.
        starts = starts + ((array[np.minimum(starts, len(array) - 1)] == LF) & (starts < content_ends))
    elif shape.is_crlf or buffer.find(CR) >= 0:
        has_cr = (array[np.maximum(content_ends - 1, 0)] == CR) & (content_ends > starts)
        content_ends = content_ends - has_cr
    next_lines = cut.next_lines
    lines = np.concatenate((np.zeros(min(1, len(cut)), np.int64), next_lines[:-1]))
    return Extent(starts, content_ends, cut.ends, lines, next_lines)


def is_record(extent: Extent, columns: int) -> Flags:
    """Which lines are records: a blank line is one only where there is but one column."""
    if columns == 1:
        return np.ones(len(extent.starts), np.bool_)
    return extent.content_ends > extent.starts


def stray_line_ends(buffer: bytes, cut: Cut, extent: Extent, shape: CsvShape) -> Offsets:
    """Indices of records with half a line end outside quotes, which COPY refuses."""
    other = LF if shape.newline == CR else CR
    if buffer.find(other) < 0 or not len(cut):
        return np.zeros(0, np.int64)
    array = np.frombuffer(buffer, np.uint8)[: int(cut.ends[-1])]
    found = np.flatnonzero(array == other)
    is_outside = np.searchsorted(cut.quotes, found) % 2 == 0
    found = found[is_outside]
    record = np.searchsorted(extent.ends, found, "right")
    is_content = (found >= extent.starts[record]) & (found < extent.content_ends[record])
    return np.unique(record[is_content])


def undecodable_records(buffer: bytes, extent: Extent, codec: str) -> list[int]:
    """Indices of records with bytes that are no text."""
    stop = int(extent.ends[-1]) if len(extent.ends) else 0
    whole = buffer if stop == len(buffer) else buffer[:stop]
    if is_decodable(whole, codec):
        return []
    bad: list[int] = []
    start = 0
    while codec == "utf-8" and len(bad) < _BISECTIONS_MAX:
        try:
            whole[start:].decode("utf-8")
        except UnicodeDecodeError as error:
            index = int(np.searchsorted(extent.ends, start + error.start, "right"))
            bad.append(index)
            start = int(extent.ends[index])
        else:
            return bad
    first = int(np.searchsorted(extent.ends, start, "right"))
    rest = zip(extent.starts[first:].tolist(), extent.ends[first:].tolist(), strict=True)
    return bad + [
        index for index, (begin, end) in enumerate(rest, first) if not is_decodable(whole[begin:end], codec)
    ]


def assemble(
    buffer: bytes,
    cut: Cut,
    shape: CsvShape,
    *,
    strays: Sequence[int],
    columns: int,
    codec: str,
    position: int,
    line: int,
) -> Block | None:
    """The block of a cut's records, None where there are only blank lines; ``position`` is the buffer's place."""
    extent = extents(buffer, cut, shape)
    records = is_record(extent, columns)
    if not records.any():
        return None
    reasons = _reasons(buffer, cut, extent, shape, columns=columns, codec=codec)
    reasons |= dict.fromkeys(strays, refusal.stray_quote())
    taken = records & (cut.counts == columns)
    taken[list(reasons)] = False
    numbers = np.cumsum(records) - 1  # of each line: its index among the records
    refused_at = [int(numbers[index]) for index in sorted(reasons) if records[index]]
    refused = [
        refusal.refused(
            reasons[index],
            line + int(extent.lines[index]),
            buffer[int(extent.starts[index]) : int(extent.ends[index])],
        )
        for index in sorted(reasons)
        if records[index]
    ]
    data, ends, field_ends = _spliced(buffer, cut, extent, taken, shape=shape, columns=columns)
    stop = int(extent.ends[-1])
    everything = bool(records.all())
    return Block(
        positions=position + (extent.ends if everything else extent.ends[records]),
        lines=line + (extent.lines if everything else extent.lines[records]),
        next_lines=line + (extent.next_lines if everything else extent.next_lines[records]),
        refused_at=refused_at,
        refused=refused,
        data=data,
        ends=ends,
        field_ends=field_ends,
        source=buffer if len(buffer) == stop else buffer[:stop],
        source_start=position,
    )


def _reasons(buffer: bytes, cut: Cut, extent: Extent, shape: CsvShape, *, columns: int, codec: str) -> Reasons:
    reasons: Reasons = {}
    is_ragged = (cut.counts != columns) & is_record(extent, columns)
    if is_ragged.any():
        for index in np.flatnonzero(is_ragged).tolist():
            reasons[index] = refusal.ragged(int(cut.counts[index]), columns)
    for index in stray_line_ends(buffer, cut, extent, shape).tolist():
        reasons[index] = refusal.stray_line_end("line feed" if shape.newline == CR else "carriage return")
    if buffer.find(0) >= 0:
        nuls = np.flatnonzero(np.frombuffer(buffer, np.uint8) == 0)
        for index in np.unique(np.searchsorted(extent.ends, nuls, "right")).tolist():
            if index < len(cut):
                reasons[index] = refusal.nul_byte()
    for index in undecodable_records(buffer, extent, codec):
        reasons[index] = refusal.undecodable(codec)
    return reasons


def _spliced(
    buffer: bytes, cut: Cut, extent: Extent, taken: Flags, *, shape: CsvShape, columns: int
) -> tuple[bytes, Offsets, NDArray[np.int32]]:
    """The taken records' bytes, every line end as the file's first one, and the offsets in them."""
    all_taken = bool(taken.all())
    if all_taken:
        starts, content_ends, ends = extent.starts, extent.content_ends, extent.ends
        separators = cut.separators
    else:
        starts, content_ends, ends = extent.starts[taken], extent.content_ends[taken], extent.ends[taken]
        separators = cut.separators[np.repeat(taken, cut.counts)]
    field_ends = separators.reshape(-1, columns).astype(np.int32)
    field_ends[:, -1] = content_ends
    line_end = b"\r\n" if shape.is_crlf else b"\n"
    is_regular = bool((ends - content_ends == len(line_end)).all()) and shape.newline == LF
    if columns == 1 and buffer.find(b"\\.") >= 0:
        is_regular = False
    if is_regular and all_taken and len(starts) and starts[0] == 0:
        stop = int(ends[-1])
        return (buffer if stop == len(buffer) else buffer[:stop]), ends, field_ends
    if is_regular:
        data, lengths = keep_spans(buffer, starts, ends), ends - starts
    else:
        contents = [
            _protected(buffer[start:end], columns)
            for start, end in zip(starts.tolist(), content_ends.tolist(), strict=True)
        ]
        contents.append(b"")
        data = line_end.join(contents)
        lengths = np.array([len(content) + len(line_end) for content in contents[:-1]], np.int64)
    new_ends = np.cumsum(lengths)
    field_ends += (new_ends - lengths - starts).astype(np.int32)[:, None]
    if not is_regular and len(new_ends):
        field_ends[:, -1] = new_ends - len(line_end)
    return data, new_ends, field_ends


def _protected(content: bytes, columns: int) -> bytes:
    r"""``\.`` alone on a line ends a COPY up to version 17, silently; in quotes it is what it says."""
    return b'"\\."' if columns == 1 and content == b"\\." else content
