"""Stops what does not stop by itself: jobs beyond their time, and jobs that do not obey.

A stop not obeyed in time is carried out without the job: first its backend is terminated and its code cancelled;
if it still does not end, its ending is written all the same and its slot is given to others.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from jobd import log
from jobd.model.status import StopReason
from jobd.runner.lanes import AHEAD_STALE_SECONDS
from jobd.runner.wakeup import Wakeup

if TYPE_CHECKING:
    from jobd.runner.held import HeldJob
    from jobd.runner.lanes import Lanes
    from jobd.runner.parts import Parts

IDLE_SECONDS = 30.0
# Between the termination of the backend and going on without the job.
LAST_CHANCE_SECONDS = 1.0
TERMINATE_SECONDS_MAX = 5.0

_log = log.get("enforcer")


class Enforcer:
    """One step looks at every held job's deadlines; gives the delay until the nearest."""

    def __init__(self, parts: Parts, lanes: Lanes) -> None:
        self._lanes = lanes
        self._running = parts.running
        self._settings = parts.settings
        self.grace_ends_at: float | None = None
        self.wakeup = Wakeup()

    async def step(self) -> float:
        """One round."""
        now = time.monotonic()
        nearest = now + IDLE_SECONDS
        if self._lanes.waiting:
            self._lanes.hand_back_waiting(older_than_seconds=AHEAD_STALE_SECONDS)
            nearest = now + AHEAD_STALE_SECONDS / 2
        for held in self._running.unfinished():
            if held.started_at is None:
                continue
            due_at = self._due_at(held)
            if due_at is None:
                continue
            if due_at <= now:
                await self._strike(held)
                due_at = self._due_at(held) or nearest
            nearest = min(nearest, due_at)
        return max(0.01, nearest - time.monotonic())

    def _due_at(self, held: HeldJob) -> float | None:
        """When something has to be done about the job."""
        if held.stop_reason is None:
            return held.timeout_at
        if held.strikes > 0:
            return held.stopped_at + LAST_CHANCE_SECONDS
        patience = self._settings.stop_timeout_seconds
        if held.stop_reason is StopReason.SHUTDOWN:
            return self.grace_ends_at
        return held.stopped_at + patience

    async def _strike(self, held: HeldJob) -> None:
        if held.stop_reason is None:
            held.stop(StopReason.TIMEOUT)
            return
        held.strikes += 1
        held.stopped_at = time.monotonic()
        is_last = held.strikes > 1
        _log.warning("stop not obeyed", job_id=held.job.id, reason=held.stop_reason, goes_on_without_it=is_last)
        held.cut()
        # At the end of the shutdown grace being cut is the regular way; the job rolls its batch back itself.
        if held.session is not None and (is_last or held.stop_reason is not StopReason.SHUTDOWN):
            with anyio.move_on_after(TERMINATE_SECONDS_MAX):
                await held.session.terminate_backend()
        if is_last and not held.is_over:
            self._lanes.abandon(held)
