"""The words a job's life is told in. The database holds the same words, and enforces the transitions."""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """What a job is. Who moves it on: see the transition table, ``jobd.transition``."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing but a retry can change it any more."""
        return self in {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}


class JobType(StrEnum):
    """What is to be done."""

    IMPORT = "import"
    EXPORT = "export"
    VALIDATION = "validation"
    PROCESSING = "processing"


class Priority(StrEnum):
    """Order among waiting jobs of one queue."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class StopReason(StrEnum):
    """Why a running job is stopped before its end, and what that leaves behind.

    ======== ============================== ==========================================
    reason   acts                           leaves
    ======== ============================== ==========================================
    cancel   at once, open batch rolled back ``cancelled``
    pause    after the open batch            ``paused``, the cursor kept
    shutdown after the open batch, at the    ``pending``, no retry used
             end of the grace at once
    lease_lost at once                       nothing: another worker has the job
    timeout  at once                         ``failed``
    ======== ============================== ==========================================
    """

    CANCEL = "cancel"
    PAUSE = "pause"
    SHUTDOWN = "shutdown"
    LEASE_LOST = "lease_lost"
    TIMEOUT = "timeout"

    @property
    def acts_at_once(self) -> bool:
        """Whether the open batch is rolled back instead of being finished."""
        return self in {StopReason.CANCEL, StopReason.LEASE_LOST, StopReason.TIMEOUT}


class Outcome(StrEnum):
    """How an attempt ends, in the words of ``jobd.finish``."""

    COMPLETED = "completed"
    FAILED = "failed"
    RETRY = "retry"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    WAITING = "waiting"
