"""The jobs that this worker holds, and how long it may believe that it does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from jobd.metrics import RunningJobs
from jobd.runner.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from uuid import UUID

    from jobd.model.status import StopReason
    from jobd.runner.held import HeldJob

# How much earlier than the database this side considers the lease expired, as a share of it.
LEASE_MARGIN = 0.15


class RunningSet:
    """Jobs by id, and the worker's lease.

    The trust deadline is counted from when the renewing statement was *sent*, by the local monotonic clock: the
    database cannot have renewed earlier than that, so this side never believes longer than the database does.
    """

    def __init__(self) -> None:
        self._jobs: dict[UUID, HeldJob] = {}
        self.trust_deadline = 0.0
        self.claims_in_flight = 0
        # By the last beat. BEGIN READ WRITE would write all the same, where that is a default and no standby.
        self.is_read_only = False
        self._answered_since: float | None = None
        self.changed = Wakeup()
        self._database_back = anyio.Event()

    def renewed(self, sent_at: float, lease_seconds: float) -> None:
        """The lease was renewed by a statement sent at that moment."""
        self.trust_deadline = sent_at + lease_seconds * (1 - LEASE_MARGIN)
        self._answered_since = self._answered_since or time.monotonic()

    def not_renewed(self) -> None:
        """The database did not answer, or refused."""
        self._answered_since = None

    @property
    def answered_seconds(self) -> float:
        """For how long the lease was renewed without a failure."""
        return 0.0 if self._answered_since is None else time.monotonic() - self._answered_since

    def database_came_back(self) -> None:
        """Let jobs that wait for the database try again now."""
        self._database_back.set()
        self._database_back = anyio.Event()

    async def wait_for_database(self, seconds: float) -> None:
        """Wait until the database is known to be back, or so long at most."""
        with anyio.move_on_after(seconds):
            await self._database_back.wait()

    @property
    def is_trusted(self) -> bool:
        """Whether the lease is surely still this worker's."""
        return time.monotonic() < self.trust_deadline

    def add(self, held: HeldJob) -> None:
        """Hold a job that was just claimed."""
        self._jobs[held.job.id] = held

    def remove(self, held: HeldJob) -> None:
        """Let go of a job whose ending is confirmed, or whose lease is lost."""
        if self._jobs.get(held.job.id) is held:
            del self._jobs[held.job.id]
            self.changed.set()

    def get(self, job_id: UUID) -> HeldJob | None:
        """The job of that id, if it is held."""
        return self._jobs.get(job_id)

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[HeldJob]:
        return iter(list(self._jobs.values()))

    def has_suspect(self) -> bool:
        """Whether one of them may be about to kill this worker."""
        return any(held.is_suspect for held in self._jobs.values())

    def unfinished(self) -> list[HeldJob]:
        """Those that are not merely waiting for their ending to be confirmed."""
        return [held for held in self._jobs.values() if not held.is_over]

    def by_queue(self, label_of: Callable[[str], str]) -> dict[str, RunningJobs]:
        """Of each queue's jobs in a slot: their number and their longest times."""
        now = time.monotonic()
        found: dict[str, RunningJobs] = {}
        for held in self._jobs.values():
            if held.started_at is not None and not held.is_over:
                label = label_of(held.job.queue)
                found[label] = found.get(label, RunningJobs()).with_job(
                    now - held.started_at,
                    now - max(held.started_at, held.moved_at),
                    held.remaining_seconds(now),
                )
        return found

    def stop_all(self, reason: StopReason, jobs: Iterable[HeldJob] | None = None) -> None:
        """Ask all of them, or these, to stop."""
        for held in list(self._jobs.values()) if jobs is None else list(jobs):
            held.stop(reason)
