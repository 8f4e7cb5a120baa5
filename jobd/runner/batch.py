"""One fenced batch after the other: what is tried again, and how a lost commit is resolved."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import orjson

from jobd import log
from jobd.db.queries import query
from jobd.db.transient import Advice, advice, error_class, sqlstate_of
from jobd.errors import DatabaseUnavailable, JobCancelled, LeaseLost, Stopped
from jobd.model.row_error import STORED_MAX
from jobd.model.status import StopReason
from jobd.runner import points
from jobd.runner.context import BatchReceipt, BatchResult
from jobd.runner.fence import refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncpg import Connection, Record

    from jobd.db.queue import Queue
    from jobd.db.session import Session
    from jobd.metrics import Metrics
    from jobd.runner.held import HeldJob
    from jobd.runner.running import RunningSet

T = TypeVar("T")

PAUSE_SECONDS_MIN = 0.02
PAUSE_SECONDS_MAX = 1.0
# A conflict that lasts longer than this is no matter of luck: the job is tried again later, as a whole.
CONFLICT_SECONDS_MAX = 300.0
UNREACHABLE_SECONDS_MAX = 120.0

_log = log.get("batch")


class BatchRunner:
    """Runs the batches of one attempt on the job's session."""

    def __init__(
        self, held: HeldJob, session: Session, queue: Queue, running: RunningSet, metrics: Metrics
    ) -> None:
        self._held = held
        self._session = session
        self._queue = queue
        self._running = running
        self._metrics = metrics
        self.cursor: dict[str, Any] | None = held.job.cursor
        self._error_count = held.job.error_count
        self._is_committing = False
        self._result: BatchResult | None = None

    async def run(self, attempt: Callable[[Connection], Awaitable[BatchResult]]) -> BatchReceipt:
        """Commit one batch, however often that must be tried; see JobContext.run_batch."""
        self.raise_if_stopped()
        receipt = await self._persist(lambda: self._commit(attempt), self._recover)
        self._count(receipt)
        await points.reach("batch.acknowledged")
        self.raise_if_stopped()
        return receipt

    async def read(self, look: Callable[[Connection], Awaitable[T]]) -> T:
        """Run a look at the database that changes nothing."""

        async def in_transaction() -> T:
            connection = await self._session.connection()
            await connection.execute(query("batch_begin"))
            seen = await look(connection)
            await connection.execute("rollback")
            return seen

        return await self._persist(in_transaction, _nothing_to_recover)

    async def begin(self, **found: Any) -> None:
        """Write down what was found out about the job's source."""
        job_id, lease_token = self._held.job.id, self._held.lease_token
        await self._persist(lambda: self._queue.begin(job_id, lease_token, **found), _nothing_to_recover)

    def raise_if_stopped(self) -> None:
        """Stop here, at a batch border, where that is asked for."""
        reason = self._held.stop_reason
        if reason is None and self._running.is_trusted:
            return
        job_id = self._held.job.id
        if reason is StopReason.LEASE_LOST or reason is None:
            raise LeaseLost("the lease could not be renewed in time", job_id=job_id)
        if reason is StopReason.CANCEL:
            raise JobCancelled("a cancel was asked for", job_id=job_id)
        raise Stopped(f"stopped at a batch border: {reason}", reason=reason, job_id=job_id)

    async def _persist(self, work: Callable[[], Awaitable[T]], recover: Callable[[], Awaitable[T | None]]) -> T:
        """Run ``work`` until it succeeds or fails for good; ``recover`` finds out what a lost connection left."""
        began_at = time.monotonic()
        pause = PAUSE_SECONDS_MIN
        is_lost = False
        while True:
            try:
                if is_lost:
                    found = await recover()
                    if found is not None:
                        return found
                    is_lost = False
                return await work()
            except Exception as error:  # noqa: BLE001  what must not be tried again is raised from there
                is_lost = await self._after_error(error, time.monotonic() - began_at) or is_lost
                if pause == PAUSE_SECONDS_MIN:
                    _log.warning("tried again", error=error, is_connection_lost=is_lost)
            await anyio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  apart from others that failed together
            pause = min(pause * 2, PAUSE_SECONDS_MAX)
            self.raise_if_stopped()

    async def _after_error(self, error: Exception, tried_seconds: float) -> bool:
        """Tidy up and tell whether the connection was lost; raise what must not be tried again."""
        self._metrics.count_database_error(error_class(error))
        what = Advice.RECONNECT if isinstance(error, DatabaseUnavailable) else advice(error)
        if what is Advice.RECONNECT:
            self._session.give_up()
            if tried_seconds > UNREACHABLE_SECONDS_MAX:
                raise error
            return True
        await self._session.roll_back()
        refused = refusal(error, self._held.job.id)
        if refused is not None:
            raise refused from error
        # Who holds the job's row may hold it for long (an open transaction with jobd.cancel): no limit for that.
        is_conflict = what is Advice.RETRY and (
            sqlstate_of(error) == "55P03" or tried_seconds < CONFLICT_SECONDS_MAX
        )
        if not is_conflict:
            raise error
        return False

    async def _commit(self, attempt: Callable[[Connection], Awaitable[BatchResult]]) -> BatchReceipt:
        """One try: BEGIN, the attempt's rows, the fence with counters and cursor, COMMIT."""
        self._is_committing = False
        self._result = None
        connection = await self._session.connection()
        await points.reach("batch.begin")
        await connection.execute(query("batch_begin"))
        result = self._result = await attempt(connection)
        await points.reach("batch.inside")
        rows = await connection.fetch(query("batch_commit"), *_arguments(self._held, result, self._error_count))
        receipt = self._checked(rows)
        await points.reach("batch.commit")
        self._is_committing = True
        await connection.execute("commit")
        await points.reach("batch.committed")
        self._is_committing = False
        return receipt

    def _checked(self, rows: list[Record]) -> BatchReceipt:
        """Code of others' ran on this session: believe only the answer that the fence can have given."""
        if len(rows) != 1 or rows[0]["lease_token"] != self._held.lease_token:
            raise LeaseLost("the fence did not answer as it should", job_id=self._held.job.id)
        return _receipt(rows[0])

    async def _recover(self) -> BatchReceipt | None:
        """After a lost connection: tell whether the lease is ours still, and the batch committed after all."""
        await self._session.connection()  # by which the old backend has ended, whatever it was doing
        job_id = self._held.job.id
        row = (await self._queue.job_states([job_id])).get(job_id)
        if row is None or row["lease_token"] != self._held.lease_token or row["status"] != "running":
            raise LeaseLost("the lease was taken while the connection was lost", job_id=job_id)
        if not self._is_committing or self._result is None:
            return None
        cursor = None if row["cursor"] is None else orjson.loads(row["cursor"])
        if cursor != orjson.loads(orjson.dumps(self._result.cursor)):
            return None
        _log.info("the commit whose answer was lost had been done")
        return _receipt(row)

    def _count(self, receipt: BatchReceipt) -> None:
        """The batch is safe: remember where it ended."""
        result = self._result
        assert result is not None  # noqa: S101  a receipt exists only for a result
        self.cursor = result.cursor
        self._error_count = receipt.error_count
        job, tally = self._held.job, result.tally
        queue = self._metrics.queue_label(job.queue)
        for name, number in (
            ("added", tally.added),
            ("updated", tally.updated),
            ("unchanged", tally.unchanged),
            ("skipped", tally.skipped),
            ("rejected", tally.refused),
        ):
            if number:
                self._metrics.rows.labels(queue, job.job_type, name).inc(number)
        if result.read_bytes:
            self._metrics.read_bytes.labels(queue, job.job_type).inc(result.read_bytes)
        if receipt.cancel_requested:
            self._held.stop(StopReason.CANCEL)
        elif receipt.pause_requested:
            self._held.stop(StopReason.PAUSE)


