"""What the life of jobs ought to be, as the contract has it: who may do what, and what becomes of a job."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.property.lifecycle_state import ENDED, Batch, Job, Lease, RefusedError, WorkerState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID


@dataclass
class Model:
    """One submitter's jobs and the workers. ``locked``: jobs with a batch that is neither committed nor undone."""

    jobs: dict[UUID, Job] = field(default_factory=dict)
    workers: dict[UUID, WorkerState] = field(default_factory=dict)
    locked: set[UUID] = field(default_factory=set)
    clock: int = 0

    def submit(self, job_id: UUID, *, is_plain: bool, is_paused: bool, **columns: object) -> UUID:
        holder = self._holder(columns.get("idempotency_key"))
        if holder is not None:
            if is_plain:
                raise RefusedError("23505")
            self._require_unlocked(holder)  # ON CONFLICT waits to see whether the key stays taken
            return holder.id
        now = self._tick()
        job = Job(job_id, now, now, **columns)  # type: ignore[arg-type]
        job.status = "paused" if is_paused else "pending"
        job.events.append(("submitted", None, job.status))
        self.jobs[job_id] = job
        return job_id

    def claimable(self) -> list[Job]:
        """Who may be claimed, in order."""
        jobs = [
            job
            for job in self.jobs.values()
            if job.status == "pending" and job.due is not None and not self.is_held(job)
        ]
        rank = {"high": 0, "normal": 1, "low": 2}
        return sorted(jobs, key=lambda job: (rank[job.priority], job.due, job.id))

    def is_held(self, job: Job) -> bool:
        """Whether its serial_key lets others go first."""
        return job.serial_key is not None and any(
            other.status == "running"
            or (
                other.order < job.order
                and (
                    other.status in {"pending", "paused"} or (other.status == "failed" and other.holds_on_failure)
                )
            )
            for other in self.jobs.values()
            if other is not job and other.serial_key == job.serial_key
        )

    def claim(self, worker_id: UUID, limit: int, found: Sequence[UUID] | None) -> list[tuple[UUID, int]]:
        """``found``: what was claimed where the sweep has not run; held jobs may be overlooked until it has."""
        self._require_living(worker_id)
        jobs = self.claimable()
        if found is not None:
            jobs = [job for job in jobs if job.serial_key is None or job.id in found]
        for job in jobs[:limit]:
            job.become("running")
            job.worker_id = worker_id
            job.lease_token += 1
        return [(job.id, job.lease_token) for job in jobs[:limit]]

    def commit_batch(self, lease: Lease, batch: Batch) -> tuple[int, bool, bool, int, int]:
        job = self._under(lease)
        if job.cancel_requested:
            raise RefusedError("JB002")
        before = job.cursor or (0, -1)
        if batch.cursor is not None and (
            batch.cursor < before or (batch.cursor == before and (sum(batch.counts) > 0 or job.cursor is None))
        ):
            # Whether it waits for the other batch, or sees that it comes too late, depends on its errors.
            raise RefusedError("JB008", *["55P03"] * (job.id in self.locked))
        self._require_unlocked(job)
        job.take(batch)
        return job.lease_token, job.cancel_requested, job.pause_requested, job.counts[4], sum(job.counts)

    def begin_bundle(self, leases: Sequence[Lease]) -> None:
        self._bundle(leases)

    def commit_bundle(self, leases: Sequence[Lease], batch: Batch) -> set[tuple[UUID, int, int, int]]:
        jobs = self._bundle(leases, is_first_batch=True)
        for job in jobs:
            job.take(batch)
        return {(job.id, job.lease_token, 0, sum(job.counts)) for job in jobs}

    def finish(self, leases: Sequence[Lease], outcome: str, *, is_delayed: bool) -> set[tuple[UUID, str, int]]:
        now = self._tick()
        ended = [
            job
            for lease in leases
            if (job := self.jobs[lease.job_id]).lease_token == lease.token
            and job.status == "running"
            and job.id not in self.locked
        ]
        for job in ended:
            job.end(outcome)
            if outcome in {"retry", "waiting"} and job.status in {"pending", "paused"}:
                job.due = None if is_delayed else now
            if outcome == "retry":
                job.retry_count += job.status in {"pending", "paused"}
            if job.status == "completed":
                job.error_code = None
            elif outcome in {"failed", "retry"}:
                job.error_code = "code"
        return {(job.id, job.status, job.version) for job in ended}

    def cancel(self, job_id: UUID, version: int | None = None) -> bool:
        job = self._lock(job_id, version)
        if job.status in ENDED:
            return False
        if job.status != "running":
            job.become("cancelled")
        elif not job.cancel_requested:
            job.ask("cancel")
        return True

    def pause(self, job_id: UUID, version: int | None = None) -> bool:
        job = self._lock(job_id, version)
        if job.status not in {"pending", "running"}:
            return False
        if job.status == "pending":
            job.become("paused")
        elif not job.pause_requested:
            job.ask("pause")
        return True

    def resume(self, job_id: UUID, version: int | None = None) -> bool:
        job = self._lock(job_id, version)
        if job.status == "paused":
            job.become("pending")
        elif job.pause_requested:
            job.ask("pause", withdrawn=True)
        else:
            return False
        return True

    def retry(self, job_id: UUID, version: int | None = None) -> bool:
        job = self._lock(job_id, version)
        if job.status not in {"failed", "cancelled"}:
            return False
        if self._holder(job.idempotency_key) is not None:
            raise RefusedError("23505")
        job.become("pending")
        job.due = self._tick()
        job.retry_count = job.lost_lease_count = 0
        job.error_code = None
        return True

    def set_flag(self, request: str, job_id: UUID, *, value: bool) -> None:
        """An UPDATE of a flag does what the function does, or withdraws what is not honoured yet."""
        if value or request == "pause":
            {"cancel": self.cancel, "pause": self.pause if value else self.resume}[request](job_id)
        elif (job := self._lock(job_id)).cancel_requested:
            job.ask("cancel", withdrawn=True)

    def release(self, job_id: UUID) -> bool:
        job = self._lock(job_id)
        if job.status != "running":
            return False
        job.end("interrupted")
        job.lease_token += 1
        return True

    def register(self, worker_id: UUID, *, has_watched: bool) -> None:
        if worker_id in self.workers and self.workers[worker_id].is_lost:
            raise RefusedError("JB003")
        self.workers[worker_id] = WorkerState(has_watched=has_watched)

    def deregister(self, worker_id: UUID) -> None:
        if any(job.worker_id == worker_id for job in self.jobs.values()):
            raise RefusedError("55006")
        self.workers.pop(worker_id, None)

    def beat(self, worker_id: UUID) -> set[tuple[UUID, int, bool, bool]]:
        worker = self.workers.get(worker_id)
        if worker is None or worker.is_lost:
            raise RefusedError("JB003")
        worker.has_watched &= not worker.has_no_lease  # it was silent for longer than half of it
        worker.is_expired = worker.has_vanished = worker.has_no_lease = False
        return {
            (job.id, job.lease_token, job.cancel_requested, job.pause_requested)
            for job in self.jobs.values()
            if job.worker_id == worker_id
        }

    def expire(self, worker_id: UUID) -> None:
        if worker_id in self.workers:
            self.workers[worker_id].is_expired = True

    def miss_a_beat(self, worker_id: UUID, *, has_listener: bool) -> None:
        if worker_id in self.workers:
            worker = self.workers[worker_id]
            worker.has_vanished, worker.has_no_lease = not has_listener, True

    def let_time_pass(self) -> None:
        now = self._tick()
        for job in self.jobs.values():
            job.due = now if job.due is None else job.due

    def rescue(self, worker_id: UUID, limit: int) -> set[tuple[UUID, UUID | None, str, str]]:
        self._require_living(worker_id)
        me = self.workers[worker_id]
        for other in self.workers.values():
            if other is me or other.is_lost:
                continue
            has_expired = other.is_expired and (me.has_watched or other.has_no_lease)
            other.is_lost = has_expired or other.has_vanished
            other.lost_reason = "lease_expired" if has_expired else "listener_gone"
        orphans = [
            job
            for job in sorted(self.jobs.values(), key=lambda job: job.id)
            if job.worker_id and self.workers[job.worker_id].is_lost and job.id not in self.locked
        ]
        return {self._rescue(job) for job in orphans[:limit]}

    def _rescue(self, job: Job) -> tuple[UUID, UUID | None, str, str]:
        former = job.worker_id
        assert former is not None
        if job.lost_lease_count == 4 and not job.cancel_requested:
            job.become("failed")
            job.error_code = "worker_lost"
        else:
            job.end("interrupted")
        job.lease_token += 1
        job.lost_lease_count += 1
        return job.id, former, job.status, self.workers[former].lost_reason

    def _holder(self, key: object) -> Job | None:
        return next(
            (
                job
                for job in self.jobs.values()
                if key is not None and job.idempotency_key == key and job.status not in {"failed", "cancelled"}
            ),
            None,
        )

    def _under(self, lease: Lease) -> Job:
        job = self.jobs[lease.job_id]
        if job.lease_token != lease.token or job.status != "running":
            raise RefusedError("JB001")
        return job

    def _bundle(self, leases: Sequence[Lease], *, is_first_batch: bool = False) -> list[Job]:
        for lease in leases:
            self._require_unlocked(self.jobs[lease.job_id])
        jobs = [self._under(lease) for lease in leases]
        if is_first_batch and any(job.cursor is not None or sum(job.counts) for job in jobs):
            raise RefusedError("JB001")
        if any(job.cancel_requested for job in jobs):
            raise RefusedError("JB002")
        return jobs

    def _lock(self, job_id: UUID, version: int | None = None) -> Job:
        job = self.jobs[job_id]
        self._require_unlocked(job)
        if version is not None and version != job.version:
            raise RefusedError("40001")
        return job

    def _require_unlocked(self, job: Job) -> None:
        if job.id in self.locked:
            raise RefusedError("55P03")

    def _require_living(self, worker_id: UUID) -> None:
        worker = self.workers.get(worker_id)
        if worker is None or worker.is_lost or worker.is_expired:
            raise RefusedError("JB003")

    def _tick(self) -> int:
        self.clock += 1
        return self.clock
