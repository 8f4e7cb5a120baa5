"""Text as blocks of records: a line each, or what stands between separators, whole or taken apart by a pattern."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jobd.sources.copy_dialect import CopyDialect
from jobd.sources.formats import refusal
from jobd.sources.formats.block import Block, accepts_nothing
from jobd.sources.formats.csv_block import undecodable_records
from jobd.sources.formats.csv_extent import Extent
from jobd.sources.formats.text_csv import DELIMITER, QUOTE, lines_as_csv, values_as_csv
from jobd.sources.formats.text_divide import divider
from jobd.sources.formats.text_parts import Part, TextReading, refused_long
from jobd.sources.formats.window import Window
from jobd.sources.options import RECORD_BYTES_MAX
from jobd.sources.splice import keep_spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from jobd.sources.formats.block import Accepts, Format, NewFields
    from jobd.sources.formats.text_divide import Division
    from jobd.sources.formats.text_pattern import Pattern
    from jobd.sources.records import RefusedRecord
    from jobd.sources.stream import Stream

    Flags = NDArray[np.bool_]
    Csv = tuple[bytes, NDArray[np.int64], NDArray[np.int32]]
    Reasons = dict[int, tuple[str, str]]

_BLANKS = b" \t\r\n"


@dataclass(frozen=True, kw_only=True)
class TextFormat:
    """Lines, or blocks where there is a ``separator``; ``header`` are the pattern's groups, or one name."""

    separator: str | None
    pattern: Pattern | None
    header: list[str]
    encoding: str = "UTF8"
    codec: str = "utf-8"
    ends_with_cr: bool = False
    data_position: int = 0
    data_line: int = 1
    record_bytes_max: int = RECORD_BYTES_MAX

    @property
    def column_count(self) -> int:
        """Groups of the pattern, or one."""
        return len(self.header)

    @property
    def dialect(self) -> CopyDialect:
        """One in which hardly any text has to be quoted."""
        return CopyDialect(
            delimiter=DELIMITER, quote=QUOTE, escape=QUOTE, encoding=self.encoding, codec=self.codec
        )

    def frozen(self) -> dict[str, Any]:
        """What ``reopen_text`` takes."""
        return {
            "separator": self.separator,
            "pattern": None if self.pattern is None else self.pattern.text,
            "header": self.header,
            "column_count": self.column_count,
            "ends_with_cr": self.ends_with_cr,
            "data_position": self.data_position,
            "data_line": self.data_line,
        }

    def widened(self, names: Sequence[str]) -> Format:
        """Columns of text are those of its pattern."""
        raise NotImplementedError(f"text does not get new columns on the way: {names}")

    def blocks(
        self, stream: Stream, position: int, line: int, accepts: Accepts = accepts_nothing
    ) -> Iterator[Block | NewFields]:
        """Records from ``position`` on, which is where a line or block begins."""
        del accepts
        for part in self._parts(stream, position, line):
            block = part if isinstance(part, Block) else self._block(part)
            if block is not None:
                yield block

    def record_counts(self, stream: Stream) -> Iterator[int]:
        """Numbers of records, without looking into them."""
        for part in self._parts(stream, self.data_position, self.data_line):
            if isinstance(part, Block):
                yield 1
            else:
                records = self._is_record(part.text, part.division)
                yield len(part.division) if records is None else int(records.sum())

    def _parts(self, stream: Stream, position: int, line: int) -> Iterator[Part | Block]:
        reading = TextReading(
            divider(self.separator),
            Window(stream, position),
            line,
            self.column_count,
            self.record_bytes_max,
            ends_with_cr=self.ends_with_cr,
        )
        return reading.parts()

    def _is_record(self, text: bytes, division: Division) -> Flags | None:
        """Which are records; None: all. A blank line is none where a pattern is to take it apart."""
        if not self._is_taken_apart:
            return None
        array = np.frombuffer(text, np.uint8)
        empty = division.stops == division.starts
        # Only what begins with a blank can be blank.
        suspects = np.flatnonzero(~empty)
        first = array[division.starts[suspects]]
        suspects = suspects[np.isin(first, np.frombuffer(_BLANKS, np.uint8))]
        for index in suspects.tolist():
            empty[index] = not text[int(division.starts[index]) : int(division.stops[index])].strip(_BLANKS)
        empty &= division.lengths <= self.record_bytes_max
        return None if not empty.any() else ~empty

    def _block(self, part: Part) -> Block | None:
        """The block of a part; None where nothing in it is a record."""
        division, text = part.division, part.text
        records = self._is_record(text, division)
        chosen = np.arange(len(division)) if records is None else np.flatnonzero(records)
        if not len(chosen):
            return None
        reasons = self._reasons(text, division)
        csv = self._values(text, division, chosen, reasons) if self._is_taken_apart else None
        is_refused = np.isin(chosen, list(reasons))
        taken = chosen[~is_refused] if reasons else chosen
        data, ends, field_ends = csv or _lines(text, division, taken)
        refused_at = np.flatnonzero(is_refused).tolist()
        return Block(
            positions=part.position + division.ends[chosen],
            lines=part.line + division.lines[chosen],
            next_lines=part.line + division.next_lines[chosen],
            refused_at=refused_at,
            refused=[self._refused(part, int(chosen[at]), reasons[int(chosen[at])]) for at in refused_at],
            data=data,
            ends=ends,
            field_ends=field_ends,
            source=part.source,
            source_start=part.position,
            raw_starts=division.starts[taken],
            raw_ends=division.stops[taken],
        )

    @property
    def _is_taken_apart(self) -> bool:
        return self.separator is not None or self.pattern is not None

    def _reasons(self, text: bytes, division: Division) -> Reasons:
        reasons: Reasons = {}
        if text.find(0) >= 0:
            nuls = np.flatnonzero(np.frombuffer(text, np.uint8) == 0)
            bad = np.unique(np.searchsorted(division.ends, nuls, "right"))
            reasons |= dict.fromkeys(bad.tolist(), refusal.nul_byte())
        whole = Extent(division.starts, division.stops, division.ends, division.lines, division.next_lines)
        reasons |= dict.fromkeys(undecodable_records(text, whole, self.codec), refusal.undecodable(self.codec))
        long = np.flatnonzero(division.lengths > self.record_bytes_max)
        return reasons | dict.fromkeys(long.tolist(), refusal.too_long(self.record_bytes_max))

    def _refused(self, part: Part, index: int, reason: tuple[str, str]) -> RefusedRecord:
        division, limit = part.division, self.record_bytes_max
        if division.lengths[index] > limit:
            start = int(division.ends[index - 1]) if index else 0
            line = part.line + (int(division.next_lines[index - 1]) if index else 0)
            return refused_long(part.source[start : start + limit], line, limit)
        raw = part.source[int(division.starts[index]) : int(division.stops[index])]
        return refusal.refused(reason, part.line + int(division.lines[index]), raw)

    def _values(self, text: bytes, division: Division, chosen: NDArray[np.int64], reasons: Reasons) -> Csv:
        """The values of the chosen ones that nothing speaks against; what does not match gets its reason."""
        pattern = self.pattern
        values: list[Sequence[bytes | None]] = []
        starts, stops = division.starts[chosen].tolist(), division.stops[chosen].tolist()
        for index, start, stop in zip(chosen.tolist(), starts, stops, strict=True):
            if index in reasons:
                continue
            record = text[start:stop]
            if b"\r\n" in record:
                record = record.replace(b"\r\n", b"\n")
            if pattern is None:
                values.append((record,))
            elif len(record) > pattern.text_bytes_max:
                reasons[index] = refusal.too_long_for_pattern(pattern.text_bytes_max)
            elif (found := pattern.values(record)) is None:
                reasons[index] = refusal.no_match()
            else:
                values.append(found)
        return values_as_csv(values, self.column_count)


def _lines(text: bytes, division: Division, taken: NDArray[np.int64]) -> Csv:
    if len(taken) < len(division):
        last = int(division.ends[-1])
        is_closed = text.endswith(b"\n") or not len(taken) or int(division.ends[taken[-1]]) < last
        text = keep_spans(text, division.starts[taken], division.ends[taken])
    else:
        is_closed = text.endswith(b"\n")
    if not is_closed:
        text = text.removesuffix(b"\r") + b"\n"
    return lines_as_csv(text)
