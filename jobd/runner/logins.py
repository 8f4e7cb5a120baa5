"""With whose rights a job writes: a session authenticated as its submitter's login, or jobd's own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jobd.db.queue import NO_LIMITS
from jobd.errors import JobFailed

if TYPE_CHECKING:
    from jobd.db.queue import Login, Queue, SourceLimits, Submitter
    from jobd.db.session import Session, Sessions
    from jobd.model.job import Job

REMEMBERED_SECONDS = 30.0


class Logins:
    """Finds each submitter's login; the queue's own role needs none."""

    def __init__(self, queue: Queue, sessions: Sessions) -> None:
        self._queue = queue
        self._sessions = sessions
        self.own_role_oid: int | None = None
        self._known: dict[int, tuple[Submitter, float]] = {}

    def session_of(self, job: Job) -> Session:
        """The session of a job; nothing is connected or looked up before its first use."""

        async def login() -> Login | None:
            return await self._login_of(job)

        return self._sessions.session(login)

    async def source_limits_of(self, job: Job) -> SourceLimits:
        """The places that the job's submitter is limited to."""
        submitter = await self._submitter_of(job)
        return NO_LIMITS if submitter is None else submitter.limits

    async def _login_of(self, job: Job) -> Login | None:
        submitter = await self._submitter_of(job)
        return None if submitter is None else submitter.login

    async def _submitter_of(self, job: Job) -> Submitter | None:
        """What is granted to the job's submitter; None for the queue's own role."""
        role_oid = job.submitted_role_oid
        if role_oid == self.own_role_oid:
            return None
        known = self._known.get(role_oid)
        if known is not None and time.monotonic() < known[1]:
            return known[0]
        submitter = await self._queue.submitter(role_oid)
        if submitter is None:
            raise JobFailed(
                f"role {job.submitted_role} has no login to import with: run jobd grant {job.submitted_role}",
                code="no_privilege",
                job_id=job.id,
            )
        self._known[role_oid] = (submitter, time.monotonic() + REMEMBERED_SECONDS)
        return submitter
