"""The records of all files of a source, in batches that may span files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from jobd.errors import JobFailed, SourceChanged, SourceError
from jobd.model.cursor import Cursor
from jobd.sources.copy_dialect import CopyDialect
from jobd.sources.formats.block import accepts_nothing
from jobd.sources.open import open_stored
from jobd.sources.records import FileEnd, RecordBatch, joined
from jobd.sources.small_files import SMALL_BYTES, SMALL_FILES_MIN, SmallFile, SmallFiles, is_one_object
from jobd.sources.source import names_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobd.sources.batch_reader import BatchReader
    from jobd.sources.files import Files
    from jobd.sources.formats.block import Accepts
    from jobd.sources.options import ReadOptions
    from jobd.sources.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedOptions:
    """How the files of a source are gone through; places of files count from 1.

    ``detected``: how files are read that a cursor may stand in. ``done``: files whose end is written down already,
    ``unchanged``: those that need not be read. ``skips_broken``: a file that cannot be read is passed over.
    """

    reading: ReadOptions
    detected: Mapping[int, Mapping[str, Any]]
    done: frozenset[int] = frozenset()
    unchanged: frozenset[int] = frozenset()
    skips_broken: bool = False


class Feed:
    """Opens file after file and reads them to their ends.

    Its methods block, and are called by one thread at a time. Set ``accepts`` before the first read: whether a
    field that turns up on the way is wanted; and ``spans_files``: whether a batch may be of several files.
    """

    def __init__(self, files: Files, options: FeedOptions, cursor: Cursor | None = None) -> None:
        self._files = files
        self._options = options
        self._cursor = cursor or Cursor(file=0)
        self._place = max(0, self._cursor.file - 1)  # the file that was opened last
        self._late_fields = self._cursor.late_fields
        # Records of JSON have the fields of the first file. Behind a first file of another kind each file has its
        # own, since an interruption would forget those of a file in the middle.
        self._is_first = not options.detected
        self._fields = _fields_of(options.detected[min(options.detected)]) if options.detected else None
        self._source: Source | None = None
        self._reader: BatchReader | None = None
        self._held: RecordBatch | None = None
        self._like_last: SmallFiles | None = None  # reads files that are small, and as the last one was
        self._small_max = SMALL_FILES_MIN
        self._break: SourceError | None = None
        self._ended: list[FileEnd] = []
        sizes = [entry.size_bytes for entry in files.entries]
        # Where a size is unknown each file counts the same.
        self._sizes = [size or 0 for size in sizes] if None not in sizes else [1] * len(sizes)
        self._sizes_before = list(accumulate(self._sizes, initial=0))
        self.accepts: Accepts = accepts_nothing
        self.spans_files = True
        self.failed_count = 0
        self.last_failure: JobFailed | None = None

    @property
    def place(self) -> int:
        """The place of the file that was opened last, from 1."""
        return self._place

    @property
    def is_single(self) -> bool:
        """Whether the source is one file."""
        return len(self._files.entries) == 1

    def first(self) -> Source | None:
        """The file that comes next, open; None where there is none that can be read."""
        if self._source is None:
            self._open_next()
        if self._source is None and self._break is not None:
            raise self._break
        return self._source

    def read(self, max_rows: int, max_bytes: int) -> RecordBatch | None:
        """The next records of one layout; None behind the last.

        An error of a source is raised once every record before it has been delivered.
        """
        pieces: list[RecordBatch] = []
        rows = size = 0
        while rows < max_rows and size < max_bytes:
            piece = self._next(max_rows - rows, max_bytes - size)
            if piece is None:
                break
            if pieces and piece.layout != pieces[0].layout:
                self._held = piece
                break
            # What ended before this piece is known to have ended once its cursor is committed, not earlier.
            pieces.append(replace(piece, ended=self._take_ended()))
            rows += piece.record_count
            size += piece.bytes_read
            if not self.spans_files:
                break
        if pieces:
            return joined(pieces)
        if self._ended:
            return self._ends_alone()
        if self._break is not None:
            raise self._break
        if self._files.defect is not None:
            raise self._files.defect
        return None

    def give_up(self, batch: RecordBatch, error: JobFailed) -> bool:
        """Pass over the files of a batch because nothing can be done with them; False where that is not wanted."""
        if self.is_single or not self._options.skips_broken:
            return False
        self._ended = [*batch.ended, *self._ended]
        for span in batch.spans:
            self._note_end(span.file, "failed", error)
        if not batch.spans[-1].is_ended:
            self._close_source()
        return True

    def close(self) -> None:
        """Close the file that is being read."""
        self._close_source()

    def _next(self, max_rows: int, max_bytes: int) -> RecordBatch | None:
        """Records of one file; None before a break, and at the end."""
        if self._held is not None:
            held, self._held = self._held, None
            return held
        while self._break is None:
            if self._source is None:
                small = self._small_batch(max_rows, max_bytes)
                if small is not None:
                    return small
                if not self._open_next():
                    return None
            try:
                batch = self._current_reader().read(max_rows, max_bytes)
            except SourceError as error:
                self._fail(error)
                continue
            if batch is not None:
                return self._placed(batch)
            self._close_source()
            self._note_end(self._place, "completed")
        return None

    def _small_batch(self, max_rows: int, max_bytes: int) -> RecordBatch | None:
        """The next files at once, where they are small and like the last one; None: the usual way."""
        if self._like_last is None:
            return None
        files: list[SmallFile] = []
        size, place = 0, self._place + 1
        most = min(max_rows, self._small_max)
        while len(files) < most and size < max_bytes and place <= len(self._files.entries):
            file = self._small_file(place)
            if file is None:
                break
            files.append(file)
            size += len(file.text)
            place += 1
        batch = self._like_last.batch(files) if len(files) > 1 else None
        if batch is None:
            self._small_max = SMALL_FILES_MIN  # so that little is read twice where files are not alike after all
            self._like_last = None
            return None
        self._small_max *= 2
        self._place = batch.spans[-1].file
        return replace(batch, fraction_read=self._sizes_before[self._place] / max(1, self._sizes_before[-1]))

    def _small_file(self, place: int) -> SmallFile | None:
        """A file that holds one JSON object and little else."""
        entry = self._files.entries[place - 1]
        is_small = entry.size_bytes is not None and 0 < entry.size_bytes <= SMALL_BYTES
        if not is_small or place in self._options.done or place in self._options.unchanged:
            return None
        try:
            file = self._files.open(place - 1)
            try:
                text = file.stream().read(SMALL_BYTES + 1)
            finally:
                file.close()
        except SourceError:
            return None  # met again, and told, in the usual way
        if len(text) != entry.size_bytes or not is_one_object(text):
            return None
        return SmallFile(place, entry.name, text, entry.modified_ns)

    def _placed(self, batch: RecordBatch) -> RecordBatch:
        """The batch as one of all files."""
        self._late_fields = batch.cursor.late_fields
        span = batch.spans[0]
        if span.is_ended:
            self._like_last = None
            if self.spans_files and self._source is not None and self._fields is not None:
                self._like_last = SmallFiles.like(self._source, self._late_fields, self.accepts)
            self._close_source()
        elif span.file > 1 and self._source is not None:
            span = replace(span, detected=self._source.detected)
        read = self._sizes_before[span.file - 1] + batch.fraction_read * self._sizes[span.file - 1]
        return replace(batch, spans=(span,), fraction_read=read / max(1, self._sizes_before[-1]))

    def _current_reader(self) -> BatchReader:
        assert self._source is not None  # noqa: S101  asked for only while a file is open
        if self._reader is None:
            cursor = self._cursor
            if cursor.file != self._place or not cursor.byte:
                late_fields = () if self._fields is None else self._late_fields
                cursor = replace(self._source.start(), file=self._place, late_fields=late_fields)
            self._reader = self._source.reader(cursor, self.accepts)
        return self._reader

    def _open_next(self) -> bool:
        """Open the next file that can be read; False where there is none, or where one should and cannot."""
        while self._place < len(self._files.entries) and self._break is None:
            self._place += 1
            if self._place in self._options.unchanged:
                self._note_end(self._place, "unchanged")
            elif self.is_single or self._place not in self._options.done:
                try:
                    self._source = self._opened(self._place)
                except SourceError as error:
                    self._fail(error)
                    continue
                if self._is_first:
                    self._is_first = False
                    self._fields = _fields_of(self._source.detected)
                return True
        return False

    def _opened(self, place: int) -> Source:
        options = self._options.reading
        if self._fields is not None:
            options = replace(options, fields=self._fields)
        file = self._files.open(place - 1)
        try:
            return open_stored(file, options, self._options.detected.get(place))
        except BaseException:
            file.close()
            raise

    def _fail(self, error: SourceError) -> None:
        """The file cannot be read, or not to its end."""
        self._close_source()
        if self._options.skips_broken and not self.is_single and not isinstance(error, SourceChanged):
            self._note_end(self._place, "failed", error)
        else:
            self._break = error

    def _note_end(self, place: int, status: str, error: JobFailed | None = None) -> None:
        if place in self._options.done:
            return
        if error is not None:
            self.failed_count += 1
            self.last_failure = error
        self._ended.append(
            FileEnd(
                file=place,
                name=self._files.entries[place - 1].name,
                status=status,
                error_code=error.error_code if error else None,
                error_message=str(error) if error else None,
            )
        )

    def _take_ended(self) -> tuple[FileEnd, ...]:
        ended, self._ended = tuple(self._ended), []
        return ended

    def _ends_alone(self) -> RecordBatch:
        """A batch without records, which says how the last files ended."""
        ended = self._take_ended()
        following = max(end.file for end in ended) + 1
        nothing = np.zeros(0, np.int64)
        return RecordBatch(
            data=b"",
            ends=nothing,
            rows=nothing,
            lines=nothing,
            field_ends=np.zeros((0, 0), np.int32),
            dialect=CopyDialect(),
            cursor=Cursor(file=following, late_fields=self._late_fields),
            ended=ended,
            fraction_read=self._sizes_before[following - 1] / max(1, self._sizes_before[-1]),
        )

    def _close_source(self) -> None:
        if self._reader is not None:
            self._reader.close()
        if self._source is not None:
            self._source.close()
        self._source = self._reader = None


def _fields_of(detected: Mapping[str, Any]) -> list[str] | None:
    return list(detected["header"]) if names_fields(detected) else None
