"""Batches on their way: read and made ready in a thread, one ahead of the one that is taken."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from anyio import to_thread

from jobd.errors import JobFailed
from jobd.importing.beside import beside
from jobd.importing.reading.file_counts import file_counts
from jobd.model.tally import Tally
from jobd.runner.context import BatchResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from jobd.importing.fields.arrange import ArrangedBatch
    from jobd.importing.importer import Importer
    from jobd.importing.importers import Importers
    from jobd.importing.reading.pace import Pace
    from jobd.importing.ways.work import Work
    from jobd.sources import Feed, RecordBatch


class Ready(NamedTuple):
    """A batch that is ready to be sent; one without an importer has no records."""

    batch: RecordBatch
    importer: Importer | None
    arranged: ArrangedBatch | None

    async def bring_in(self, connection: Any, errors_before: int = 0) -> Work | None:
        """Write its rows in the open transaction; so many of the job's records were refused before."""
        if self.importer is None or self.arranged is None:
            return None
        return await self.importer.bring_in(connection, self.arranged, errors_before)


class Batches:
    """The batches of a feed. ``importers`` is None where no file is left that has records."""

    def __init__(self, feed: Feed, importers: Importers | None, pace: Pace) -> None:
        self.feed = feed
        self._importers = importers
        self._pace = pace

    async def read(self, rows_max: int | None = None) -> Ready | None:
        """The next batch, of at most ``rows_max`` records; None behind the last."""
        return await to_thread.run_sync(self._read, rows_max)

    async def each(self, take: Callable[[Ready], Awaitable[None]]) -> None:
        """Take one batch after the other, while the next one is read."""
        following = await self.read()
        while following is not None:
            following, _ = await beside(partial(self._read, None), partial(take, following))

    def _read(self, rows_max: int | None) -> Ready | None:
        rows = self._pace.rows if rows_max is None else min(rows_max, self._pace.rows)
        while (batch := self.feed.read(rows, self._pace.bytes)) is not None:
            if not batch.record_count:
                return Ready(batch, None, None)
            assert self._importers is not None  # noqa: S101  a file was opened, or there would be no records
            try:
                importer = self._importers.of(batch.layout)
            except JobFailed as error:
                if not self.feed.give_up(batch, error):
                    raise
                continue
            return Ready(batch, importer, importer.arrange(batch))
        return None


def result_of(batch: RecordBatch, work: Work | None) -> BatchResult:
    """What is committed with a batch."""
    tally = Tally() if work is None else work.tally + Tally(refused=len(work.refusals))
    return BatchResult(
        tally=tally,
        cursor=batch.cursor.to_json(),
        progress=min(99.99, 100 * batch.fraction_read),
        current_file=batch.spans[-1].name if batch.spans else None,
        errors=() if work is None else work.refusals.errors(),
        rejects=() if work is None else work.refusals.rejects(),
        files=file_counts(batch, work),
        read_bytes=batch.bytes_read,
    )


def first_of(feed: Feed, ready: Ready, record_count: int) -> Ready:
    """The first records of a batch, read again by a feed that begins where the batch began. Blocks."""
    importer = ready.importer
    assert importer is not None  # noqa: S101  a batch without records is never cut
    try:
        batch = feed.read(record_count, _UNBOUNDED)
    finally:
        feed.close()
    assert batch is not None  # noqa: S101  these records were read before
    return Ready(batch, importer, importer.arrange(batch))


_UNBOUNDED = 1 << 62
