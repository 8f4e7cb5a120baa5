"""Read a case as an import does, in one go or in pieces, and hold what comes of it against what must hold."""

from __future__ import annotations

import re
import tempfile
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from jobd.errors import JobFailed
from jobd.importing.reading.inputs import reading_of
from jobd.model.options import ImportOptions
from jobd.sources import Feed, FeedOptions, Places, open_files
from jobd.sources.formats import (
    csv_parts,
    json_documents,
    json_nesting,
    json_text,
    jsonl_reader,
    text_parts,
    window,
)
from jobd.sources.packing import packed, points
from jobd.sources.packing import zip as zip_archive
from tests.support.sources import cells

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobd.model.cursor import Cursor
    from jobd.sources import RecordBatch, Source
    from tests.fuzz.case import Case

# The codes that sql/README.md promises, of what may be wrong with a file and with what is said of it.
SOURCE_CODES = {
    "source_empty", "source_unsupported", "source_corrupt", "source_truncated", "source_too_large",
    "source_malformed", "source_unreadable", "source_forbidden", "format_undetectable", "repeated_column",
    "unknown_column", "missing_column", "option_invalid", "option_unsupported",
}  # fmt: skip
RECORD_CODES = {
    "too_few_fields", "too_many_fields", "undecodable", "nul_byte", "record_too_long", "unterminated_quote",
    "stray_quote", "stray_line_end", "malformed_json", "not_an_object", "nested_too_deeply", "no_match",
    "unknown_field",
}  # fmt: skip
ALL_ROWS, ALL_BYTES = 100_000, 1 << 30
_PIECES_MAX = 8  # how often a source is opened anew for one case
_BADLY_PACKED = {"source_too_large", "source_corrupt"}
_LITTLE_BYTES = 1 << 10
_RATIO_BYTES = 1 << 16  # unpacked bytes from which on their ratio to the packed ones is judged


@dataclass
class Outcome:
    """Everything that reading gives, in the form in which two ways of reading must agree."""

    records: list[tuple[Any, ...]] = field(default_factory=list)
    refused: list[tuple[Any, ...]] = field(default_factory=list)
    ended: list[tuple[Any, ...]] = field(default_factory=list)
    error: tuple[str, str] | None = None
    reach: int = field(default=0, compare=False)  # unpacked bytes of a file, as far as records were found

    @property
    def is_badly_packed(self) -> bool:
        """Whether a file is damaged or a bomb: how much is had of it depends on the steps of unpacking."""
        codes = {self.error[0] if self.error else None, *(end[2] for end in self.ended)}
        return not codes.isdisjoint(_BADLY_PACKED)

    @property
    def count(self) -> int:
        """Records, refused ones included."""
        return len(self.records) + len(self.refused)


