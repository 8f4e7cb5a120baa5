"""CSV as blocks of records."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jobd.sources.formats.block import Block, accepts_nothing
from jobd.sources.formats.csv_block import assemble, extents, is_record
from jobd.sources.formats.csv_parts import CsvReading, Part
from jobd.sources.formats.window import Window
from jobd.sources.options import RECORD_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jobd.sources.formats.block import Accepts, Format, NewFields
    from jobd.sources.formats.csv_cutter import CsvShape
    from jobd.sources.records import CopyDialect
    from jobd.sources.stream import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvFormat:
    """CSV of one shape; at ``data_position`` and ``data_line`` its first record begins, behind the header."""

    shape: CsvShape
    dialect: CopyDialect
    header: list[str]
    column_count: int
    data_position: int
    data_line: int
    record_bytes_max: int = RECORD_BYTES_MAX

    def frozen(self) -> dict[str, Any]:
        """What ``reopen_csv`` takes."""
        return {
            "shape": asdict(self.shape),
            "header": self.header,
            "column_count": self.column_count,
            "data_position": self.data_position,
            "data_line": self.data_line,
        }

    def widened(self, names: Sequence[str]) -> Format:
        """Columns of CSV are those of its header."""
        raise NotImplementedError(f"CSV does not get new columns on the way: {names}")

    def blocks(
        self, stream: Stream, position: int, line: int, accepts: Accepts = accepts_nothing
    ) -> Iterator[Block | NewFields]:
        """Records from ``position`` on, which is where one begins."""
        del accepts
        reading = CsvReading(self.shape, Window(stream, position), line, self.column_count, self.record_bytes_max)
        for part in reading.parts():
            block = part if isinstance(part, Block) else self._block(part)
            if block is not None:
                yield block

    def _block(self, part: Part) -> Block | None:
        block = assemble(
            part.buffer,
            part.cut,
            self.shape,
            strays=part.strays,
            columns=self.column_count,
            codec=self.dialect.codec,
            position=part.position,
            line=part.line,
        )
        if block is not None and part.size < len(block.source):
            # A line end was added that the file's last line lacks.
            np.minimum(block.positions, part.position + part.size, out=block.positions)
        return block

    def record_counts(self, stream: Stream) -> Iterator[int]:
        """Numbers of records, without looking at their fields."""
        window = Window(stream, self.data_position)
        reading = CsvReading(self.shape, window, self.data_line, self.column_count, self.record_bytes_max)
        for part in reading.parts(with_fields=False):
            if isinstance(part, Block):
                yield len(part)
            elif self.column_count == 1:
                yield len(part.cut)
            else:
                yield int(is_record(extents(part.buffer, part.cut, self.shape), self.column_count).sum())
