"""CSV as blocks of records."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jobd.sources.formats.block import Block, accepts_nothing
from jobd.sources.formats.csv_block import assemble
from jobd.sources.formats.csv_extent import extents, is_record
from jobd.sources.formats.csv_parts import CsvReading, Part
from jobd.sources.formats.csv_rewrite import Rewriting
from jobd.sources.formats.window import Window
from jobd.sources.options import RECORD_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Literal

    from jobd.sources.copy_dialect import CopyDialect
    from jobd.sources.formats.block import Accepts, Format, NewFields
    from jobd.sources.formats.csv_cutter import CsvShape
    from jobd.sources.stream import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvFormat:
    """CSV of one shape; at ``data_position`` and ``data_line`` its first record begins, behind the header.

    ``skip_rows`` physical lines stand before the header, stated or detected. With ``collects_rest`` the last
    column is the one that collects what is beyond the file's own.
    """

    shape: CsvShape
    dialect: CopyDialect
    header: list[str]
    column_count: int
    data_position: int
    data_line: int
    skip_rows: int = 0
    ragged: Literal["error", "pad", "truncate"] = "error"
    collects_rest: bool = False
    record_bytes_max: int = RECORD_BYTES_MAX

    def frozen(self) -> dict[str, Any]:
        """What ``reopen_csv`` takes."""
        return {
            "shape": asdict(self.shape),
            "header": self.header,
            "column_count": self.column_count,
            "data_position": self.data_position,
            "data_line": self.data_line,
            "skip_rows": self.skip_rows,
            "ragged": self.ragged,
            "collects_rest": self.collects_rest,
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
        rewriting = Rewriting(
            shape=self.shape,
            dialect=self.dialect,
            columns=self._columns,
            ragged=self.ragged,
            collects_rest=self.collects_rest,
        )
        for part in reading.parts():
            block = part if isinstance(part, Block) else _block(part, rewriting)
            if block is not None:
                yield block

    @property
    def _columns(self) -> int:
        """The file's own."""
        return self.column_count - self.collects_rest

    def record_counts(self, stream: Stream) -> Iterator[int]:
        """Numbers of records, without looking at their fields."""
        window = Window(stream, self.data_position)
        reading = CsvReading(self.shape, window, self.data_line, self.column_count, self.record_bytes_max)
        for part in reading.parts(with_fields=False):
            if isinstance(part, Block):
                yield len(part)
            elif self._columns == 1 and self.shape.comment is None:
                yield len(part.cut)
            else:
                extent = extents(part.text, part.cut, self.shape)
                yield int(is_record(part.buffer, extent, self.shape, self._columns).sum())


def _block(part: Part, rewriting: Rewriting) -> Block | None:
    block = assemble(part, rewriting)
    if block is not None and part.size < len(block.source):
        # A line end was added that the file's last line lacks.
        np.minimum(block.positions, part.position + part.size, out=block.positions)
    return block