def check(case: Case) -> Outcome:
    """Read the case in every way; raises AssertionError where they differ, and what reading should not raise."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory).resolve() / case.name
        path.write_bytes(case.content)
        whole = Reading(case, path).read(ALL_ROWS)
        _require_sense(whole)
        assert Reading(case, path).read(3) == whole, "three records at a time"
        rows = max(1, -(-whole.count // _PIECES_MAX))
        assert Reading(case, path).read_anew(rows) == whole, f"resumed every {rows} records"
        if not whole.is_badly_packed:
            # One byte at a time costs a step for each.
            is_little = whole.reach < _LITTLE_BYTES and (whole.reach or not case.is_packed)
            for size in (1, 64) if is_little else (1024,):
                with small_pieces(size):
                    assert Reading(case, path).read(ALL_ROWS) == whole, f"looking at {size} bytes at a time"
        return whole


def _require_sense(outcome: Outcome) -> None:
    """Every record has its number, each refused one a reason, and the end is an end or one clear error."""
    numbers: dict[str, list[int]] = {}
    for name, row, *_ in [*outcome.records, *outcome.refused]:
        numbers.setdefault(name, []).append(row)
    for found in numbers.values():
        assert sorted(found) == list(range(1, len(found) + 1))
    assert {refused[3] for refused in outcome.refused} <= RECORD_CODES
    assert all(refused[4] for refused in outcome.refused), "a reason for each"
    codes = {end[2] for end in outcome.ended if end[2] is not None}
    if outcome.error is not None:
        codes.add(outcome.error[0])
        assert outcome.error[1].strip()
        assert len(outcome.error[1]) < 4000, "an error's message says what is wrong, not all of the file"
    assert codes <= SOURCE_CODES


class Reading:
    """One way through a case's files."""

    def __init__(self, case: Case, path: Path) -> None:
        self._case = case
        self._path = path
        self._outcome = Outcome()
        self._detected: dict[int, Any] = {}
        self._done: set[int] = set()
        self._cursor: Cursor | None = None

    def read(self, max_rows: int) -> Outcome:
        """From the beginning to the end, so many records at a time."""
        try:
            with self._feed() as feed:
                self._look(feed.first())
                while (batch := feed.read(max_rows, ALL_BYTES)) is not None:
                    self._take(batch, max_rows)
        except JobFailed as error:
            self._break(error)
        self._require_count()
        return self._outcome

    def read_anew(self, max_rows: int) -> Outcome:
        """Each batch from files that are opened anew, at the cursor of the last one."""
        try:
            while True:
                with self._feed() as feed:
                    self._note(feed)
                    batch = feed.read(max_rows, ALL_BYTES)
                if batch is None:
                    return self._outcome
                self._take(batch, max_rows)
        except JobFailed as error:
            self._break(error)
            return self._outcome

    @contextmanager
    def _feed(self) -> Iterator[Feed]:
        case = self._case
        reading = reading_of(case.source_type, ImportOptions.parse(case.options), case.limits)
        files = open_files(str(self._path), Places(roots=[self._path.parent]), case.limits)
        with closing(files):
            options = FeedOptions(
                reading=reading,
                detected=self._detected,
                done=frozenset(self._done),
                skips_broken=len(files.entries) > 1,
            )
            with closing(Feed(files, options, self._cursor)) as feed:
                feed.accepts = lambda _name: case.takes_fields
                yield feed

    def _note(self, feed: Feed) -> None:
        """What is decided at the first start, as a job keeps it."""
        first = feed.first()
        if first is not None and not self._detected:
            self._detected[feed.place] = dict(first.detected)

    def _look(self, source: Source | None) -> None:
        self._counted = None
        if source is None:
            return
        assert source.estimate_rows() >= 0
        try:
            self._counted = (source.name, source.count_rows())
        except JobFailed:
            self._counted = None

    def _require_count(self) -> None:
        if self._outcome.error is None and self._counted is not None:
            name, count = self._counted
            known = [each for each in [*self._outcome.records, *self._outcome.refused] if each[0] == name]
            assert len(known) == count, "the count beforehand is the count afterwards"

    def _take(self, batch: RecordBatch, max_rows: int) -> None:
        assert batch.record_count <= max_rows
        assert batch.record_count == len(batch) + len(batch.refused) == sum(s.record_count for s in batch.spans)
        assert self._cursor is None or self._cursor.is_behind(batch.cursor)
        assert 0 <= batch.fraction_read <= 1
        self._cursor = batch.cursor
        self._outcome.reach = max(self._outcome.reach, batch.cursor.byte, batch.bytes_read)
        self._outcome.records += [
            (
                batch.file_of(index),
                int(batch.rows[index]),
                int(batch.lines[index]),
                batch.header,
                cells(batch, index),
                batch.raw_record(index),
            )
            for index in range(len(batch))
        ]
        self._outcome.refused += [
            (batch.file_of_refused(index), each.row_number, each.line_number, each.code, each.message, each.raw)
            for index, each in enumerate(batch.refused)
        ]
        for end in batch.ended:
            self._done.add(end.file)
            # A file that ended with its last record is told of by the span; only failures are the same either way.
            if end.status == "failed":
                message = _settled(end.error_code or "", end.error_message or "")
                self._outcome.ended.append((end.name, end.status, end.error_code, message))
        for span in batch.spans:
            if span.is_ended:
                self._done.add(span.file)
            elif span.detected is not None:
                self._detected[span.file] = dict(span.detected)

    def _break(self, error: JobFailed) -> None:
        self._outcome.error = (error.error_code, _settled(error.error_code, str(error)))


def _settled(code: str, message: str) -> str:
    """A message without the numbers that depend on how much was unpacked at once."""
    return re.sub(r"[0-9]+", "#", message) if code in _BADLY_PACKED else message


@contextmanager
def small_pieces(size: int) -> Iterator[None]:
    """Whatever is looked at or unpacked piece by piece has small pieces."""
    with ExitStack() as patches:
        for module, name, value in [
            (csv_parts, "READ_BYTES", size),
            (csv_parts, "_CAREFUL_BYTES", size * 2),
            (json_documents, "READ_BYTES", size),
            (json_documents, "_FIRST_LOOK_BYTES", max(1, size // 2)),
            (json_text, "_LOOK_BYTES", size),
            (json_text, "PIECE_BYTES", size),
            (json_nesting, "PIECE_BYTES", size),
            (jsonl_reader, "READ_BYTES", size),
            (text_parts, "READ_BYTES", size),
            (window, "_READ_BYTES_MIN", 1),
            (packed, "_DECODED_BYTES_MIN", 50),
            (packed, "_DECODED_BYTES_MAX", 500),
            (points, "_SPACING_BYTES", 100),
        ]:
            patches.enter_context(mock.patch.object(module, name, value))
        yield


@contextmanager
def early_ratio() -> Iterator[None]:
    """Expansion is judged from few bytes on, as no case unpacks to many."""
    with (
        mock.patch.object(packed, "_RATIO_JUDGED_BYTES", _RATIO_BYTES),
        mock.patch.object(zip_archive, "_RATIO_JUDGED_BYTES", _RATIO_BYTES),
    ):
        yield
