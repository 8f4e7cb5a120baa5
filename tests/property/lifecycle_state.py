"""What the model of lifecycle_model.py is about: jobs, workers, leases and batches in plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

ENDED = ("completed", "failed", "cancelled")
OUTCOMES = ("completed", "failed", "retry", "cancelled", "paused", "interrupted", "waiting")
TRANSITIONS = {
    *((old, "running") for old in ("pending",)),
    *(("pending", new) for new in ("running", "paused", "cancelled", "failed")),
    *(("running", new) for new in (*ENDED, "paused", "pending")),
    *(("paused", new) for new in ("pending", "cancelled")),
    *((old, "pending") for old in ("failed", "cancelled")),
}


class RefusedError(Exception):
    """The call must be refused with this SQLSTATE, or one of these, and nothing be changed."""

    def __init__(self, *sqlstates: str) -> None:
        super().__init__(*sqlstates)
        self.sqlstates = sqlstates


@dataclass(frozen=True)
class Lease:
    """What a worker was given by a claim, and may believe to have long after it was lost."""

    job_id: UUID
    token: int
    worker_id: UUID


@dataclass(frozen=True)
class Batch:
    """Records added, updated, unchanged, skipped and refused, and the position behind them: file and row."""

    counts: tuple[int, int, int, int, int]
    cursor: tuple[int, int] | None


@dataclass
class Job:
    id: UUID
    order: int
    due: int | None  # its place in the order of run_at; None: later
    priority: str = "normal"
    serial_key: str | None = None
    idempotency_key: str | None = None
    max_retries: int = 3
    holds_on_failure: bool = False
    status: str = "pending"
    version: int = 1
    lease_token: int = 0
    worker_id: UUID | None = None
    cancel_requested: bool = False
    pause_requested: bool = False
    retry_count: int = 0
    interrupt_count: int = 0
    lost_lease_count: int = 0
    error_code: str | None = None
    batches: list[Batch] = field(default_factory=list)
    events: list[tuple[str, str | None, str]] = field(default_factory=list)

    @property
    def counts(self) -> tuple[int, ...]:
        """The sums of the committed batches."""
        return tuple(sum(batch.counts[place] for batch in self.batches) for place in range(5))

    @property
    def cursor(self) -> tuple[int, int] | None:
        """Where the last committed batch that has a position ended."""
        return next((batch.cursor for batch in reversed(self.batches) if batch.cursor is not None), None)

    def become(self, status: str) -> None:
        """Change the status; whatever was asked of the job is settled by it, except by a claim."""
        assert (self.status, status) in TRANSITIONS, (self, status)
        self.events.append(("status_changed", self.status, status))
        self.status = status
        self.version += 1
        self.worker_id = None
        self.cancel_requested = self.pause_requested = False

    def take(self, batch: Batch) -> None:
        """A batch is committed."""
        self.batches.append(batch)
        self.lost_lease_count = 0

    def ask(self, request: str, *, withdrawn: bool = False) -> None:
        """Note what is asked of the running job's worker."""
        setattr(self, f"{request}_requested", not withdrawn)
        event = "withdrawn" if withdrawn else "requested"
        self.events.append((f"{request}_{event}", self.status, self.status))
        self.version += 1

    def end(self, outcome: str) -> None:
        """End an attempt: what was asked of the job meanwhile decides what becomes of it."""
        if self.cancel_requested or outcome == "cancelled":
            self.become("cancelled")
        elif outcome in {"completed", "failed"}:
            self.become(outcome)
        elif outcome == "retry" and self.retry_count >= self.max_retries:
            self.become("failed")
        else:
            self.become("paused" if self.pause_requested else "pending")
        if outcome in {"interrupted", "paused"} and self.status in {"pending", "paused"}:
            self.interrupt_count += 1


@dataclass
class WorkerState:
    is_lost: bool = False
    is_expired: bool = False
    has_vanished: bool = False  # missed a beat, and its listener's backend is gone
    has_watched: bool = False  # it has been beating for longer than a lease
    has_no_lease: bool = False  # its lease lasts no time, so that everybody has watched for longer
    lost_reason: str = ""
