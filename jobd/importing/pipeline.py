"""An import from its first record to its last: read one batch ahead, commit one batch after the other."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
from anyio import to_thread

from jobd.errors import JobFailed, SourceError, TargetError
from jobd.importing.error_limit import Cut, ErrorJudge
from jobd.importing.file_counts import file_counts
from jobd.importing.inputs import Inputs, open_inputs
from jobd.importing.pace import Pace
from jobd.importing.prepare import freeze, prepare
from jobd.importing.repeats import find_repeated, find_unchanged, leave_out_all
from jobd.importing.totals import Totals, estimated_rows
from jobd.model.cursor import Cursor
from jobd.model.options import ImportOptions
from jobd.model.tally import Tally
from jobd.runner.context import BatchResult

if TYPE_CHECKING:
    from uuid import UUID

    from jobd.importing.arrange import ArrangedBatch
    from jobd.importing.importer import Importer
    from jobd.importing.importers import Importers
    from jobd.importing.work import Work
    from jobd.runner.context import JobContext
    from jobd.sources import Feed, RecordBatch, Source

_UNBOUNDED = 1 << 62


async def run_import(context: JobContext) -> dict[str, Any]:
    """Import the job's source into its target, from the cursor on; the result says which ways batches took."""
    options = ImportOptions.parse(context.job.options)
    if not context.job.target:
        raise TargetError("the job names no target: set target to schema.table", code="target_missing")
    inputs = await open_inputs(context, options)
    try:
        return await Import(context, options, inputs).run()
    finally:
        inputs.files.close()


class Ready(NamedTuple):
    """A batch that is ready to be sent; one without an importer has no records."""

    batch: RecordBatch
    importer: Importer | None
    arranged: ArrangedBatch | None


class _CutShort(Exception):
    """The job fails at a record in the middle of the batch: the batch is rolled back and done up to there."""

    def __init__(self, cut: Cut) -> None:
        super().__init__(f"cut behind {cut.record_count} records")
        self.cut = cut


