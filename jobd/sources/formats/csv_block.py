"""From a cut to a block: refuse what COPY would choke on, leave everything else as it stands in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jobd.sources.formats import refusal
from jobd.sources.formats.block import Block
from jobd.sources.formats.csv_cutter import CR, LF
from jobd.sources.formats.csv_extent import extents, is_record
from jobd.sources.formats.csv_splice import replaced, spliced, with_empty_field
from jobd.sources.formats.encodings import is_decodable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jobd.sources.formats.csv_cutter import CsvShape, Cut
    from jobd.sources.formats.csv_extent import Extent
    from jobd.sources.formats.csv_parts import Part
    from jobd.sources.formats.csv_rewrite import Rewriting

    Flags = NDArray[np.bool_]
    Offsets = NDArray[np.int64]
    Reasons = dict[int, tuple[str, str]]

_BISECTIONS_MAX = 16  # bad records found by where a bulk decode stops; beyond that each record is decoded alone


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


def assemble(part: Part, rewriting: Rewriting) -> Block | None:
    """The block of a part's records, None where there are only blank lines and comments."""
    buffer, cut, shape = part.buffer, part.cut, rewriting.shape
    columns = rewriting.columns
    extent = extents(part.text, cut, shape)
    records = is_record(buffer, extent, shape, columns)
    if not records.any():
        return None
    reasons = _reasons(part, extent, records, rewriting)
    taken = records.copy()
    taken[list(reasons)] = False
    rewritten = _rewritten(part, extent, taken, rewriting, reasons)
    everything = bool(records.all())
    numbers = np.cumsum(records) - 1  # of each line: its index among the records
    refused_lines = [index for index in sorted(reasons) if records[index]]
    found = spliced(buffer, cut, extent, taken, shape=shape, columns=columns)
    if rewriting.collects_rest:
        found = with_empty_field(found, shape.delimiter)
    if rewritten:
        found = replaced(found, rewritten, shape.delimiter)
    is_other = rewriting.collects_rest or bool(rewritten)
    stop = int(extent.ends[-1])
    return Block(
        positions=part.position + (extent.ends if everything else extent.ends[records]),
        lines=part.line + (extent.lines if everything else extent.lines[records]),
        next_lines=part.line + (extent.next_lines if everything else extent.next_lines[records]),
        refused_at=[int(numbers[index]) for index in refused_lines],
        refused=[
            refusal.refused(
                reasons[index],
                part.line + int(extent.lines[index]),
                buffer[int(extent.starts[index]) : int(extent.ends[index])],
            )
            for index in refused_lines
        ],
        data=found.data,
        ends=found.ends,
        field_ends=found.field_ends,
        source=buffer if len(buffer) == stop else buffer[:stop],
        source_start=part.position,
        raw_starts=extent.starts[taken] if is_other else None,
        raw_ends=extent.content_ends[taken] if is_other else None,
    )


def _reasons(part: Part, extent: Extent, records: Flags, rewriting: Rewriting) -> Reasons:
    """Why records are refused whatever becomes of their fields."""
    buffer, cut, shape = part.buffer, part.cut, rewriting.shape
    codec = rewriting.dialect.codec
    reasons: Reasons = {}
    for index in stray_line_ends(part.text, cut, extent, shape).tolist():
        reasons[index] = refusal.stray_line_end("line feed" if shape.newline == CR else "carriage return")
    if buffer.find(0) >= 0:
        nuls = np.flatnonzero(np.frombuffer(buffer, np.uint8) == 0)
        for index in np.unique(np.searchsorted(extent.ends, nuls, "right")).tolist():
            if index < len(cut):
                reasons[index] = refusal.nul_byte()
    for index in undecodable_records(buffer, extent, codec):
        reasons[index] = refusal.undecodable(codec)
    reasons |= dict.fromkeys(part.strays, refusal.stray_quote())
    return {index: reason for index, reason in reasons.items() if records[index]}


def _rewritten(
    part: Part, extent: Extent, taken: Flags, rewriting: Rewriting, reasons: Reasons
) -> dict[int, list[bytes]]:
    """Other fields for some of the taken records, by their index among these; ragged ones are refused here."""
    buffer, cut = part.buffer, part.cut
    suspects = rewriting.suspects(buffer, part.text, cut) & taken
    fields: dict[int, list[bytes]] = {}
    if suspects.any():
        first_separators = np.cumsum(cut.counts) - cut.counts
        for index in np.flatnonzero(suspects).tolist():
            start, stop = int(extent.starts[index]), int(extent.content_ends[index])
            first = int(first_separators[index])
            stops = cut.separators[first : first + int(cut.counts[index])] - start
            stops[-1] = stop - start
            found = rewriting.fields(buffer[start:stop], part.text[start:stop], stops.tolist())
            if found is not None:
                fields[index] = found
    is_ragged = (cut.counts != rewriting.columns) & taken
    if is_ragged.any():
        for index in np.flatnonzero(is_ragged).tolist():
            if index not in fields:
                reasons[index] = refusal.ragged(int(cut.counts[index]), rewriting.columns)
                taken[index] = False
    if not fields:
        return {}
    numbers = np.cumsum(taken) - 1
    delimiter = bytes([rewriting.shape.delimiter])
    return {
        int(numbers[index]): each
        for index, each in fields.items()
        if rewriting.collects_rest
        or delimiter.join(each) != buffer[int(extent.starts[index]) : int(extent.content_ends[index])]
    }
