"""Consecutive JSON records as they were read, before anything was made of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from jobd.sources.formats.block import Block, refused_block
from jobd.sources.formats.csv_cutter import LF

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jobd.sources.formats.json_csv import Csv
    from jobd.sources.records import RefusedRecord

    Offsets = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Record k stands in ``text[starts[k]:ends[k]]``; ``text`` begins at ``position`` of the stream.

    ``lines`` and ``next_lines`` are those of the records' starts and ends. ``ids`` are JSON strings, where the
    records are the values of an object; ``gap`` is what stands between each two of them, where that is always the
    same. From ``origin``, on ``origin_line``, reading finds the first of them anew.
    """

    text: bytes
    position: int
    starts: Offsets
    ends: Offsets
    lines: Offsets
    next_lines: Offsets
    origin: int
    origin_line: int
    ids: list[bytes] | None = None
    gap: bytes | None = None

    def __len__(self) -> int:
        return len(self.starts)

    def record(self, index: int) -> bytes:
        """One record's text."""
        return self.text[self.starts[index] : self.ends[index]]

    def joined(self) -> bytes:
        """The records' text with blanks at most between them."""
        if self.gap is not None:
            begin, end = int(self.starts[0]), int(self.ends[-1])
            if b"," not in self.gap:
                return self.text[begin:end]
            array = np.frombuffer(self.text, np.uint8)[begin:end].copy()
            array[self.ends[:-1] + (self.gap.index(b",") - begin)] = LF
            return array.tobytes()
        spans = zip(self.starts.tolist(), self.ends.tolist(), strict=True)
        return b"\n".join([self.text[start:end] for start, end in spans])

    def only(self, kept: list[int]) -> Stretch:
        """These records alone."""
        if len(kept) == len(self):
            return self
        at = np.array(kept, np.int64)
        return replace(
            self,
            starts=self.starts[at],
            ends=self.ends[at],
            lines=self.lines[at],
            next_lines=self.next_lines[at],
            ids=None if self.ids is None else [self.ids[index] for index in kept],
        )

    def before(self, index: int) -> tuple[int, int]:
        """Position and line from which reading finds this record anew."""
        if not index:
            return self.origin, self.origin_line
        return self.position + int(self.ends[index - 1]), int(self.next_lines[index - 1])

    def block(self, csv: Csv, refused_at: list[int], refused: list[RefusedRecord]) -> Block:
        """The records with what was made of them."""
        data, ends, field_ends = csv
        starts, stops = self.starts, self.ends
        if refused_at:
            starts, stops = np.delete(starts, refused_at), np.delete(stops, refused_at)
        return Block(
            positions=self.position + self.ends,
            lines=self.lines,
            next_lines=self.next_lines,
            refused_at=refused_at,
            refused=refused,
            data=data,
            ends=ends,
            field_ends=field_ends,
            source=self.text,
            source_start=self.position,
            raw_starts=starts,
            raw_ends=stops,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LongRecord:
    """A record that is longer than allowed; ``position`` is behind it, ``beginning`` the first of its text."""

    position: int
    line: int
    next_line: int
    beginning: bytes

    def block(self, refused: RefusedRecord, columns: int) -> Block:
        """The record, refused."""
        return refused_block(
            refused,
            position=self.position,
            line=self.line,
            next_line=self.next_line,
            source=b"",
            columns=columns,
        )
