"""An opened source: batches of records with the cursor behind each, and what can be said of all beforehand."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from jobd.errors import SourceChanged, SourceError
from jobd.model.cursor import Cursor
from jobd.sources.batch_reader import BatchReader, block_hash
from jobd.sources.formats.block import Block, accepts_nothing
from jobd.sources.packing.detect import resume_note
from jobd.sources.records import Layout, RecordBatch
from jobd.sources.stream import READ_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from jobd.sources.copy_dialect import CopyDialect
    from jobd.sources.formats.block import Accepts, Format
    from jobd.sources.stream import SourceFile, Stream

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
    def _is_typed(self) -> bool:
        """Whether the source itself tells numbers and truth values from texts."""
        return self.detected["format"] not in {"csv", "text"}

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
        if cursor.block_bytes and block_hash(block) != cursor.block_hash:
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
            is_typed=self._is_typed,
            accepts=accepts,
            verified=verified,
        )

    @property
    def layout(self) -> Layout:
        """What the first batch will be like."""
        header = tuple(self._format.header)
        return Layout(self.dialect, header, self.column_count, self._quotes_texts, self._is_typed)

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


def _sample(stream: Stream, position: int) -> bytes:
    stream.seek(position)
    return stream.read(_SAMPLE_BYTES)
