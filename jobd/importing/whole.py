"""All of a source in one transaction, or nothing: the option ``atomic``, and validations that need it.

The job's row is written at the end only, so that whoever controls the job never waits. Stops are looked for
between batches, and an interruption begins again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from jobd.errors import JobFailed, TooManyErrors
from jobd.importing.error_limit import ErrorJudge
from jobd.importing.reading.batches import Batches, result_of
from jobd.model.cursor import Cursor
from jobd.model.option_values import ErrorLimit
from jobd.model.row_error import STORED_MAX
from jobd.model.tally import Tally
from jobd.runner.context import BatchResult

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg

    from jobd.importing.importers import Importers
    from jobd.importing.reading.batches import Ready
    from jobd.importing.reading.inputs import Inputs
    from jobd.importing.reading.pace import Pace
    from jobd.importing.rehearsal import Rehearsal
    from jobd.importing.ways.work import Work
    from jobd.model.options import ImportOptions
    from jobd.model.row_error import RejectedRecord, RowError
    from jobd.runner.context import JobContext
    from jobd.sources import Feed


class _Refused(Exception):
    """The job fails at a record: everything is rolled back but the errors up to there."""

    def __init__(self, failure: TooManyErrors, account: _Account) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.account = account


class _Account:
    """What all batches did together."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.errors: list[RowError] = []
        self.rejects: list[RejectedRecord] = []
        self.read_bytes = 0
        self.files: dict[int, dict[str, Any]] = {}
        self.last: BatchResult | None = None

    def add(self, result: BatchResult) -> None:
        """Add a batch."""
        self.tally += result.tally
        self.errors += result.errors
        self.rejects += result.rejects
        self.read_bytes += result.read_bytes
        self.last = result
        for file in result.files:
            known = self.files.setdefault(file["position"], dict.fromkeys(_COUNTS, 0))
            self.files[file["position"]] = {**file, **{name: known[name] + file[name] for name in _COUNTS}}

    def add_refused(self, result: BatchResult, count: int) -> None:
        """Add the first refused records of a batch, and nothing else."""
        kept = list(dict.fromkeys((reject.file, reject.row_number) for reject in result.rejects))[:count]
        self.errors += [error for error in result.errors if (error.file, error.row_number) in set(kept)]
        self.rejects += [reject for reject in result.rejects if (reject.file, reject.row_number) in set(kept)]
        self.tally += Tally(refused=count)


_COUNTS = ("added", "updated", "unchanged", "skipped", "refused")


class Whole:
    """One attempt at all of a job's source. ``rehearsal``: of a validation, whose rows are rolled back."""

    def __init__(
        self,
        context: JobContext,
        options: ImportOptions,
        inputs: Inputs,
        pace: Pace,
        *,
        tell: Callable[[Feed], None],
        rehearsal: Rehearsal | None,
    ) -> None:
        self._context = context
        self._inputs = inputs
        self._pace = pace
        self._tell = tell
        self._rehearsal = rehearsal
        given = options.max_errors
        is_stated = given.count is not None or given.share is not None
        self._limit = given if is_stated or rehearsal is not None else ErrorLimit(count=0)
        self._seconds_max = context.settings.atomic_seconds_max

    async def run(self, importers: Importers | None) -> Tally:
        """Import everything and commit it once; raises TooManyErrors with only the errors kept."""
        done: list[Tally] = []

        async def attempt(connection: asyncpg.Connection) -> BatchResult:
            account = await self._bring_in_all(connection, importers)
            done[:] = [account.tally]
            return self._result(account)

        try:
            await self._context.run_batch(attempt)
        except _Refused as refused:
            await self._keep_errors(refused.account)
            raise refused.failure from None
        return done[0]

    async def _bring_in_all(self, connection: asyncpg.Connection, importers: Importers | None) -> _Account:
        began_at = time.monotonic()
        account = _Account()
        judge = ErrorJudge(self._limit, 0, 0)
        feed = self._inputs.from_start().feed(None)
        self._tell(feed)

        async def take(ready: Ready) -> None:
            nonlocal judge
            self._require_time(began_at)
            work = await ready.bring_in(connection)
            judge = self._judged(ready, work, judge, account)
            if self._rehearsal is not None and work is not None:
                await self._rehearsal.show(work)
            if work is not None and ready.importer is not None:
                ready.importer.learn(work)
            self._context.raise_if_stopped()

        if self._rehearsal is not None:
            self._rehearsal.forget()
            await connection.execute("savepoint jobd_whole")
        try:
            await Batches(feed, importers, self._pace).each(take)
        finally:
            feed.close()
        failed = judge.at_end()
        if failed is not None:
            raise _Refused(failed, _errors_of(account))
        if self._rehearsal is not None:
            await connection.execute("rollback to savepoint jobd_whole; release savepoint jobd_whole")
        return account

    def _judged(self, ready: Ready, work: Work | None, judge: ErrorJudge, account: _Account) -> ErrorJudge:
        """Add a batch to the account; raises where it has a record refused too many."""
        result = result_of(ready.batch, work)
        if work is None:
            account.add(result)
            return judge
        places = work.refusals.places()
        cut = judge.judge(places, ready.batch.record_count)
        if cut is not None:
            refused = _errors_of(account)
            refused.add_refused(result, sum(place <= cut.record_count for place in places))
            raise _Refused(cut.failure, refused)
        account.add(result)
        if account.tally.refused > STORED_MAX:
            raise _Refused(
                TooManyErrors(f"more than {STORED_MAX:,} records were refused, which one transaction cannot keep"),
                _errors_of(account),
            )
        return judge.after(ready.batch.record_count, len(places))

    def _require_time(self, began_at: float) -> None:
        if time.monotonic() - began_at > self._seconds_max:
            way_out = (
                "Leave option atomic out, or raise the setting"
                if self._rehearsal is None
                else ("Raise the setting, or validate a part of the file")
            )
            raise JobFailed(
                f"the one transaction of this job took longer than JOBD_ATOMIC_SECONDS_MAX allows "
                f"({self._seconds_max:g} s); nothing was kept. {way_out}",
                code="atomic_too_long",
            )

    def _result(self, account: _Account) -> BatchResult:
        last = account.last
        return BatchResult(
            tally=account.tally,
            cursor=Cursor(file=len(self._inputs.files.entries) + 1).to_json(),
            progress=99.99,
            current_file=None if last is None else last.current_file,
            errors=account.errors,
            rejects=account.rejects,
            files=list(account.files.values()),
            read_bytes=account.read_bytes,
        )

    async def _keep_errors(self, account: _Account) -> None:
        """Write down what was refused, after everything else was rolled back."""
        row = self._context.job.processed_rows + account.tally.refused

        async def attempt(_connection: asyncpg.Connection) -> BatchResult:
            return BatchResult(
                tally=account.tally,
                cursor=Cursor(file=0, row=row).to_json(),
                progress=0.0,
                errors=account.errors,
                rejects=account.rejects,
            )

        await self._context.run_batch(attempt)


def _errors_of(account: _Account) -> _Account:
    """The refused records of an account without its rows."""
    refused = _Account()
    refused.errors, refused.rejects = list(account.errors), list(account.rejects)
    refused.tally = Tally(refused=account.tally.refused)
    return refused
