"""The work of a drill: rounds of files and the jobs that import them, with what must come of each."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID, uuid4

import orjson

from jobd.drill import content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from jobd.drill.content import Record

SCHEMA = "jobd_drill"
SMALL_FILE_ROWS = 10
SMALL_FILES_MIN = 60
PARTS = 4
SPLICES = (1, -1, 1)
RECORDS_MIN = 600


class DrillFile(NamedTuple):
    """A file, and how its records are made."""

    path: Path
    make: Callable[[], Iterator[Record]]
    header: bytes = b""

    def write(self) -> None:
        """Write it."""
        with self.path.open("wb") as out:
            out.write(self.header)
            out.writelines(record.line for record in self.make())


@dataclass(frozen=True)
class DrillJob:
    """An import of files that are known."""

    id: UUID
    kind: str
    table: str
    files: Sequence[DrillFile]
    records: int
    batch_size: int | None = None  # what has one is not brought in together with others

    @property
    def source(self) -> str:
        """What the job names: the file, or the directory of its files."""
        path = self.files[0].path
        return str(path if len(self.files) == 1 else path.parent)

    @property
    def target(self) -> str:
        """Where the rows go."""
        return f"{SCHEMA}.{self.table}"

    @property
    def options(self) -> str:
        """``force``: the next drill brings the same content again."""
        size = {} if self.batch_size is None else {"batch_size": self.batch_size}
        return orjson.dumps({"force": True, **size}).decode()

    def prefix(self, processed_rows: int) -> Iterator[tuple[DrillFile, int, Record]]:
        """The first so many records, each with its file and number in it."""
        numbered = ((file, *pair) for file in self.files for pair in enumerate(file.make(), 1))
        return itertools.islice(numbered, processed_rows)


class Expectation:
    """What must have come of a job's first records."""

    def __init__(self, job: DrillJob, processed_rows: int) -> None:
        self.counts: Counter[str] = Counter()
        self.of_files: dict[str, Counter[str]] = {str(file.path): Counter() for file in job.files}
        self.refused: dict[tuple[str, int], str] = {}
        self.rows: list[tuple[Any, ...]] = []
        has_key = job.table != "entry"
        by_key: dict[Any, tuple[Any, ...]] = {}
        for file, number, record in job.prefix(processed_rows):
            self.counts[record.fate] += 1
            self.of_files[str(file.path)][record.fate] += 1
            if record.code is not None:
                self.refused[str(file.path), number] = record.code
            elif has_key:
                by_key[record.row[0]] = record.row
            else:
                self.rows.append(record.row)
        self.rows.extend(by_key.values())

    @property
    def read(self) -> int:
        """How many records that were."""
        return self.counts.total()


class Rounds:
    """Makes rounds of files, each of about ``records`` records; ``batch_size`` is that of the long ones."""

    def __init__(self, directory: Path, records: int, seed: int, batch_size: int = 100) -> None:
        self._directory = directory
        self.records = records
        self._seed = seed
        self._batch_size = batch_size
        self._keys = itertools.count(1, 10_000_000)
        self._number = 0
        self.jobs: list[DrillJob] = []

    def next(self) -> tuple[list[DrillJob], list[DrillJob]]:
        """Write the files of one more round; gives the jobs to be submitted first, and those after them.

        The small files go first: they are brought in together while no long ones are about.
        """
        self._number += 1
        place = self._directory / f"{self._number:03}"
        place.mkdir()
        small, large = list(self._small(place)), [*self._large(place), *self._overlapping(place)]
        self.jobs += [*small, *large]
        return small, large

    @property
    def _size(self) -> int:
        return max(RECORDS_MIN, self.records)

    def _large(self, place: Path) -> Iterator[DrillJob]:
        """One file of many batches, measurements in two formats, and a directory that is one job."""
        share = self._size // 20
        many, some, size = share * 10, share * 3, self._batch_size
        yield self._job("large file", "entry", [self._entries(place / "entries.csv", many)], many, size)
        yield self._job("CSV", "reading", [self._readings(place / "readings.csv", some)], some, size)
        yield self._job("JSON Lines", "reading", [self._readings(place / "readings.jsonl", some)], some, size)
        parts = place / "parts"
        parts.mkdir()
        each = max(20, share // PARTS)
        files = [self._readings(parts / f"{number}.csv", each) for number in range(PARTS)]
        yield self._job("directory", "reading", files, each * PARTS, size // 2)

    def _overlapping(self, place: Path) -> Iterator[DrillJob]:
        """The same keys in opposite order."""
        count = self._size // 20
        first = next(self._keys)
        for number, step in enumerate(SPLICES):
            path = place / f"stock-{number}.csv"
            name = f"{self._number}-{number}"
            make = partial(content.stock, name, range(first, first + count)[::step])
            file = _written(DrillFile(path, make, content.csv_header(content.STOCK)))
            yield self._job("overlapping keys", "stock", [file], count, self._batch_size // 2)

    def _small(self, place: Path) -> Iterator[DrillJob]:
        """Many small files, which a daemon brings in together."""
        first = next(self._keys)
        for number in range(max(SMALL_FILES_MIN, self._size // 200)):
            make = partial(content.small, first + number * SMALL_FILE_ROWS, SMALL_FILE_ROWS)
            path = place / f"small-{number:03}.csv"
            file = _written(DrillFile(path, make, content.csv_header(content.SMALL)))
            yield self._job("small file", "small", [file], SMALL_FILE_ROWS)

    def _entries(self, path: Path, count: int) -> DrillFile:
        make = partial(content.entries, f"{self._number}", count)
        return _written(DrillFile(path, make, content.csv_header(content.ENTRY)))

    def _readings(self, path: Path, count: int) -> DrillFile:
        first = next(self._keys)
        if path.suffix == ".jsonl":
            return _written(DrillFile(path, partial(content.json_readings, self._seed + first, first, count)))
        make = partial(content.csv_readings, self._seed + first, first, count)
        return _written(DrillFile(path, make, content.csv_header(content.READING)))

    def _job(
        self, kind: str, table: str, files: Sequence[DrillFile], records: int, batch_size: int | None = None
    ) -> DrillJob:
        return DrillJob(uuid4(), kind, table, files, records, batch_size)


def _written(file: DrillFile) -> DrillFile:
    file.write()
    return file
