"""Wait for a job to end: woken by the database's notifications where they arrive, by looking where they do not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import anyio

from jobd.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection
    from uuid import UUID

    from jobd.client.connection import NextPayload, Session
    from jobd.model.job import Job

CHANNEL = "jobd_event"
LOOK_SECONDS_MIN = 0.1
LOOK_SECONDS_MAX = 2.0


async def wait_until_ended(
    session: Session, job_id: UUID, look: Callable[[], Awaitable[Job]], seconds_max: float | None
) -> Job:
    """The job once it is completed, failed or cancelled; ``TimeoutError`` when it takes longer.

    Time runs out between two looks only, so that no statement is cut off on the caller's connection.
    """
    if session.is_in_transaction():
        # Inside a transaction the wait might never end: the job may have been submitted in this very transaction,
        # and LISTEN takes effect at its commit only.
        raise JobError("wait() cannot be called inside a transaction: commit it first", job_id=job_id)
    deadline = math.inf if seconds_max is None else anyio.current_time() + seconds_max
    async with session.listening(CHANNEL) as next_payload:
        seconds = LOOK_SECONDS_MIN
        while True:
            async with session.transaction():
                job = await look()
            if job.status.is_terminal:
                return job
            now = anyio.current_time()
            if now >= deadline:
                raise TimeoutError(f"job {job_id} is still {job.status} after {seconds_max:g} s")
            await news_of([job_id], next_payload, until=min(now + seconds, deadline))
            seconds = min(seconds * 2, LOOK_SECONDS_MAX)


async def news_of(job_ids: Collection[UUID], next_payload: NextPayload, *, until: float) -> None:
    """Return at a notification about one of these jobs, or about more jobs than it could name."""
    names = [str(job_id) for job_id in job_ids]
    while (remaining := until - anyio.current_time()) > 0:
        payload = await next_payload(remaining)
        if payload is not None and names and ('"count"' in payload or any(name in payload for name in names)):
            return
