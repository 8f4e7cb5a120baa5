"""An import from its first record to its last: find its files and its target, then take batch after batch."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from jobd.errors import SourceError, TargetError
from jobd.importing.error_limit import Cut, ErrorJudge
from jobd.importing.memory import Memory, is_memorable, recall
from jobd.importing.prepare import freeze, prepare
from jobd.importing.reading.batches import Batches, Ready, first_of, result_of
from jobd.importing.reading.inputs import Inputs, open_inputs
from jobd.importing.reading.pace import Pace
from jobd.importing.reading.repeats import find_repeated, find_unchanged, leave_out_all
from jobd.importing.reading.totals import Totals, estimated_rows
from jobd.importing.rehearsal import Rehearsal
from jobd.importing.whole import Whole
from jobd.model.cursor import Cursor
from jobd.model.options import ImportOptions
from jobd.model.tally import Tally

if TYPE_CHECKING:
    from uuid import UUID

    from jobd.importing.importers import Importers
    from jobd.importing.ways.work import Work
    from jobd.runner.context import BatchResult, JobContext
    from jobd.sources import Feed, Source


async def run_import(context: JobContext, *, keeps: bool = True) -> dict[str, Any]:
    """Import the job's source into its target, from the cursor on; the result says which ways batches took.

    ``keeps``: False for a validation, which finds out what an import would do; the result says that.
    """
    options = ImportOptions.parse(context.job.options)
    if not context.job.target:
        raise TargetError("the job names no target: set target to schema.table", code="target_missing")
    inputs = await open_inputs(context, options)
    try:
        return await Import(context, options, inputs, keeps=keeps).run()
    finally:
        inputs.files.close()


class _CutShort(Exception):
    """The job fails at a record in the middle of the batch: the batch is rolled back and done up to there."""

    def __init__(self, cut: Cut) -> None:
        super().__init__(f"cut behind {cut.record_count} records")
        self.cut = cut


class Import:
    """One attempt at an import or validation job."""

    def __init__(self, context: JobContext, options: ImportOptions, inputs: Inputs, *, keeps: bool) -> None:
        self._context = context
        self._options = options
        self._inputs = inputs
        job = context.job
        cursor = None if options.atomic else context.last_cursor
        self._cursor = None if cursor is None else Cursor.from_json(cursor)
        self._judge = ErrorJudge(options.max_errors, job.processed_rows, job.error_count)
        self._pace = Pace(options.batch_size or context.settings.batch_size)
        self._ways = {"direct": 0, "staged": 0}
        self._totals = Totals(inputs, context)
        self._rehearsal = None if keeps else Rehearsal()
        self._importers: Importers | None = None
        self._tally = Tally(
            job.items_added, job.items_updated, job.items_unchanged, job.items_skipped, job.error_count
        )

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
        return self._result()

    def _result(self) -> dict[str, Any]:
        if self._rehearsal is None:
            return {"batches": self._ways}
        tally = self._tally
        return {
            "added": tally.added,
            "updated": tally.updated,
            "unchanged": tally.unchanged,
            "skipped": tally.skipped,
            "refused": tally.refused,
            "rows": self._rehearsal.rows,
            **({"are_repeats_missed": True} if self._rehearsal.is_partial else {}),
        }

    async def _prepare(self, feed: Feed) -> Importers | None:
        """Look at the first file and at the target; None where no file is left to be read."""
        first = await to_thread.run_sync(feed.first)
        importers = None if first is None else await self._importers_of(first)
        if importers is not None:
            _tell(importers, feed)
        self._importers = importers
        if self._context.job.detected is None:
            await self._begin(feed, first, importers)
        elif first is not None and not feed.is_single:
            await self._context.begin(current_file=first.name)
        return importers

    async def _importers_of(self, first: Source) -> Importers:
        """What brings batches into the target: the last job's, or made for what a look at the target shows."""
        recalled = await recall(self._context, self._options)
        if recalled is not None:
            await to_thread.run_sync(recalled.of, first.layout)
            return recalled
        # Before the look, so that no change in between goes unnoticed by those who compare.
        state = await self._context.target_state() if is_memorable(self._options) else None
        importers = await self._context.read(
            partial(
                prepare,
                target_name=self._context.job.target or "",
                layout=first.layout,
                options=self._options,
                frozen=(self._context.job.detected or {}).get("target"),
                job=self._context.job,
                drop_on_commit=self._context.is_pooled,
                keeps=self._rehearsal is None,
            )
        )
        if state is not None and self._context.job.detected is None:
            self._context.remember(Memory(self._options, state, importers))
        return importers

    async def _leave_out_unchanged(self) -> None:
        unchanged = await find_unchanged(self._context, self._inputs, self._totals)
        self._inputs = replace(self._inputs, options=replace(self._inputs.options, unchanged=unchanged))

    async def _find_repeated(self, feed: Feed, importers: Importers | None) -> UUID | None:
        first = feed.first()
        is_begun = self._cursor is not None or self._context.job.processed_rows > 0
        is_asked = not self._options.force and self._rehearsal is None
        if is_begun or not is_asked or importers is None or first is None:
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
            **await self._totals.find_small(first),
        )

    async def _import(self, feed: Feed, importers: Importers | None) -> None:
        """Take all batches, each in a transaction of its own or all in one."""
        if importers is not None and importers.is_whole:
            feed.close()
            whole = Whole(
                self._context, self._options, self._inputs, self._pace,
                tell=partial(_tell, importers), rehearsal=self._rehearsal,
            )  # fmt: skip
            self._tally += await whole.run(importers)
            return
        if self._rehearsal is not None and self._cursor is not None:
            await self._rehearse_again(self._rehearsal, importers)
        await Batches(feed, importers, self._pace).each(self._commit)
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

    async def _rehearse_again(self, rehearsal: Rehearsal, importers: Importers | None) -> None:
        """What was seen before an interruption must be known again; its counters are kept already."""
        feed = self._inputs.from_start().feed(None)
        if importers is not None:
            _tell(importers, feed)
        batches, left = Batches(feed, importers, self._pace), self._context.job.processed_rows
        try:
            while left and (ready := await batches.read(left)) is not None:
                await self._context.read(partial(rehearsal.bring_in, ready=ready))
                rehearsal.committed()
                left -= ready.batch.record_count
                self._context.raise_if_stopped()
        finally:
            feed.close()

    async def _commit(self, ready: Ready) -> None:
        """Commit one batch; where the job fails at one of its records, the batch up to that record."""
        try:
            cut = await self._commit_whole(ready)
        except _CutShort as short:
            cut = short.cut
            feed = self._inputs.feed(self._cursor)
            if self._importers is not None:
                _tell(self._importers, feed)
            shortened = await to_thread.run_sync(first_of, feed, ready, cut.record_count)
            await self._commit_whole(shortened)
        if cut is not None:
            raise cut.failure

    async def _commit_whole(self, ready: Ready) -> Cut | None:
        batch = ready.batch
        done: list[tuple[Work | None, Cut | None, Tally]] = []

        async def attempt(connection: Any) -> BatchResult:
            if self._rehearsal is None:
                work = await ready.bring_in(connection, self._judge.error_count)
            else:
                work = await self._rehearsal.bring_in(connection, ready, self._judge.error_count)
            cut = None
            if work is not None:
                cut = self._judge.judge(work.refusals.places(), batch.record_count)
                if cut is not None and cut.record_count < batch.record_count:
                    raise _CutShort(cut)
            result = result_of(batch, work)
            done[:] = [(work, cut, result.tally)]
            return result

        began_at = time.monotonic()
        await self._context.run_batch(attempt)
        work, cut, tally = done[0]
        if self._rehearsal is not None:
            self._rehearsal.committed()
        if work is not None and ready.importer is not None:
            self._pace.learn(batch.record_count, time.monotonic() - began_at, tally.refused)
            ready.importer.learn(work)
            self._ways["direct" if work.went_direct else "staged"] += 1
        self._cursor = batch.cursor
        self._judge = self._judge.after(batch.record_count, tally.refused)
        self._tally += tally
        return cut


def _tell(importers: Importers, feed: Feed) -> None:
    """What a feed must know of the target."""
    feed.accepts = importers.accepts
    feed.spans_files = importers.can_attribute