class Import:
    """One attempt at an import job."""

    def __init__(self, context: JobContext, options: ImportOptions, inputs: Inputs) -> None:
        self._context = context
        self._options = options
        self._inputs = inputs
        job = context.job
        cursor = context.last_cursor
        self._cursor = None if cursor is None else Cursor.from_json(cursor)
        self._judge = ErrorJudge(options.max_errors, job.processed_rows, job.error_count)
        self._pace = Pace(options.batch_size or context.settings.batch_size)
        self._ways = {"direct": 0, "staged": 0}
        self._totals = Totals(inputs, context)

    async def run(self) -> dict[str, Any]:
        """Prepare, import, and find out beside it what is to be known of the whole."""
        if self._cursor is None:
            await self._totals.require_hash()
        if self._options.changed_only:
            await self._leave_out_unchanged()
        feed = self._inputs.feed(self._cursor)
        try:
            importers = await self._prepare(feed)
            repeated = await self._find_repeated(feed, importers)
            if repeated is not None:
                await leave_out_all(self._context, self._inputs)
                return {"duplicate_of": str(repeated)}
            async with anyio.create_task_group() as beside:
                beside.start_soon(self._totals.find_meanwhile)
                failure: Exception | None = None
                try:
                    await self._import(feed, importers)
                except Exception as error:  # noqa: BLE001  raised again below, outside the group, so that it is not wrapped
                    failure = error
                    self._totals.cancel()
            if failure is not None:
                raise failure
        finally:
            feed.close()
        await self._totals.find()
        return {"batches": self._ways}

    async def _prepare(self, feed: Feed) -> Importers | None:
        """Look at the first file and at the target; None where no file is left to be read."""
        first = await to_thread.run_sync(feed.first)
        frozen = (self._context.job.detected or {}).get("target")
        importers = None
        if first is not None:
            importers = await self._context.read(
                partial(
                    prepare,
                    target_name=self._context.job.target or "",
                    layout=first.layout,
                    options=self._options,
                    frozen=frozen,
                    drop_on_commit=self._context.settings.statement_cache == 0,
                )
            )
            self._tell(feed, importers)
        if self._context.job.detected is None:
            await self._begin(feed, first, importers)
        elif first is not None and not feed.is_single:
            await self._context.begin(current_file=first.name)
        return importers

    def _tell(self, feed: Feed, importers: Importers) -> None:
        """What the feed must know of the target."""
        feed.accepts = importers.accepts
        feed.spans_files = importers.can_attribute

    async def _leave_out_unchanged(self) -> None:
        unchanged = await find_unchanged(self._context, self._inputs, self._totals)
        self._inputs = replace(self._inputs, options=replace(self._inputs.options, unchanged=unchanged))

    async def _find_repeated(self, feed: Feed, importers: Importers | None) -> UUID | None:
        first = feed.first()
        is_begun = self._cursor is not None or self._context.job.processed_rows > 0
        if is_begun or self._options.force or importers is None or first is None:
            return None
        plan = importers.of(first.layout).plan
        return await find_repeated(self._context, self._inputs, self._totals, plan)

    async def _begin(self, feed: Feed, first: Source | None, importers: Importers | None) -> None:
        """Freeze what was decided, and the list of files."""
        detected: dict[str, Any] = {}
        if first is not None and importers is not None:
            detected = {
                "source": {**first.detected, "file": feed.place},
                "target": freeze(importers.of(first.layout)),
            }
        if self._inputs.options.unchanged:
            detected["unchanged"] = sorted(self._inputs.options.unchanged)
        estimate = self._context.job.estimated_rows
        if estimate is None and first is not None:
            estimate = await to_thread.run_sync(partial(estimated_rows, first, self._inputs))
        await self._context.begin(
            detected=detected,
            estimated_rows=estimate,
            files_total=len(self._inputs.files.entries),
            current_file=None if first is None else first.name,
            files=self._inputs.files.entries,
        )

    async def _import(self, feed: Feed, importers: Importers | None) -> None:
        """Commit a batch while the next one is read."""
        following = await self._read(feed, importers)
        while following is not None:
            present, following = following, None
            ahead = _Ahead()
            failure: Exception | None = None
            async with anyio.create_task_group() as group:
                group.start_soon(ahead.run, partial(self._read, feed, importers))
                try:
                    await self._commit(present)
                except Exception as error:  # noqa: BLE001  raised below, outside the group
                    failure = error
            if failure is not None:
                raise failure
            following = ahead.result()
        failed = self._judge.at_end()
        if failed is not None:
            raise failed
        if feed.last_failure is not None and self._is_all_failed(feed):
            raise SourceError(
                f"none of {len(self._inputs.files.entries)} files could be read; the last: {feed.last_failure}",
                code=feed.last_failure.error_code,
            )

    def _is_all_failed(self, feed: Feed) -> bool:
        before = sum(file.status == "failed" for file in self._inputs.listed)
        return before + feed.failed_count == len(self._inputs.files.entries)

    async def _read(self, feed: Feed, importers: Importers | None) -> Ready | None:
        def read() -> Ready | None:
            while (batch := feed.read(self._pace.rows, self._pace.bytes)) is not None:
                if not batch.record_count:
                    return Ready(batch, None, None)
                assert importers is not None  # noqa: S101  a file was opened, or there would be no records
                try:
                    importer = importers.of(batch.layout)
                except JobFailed as error:
                    if not feed.give_up(batch, error):
                        raise
                    continue
                return Ready(batch, importer, importer.arrange(batch))
            return None

        return await to_thread.run_sync(read)

    async def _commit(self, ready: Ready) -> None:
        """Commit one batch; where the job fails at one of its records, the batch up to that record."""
        try:
            cut = await self._commit_whole(ready)
        except _CutShort as short:
            cut = short.cut
            await self._commit_whole(await self._first_of(ready, cut.record_count))
        if cut is not None:
            raise cut.failure

    async def _commit_whole(self, ready: Ready) -> Cut | None:
        batch = ready.batch
        done: list[tuple[Work | None, Cut | None, int]] = []

        async def attempt(connection: Any) -> BatchResult:
            if ready.importer is None or ready.arranged is None:
                done[:] = [(None, None, 0)]
                return _result(batch, None)
            work = await ready.importer.bring_in(connection, ready.arranged)
            cut = self._judge.judge(work.refusals.places(), batch.record_count)
            if cut is not None and cut.record_count < batch.record_count:
                raise _CutShort(cut)
            done[:] = [(work, cut, len(work.refusals))]
            return _result(batch, work)

        began_at = time.monotonic()
        await self._context.run_batch(attempt)
        work, cut, refused = done[0]
        if work is not None and ready.importer is not None:
            self._pace.learn(batch.record_count, time.monotonic() - began_at)
            ready.importer.learn(work)
            self._ways["direct" if work.went_direct else "staged"] += 1
        self._cursor = batch.cursor
        self._judge = self._judge.after(batch.record_count, refused)
        return cut

    async def _first_of(self, ready: Ready, record_count: int) -> Ready:
        """The first records of the batch behind the cursor, read again."""
        importer, cursor = ready.importer, self._cursor
        assert importer is not None  # noqa: S101  a batch without records is never cut

        def read() -> Ready:
            feed = self._inputs.feed(cursor)
            try:
                batch = feed.read(record_count, _UNBOUNDED)
            finally:
                feed.close()
            assert batch is not None  # noqa: S101  these records were read before
            return Ready(batch, importer, importer.arrange(batch))

        return await to_thread.run_sync(read)


def _result(batch: RecordBatch, work: Work | None) -> BatchResult:
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


class _Ahead:
    """The next batch, or why it cannot be read: kept until the present one is committed."""

    def __init__(self) -> None:
        self._batch: Ready | None = None
        self._error: Exception | None = None

    async def run(self, read: Any) -> None:
        try:
            self._batch = await read()
        except Exception as error:  # noqa: BLE001  raised by result(), when its turn comes
            self._error = error

    def result(self) -> Ready | None:
        if self._error is not None:
            raise self._error
        return self._batch
