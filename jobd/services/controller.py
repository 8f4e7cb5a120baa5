"""Carries stop requests to running jobs: looks at the rows of those that a notification named."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from jobd.model.status import StopReason
from jobd.runner.wakeup import Wakeup

if TYPE_CHECKING:
    from jobd.runner.parts import Parts

IDLE_SECONDS = 3600.0


class Controller:
    """One step looks at all jobs named since the last; the flags in the row decide, not the notification."""

    def __init__(self, parts: Parts) -> None:
        self._queue = parts.queue
        self._running = parts.running
        self._named: set[UUID] = set()
        self.wakeup = Wakeup()

    def heard(self, job_id: str | None) -> None:
        """Somebody says that this job is to be looked at; None: any of them."""
        if job_id is None:
            self._named.update(held.job.id for held in self._running.unfinished())
        else:
            try:
                known = self._running.get(UUID(job_id))
            except ValueError:
                return
            if known is None:
                return
            self._named.add(known.job.id)
        if self._named:
            self.wakeup.set()

    async def step(self) -> float:
        """Look; gives the delay until the next look that nobody asks for."""
        named = list(self._named)
        if not named:
            return IDLE_SECONDS
        states = await self._queue.job_states(named)
        self._named.difference_update(named)
        for job_id, row in states.items():
            held = self._running.get(job_id)
            if held is None or row["lease_token"] != held.lease_token:
                continue
            if row["cancel_requested"]:
                held.stop(StopReason.CANCEL)
            elif row["pause_requested"]:
                held.stop(StopReason.PAUSE)
            else:
                held.withdraw_pause()
        return 0.0 if self._named else IDLE_SECONDS
