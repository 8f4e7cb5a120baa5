"""An import from its first record to its last: read one batch ahead, commit one batch after the other."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from jobd.errors import SourceError, TargetError
from jobd.importing.error_limit import Cut, ErrorJudge
from jobd.importing.pace import Pace
from jobd.importing.prepare import freeze, prepare
from jobd.importing.totals import Totals
from jobd.model.cursor import Cursor
from jobd.model.options import ImportOptions
from jobd.model.tally import Tally
from jobd.runner.context import BatchResult
from jobd.sources import ReadOptions, open_source

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from jobd.importing.arrange import ArrangedBatch
    from jobd.importing.importer import Importer
    from jobd.importing.work import Work
    from jobd.runner.context import JobContext
    from jobd.sources import BatchReader, Source

_UNBOUNDED = 1 << 62


async def run_import(context: JobContext) -> dict[str, Any]:
    """Import the job's source into its target, from the cursor on; the result says which ways batches took."""
    job = context.job
    options = ImportOptions.parse(job.options)
    if not job.source:
        raise SourceError("the job names no source", code="source_missing")
    if not job.target:
        raise TargetError("the job names no target: set target to schema.table", code="target_missing")
    source = await to_thread.run_sync(partial(_open, context, options, await context.import_roots()))
    try:
        return await Import(context, options, source).run()
    finally:
        source.close()


def _open(context: JobContext, options: ImportOptions, limits: tuple[Path, ...] | None) -> Source:
    job, settings = context.job, context.settings
    roots = [*settings.import_roots, *([settings.spool] if settings.spool else [])]
    reading = ReadOptions(
        source_type=job.source_type,
        delimiter=options.delimiter,
        quote=options.quote,
        escape=options.escape,
        encoding=options.encoding,
        header=options.header,
        ignore_unknown=options.ignore_unknown,
    )
    detected = (job.detected or {}).get("source")
    return open_source(job.source or "", roots=roots, limits=limits, options=reading, detected=detected)


class _CutShort(Exception):
    """The job fails at a record in the middle of the batch: the batch is rolled back and done up to there."""

    def __init__(self, cut: Cut) -> None:
        super().__init__(f"cut at row {cut.row}")
        self.cut = cut


