"""How many records there are, and the hash of what is read: found out in threads while the import runs already."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import asyncpg
from anyio import to_thread

from jobd import log
from jobd.errors import JobdError, SourceError
from jobd.sources.open import open_stored
from jobd.sources.source import Interrupted, sha256

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobd.importing.reading.inputs import Inputs
    from jobd.runner.context import JobContext
    from jobd.sources import Source

T = TypeVar("T")

_MET_AGAIN = (JobdError, Interrupted, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)

# Such a file is read again in no time, also when it unpacks to a thousand times as much.
SMALL_BYTES = 64 << 10

_log = log.get("totals")


class Totals:
    """Counts and hashes what a job reads, and writes both down when they are known.

    Records are counted where there is one file; of several files the number is known at the end.
    """

    def __init__(self, inputs: Inputs, context: JobContext) -> None:
        self._inputs = inputs
        self._context = context
        self._is_cancelled = threading.Event()
        self.total_rows = context.job.total_rows
        self.file_hash = context.job.file_hash
        self._whole: str | None = None
        self._hashes: Sequence[str | None] | None = None

    async def require_hash(self) -> None:
        """Raise SourceError unless the content is what the job's ``file_hash`` says, where it says anything."""
        expected = self._context.job.file_hash
        if expected is None:
            return
        found = await self.hash()
        if found != expected:
            raise SourceError(
                f"{self._context.job.source} has the SHA-256 {found}, and file_hash says {expected}",
                code="hash_mismatch",
            )

    async def find_meanwhile(self) -> None:
        """What goes wrong here is left for :meth:`find` to meet again at the end, or the import meets it first."""
        try:
            await self.find()
        except _MET_AGAIN as error:
            _log.debug("totals are not known yet", error=error)

    async def find_small(self, first: Source | None) -> dict[str, Any]:
        """Both totals of one small file, to be written down with what else is known before the first row.

        Empty where it is not small, or where something goes wrong: then :meth:`find` does it.
        """
        size_bytes = self._inputs.size_bytes
        is_small = size_bytes is not None and size_bytes <= SMALL_BYTES
        if first is None or not is_small or len(self._inputs.files.entries) != 1:
            return {}
        try:
            rows = self.total_rows
            if rows is None:
                rows = await self._in_thread(partial(_count, self._inputs, self._is_cancelled, first.detected))
            file_hash = await self.hash()
        except _MET_AGAIN as error:
            _log.debug("totals are not known yet", error=error)
            return {}
        self.total_rows, self.file_hash = rows, file_hash
        return {"total_rows": rows, "file_hash": file_hash, "file_hashes": self._hashes}

    async def find(self) -> None:
        """Count first, as it is fast and tells how much is left; then hash. Writes down what is not yet known."""
        if self.total_rows is None and len(self._inputs.files.entries) == 1:
            detected = self._inputs.options.detected.get(1)
            self.total_rows = await self._in_thread(partial(_count, self._inputs, self._is_cancelled, detected))
            await self._context.begin(total_rows=self.total_rows)
        if self.file_hash is None:
            await self.write_hash()

    async def hash(self) -> str:
        """The SHA-256 of the one file, of the archive, or of the list of several files' names and hashes."""
        stored = self._inputs.files.stored
        if stored is not None and len(self._inputs.files.entries) > 1:
            if self._whole is None:
                self._whole = await self._in_thread(partial(sha256, stored, self._is_cancelled.is_set))
            return self._whole
        hashes = await self.hashes()
        if len(hashes) == 1 and hashes[0] is not None:
            return hashes[0]
        return digest_of([entry.name for entry in self._inputs.files.entries], hashes)

    async def hashes(self) -> Sequence[str | None]:
        """The SHA-256 of each file; None for one that cannot be read and is passed over."""
        if self._hashes is None:
            self._hashes = await self._in_thread(partial(_hashes, self._inputs, self._is_cancelled))
        return self._hashes

    async def write_hash(self) -> None:
        """Write down the hash, and each file's own."""
        self.file_hash = await self.hash()
        await self._context.begin(file_hash=self.file_hash, file_hashes=self._hashes)

    async def _in_thread(self, work: partial[T]) -> T:
        try:
            return await to_thread.run_sync(work)
        except anyio.get_cancelled_exc_class():
            self._is_cancelled.set()
            raise

    def cancel(self) -> None:
        """Let the threads end soon."""
        self._is_cancelled.set()


def digest_of(names: Sequence[str], hashes: Sequence[str | None]) -> str:
    """One hash of many files: SHA-256 of a line for each, its hash and its name, as sha256sum writes them."""
    lines = "".join(f"{each or '-'}  {name}\n" for each, name in zip(hashes, names, strict=True))
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def estimated_rows(first: Source, inputs: Inputs) -> int:
    """About how many records all files have, from a few samples of the first one that is read."""
    rows = first.estimate_rows()
    size = inputs.size_bytes
    if len(inputs.files.entries) == 1 or not size or not first.size_bytes:
        return rows * max(1, len(inputs.files.entries))
    return max(rows, round(rows * size / first.size_bytes))


def _count(inputs: Inputs, is_cancelled: threading.Event, detected: Mapping[str, Any] | None) -> int:
    file = inputs.files.open(0)
    try:
        source = open_stored(file, inputs.options.reading, detected)
        return source.count_rows(is_cancelled.is_set)
    finally:
        file.close()


def _hashes(inputs: Inputs, is_cancelled: threading.Event) -> list[str | None]:
    """The hash of each file; None for one that cannot be read and is passed over."""
    found: list[str | None] = []
    for place in range(len(inputs.files.entries)):
        try:
            file = inputs.files.open(place)
        except SourceError:
            if not inputs.options.skips_broken:
                raise
            found.append(None)
            continue
        try:
            found.append(sha256(file, is_cancelled.is_set))
        finally:
            file.close()
    return found
