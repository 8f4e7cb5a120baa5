"""With whose rights a job writes: a session authenticated as its submitter's login, or jobd's own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jobd.errors import JobFailed

if TYPE_CHECKING:
    from jobd.db.queue import Queue
    from jobd.db.session import Session, Sessions
    from jobd.model.job import Job

REMEMBERED_SECONDS = 30.0


class Logins:
    """Finds each submitter's login; the queue's own role needs none."""

    def __init__(self, queue: Queue, sessions: Sessions) -> None:
        self._queue = queue
        self._sessions = sessions
        self.own_role_oid: int | None = None
        self._known: dict[int, tuple[str, float]] = {}

    def session_of(self, job: Job) -> Session:
        """The session of a job; nothing is connected or looked up before its first use."""

        async def login() -> str | None:
            return await self._login_of(job)

        return self._sessions.session(login)

    async def _login_of(self, job: Job) -> str | None:
        role_oid = job.submitted_role_oid
        if role_oid == self.own_role_oid:
            return None
        known = self._known.get(role_oid)
        if known is not None and time.monotonic() < known[1]:
            return known[0]
        login = await self._queue.submitter_login(role_oid)
        if login is None:
            raise JobFailed(
                f"role {job.submitted_role} has no login to import with: run jobd grant {job.submitted_role}",
                code="no_privilege",
                job_id=job.id,
            )
        self._known[role_oid] = (login, time.monotonic() + REMEMBERED_SECONDS)
        return login
