"""The rows of a sheet: CSV, except that a record's line is its row in the sheet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jobd.sources.formats.block import Block, accepts_nothing
from jobd.sources.formats.csv_cutter import cut
from jobd.sources.formats.csv_open import open_csv, reopen_csv
from jobd.sources.formats.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jobd.sources.copy_dialect import CopyDialect
    from jobd.sources.formats.block import Accepts, Format, NewFields
    from jobd.sources.formats.csv_reader import CsvFormat
    from jobd.sources.formats.probe import Probe
    from jobd.sources.options import ReadOptions
    from jobd.sources.stream import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkbookFormat:
    """CSV in which every row of the sheet is one record or blank line, whatever line ends its cells have."""

    csv: CsvFormat

    @property
    def dialect(self) -> CopyDialect:
        """That of the CSV."""
        return self.csv.dialect

    @property
    def header(self) -> list[str]:
        """The cells of the header row."""
        return self.csv.header

    @property
    def column_count(self) -> int:
        """Cells of a row."""
        return self.csv.column_count

    @property
    def data_position(self) -> int:
        """Where the first record begins."""
        return self.csv.data_position

    @property
    def data_line(self) -> int:
        """The row of the sheet behind the header."""
        return self.csv.data_line

    def frozen(self) -> dict[str, Any]:
        """What ``reopen_sheet`` takes."""
        return self.csv.frozen()

    def widened(self, names: Sequence[str]) -> Format:
        """Columns of a sheet are those of its header."""
        raise NotImplementedError(f"a sheet does not get new columns on the way: {names}")

    def blocks(
        self, stream: Stream, position: int, line: int, accepts: Accepts = accepts_nothing
    ) -> Iterator[Block | NewFields]:
        """Records from ``position`` on; ``line`` is a row of the sheet, as all lines are."""
        inner = 0  # line ends inside cells so far
        for block in self.csv.blocks(stream, position, line, accepts):
            if not isinstance(block, Block) or not len(block):
                yield block
                continue
            own = block.next_lines - block.lines - 1
            through = inner + np.cumsum(own)
            lines = block.lines - (through - own)
            for at, record in zip(block.refused_at, block.refused, strict=True):
                record.line_number = int(lines[at])
            inner = int(through[-1])
            yield replace(block, lines=lines, next_lines=block.next_lines - through)

    def record_counts(self, stream: Stream) -> Iterator[int]:
        """Numbers of records."""
        return self.csv.record_counts(stream)


def open_sheet(probe: Probe, options: ReadOptions) -> WorkbookFormat:
    """Read the header rows of a sheet."""
    csv = open_csv(probe, _fixed(options))
    before = Window(probe.stream.reopened(), 0).look(csv.data_position)[: csv.data_position]
    return WorkbookFormat(csv=replace(csv, data_line=1 + len(cut(before, csv.shape))))


def reopen_sheet(frozen: Mapping[str, Any], options: ReadOptions) -> WorkbookFormat:
    """The sheet as it was decided at the first start."""
    return WorkbookFormat(csv=reopen_csv(frozen, _fixed(options), "utf-8"))


def _fixed(options: ReadOptions) -> ReadOptions:
    """The options with the dialect that the text is written in, whatever is stated for files of CSV."""
    return replace(options, delimiter=",", quote='"', escape='"', encoding=None, comment=None)
