"""What the schema's own SQLSTATEs mean to a running job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.db.transient import sqlstate_of
from jobd.errors import JobCancelled, LeaseLost

if TYPE_CHECKING:
    from uuid import UUID

    from jobd.errors import JobError

CANCELLED = "JB002"
WORKER_GONE = "JB003"
BEHIND_CURSOR = "JB008"
LEASE_LOST = frozenset({"JB001", WORKER_GONE, BEHIND_CURSOR})


def refusal(error: BaseException, job_id: UUID) -> JobError | None:
    """The fence's refusal as an exception of jobd's; None where the error is something else."""
    sqlstate = sqlstate_of(error)
    if sqlstate == CANCELLED:
        return JobCancelled("a cancel was asked for", job_id=job_id)
    if sqlstate in LEASE_LOST:
        return LeaseLost(f"the lease is no longer this job's ({sqlstate})", job_id=job_id)
    return None
