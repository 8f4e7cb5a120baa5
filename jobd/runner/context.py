"""What a handler is given: its job, and the one way to write for it, the fenced batch.

A batch is one transaction: the rows that ``attempt`` writes, the counters, the row errors and the cursor, and as
its last statement ``jobd.commit_batch``, which refuses everything when the lease is no longer this job's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from uuid import UUID

    import asyncpg

    from jobd.db.queue import ListedFile, Queue, SourceLimits
    from jobd.model.files import FileEntry
    from jobd.model.job import Job
    from jobd.model.row_error import RejectedRecord, RowError
    from jobd.model.status import StopReason
    from jobd.model.tally import Tally
    from jobd.runner.batch import BatchRunner
    from jobd.runner.bundle import Bundle
    from jobd.runner.held import HeldJob
    from jobd.runner.kept import Kept
    from jobd.runner.logins import Logins
    from jobd.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What one batch did, as ``attempt`` reports it; it is stored in the same transaction.

    ``files``: what became of each of the files concerned, as ``jobd.record_files`` takes it.

    ``cursor`` is the position after the batch; it must differ from the one before, because it is what tells after
    a lost connection whether the batch was committed.
    """

    tally: Tally
    cursor: dict[str, Any]
    progress: float
    total_rows: int | None = None
    current_file: str | None = None
    errors: Sequence[RowError] = ()
    rejects: Sequence[RejectedRecord] = ()
    files: Sequence[Mapping[str, Any]] = ()
    read_bytes: int = 0


@dataclass(frozen=True, slots=True)
class BatchReceipt:
    """The job's row after the batch: its counters over all batches so far, and what it is asked to do next."""

    error_count: int
    processed_rows: int
    cancel_requested: bool
    pause_requested: bool


class Handler:
    """Runs the jobs of one type."""

    async def run(self, context: JobContext) -> dict[str, Any] | None:
        """Work until the end; what is returned becomes the job's ``result``.

        Raise :class:`jobd.errors.JobFailed` where trying again cannot help; whatever else is raised is retried
        with backoff. Let cancellation and :class:`jobd.errors.Stopped` pass.
        """
        raise NotImplementedError

    def bundle_key(self, job: Job) -> object | None:
        """What waiting jobs must have in common to be run together (see jobd.runner.bundle); None: never."""
        del job
        return None

    async def run_bundle(self, bundle: Bundle) -> None:
        """Run the jobs of a bundle as far as that can be done together."""
        raise NotImplementedError


class JobContext:
    """One attempt at one job."""

    def __init__(
        self, held: HeldJob, batches: BatchRunner, kept: Kept, *, queue: Queue, logins: Logins, settings: Settings
    ) -> None:
        self._held = held
        self._batches = batches
        self._queue = queue
        self._logins = logins
        self._kept = kept
        self.settings = settings

    @property
    def job(self) -> Job:
        """The row as it was claimed; see ``last_cursor`` for what changes while it runs."""
        return self._held.job

    @property
    def last_cursor(self) -> dict[str, Any] | None:
        """The position after the last committed batch, of this attempt or an earlier one."""
        return self._batches.cursor

    @property
    def is_pooled(self) -> bool:
        """Whether each batch may run on another backend, where nothing of the last one is to be found."""
        return self._batches.is_pooled

    @property
    def memory(self) -> object | None:
        """What the last job in this slot left here, if it was of the same type, submitter and target."""
        return self._kept.memory

    def remember(self, found: object) -> None:
        """Leave something for the next job of the same type, submitter and target; it must check it."""
        self._kept.memory = found

    @property
    def stop_reason(self) -> StopReason | None:
        """Why the job is to stop at the next batch border; None while it is to go on."""
        return self._held.stop_reason

    def raise_if_stopped(self) -> None:
        """For long work between batches: raise Stopped when a stop is asked for. Nothing may be half done."""
        self._batches.raise_if_stopped()

    async def source_limits(self) -> SourceLimits:
        """What the job's submitter is limited to, within what the daemon may read."""
        return await self._batches.ask(lambda: self._logins.source_limits_of(self.job))

    async def begin(
        self,
        *,
        detected: dict[str, Any] | None = None,
        estimated_rows: int | None = None,
        total_rows: int | None = None,
        file_hash: str | None = None,
        files_total: int | None = None,
        current_file: str | None = None,
        files: Sequence[FileEntry] | None = None,
        file_hashes: Sequence[str | None] | None = None,
    ) -> None:
        """Write down what was found out before the first row, or later about the whole; None leaves as it is.

        The list of ``files`` is written once; ``file_hashes`` are of all of them, in their order.
        """
        await self._batches.begin(
            detected=detected,
            estimated_rows=estimated_rows,
            total_rows=total_rows,
            file_hash=file_hash,
            files_total=files_total,
            current_file=current_file,
            files=files,
            file_hashes=file_hashes,
        )

    async def files(self) -> Sequence[ListedFile]:
        """The job's files, as its first start listed them."""
        return await self._batches.ask(lambda: self._queue.files(self.job.id))

    async def target_state(self) -> str | None:
        """A digest of what is looked up about the job's target; equal as long as that is. None: not to be had."""
        job = self.job
        return await self._batches.ask(lambda: self._queue.target_state(job.target or "", job.submitted_role_oid))

    async def may_repeat(self, target: str, settings: Mapping[str, Any], size_bytes: int) -> bool:
        """Whether the submitter imported content of this size into the target in the same way before."""
        role_oid = self.job.submitted_role_oid
        return await self._batches.ask(lambda: self._queue.may_repeat(role_oid, target, settings, size_bytes))

    async def repeats(self, target: str, settings: Mapping[str, Any], file_hash: str) -> UUID | None:
        """The job by which the submitter imported this very content into the target in the same way before."""
        role_oid = self.job.submitted_role_oid
        return await self._batches.ask(lambda: self._queue.repeats(role_oid, target, settings, file_hash))

    async def files_before(self) -> Mapping[str, str | None]:
        """The hashes of the source's files when the submitter last imported it into this target."""
        job = self.job
        source, target = job.source or "", job.target or ""
        return await self._batches.ask(
            lambda: self._queue.files_before(job.submitted_role_oid, source, target, job.id)
        )

    async def run_batch(self, attempt: Callable[[asyncpg.Connection], Awaitable[BatchResult]]) -> BatchReceipt:
        """Run ``attempt`` in a transaction of the job's session and commit it with counters, errors and cursor.

        ``attempt`` is called again, in a new transaction and perhaps on a new connection, after a serialisation
        failure, a deadlock, a lock timeout or a lost connection; it must therefore derive all it does from its
        arguments. A commit whose answer was lost is resolved by the row's cursor, never done twice.

        Raises LeaseLost and JobCancelled with nothing written, Stopped with the batch safely committed.
        """
        return await self._batches.run(attempt)

    async def read(self, look: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Run ``look`` with the job's rights in a transaction that is rolled back; retried like a batch."""
        return await self._batches.read(look)

    async def log(self, level: str, event: str, **data: Any) -> None:
        """Append to the job's own log, ``jobd.job_log`` (bounded per job). Never row data.

        An entry whose answer was lost may be there twice.
        """
        await self._batches.ask(lambda: self._queue.log(self.job.id, level, event, data))
