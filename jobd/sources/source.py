"""An opened source: batches of records with the cursor behind each, and what can be said of all beforehand."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from jobd.errors import SourceChanged, SourceError
from jobd.model.cursor import Cursor
from jobd.sources.formats.block import Block, NewFields, accepts_nothing
from jobd.sources.packing.detect import resume_note
from jobd.sources.records import FileSpan, Layout, RawText, RecordBatch
from jobd.sources.stream import READ_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from jobd.sources.formats.block import Accepts, Format
    from jobd.sources.records import CopyDialect, RefusedRecord
    from jobd.sources.stream import SourceFile, Stream

_IDENTITY_BYTES = 1 << 16  # how much before a cursor must be the same for the source to be the same
_SAMPLE_BYTES = 1 << 16
_SAMPLES = 16


def names_fields(detected: Mapping[str, Any]) -> bool:
    """Whether records that are read so name their own fields, as those of JSON do."""
    return detected["format"] in {"json", "jsonl"}


class Interrupted(Exception):
    """A count or a hash was called off by its caller."""


class Source:
    """One file, open, with everything about it decided.

    Its methods block and do not touch each other: a count or a hash may run in another thread beside a reader.
    """

    def __init__(self, file: SourceFile, stream: Stream, records: Format, detected: dict[str, Any]) -> None:
        self._file = file
        self._stream = stream
        self._format = records
        self.detected = detected

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. No reader of this source may be in use."""
        self._file.close()

    @property
    def records(self) -> Format:
        """How its records are read."""
        return self._format

    @property
    def header(self) -> list[str]:
        """The columns' names as the file has them; empty when it names none (``header: false``)."""
        return self._format.header

    @property
    def names_fields(self) -> bool:
        """Whether each record names its own fields, as those of JSON do."""
        return names_fields(self.detected)

    @property
    def _quotes_texts(self) -> bool:
        """Whether quotes say nothing, as every text stands in them: only in CSV is it the file that puts them."""
        return bool(self.detected["format"] != "csv")

    @property
    def column_count(self) -> int:
        """Fields of each record."""
        return self._format.column_count

    @property
    def dialect(self) -> CopyDialect:
        """How the batches' bytes are written."""
        return self._format.dialect

    @property
    def name(self) -> str:
        """What the file is called in messages."""
        return self._file.name

    @property
    def size_bytes(self) -> int:
        """The file's size, as it is stored."""
        return self._file.size_bytes

    @property
    def resume_note(self) -> str | None:
        """What continuing in the middle costs, where it costs anything."""
        if self._stream.compression is None:
            return None
        return resume_note(self._stream.compression)

    def start(self) -> Cursor:
        """The cursor before the first record."""
        return Cursor(
            byte=self._format.data_position,
            line=self._format.data_line,
            size=self._file.size_bytes,
            modified_ns=self._file.modified_ns,
        )

    def verify(self, cursor: Cursor) -> None:
        """Raise SourceChanged unless this is the source that the cursor was made with."""
        self._seek(self._stream.reopened(), cursor)

    def _seek(self, stream: Stream, cursor: Cursor) -> bytes:
        """Place the stream at the cursor; gives the bytes before it, which have proved to be the same."""
        if cursor.size != self._file.size_bytes:
            raise SourceChanged(
                f"{self.name} has changed: it is {self._file.size_bytes} bytes long and was {cursor.size}, "
                f"with {cursor.row} records of it imported. Put the same file back and retry, or submit a new job"
            )
        stream.seek(cursor.byte - cursor.block_bytes)
        block = stream.read(cursor.block_bytes) if cursor.block_bytes else b""
        if cursor.block_bytes and _block_hash(block) != cursor.block_hash:
            raise SourceChanged(
                f"{self.name} has changed before byte {cursor.byte}: the bytes up to there are not those of the "
                f"{cursor.row} records already imported. Put the same file back and retry, or submit a new job"
            )
        return block

    def reader(self, cursor: Cursor | None = None, accepts: Accepts = accepts_nothing) -> BatchReader:
        """Records from the cursor on, which is verified first; from the first one without.

        ``accepts`` says of a field that turns up on the way whether it is wanted; see ``RecordBatch.header``.
        """
        stream = self._stream.reopened()
        verified = b"" if cursor is None else self._seek(stream, cursor)
        records = self._format
        # The cursor keeps them through files of other formats, for the next one that names its fields.
        if cursor is not None and cursor.late_fields and self.names_fields:
            records = records.widened(cursor.late_fields)
        return BatchReader(
            self.name,
            records,
            stream,
            cursor or self.start(),
            quotes_texts=self._quotes_texts,
            accepts=accepts,
            verified=verified,
        )

    @property
    def layout(self) -> Layout:
        """What the first batch will be like."""
        header = tuple(self._format.header)
        return Layout(self.dialect, header, self.column_count, self._quotes_texts)

    def batches(
        self, cursor: Cursor | None, max_rows: int, max_bytes: int, accepts: Accepts = accepts_nothing
    ) -> Iterator[RecordBatch]:
        """All batches from the cursor on."""
        reader = self.reader(cursor, accepts)
        while (batch := reader.read(max_rows, max_bytes)) is not None:
            yield batch

    def count_rows(self, is_cancelled: Callable[[], bool] = lambda: False) -> int:
        """Records of the whole source, refused ones included: exact, in one fast pass."""
        count = 0
        for records in self._format.record_counts(self._stream.reopened()):
            count += records
            if is_cancelled():
                raise Interrupted
        return count

    def estimate_rows(self) -> int:
        """About how many records there are, from a few samples: milliseconds, whatever the size."""
        stream = self._stream.reopened()
        start = self._format.data_position
        records = 0
        end = start
        lines = 0
        with suppress(SourceError):  # the import meets it when it comes there
            for block in self._format.blocks(stream, start, self._format.data_line):
                assert isinstance(block, Block)  # noqa: S101  no new field is accepted here
                records += len(block)
                end = int(block.positions[-1])
                lines = int(block.next_lines[-1]) - self._format.data_line
                if end - start >= READ_BYTES // 2:
                    break
            else:
                return records
        if stream.compression is not None or lines < records:
            return round(records / max(stream.fraction_before(end), 1e-9))
        # The first stretch says how many lines make a record, samples of the whole how long lines are.
        step = max(1, (self.size_bytes - start) // _SAMPLES)
        samples: list[bytes] = []
        with suppress(SourceError):  # a file that breaks off is as long as it says all the same
            samples.extend(_sample(stream, start + step * index) for index in range(_SAMPLES))
        if not samples:
            return records
        newline = b"\n" if b"\n" in samples[0] else b"\r"
        density = sum(sample.count(newline) for sample in samples) / max(1, sum(map(len, samples)))
        return max(records, round((self.size_bytes - start) * density * records / max(1, lines)))


def sha256(file: SourceFile, is_cancelled: Callable[[], bool] = lambda: False) -> str:
    """Hash of a file as it is stored, 64 lower-case hex digits."""
    digest = hashlib.sha256()
    stream = file.stream()
    while data := stream.read(READ_BYTES):
        digest.update(data)
        if is_cancelled():
            raise Interrupted
    return digest.hexdigest()


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
        accepts: Accepts = accepts_nothing,
        verified: bytes = b"",
    ) -> None:
        self._quotes_texts = quotes_texts
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
            block_hash=_block_hash(last) if last else "",
        )


def _sample(stream: Stream, position: int) -> bytes:
    stream.seek(position)
    return stream.read(_SAMPLE_BYTES)


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


def _block_hash(block: bytes) -> str:
    return hashlib.blake2b(block, digest_size=16).hexdigest()
