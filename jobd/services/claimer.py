"""Takes waiting jobs: as many as there are free slots, and short ones in groups ahead."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from jobd import log
from jobd.db.transient import sqlstate_of
from jobd.model.job import Job
from jobd.model.status import StopReason
from jobd.runner.fence import WORKER_GONE
from jobd.runner.held import HeldJob
from jobd.services.loop import jittered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from asyncpg import Record

    from jobd.runner.lanes import Lanes
    from jobd.runner.parts import Parts
    from jobd.services.worker import Worker

# How often to look when notifications are not heard although they should be.
DEAF_POLL_SECONDS = 1.0
# What is planned is asked for at most this often while jobs keep coming.
NEXT_DUE_SECONDS = 0.25

_log = log.get("claimer")


class Claimer:
    """One step: claim for the free slots and hand the jobs to the lanes."""

    def __init__(
        self, parts: Parts, worker: Worker, lanes: Lanes, *,
        wake_enforcer: Callable[[], None], on_worker_gone: Callable[[], None],
    ) -> None:  # fmt: skip
        self._worker = worker
        self._lanes = lanes
        self._wake_enforcer = wake_enforcer
        self._on_worker_gone = on_worker_gone
        self._queue = parts.queue
        self._running = parts.running
        self._metrics = parts.metrics
        self._settings = parts.settings
        self._next_due_asked_at = 0.0
        self._was_called = False
        self._is_deaf = False
        self.wakeup = lanes.slot_freed

    def heard(self) -> None:
        """A notification says that there is work."""
        self._was_called = True
        self.wakeup.set()

    def hearing_changed(self, is_deaf: bool) -> None:
        """Poll faster while notifications that should come do not."""
        self._is_deaf = is_deaf
        self.wakeup.set()

    async def step(self) -> float:
        """One round; gives the delay until the next."""
        self._metrics.daemon.wakeups.labels("notification" if self._was_called else "other").inc()
        self._was_called = False
        room = self._lanes.room()
        if self._worker.is_draining or not self._running.is_trusted or room == 0:
            return self._poll_seconds()
        claimed = await self._claim(room, None)
        is_short = claimed == room and self._lanes.room_ahead() > 0
        if is_short:
            ahead = self._lanes.room_ahead()
            claimed = await self._claim(ahead, self._lanes.short_types)
            self._wake_enforcer()  # which sees to it that they do not wait behind a long one
            if claimed == ahead:
                return self._poll_seconds() if self._lanes.room() == 0 else 0.0
        elif claimed == room:
            return self._poll_seconds()  # a slot that frees calls
        return await self._until_next_due()

    async def _claim(self, limit: int, job_types: Sequence[str] | None) -> int:
        self._running.claims_in_flight += 1
        try:
            rows = await self._queue.claim(self._worker.id, self._settings.queues, limit, job_types)
            self._metrics.daemon.count_claim_round(limit, len(rows))
            for row in rows:
                self._take(row)
        except Exception as error:
            self._metrics.daemon.claims_asked.labels("error").inc()
            if sqlstate_of(error) == WORKER_GONE:
                self._on_worker_gone()  # the heartbeat finds out, and registers anew
            raise
        finally:
            self._running.claims_in_flight -= 1
            self._running.changed.set()
        return len(rows)

    def _take(self, row: Record) -> None:
        job = Job.from_row(cast("Mapping[str, Any]", row))
        waited_seconds = max(0.0, (row["claimed_at"] - job.run_at).total_seconds())
        held = HeldJob(
            job,
            ran_seconds=row["ran_seconds"] or 0.0,
            wake_enforcer=self._wake_enforcer,
            waited_seconds=waited_seconds,
        )
        self._metrics.jobs.count_claim(job.queue, waited_seconds)
        must_wait = held.is_suspect and self._running.has_suspect()
        self._running.add(held)
        if log.is_debugging():
            _log.debug("job claimed", job_id=job.id, lease_token=job.lease_token, worker_id=self._worker.id)
        if must_wait:
            self._lanes.keep_apart(held)
            return
        if job.cancel_requested:
            held.stop(StopReason.CANCEL)
        self._lanes.submit(held)

    async def _until_next_due(self) -> float:
        """Nothing more is due: wait for what is planned, for a call, or for the next poll."""
        since = time.monotonic() - self._next_due_asked_at
        if since < NEXT_DUE_SECONDS:
            return NEXT_DUE_SECONDS - since
        self._next_due_asked_at = time.monotonic()
        seconds = await self._queue.seconds_to_next_due(self._settings.queues)
        longest = self._poll_seconds()
        return longest if seconds is None else min(longest, max(0.005, seconds))

    def _poll_seconds(self) -> float:
        seconds = self._settings.poll_seconds
        return jittered(min(seconds, DEAF_POLL_SECONDS) if self._is_deaf else seconds)
