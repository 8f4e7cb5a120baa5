"""What a slot keeps from one job to the next, as long as both are of one submitter and go into one target.

Thousands of small files are thousands of jobs, one behind the other in the same slot. To them their session is
what it is to the batches of a long job: what code of the target's left on it, it would have left there as well,
with the same rights. Everybody else gets a connection that was discarded to the last setting, and so does whoever
comes after a job that did not go well, or after a moment in which nothing waited for the slot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.model.status import JobType

if TYPE_CHECKING:
    from jobd.db.session import Session
    from jobd.model.job import Job
    from jobd.runner.logins import Logins

PENALTY_JOBS_MAX = 256


class Kept:
    """One slot's. ``memory`` is what the last job's handler found out, for the next one's to check and to use."""

    def __init__(self, logins: Logins) -> None:
        self._logins = logins
        self._session: Session | None = None
        self._kind: tuple[object, ...] | None = None
        self.memory: object | None = None
        self._by_themselves = 0
        self._penalty = 1

    @property
    def bundles(self) -> bool:
        """Whether the next jobs are tried together: once it is known of one what the others will need."""
        self._by_themselves = max(0, self._by_themselves - 1)
        return self.memory is not None and self._by_themselves == 0

    def bundle_tried(self, *, is_any_done: bool) -> None:
        """Try the less often the more often it was in vain."""
        self._penalty = 1 if is_any_done else min(self._penalty * 2, PENALTY_JOBS_MAX)
        self._by_themselves = 0 if is_any_done else self._penalty

    async def session_for(self, job: Job) -> Session:
        """The session of a job, on the last one's connection where it is of the same kind."""
        session = self._logins.session_of(job)
        kind = _kind_of(job)
        if kind is not None and kind == self._kind and self._session is not None:
            session.follow(self._session)
        else:
            await self.close()
        self._session, self._kind = session, kind
        return session

    async def close(self) -> None:
        """Give the connection back and forget."""
        session, self._session, self._kind, self.memory = self._session, None, None, None
        if session is not None:
            await session.close()


def _kind_of(job: Job) -> tuple[object, ...] | None:
    """None: nothing of such a job is kept, as users' own code may do anything with its session."""
    if job.job_type is JobType.PROCESSING:
        return None
    return job.job_type, job.submitted_role_oid, job.target