class Import:
    """One attempt at an import job."""

    def __init__(self, context: JobContext, options: ImportOptions, source: Source) -> None:
        self._context = context
        self._options = options
        self._source = source
        job = context.job
        cursor = context.last_cursor
        self._cursor = None if cursor is None else Cursor.from_json(cursor)
        self._judge = ErrorJudge(options.max_errors, job.processed_rows, job.error_count)
        self._pace = Pace(options.batch_size or context.settings.batch_size)
        self._ways = {"direct": 0, "staged": 0}

    async def run(self) -> dict[str, Any]:
        """Prepare, import, and find out beside it what is to be known of the whole."""
        await self._verify_hash()
        importer = await self._prepare()
        totals = Totals(self._source, self._context)
        async with anyio.create_task_group() as beside:
            beside.start_soon(totals.find_meanwhile)
            failure: Exception | None = None
            try:
                await self._import(importer)
            except Exception as error:  # noqa: BLE001  raised again below, outside the group, so that it is not wrapped
                failure = error
                totals.cancel()
        if failure is not None:
            raise failure
        await totals.find()
        return {"batches": self._ways}

    async def _verify_hash(self) -> None:
        expected = self._context.job.file_hash
        if expected is None or self._cursor is not None:
            return
        found = await to_thread.run_sync(self._source.sha256)
        if found != expected:
            raise SourceError(
                f"{self._source.name} has the SHA-256 {found}, and file_hash says {expected}", code="hash_mismatch"
            )

    async def _prepare(self) -> Importer:
        frozen = (self._context.job.detected or {}).get("target")

        async def look(connection: asyncpg.Connection) -> Importer:
            return await prepare(
                connection,
                target_name=self._context.job.target or "",
                source=self._source,
                options=self._options,
                frozen=frozen,
                drop_on_commit=self._context.settings.statement_cache == 0,
            )

        importer = await self._context.read(look)
        estimate = self._context.job.estimated_rows
        if estimate is None:
            estimate = await to_thread.run_sync(self._source.estimate_rows)
        await self._context.begin(
            detected={"source": self._source.detected, "target": freeze(importer)},
            estimated_rows=estimate,
            files_total=1,
            current_file=self._source.name,
        )
        return importer

    async def _import(self, importer: Importer) -> None:
        """Commit a batch while the next one is read."""
        reader = await to_thread.run_sync(self._source.reader, self._cursor)
        following = await self._read(reader, importer)
        while following is not None:
            present, following = following, None
            ahead = _Ahead()
            failure: Exception | None = None
            async with anyio.create_task_group() as group:
                group.start_soon(ahead.run, partial(self._read, reader, importer))
                try:
                    await self._commit(importer, present)
                except Exception as error:  # noqa: BLE001  raised below, outside the group
                    failure = error
            if failure is not None:
                raise failure
            following = ahead.result()
        failed = self._judge.at_end()
        if failed is not None:
            raise failed

    async def _read(self, reader: BatchReader, importer: Importer) -> ArrangedBatch | None:
        def read() -> ArrangedBatch | None:
            batch = reader.read(self._pace.rows, self._pace.bytes)
            return None if batch is None else importer.arrange(batch)

        return await to_thread.run_sync(read)

    async def _commit(self, importer: Importer, arranged: ArrangedBatch) -> None:
        """Commit one batch; where the job fails at one of its records, the batch up to that record."""
        try:
            cut = await self._commit_whole(importer, arranged)
        except _CutShort as short:
            cut = short.cut
            await self._commit_whole(importer, await self._up_to(cut.row, importer))
        if cut is not None:
            raise cut.failure

    async def _commit_whole(self, importer: Importer, arranged: ArrangedBatch) -> Cut | None:
        batch = arranged.original
        last_row = batch.cursor.row
        done: list[tuple[Work, Cut | None]] = []

        async def attempt(connection: asyncpg.Connection) -> BatchResult:
            work = await importer.bring_in(connection, arranged)
            cut = self._judge.judge(work.refusals.rows(), last_row)
            if cut is not None and cut.row < last_row:
                raise _CutShort(cut)
            done[:] = [(work, cut)]
            return BatchResult(
                tally=work.tally + Tally(refused=len(work.refusals)),
                cursor=batch.cursor.to_json(),
                progress=min(99.99, 100 * batch.fraction_read),
                current_file=self._source.name,
                errors=work.refusals.errors(),
                rejects=work.refusals.rejects(),
                read_bytes=batch.bytes_read,
            )

        began_at = time.monotonic()
        await self._context.run_batch(attempt)
        work, cut = done[0]
        self._pace.learn(batch.record_count, time.monotonic() - began_at)
        importer.learn(work)
        self._ways["direct" if work.went_direct else "staged"] += 1
        self._cursor = batch.cursor
        self._judge = ErrorJudge(self._judge.limit, batch.cursor.row, self._judge.error_count + len(work.refusals))
        return cut

    async def _up_to(self, row: int, importer: Importer) -> ArrangedBatch:
        """The records from the cursor up to one of them, read again."""
        cursor = self._cursor

        def read() -> ArrangedBatch:
            batch = self._source.reader(cursor).read(row - (cursor.row if cursor else 0), _UNBOUNDED)
            assert batch is not None  # noqa: S101  these records were read before
            return importer.arrange(batch)

        return await to_thread.run_sync(read)


class _Ahead:
    """The next batch, or why it cannot be read: kept until the present one is committed."""

    def __init__(self) -> None:
        self._batch: ArrangedBatch | None = None
        self._error: Exception | None = None

    async def run(self, read: Any) -> None:
        try:
            self._batch = await read()
        except Exception as error:  # noqa: BLE001  raised by result(), when its turn comes
            self._error = error

    def result(self) -> ArrangedBatch | None:
        if self._error is not None:
            raise self._error
        return self._batch
