"""How many records there are, and the file's hash: found out in threads while the import runs already."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import asyncpg
from anyio import to_thread

from jobd import log
from jobd.errors import JobdError
from jobd.sources.source import Interrupted

if TYPE_CHECKING:
    from jobd.runner.context import JobContext
    from jobd.sources import Source


T = TypeVar("T")

_log = log.get("totals")


class Totals:
    """Counts and hashes a source beside its import, and writes both down when they are known."""

    def __init__(self, source: Source, context: JobContext) -> None:
        self._source = source
        self._context = context
        self._is_cancelled = threading.Event()
        self.total_rows = context.job.total_rows
        self.file_hash = context.job.file_hash

    async def find_meanwhile(self) -> None:
        """What goes wrong here is left for :meth:`find` to meet again at the end, or the import meets it first."""
        try:
            await self.find()
        except (JobdError, Interrupted, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            _log.debug("totals are not known yet", error=error)

    async def find(self) -> None:
        """Count first, as it is fast and tells how much is left; then hash. Writes down what is not yet known."""
        if self.total_rows is None:
            self.total_rows = await self._in_thread(partial(self._source.count_rows, self._is_cancelled.is_set))
            await self._context.begin(total_rows=self.total_rows)
        if self.file_hash is None:
            self.file_hash = await self._in_thread(partial(self._source.sha256, self._is_cancelled.is_set))
            await self._context.begin(file_hash=self.file_hash)

    async def _in_thread(self, work: partial[T]) -> T:
        try:
            return await to_thread.run_sync(work)
        except BaseException:
            self._is_cancelled.set()
            raise

    def cancel(self) -> None:
        """Let the threads end soon."""
        self._is_cancelled.set()