async def _nothing_to_recover() -> None:
    return None


def _receipt(row: Record) -> BatchReceipt:
    return BatchReceipt(
        error_count=row["error_count"],
        processed_rows=row["processed_rows"],
        cancel_requested=row["cancel_requested"],
        pause_requested=row["pause_requested"],
    )


def _arguments(held: HeldJob, result: BatchResult, error_count: int) -> list[object]:
    """The parameters of jobd.commit_batch, in its order.

    What will not be stored is not sent: of errors beyond the limit the groups alone.
    """
    tally, errors = result.tally, result.errors
    room = max(0, STORED_MAX - error_count)
    rejects = result.rejects[:room]
    stored = len(errors)
    if stored > room:
        records = list(dict.fromkeys((error.file, error.row_number) for error in errors))
        beyond = set(records[room:])
        stored = sum((error.file, error.row_number) not in beyond for error in errors)
    rows, lines, types, codes, messages, fields, files, sqlstates, constraints, raws = (
        zip(*errors, strict=True) if errors else ((),) * 10
    )
    reject_rows, records_, reject_files = zip(*rejects, strict=True) if rejects else ((),) * 3
    return [
        held.job.id,
        held.lease_token,
        tally.added,
        tally.updated,
        tally.unchanged,
        tally.skipped,
        tally.refused,
        orjson.dumps(result.cursor).decode(),
        result.progress,
        result.total_rows,
        result.current_file,
        rows,
        lines[:stored],
        _of_all(files),
        fields,
        types[:stored],
        codes,
        messages[:stored],
        sqlstates[:stored],
        constraints[:stored] if any(constraints) else (),
        raws[:stored],
        reject_rows,
        _of_all(reject_files),
        records_,
        orjson.dumps(result.files).decode() if result.files else None,
    ]


def _of_all(files: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """One file for all, where it is one."""
    return files[:1] if len(set(files)) == 1 else files
