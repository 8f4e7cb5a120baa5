"""What a reader yields: the records of one stretch of the stream, refused ones among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from jobd.sources.copy_dialect import CopyDialect
    from jobd.sources.records import RefusedRecord
    from jobd.sources.stream import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Consecutive records k = 0 … n-1, taken and refused ones, in file order.

    ``positions[k]`` is the place in the stream behind record k, ``lines[k]`` the physical line it starts on,
    ``next_lines[k]`` the one behind it. ``refused_at`` are the refused ones' k, in step with ``refused``, whose
    row numbers are still 0. ``data``, ``ends`` and ``field_ends`` are of the taken ones, as in RecordBatch.
    ``source`` is the stretch itself as it was read; it begins at ``source_start``. Where ``data`` is another text,
    made from it, ``raw_starts`` and ``raw_ends`` say where in ``source`` each taken record stands.
    """

    positions: NDArray[np.int64]
    lines: NDArray[np.int64]
    next_lines: NDArray[np.int64]
    refused_at: list[int]
    refused: list[RefusedRecord]
    data: bytes
    ends: NDArray[np.int64]
    field_ends: NDArray[np.int32]
    source: bytes
    source_start: int
    raw_starts: NDArray[np.int64] | None = None
    raw_ends: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.positions)

    def raw_text(self) -> tuple[bytes, NDArray[np.int64], NDArray[np.int64]]:
        """The taken records as they stand in the source: a text, and where each begins and ends in it."""
        if self.raw_starts is not None and self.raw_ends is not None:
            return self.source, self.raw_starts, self.raw_ends
        return self.data, np.concatenate((np.zeros(min(1, len(self.ends)), np.int64), self.ends[:-1])), self.ends


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFields:
    """The next record has fields that the format does not know, and that are wanted.

    Read on from ``position`` and ``line``, where that record begins, with a format that is widened by ``names``.
    """

    names: tuple[str, ...]
    position: int
    line: int


Accepts = Callable[[str], bool]


def accepts_nothing(_name: str) -> bool:
    """No field is wanted but those that the format knows."""
    return False


class Format(Protocol):
    """A way of reading records, with everything that was detected about one source."""

    @property
    def dialect(self) -> CopyDialect:
        """How ``data`` of its blocks is written."""
        ...

    @property
    def header(self) -> list[str]:
        """The columns' names; empty where the source does not name them."""
        ...

    @property
    def column_count(self) -> int:
        """Fields of a record."""
        ...

    @property
    def data_position(self) -> int:
        """Where the first record begins."""
        ...

    @property
    def data_line(self) -> int:
        """The physical line that it begins on."""
        ...

    def frozen(self) -> dict[str, Any]:
        """Everything that was decided, as JSON, from which the same format is made again."""
        ...

    def blocks(
        self, stream: Stream, position: int, line: int, accepts: Accepts = accepts_nothing
    ) -> Iterator[Block | NewFields]:
        """Blocks from a record's first byte onwards; raises SourceError when the stream breaks off.

        Formats whose records name their fields end with NewFields before a record with a new one for which
        ``accepts`` is true; one for which it is not refuses its record, or is passed over.
        """
        ...

    def widened(self, names: Sequence[str]) -> Format:
        """The format with further fields behind those it has."""
        ...

    def record_counts(self, stream: Stream) -> Iterator[int]:
        """Numbers of records, stretch by stretch from the first record on, refused ones included."""
        ...


def refused_block(
    record: RefusedRecord, *, position: int, line: int, next_line: int, source: bytes, columns: int
) -> Block:
    """A block of one refused record that ends at ``position``; ``source`` is what was read right before there."""
    return Block(
        positions=np.array([position], np.int64),
        lines=np.array([line], np.int64),
        next_lines=np.array([next_line], np.int64),
        refused_at=[0],
        refused=[record],
        data=b"",
        ends=np.zeros(0, np.int64),
        field_ends=np.zeros((0, columns), np.int32),
        source=source,
        source_start=position - len(source),
    )
