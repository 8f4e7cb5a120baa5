"""The slots in which jobs run, and the short queue in front of them.

A slot holds one running job. Short processing jobs are claimed ahead in groups, as many as the slots get through
in about a tenth of a second, because a claim costs more than such a job; they are held under the same lease, and
handed back when the daemon drains or when a long job turns up among them.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from jobd.model.status import JobType, StopReason
from jobd.runner import outcome
from jobd.runner.wakeup import Wakeup

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from jobd.runner.finisher import Finisher
    from jobd.runner.held import HeldJob
    from jobd.runner.runner import Runner

AHEAD_SECONDS = 0.1
AHEAD_MAX = 600
AHEAD_STALE_SECONDS = 2.0
AVERAGE_WEIGHT = 0.1
# A slot that never waits for anything must let the others of the event loop have their turn.
YIELD_SECONDS = 0.002


class Lanes:
    """Runs held jobs in at most ``slots`` slots."""

    def __init__(self, slots: int, runner: Runner, finisher: Finisher) -> None:
        self.slots = slots
        self._runner = runner
        self._finisher = finisher
        self._waiting: deque[HeldJob] = deque()
        self._in_slots: set[HeldJob] = set()
        self._open_lanes = 0
        self.abandoned_count = 0
        self._task_group: TaskGroup | None = None
        self._average_seconds: float | None = None
        self._ahead_max = 0  # 0 while jobs are not short
        self.slot_freed = Wakeup()

    def open(self, task_group: TaskGroup) -> None:
        """Run lanes in this task group from now on."""
        self._task_group = task_group

    @property
    def used(self) -> int:
        """Slots in use."""
        return len(self._in_slots)

    @property
    def waiting(self) -> int:
        """Jobs held without a slot."""
        return len(self._waiting)

    def submit(self, held: HeldJob) -> None:
        """Run the job as soon as a slot is free."""
        assert self._task_group is not None  # noqa: S101  opened before the first claim
        self._waiting.append(held)
        if self._open_lanes < self.slots:
            self._open_lanes += 1
            self._task_group.start_soon(self._lane)

    def room(self) -> int:
        """How many jobs of any type may be claimed now."""
        if self._ahead_max == 0:
            return max(0, self.slots - len(self._in_slots) - len(self._waiting))
        waiting = sum(held.job.job_type is not JobType.PROCESSING for held in self._waiting)
        return max(0, self.slots - self._long_count() - waiting) if self.room_ahead() else 0

    def room_ahead(self) -> int:
        """How many short jobs may be claimed ahead now; refilled when half of them are gone."""
        room = self._ahead_max - len(self._waiting)
        return room if self._is_half_empty() and self._long_count() < self.slots else 0

    def _is_half_empty(self) -> bool:
        return len(self._waiting) * 2 <= self._ahead_max

    def _long_count(self) -> int:
        """Slots whose job is not one of the short ones."""
        before = time.monotonic() - AHEAD_SECONDS
        return sum(
            held.job.job_type is not JobType.PROCESSING or (held.started_at or 0.0) < before
            for held in self._in_slots
        )

    def hand_back_waiting(self, older_than_seconds: float = 0.0) -> int:
        """Give jobs that never began back to the queue."""
        before = time.monotonic() - older_than_seconds
        count = 0
        while self._waiting and self._waiting[0].claimed_at <= before:
            held = self._waiting.popleft()
            self._finisher.add(held, outcome.stopped(held.stop_reason or StopReason.SHUTDOWN))
            count += 1
        return count

    def abandon(self, held: HeldJob) -> None:
        """Free the slot of a job that does not end; its lane goes when it does."""
        held.is_abandoned = True
        self.abandoned_count += 1
        self._in_slots.discard(held)
        self._open_lanes -= 1
        self._finisher.add(held, outcome.stopped(held.stop_reason or StopReason.SHUTDOWN))
        self.slot_freed.set()

    async def _lane(self) -> None:
        yielded_at = time.monotonic()
        while self._waiting:
            held = self._waiting.popleft()
            self._in_slots.add(held)
            await self._runner.run(held)
            if held.is_abandoned:
                self.abandoned_count -= 1
                return
            self._in_slots.discard(held)
            now = time.monotonic()
            self._learn(held, now)
            if self._is_half_empty():
                self.slot_freed.set()
            if now - yielded_at > YIELD_SECONDS:
                await anyio.lowlevel.checkpoint()
                yielded_at = time.monotonic()
        self._open_lanes -= 1
        self.slot_freed.set()

    def _learn(self, held: HeldJob, now: float) -> None:
        """How many short jobs the slots get through in AHEAD_SECONDS, from how long the last ones took."""
        if held.job.job_type is JobType.PROCESSING and held.started_at is not None:
            seconds = now - held.started_at
            average = seconds if self._average_seconds is None else self._average_seconds
            self._average_seconds = average = average + AVERAGE_WEIGHT * (seconds - average)
            number = int(self.slots * AHEAD_SECONDS / max(average, 1e-6))
            self._ahead_max = min(number, AHEAD_MAX) if number >= 2 * self.slots else 0
