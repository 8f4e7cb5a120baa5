"""One fenced batch after the other, and how a lost commit is resolved."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from asyncpg import PostgresError

from jobd import log
from jobd.db.queries import query
from jobd.db.transient import sqlstate_of
from jobd.errors import JobFailed, LeaseLost, Stopped
from jobd.model.status import StopReason
from jobd.runner import points
from jobd.runner.commit_arguments import commit_arguments
from jobd.runner.context import BatchReceipt, BatchResult
from jobd.runner.fence import BEHIND_CURSOR, refusal
from jobd.runner.persistence import Persistence
from jobd.runner.row_counts import count_rows
from jobd.runner.traced import span_of_batch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from asyncpg import Connection, Record

    from jobd.db.queue import Queue
    from jobd.db.session import Session
    from jobd.metrics import Metrics
    from jobd.runner.held import HeldJob
    from jobd.runner.running import RunningSet

T = TypeVar("T")

_log = log.get("batch")


class BatchRunner:
    """Runs the batches of one attempt on the job's session."""

    def __init__(
        self, held: HeldJob, session: Session, queue: Queue, running: RunningSet, metrics: Metrics
    ) -> None:
        self._held = held
        self._session = session
        self._queue = queue
        self._persistence = Persistence(held, session, running, metrics)
        self._metrics = metrics
        self.cursor: dict[str, Any] | None = held.job.cursor
        self._error_count = held.job.error_count
        self._is_committing = False
        self._result: BatchResult | None = None

    @property
    def is_pooled(self) -> bool:
        """Whether each batch may run on another backend, where nothing of the last one is to be found."""
        return self._session.is_pooled

    def raise_if_stopped(self) -> None:
        """Stop here, at a batch border, where that is asked for."""
        self._persistence.raise_if_stopped()

    async def run(self, attempt: Callable[[Connection], Awaitable[BatchResult]]) -> BatchReceipt:
        """Commit one batch, however often that must be tried; see JobContext.run_batch."""
        self.raise_if_stopped()
        _log.debug("batch begun", lease_token=self._held.lease_token, from_row=self._held.processed_rows)
        with span_of_batch(self._held) as span:
            receipt = await self._committed(attempt)
            if span is not None and self._result is not None:
                span.committed(self._result.tally, receipt.processed_rows)
        self._count(receipt)
        await points.reach("batch.acknowledged")
        self.raise_if_stopped()
        return receipt

    async def _committed(self, attempt: Callable[[Connection], Awaitable[BatchResult]]) -> BatchReceipt:
        try:
            return await self._persistence.run(lambda: self._commit(attempt), self._recover)
        except LeaseLost as lost:
            if lost.__cause__ is not None and await self._is_forged(lost.__cause__):
                raise self._forged() from lost.__cause__
            raise

    async def read(self, look: Callable[[Connection], Awaitable[T]]) -> T:
        """Run a look at the database that changes nothing."""

        async def in_transaction() -> T:
            connection = await self._session.begin()
            with self._others_code():
                seen = await look(connection)
            await connection.execute("rollback")
            return seen

        return await self._persistence.run(in_transaction)

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """Ask the queue something, or tell it, however often the database is away meanwhile."""
        return await self._persistence.run(question)

    async def begin(self, **found: Any) -> None:
        """Write down what was found out about the job's source."""
        job_id, lease_token = self._held.job.id, self._held.lease_token
        await self.ask(lambda: self._queue.begin(job_id, lease_token, **found))

    @contextlib.contextmanager
    def _others_code(self) -> Iterator[None]:
        """Where code of others' runs, the words of the fence are not the fence's.

        Believed, they would let the job go on for ever: given away as if its lease were lost, and claimed again.
        """
        try:
            yield
        except PostgresError as error:
            if refusal(error, self._held.job.id) is None:
                raise
            raise JobFailed(
                f"code of the target's raised SQLSTATE {error.sqlstate}, which is jobd's own ({error}); the batch "
                "was rolled back",
                code="target_refused",
                job_id=self._held.job.id,
            ) from error

    async def _is_forged(self, error: BaseException) -> bool:
        """Whether the cursor that the fence found too far ahead was never committed: only the session moved it."""
        if sqlstate_of(error) != BEHIND_CURSOR:
            return False
        row = await self._committed_row()
        return row is not None and _is_at(row, self.cursor)

    async def _committed_row(self) -> Record | None:
        """The job's row as others see it, whatever the session has made of it."""
        return (await self._queue.job_states([self._held.job.id])).get(self._held.job.id)

    def _forged(self) -> JobFailed:
        return JobFailed(
            "code of the target's called jobd.commit_batch, which is for jobd to call; the batch was rolled back",
            code="target_refused",
            job_id=self._held.job.id,
        )

    async def _commit(self, attempt: Callable[[Connection], Awaitable[BatchResult]]) -> BatchReceipt:
        """One try: BEGIN, the attempt's rows, the fence with counters and cursor, COMMIT."""
        self._is_committing = False
        self._result = None
        began_at = time.monotonic()
        await self._session.connection()
        await points.reach("batch.begin")
        connection = await self._session.begin()
        with self._others_code():
            result = self._result = await attempt(connection)
        await points.reach("batch.inside")
        fenced_at = time.monotonic()
        rows = await connection.fetch(
            query("batch_commit"), *commit_arguments(self._held, result, self._error_count)
        )
        self._metrics.database.count_statement("batch_commit", time.monotonic() - fenced_at)
        receipt = await self._checked(rows, result)
        await points.reach("batch.commit")
        self._is_committing = True
        with self._others_code():
            await connection.execute("commit")
        await points.reach("batch.committed")
        self._metrics.jobs.batch.observe(time.monotonic() - began_at)
        self._is_committing = False
        return receipt

    async def _checked(self, rows: list[Record], result: BatchResult) -> BatchReceipt:
        """Code of others' ran on this session: believe only the answer that the fence can have given."""
        if len(rows) != 1 or rows[0]["lease_token"] != self._held.lease_token:
            raise LeaseLost("the fence did not answer as it should", job_id=self._held.job.id)
        receipt = _receipt(rows[0])
        tally = result.tally
        if (receipt.processed_rows, receipt.error_count) != (
            self._held.processed_rows + tally.processed_rows,
            self._error_count + tally.refused,
        ):
            row = await self._committed_row()
            if row is not None:
                self._require_kept(row)
            raise self._forged()
        return receipt

    async def _recover(self) -> BatchReceipt | None:
        """After a lost connection: tell whether the lease is ours still, and the batch committed after all."""
        await self._session.connection()  # by which the old backend has ended, whatever it was doing
        job_id = self._held.job.id
        row = await self._committed_row()
        if row is None or row["status"] != "running" or not self._held.is_holder(row):
            raise LeaseLost("the lease was taken while the connection was lost", job_id=job_id)
        if self._is_committing and self._result is not None and _is_at(row, self._result.cursor):
            _log.info("the commit whose answer was lost had been done")
            return _receipt(row)
        self._require_kept(row)
        return None

    def _require_kept(self, row: Record) -> None:
        """After a failover to a standby that was behind, batches may be gone that were committed before."""
        if not _is_at(row, self.cursor):
            _log.warning(
                "the database lost committed batches",
                rows_known=self._held.processed_rows,
                rows_kept=row["processed_rows"],
            )
            raise Stopped(
                "the database lost committed batches: they are done again, from the cursor that it has",
                reason=StopReason.SHUTDOWN,
                job_id=self._held.job.id,
            )

    def _count(self, receipt: BatchReceipt) -> None:
        """The batch is safe: remember where it ended."""
        result = self._result
        assert result is not None  # noqa: S101  a receipt exists only for a result
        _log.debug(
            "batch committed",
            lease_token=self._held.lease_token,
            from_row=self._held.processed_rows,
            to_row=receipt.processed_rows,
        )
        self.cursor = result.cursor
        self._held.has_progress = True
        self._held.progress = result.progress
        self._held.moved_at = time.monotonic()
        self._error_count = receipt.error_count
        self._held.processed_rows = receipt.processed_rows
        count_rows(self._metrics, self._held.job, result)
        if receipt.cancel_requested:
            self._held.stop(StopReason.CANCEL)
        elif receipt.pause_requested:
            self._held.stop(StopReason.PAUSE)


def _is_at(row: Record, cursor: dict[str, Any] | None) -> bool:
    """Whether the job's row ends where this cursor does."""
    return bool(_json(row["cursor"]) == _json_of(cursor))


def _json(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


def _json_of(cursor: dict[str, Any] | None) -> Any:
    """As it comes back from the database."""
    return orjson.loads(orjson.dumps(cursor))


def _receipt(row: Record) -> BatchReceipt:
    return BatchReceipt(
        error_count=row["error_count"],
        processed_rows=row["processed_rows"],
        cancel_requested=row["cancel_requested"],
        pause_requested=row["pause_requested"],
    )
