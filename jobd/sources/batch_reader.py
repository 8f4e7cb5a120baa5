"""Batches of an opened source, one after the other, with the cursor behind each."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jobd.errors import SourceError
from jobd.sources.formats.block import Block, NewFields, accepts_nothing
from jobd.sources.records import FileSpan, RawText, RecordBatch

if TYPE_CHECKING:
    from jobd.model.cursor import Cursor
    from jobd.sources.formats.block import Accepts, Format
    from jobd.sources.records import RefusedRecord
    from jobd.sources.stream import Stream

_IDENTITY_BYTES = 1 << 16  # how much before a cursor must be the same for the source to be the same


class BatchReader:
    """Yields batches of any size, which may change from one to the next."""

    def __init__(
        self,
        name: str,
        records: Format,
        stream: Stream,
        cursor: Cursor,
        *,
        quotes_texts: bool = False,
        is_typed: bool = False,
        accepts: Accepts = accepts_nothing,
        verified: bytes = b"",
    ) -> None:
        self._quotes_texts = quotes_texts
        self._is_typed = is_typed
        self._name = name
        self._format = records
        self._stream = stream
        self._cursor = cursor
        self._accepts = accepts
        self._blocks = records.blocks(stream, cursor.byte, cursor.line, accepts)
        self._new_fields: NewFields | None = None
        self._block: Block | None = None
        self._taken = 0  # records of the block that are in batches already
        self._break: SourceError | None = None
        # The bytes before the block: a cursor shortly behind its beginning is known by them too.
        self._before, self._before_end = verified, cursor.byte

    def read(self, max_rows: int, max_bytes: int) -> RecordBatch | None:
        """The next records, at least one; None behind the last.

        An error of the source is raised once every record before it has been delivered.
        """
        pieces: list[tuple[Block, bytes, int, int]] = []
        rows, limit = 0, self._cursor.byte + max_bytes
        while rows < max_rows and (block := self._current()) is not None:
            within = int(np.searchsorted(block.positions, limit, "right"))
            stop = min(self._taken + max_rows - rows, within, len(block))
            if stop <= self._taken:
                if pieces:
                    break
                stop = self._taken + 1
            pieces.append((block, self._before, self._taken, stop))
            rows += stop - self._taken
            self._taken = stop
            if stop < len(block):
                break
        if pieces:
            return self._batch(pieces)
        if self._new_fields is not None:
            self._widen(self._new_fields)
            return self.read(max_rows, max_bytes)
        if self._break is not None:
            raise self._break
        return None

    def close(self) -> None:
        """Give back what the stream holds."""
        self._stream.close()

    def _widen(self, new: NewFields) -> None:
        """Read on with more fields, in a batch of its own: all records of a batch have the same ones."""
        self._new_fields = None
        self._format = self._format.widened(new.names)
        self._cursor = replace(self._cursor, late_fields=(*self._cursor.late_fields, *new.names))
        self._blocks = self._format.blocks(self._stream, new.position, new.line, self._accepts)

    def _is_ended(self) -> bool:
        return self._current() is None and self._new_fields is None and self._break is None

    def _current(self) -> Block | None:
        """The block to take records from; None behind the last, before a break, and before new fields."""
        if self._new_fields is not None:
            return None
        if self._block is None or self._taken >= len(self._block):
            self._taken = 0
            if self._block is not None:
                self._before_end = int(self._block.positions[-1])
                self._before = _tail(self._before, self._block, self._before_end)
            try:
                found = None if self._break else next(self._blocks, None)
            except SourceError as error:
                found, self._break = None, error
            if isinstance(found, NewFields):
                found, self._new_fields = None, found
            self._block = found
            if self._block is not None and self._block.source_start != self._before_end:
                self._before = b""
        return self._block

    def _batch(self, pieces: list[tuple[Block, bytes, int, int]]) -> RecordBatch:
        first_row = self._cursor.row + 1
        data: list[bytes] = []
        record_ends: list[np.ndarray[Any, np.dtype[np.int64]]] = []
        fields: list[np.ndarray[Any, np.dtype[np.int32]]] = []
        rows, lines = [], []
        refused: list[RefusedRecord] = []
        offset = 0
        for block, _, start, stop in pieces:
            skipped = bisect_left(block.refused_at, start)
            bad = block.refused_at[skipped : bisect_left(block.refused_at, stop)]
            kept = np.arange(start, stop) if not bad else np.delete(np.arange(start, stop), np.array(bad) - start)
            first, last = start - skipped, stop - skipped - len(bad)
            begin = int(block.ends[first - 1]) if first else 0
            end = int(block.ends[last - 1]) if last > first else begin
            data.append(block.data if (begin, end) == (0, len(block.data)) else block.data[begin:end])
            record_ends.append(block.ends[first:last] + (offset - begin))
            fields.append(block.field_ends[first:last] + np.int32(offset - begin))
            rows.append(kept + (first_row - start))
            lines.append(block.lines[kept])
            for at, record in zip(bad, block.refused[skipped : skipped + len(bad)], strict=True):
                record.row_number = first_row + at - start
                refused.append(record)
            offset += end - begin
            first_row += stop - start
        before = self._cursor
        self._cursor = self._cursor_behind(*pieces[-1], first_row - 1)
        ends = np.concatenate(record_ends)
        span = FileSpan(
            file=self._cursor.file,
            name=self._name,
            first_row=before.row + 1,
            record_count=self._cursor.row - before.row,
            stop=len(ends),
            refused_stop=len(refused),
            is_ended=self._is_ended(),
        )
        return RecordBatch(
            data=data[0] if len(data) == 1 else b"".join(data),
            ends=ends,
            rows=np.concatenate(rows),
            lines=np.concatenate(lines),
            field_ends=np.concatenate(fields),
            dialect=self._format.dialect,
            cursor=self._cursor,
            header=tuple(self._format.header),
            quotes_texts=self._quotes_texts,
            is_typed=self._is_typed,
            raw=_raw_text(pieces),
            spans=(span,),
            refused=refused,
            bytes_read=self._cursor.byte - before.byte,
            fraction_read=self._stream.fraction_before(self._cursor.byte),
        )

    def _cursor_behind(self, block: Block, before: bytes, _start: int, stop: int, row: int) -> Cursor:
        position = int(block.positions[stop - 1])
        last = _tail(before, block, position)
        return replace(
            self._cursor,
            byte=position,
            row=row,
            line=int(block.next_lines[stop - 1]),
            block_bytes=len(last),
            block_hash=block_hash(last) if last else "",
        )


def _raw_text(pieces: list[tuple[Block, bytes, int, int]]) -> RawText | None:
    """The taken records as they stand in the source, where that is another text than what is sent."""
    texts: list[bytes] = []
    starts: list[np.ndarray[Any, np.dtype[np.int64]]] = []
    ends: list[np.ndarray[Any, np.dtype[np.int64]]] = []
    offset = 0
    if all(block.raw_starts is None for block, *_ in pieces):
        return None
    for block, _, start, stop in pieces:
        text, raw_starts, raw_ends = block.raw_text()
        first = start - bisect_left(block.refused_at, start)
        last = stop - bisect_left(block.refused_at, stop)
        if last > first:
            begin, end = int(raw_starts[first]), int(raw_ends[last - 1])
            texts.append(text[begin:end])
            starts.append(raw_starts[first:last] + (offset - begin))
            ends.append(raw_ends[first:last] + (offset - begin))
            offset += end - begin
    if not texts:
        return None
    return RawText(data=b"".join(texts), starts=np.concatenate(starts), ends=np.concatenate(ends))


def _tail(before: bytes, block: Block, position: int) -> bytes:
    """The last bytes up to a position in the block, as far as they are at hand without a gap."""
    read = position - block.source_start
    if read > len(block.source):
        return b""
    if read >= _IDENTITY_BYTES:
        return block.source[read - _IDENTITY_BYTES : read]
    return (before + block.source[:read])[-_IDENTITY_BYTES:]


def block_hash(block: bytes) -> str:
    """What tells the bytes before a cursor from others: 32 lower-case hex digits."""
    return hashlib.blake2b(block, digest_size=16).hexdigest()
