"""A job that this worker holds under a lease, and why it is to stop."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jobd import log
from jobd.model.status import StopReason

if TYPE_CHECKING:
    from collections.abc import Callable

    import anyio
    from asyncpg import Record

    from jobd.db.session import Session
    from jobd.model.job import Job
    from jobd.tracing.spans import AttemptSpan

# One loss is the host's or the network's as likely as not, and of many jobs together.
SUSPECT_LOSSES = 2
# A stronger reason replaces a weaker one: what is cancelled need not be paused, what is lost need not be ended.
_STRENGTH = {
    StopReason.PAUSE: 0,
    StopReason.SHUTDOWN: 1,
    StopReason.TIMEOUT: 2,
    StopReason.CANCEL: 3,
    StopReason.LEASE_LOST: 4,
}

_log = log.get("held")


class HeldJob:
    """One claimed job from its claim until its ending is confirmed.

    Its life here: waiting for a slot (``scope`` is None) → in a slot → ``is_over`` (its ending is being written).
    """

    __slots__ = (
        "claimed_at", "has_progress", "is_abandoned", "is_over", "job", "lease_token", "loss", "moved_at",
        "processed_rows", "progress", "ran_seconds", "scope", "session", "span", "started_at", "stop_reason",
        "stopped_at",
        "strikes", "waited_seconds", "waits_for", "wake_enforcer",
    )  # fmt: skip

    def __init__(
        self, job: Job, *, ran_seconds: float, wake_enforcer: Callable[[], None], waited_seconds: float = 0.0
    ) -> None:
        self.job = job
        self.lease_token = job.lease_token
        self.processed_rows = job.processed_rows
        self.progress = job.progress
        self.ran_seconds = ran_seconds
        self.waited_seconds = waited_seconds  # from run_at to the claim
        self.wake_enforcer = wake_enforcer
        self.claimed_at = self.moved_at = time.monotonic()
        self.started_at: float | None = None
        self.scope: anyio.CancelScope | None = None
        self.session: Session | None = None
        self.span: AttemptSpan | None = None  # while traces are sent, from the job's slot on
        self.stop_reason: StopReason | None = None
        self.stopped_at = 0.0
        self.strikes = 0
        self.loss: str | None = None
        self.has_progress = False
        self.waits_for: str | None = None  # what its batch is held up by, in words for the operator
        self.is_over = False
        self.is_abandoned = False

    def is_holder(self, row: Record) -> bool:
        """Whether the job's row is still claimed for this attempt.

        Where a failover lost the claim, another worker may have claimed it under the same token since.
        """
        return (row["lease_token"], row["worker_id"]) == (self.lease_token, self.job.worker_id)

    def remaining_seconds(self, now: float) -> float:
        """How much longer it will run if it goes on as it did; 0 before its first batch."""
        if self.started_at is None or self.progress <= 0:
            return 0.0
        ran = self.ran_seconds + now - self.started_at
        return ran * (100 - self.progress) / self.progress

    def stop(self, reason: StopReason) -> None:
        """Ask the job to stop; what acts at once rolls its open batch back."""
        current = self.stop_reason
        if self.is_over or (current is not None and _STRENGTH[current] >= _STRENGTH[reason]):
            return
        self.stop_reason = reason
        self.stopped_at = time.monotonic()
        self.strikes = 0
        if reason is StopReason.LEASE_LOST:
            _log.debug("lease lost", job_id=self.job.id, lease_token=self.lease_token, how=self.loss)
        if reason.acts_at_once:
            self.cut()
        self.wake_enforcer()

    def lose(self, how: str) -> None:
        """Stop because the lease is lost; ``how`` is a value of the label ``reason`` of jobd_leases_lost_total."""
        self.loss = self.loss or how
        self.stop(StopReason.LEASE_LOST)

    def withdraw_pause(self) -> None:
        """Go on after all, where a pause was asked for that nobody has honoured yet."""
        if self.stop_reason is StopReason.PAUSE and self.strikes == 0:
            self.stop_reason = None

    @property
    def is_suspect(self) -> bool:
        """Whether it may be what its last workers died of: they were lost one after the other without progress."""
        return self.job.lost_lease_count >= SUSPECT_LOSSES and not self.has_progress and not self.is_over

    def cut(self) -> None:
        """Cancel whatever the job is doing."""
        if self.scope is not None:
            self.scope.cancel()

    @property
    def timeout_at(self) -> float | None:
        """When the time is up that the job may run in all; None: it may run for ever."""
        timeout = self.job.options.get("timeout")
        if timeout is None or self.started_at is None:
            return None
        return self.started_at + max(0.0, float(timeout) - self.ran_seconds)
