"""One method per thing that an application can ask. The database does it; here it is only called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from jobd.client.connection import session_of
from jobd.client.row_errors import exception_of
from jobd.client.wait import wait_until_ended
from jobd.db.queries import query
from jobd.errors import JobError, JobNotFound
from jobd.model.job import Job
from jobd.model.status import JobStatus, JobType, Priority
from jobd.tracing.traceparent import with_current

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from jobd.client.connection import CallersConnection
    from jobd.errors import RowRefused


class Client:
    """Jobs, on the caller's connection and in the caller's transaction.

    Control calls hold the job's row until the transaction ends, and the worker waits for it: make them in a
    transaction of their own. They answer False where the job's status does not allow what was asked, and raise
    ``JobNotFound``, or ``StaleVersion`` when ``expected_version`` is given and not the job's version any more.
    """

    def __init__(self, connection: CallersConnection) -> None:
        self._session = session_of(connection)

    async def submit(
        self,
        source: str | None,
        target: str | None = None,
        *,
        options: Mapping[str, Any] | None = None,
        job_type: JobType | str = JobType.IMPORT,
        queue: str | None = None,
        priority: Priority | str | None = None,
        serial_key: str | None = None,
        run_at: datetime | None = None,
        source_type: str | None = None,
        filename: str | None = None,
        file_hash: str | None = None,
        handler: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        created_by: str | None = None,
        tenant: str | None = None,
        related_dataset_id: UUID | None = None,
        idempotency_key: str | None = None,
        estimated_rows: int | None = None,
        max_retries: int | None = None,
        batch_id: UUID | None = None,
        after: Sequence[UUID] | None = None,
        pause_requested: bool = False,
    ) -> Job:
        """Insert a job, or get the one that holds the idempotency key: its values are then the earlier call's.

        What is left out gets the database's default. ``JobRefused`` says which value the database does not take.
        Where a span of OpenTelemetry's is current, the metadata get its ``traceparent``, unless they have one.
        """
        rows = await self._session.fetch(
            query("client_submit"),
            source,
            target,
            _json(options),
            job_type,
            queue,
            priority,
            serial_key,
            run_at,
            source_type,
            filename,
            file_hash,
            handler,
            _json(with_current(metadata)),
            created_by,
            tenant,
            related_dataset_id,
            idempotency_key,
            estimated_rows,
            max_retries,
            batch_id,
            None if after is None else list(after),
            pause_requested,
        )
        return await self._existing(rows[0]["id"])

    async def upload(self, data: bytes, filename: str | None = None, *, created_by: str | None = None) -> str:
        """Keep bytes in the database, where every daemon can read them; gives the source to submit (``blob:…``).

        They go with the job that imports them when that is pruned or erased. At most 1 GB, less what the
        connection needs; larger files belong on a disk or into an object store.
        """
        rows = await self._session.fetch(query("client_upload"), data, filename, created_by)
        return f"blob:{rows[0]['id']}"

    async def get(self, job_id: UUID) -> Job | None:
        """The job as it is now, or None when there is none of that id (or it is another submitter's)."""
        rows = await self._session.fetch(query("client_get"), job_id)
        return Job.from_row(rows[0]) if rows else None

    async def list(
        self,
        status: JobStatus | str | Iterable[JobStatus | str] | None = None,
        *,
        queue: str | None = None,
        job_type: JobType | str | None = None,
        batch_id: UUID | None = None,
        after: Job | None = None,
        limit: int = 100,
    ) -> Sequence[Job]:
        """A page of jobs, newest first; for the next page pass the last job of this one as ``after``."""
        wanted = [status] if isinstance(status, str) else list(JobStatus) if status is None else status
        rows = await self._session.fetch(
            query("client_list"),
            [JobStatus(one).value for one in wanted],
            after.created_at if after else None,
            after.id if after else None,
            queue,
            job_type,
            batch_id,
            limit,
        )
        return [Job.from_row(row) for row in rows]

    async def cancel(
        self, job_id: UUID, reason: str | None = None, *, expected_version: int | None = None
    ) -> bool:
        """End the job: at once when it waits, else its worker rolls the open batch back."""
        return await self._ask("client_cancel", job_id, reason, expected_version)

    async def pause(self, job_id: UUID, reason: str | None = None, *, expected_version: int | None = None) -> bool:
        """Stop the job at the next batch border; it keeps its place in the file."""
        return await self._ask("client_pause", job_id, reason, expected_version)

    async def resume(self, job_id: UUID, *, expected_version: int | None = None) -> bool:
        """Let a paused job go on from the exact row, on any daemon."""
        return await self._ask("client_resume", job_id, expected_version)

    async def retry(self, job_id: UUID, *, expected_version: int | None = None) -> bool:
        """Let a failed or cancelled job go on; ``DuplicateSubmission`` when another has its key now."""
        return await self._ask("client_retry", job_id, expected_version)

    async def set_priority(
        self, job_id: UUID, priority: Priority | str, *, expected_version: int | None = None
    ) -> bool:
        """Move the job forwards or back among those that wait."""
        return await self._ask("client_set_priority", job_id, priority, expected_version)

    async def release(self, job_id: UUID) -> bool:
        """Take the job from a worker that lives but does not obey (administrators)."""
        return await self._ask("client_release", job_id)

    async def erase(self, job_id: UUID) -> bool:
        """Remove what may be personal (refused records, names, metadata); the counters stay."""
        return await self._ask("client_erase", job_id)

    async def revert(self, job_id: UUID) -> int:
        """Undo an import that tracked changes, where nobody changed the rows since; how many it could not.

        ``jobd.job_change`` has the reasons, in ``revert_problem``.
        """
        return int(await self._answer("client_revert", job_id, job_id=job_id))

    async def explain(self, job_id: UUID) -> str:
        """Why the job does not run or does not advance, and what to do."""
        return str(await self._answer("client_explain", job_id, job_id=job_id))

    async def cancel_batch(self, batch_id: UUID, reason: str | None = None) -> int:
        """Cancel all jobs of a batch that the caller may control; how many that were."""
        return int(await self._answer("client_cancel_batch", batch_id, reason))

    async def pause_batch(self, batch_id: UUID, reason: str | None = None) -> int:
        """Pause all jobs of a batch; how many that were."""
        return int(await self._answer("client_pause_batch", batch_id, reason))

    async def resume_batch(self, batch_id: UUID) -> int:
        """Resume all jobs of a batch; how many that were."""
        return int(await self._answer("client_resume_batch", batch_id))

    async def pause_queue(self, queue: str, resume_at: datetime | None = None) -> None:
        """Start no further jobs of the queue, until ``resume_at`` or :meth:`resume_queue`; running ones go on."""
        await self._answer("client_pause_queue", queue, resume_at)

    async def resume_queue(self, queue: str) -> None:
        """Start jobs of the queue again."""
        await self._answer("client_resume_queue", queue)

    async def prune(self, older_than: timedelta, *, keep_failed: bool = True) -> int:
        """Delete the oldest jobs that ended longer ago, 10,000 at most; how many that were. Call until it is 0."""
        return int(await self._answer("client_prune", older_than, keep_failed))

    async def errors(self, job_id: UUID, *, limit: int = 1000, offset: int = 0) -> Sequence[RowRefused]:
        """What was refused and why: ``ParseError``, ``ValidationError`` … as values, to be read or raised.

        They come as they were found. A page shorter than ``limit`` is the last.
        """
        await self._existing(job_id)
        rows = await self._session.fetch(query("client_errors"), job_id, limit, offset)
        return [exception_of(row) for row in rows]

    async def wait(self, job_id: UUID, timeout: float | None = None) -> Job:  # noqa: ASYNC109  never cuts a statement
        """The job once it is completed, failed or cancelled; ``TimeoutError`` after so many seconds.

        Not inside a transaction (``JobError``): it would be held open all the while. Between its looks at the job
        no transaction is open, but the connection is in use: take another one for other work meanwhile.
        """
        return await wait_until_ended(self._session, job_id, lambda: self._existing(job_id), timeout)

    async def _existing(self, job_id: UUID) -> Job:
        job = await self.get(job_id)
        if job is None:
            raise JobNotFound(f"job {job_id} does not exist, or is another submitter's", job_id=job_id)
        return job

    async def _ask(self, name: str, job_id: UUID, *arguments: object) -> bool:
        return bool(await self._answer(name, job_id, *arguments, job_id=job_id))

    async def _answer(self, name: str, *arguments: object, job_id: UUID | None = None) -> Any:
        try:
            rows = await self._session.fetch(query(name), *arguments)
        except JobError as error:
            error.job_id = job_id
            raise
        return rows[0]["answer"]


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
