"""The slots in which jobs run, and the short queue in front of them.

A slot holds one running job. Jobs of a type whose last ones were short are claimed ahead in groups, as many as the
slots get through in about a third of a second, because a claim costs as much as such a job; they are held under
the same lease, and handed back when the daemon drains or when long jobs turn up among them.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from jobd.errors import HostNotReady
from jobd.model.status import StopReason
from jobd.runner import outcome
from jobd.runner.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyio.abc import TaskGroup

    from jobd.model.status import JobType
    from jobd.runner.finisher import Finisher
    from jobd.runner.held import HeldJob
    from jobd.runner.kept import Kept
    from jobd.runner.runner import Runner

AHEAD_SECONDS = 0.3
AHEAD_MAX = 600
BUNDLE_MAX = 64
AHEAD_STALE_SECONDS = 2.0
AVERAGE_WEIGHT = 0.25
# One long job among short ones must not count for more, or many short ones would not make up for it.
LEARNT_SECONDS_MAX = 1.0
# A slot that never waits for anything must let the others of the event loop have their turn.
YIELD_SECONDS = 0.002
# How long a job waits that must not run beside another.
APART_SECONDS = 2.0


class Lanes:
    """Runs held jobs in at most ``slots`` slots."""

    def __init__(self, slots: int, runner: Runner, finisher: Finisher) -> None:
        self.slots = slots
        self._runner = runner
        self._finisher = finisher
        finisher.is_busy = lambda: bool(self._waiting)
        self._waiting: deque[HeldJob] = deque()
        self._in_slots: set[HeldJob] = set()
        self._open_lanes = 0
        self.abandoned_count = 0
        self._task_group: TaskGroup | None = None
        self._average_seconds: dict[JobType, float] = {}
        # How many jobs of each type whose jobs are short may wait for a slot.
        self._ahead_max: dict[JobType, int] = {}
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

    @property
    def short_types(self) -> Sequence[JobType]:
        """Types whose jobs are short, by the last of them."""
        return tuple(self._ahead_max)

    def room(self) -> int:
        """How many jobs of any type may be claimed now."""
        if not self._ahead_max:
            return max(0, self.slots - len(self._in_slots) - len(self._waiting))
        waiting = sum(held.job.job_type not in self._ahead_max for held in self._waiting)
        return max(0, self.slots - self._long_count() - waiting) if self.room_ahead() else 0

    def room_ahead(self) -> int:
        """How many short jobs may be claimed ahead now; refilled when half of them are gone."""
        room = self._waiting_max - len(self._waiting)
        return room if self._is_half_empty() and self._long_count() < self.slots else 0

    @property
    def _waiting_max(self) -> int:
        return min(self._ahead_max.values(), default=0)

    def _is_half_empty(self) -> bool:
        return len(self._waiting) * 2 <= self._waiting_max

    def _long_count(self) -> int:
        """Slots whose job is not one of the short ones."""
        before = time.monotonic() - AHEAD_SECONDS
        return sum(
            held.job.job_type not in self._ahead_max or (held.started_at or 0.0) < before
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

    def keep_apart(self, held: HeldJob) -> None:
        """Hand a job back that must not run beside another, before it began."""
        reason = HostNotReady(
            f"the last {held.job.lost_lease_count} workers that ran it were lost; until it makes progress it runs "
            "beside no other job of which that is true, so that the one that kills them is found"
        )
        self._finisher.add(held, outcome.waiting(reason, APART_SECONDS))

    def abandon(self, held: HeldJob) -> None:
        """Free the slot of a job that does not end; its lane goes when it does."""
        held.is_abandoned = True
        self.abandoned_count += 1
        if held in self._in_slots:  # and not merely run together with the one that is
            self._in_slots.discard(held)
            self._open_lanes -= 1
        self._finisher.add(held, outcome.stopped(held.stop_reason or StopReason.SHUTDOWN))
        self.slot_freed.set()

    async def _lane(self) -> None:
        kept = self._runner.kept()
        yielded_at = time.monotonic()
        try:
            while self._waiting:
                if not await self._run(self._take(kept), kept):
                    return
                if self._is_half_empty():
                    self.slot_freed.set()
                if time.monotonic() - yielded_at > YIELD_SECONDS:
                    await anyio.lowlevel.checkpoint()
                    yielded_at = time.monotonic()
                if not self._waiting:
                    await kept.close()  # during which a job may come
        finally:
            await kept.close()
        self._open_lanes -= 1
        self.slot_freed.set()

    def _take(self, kept: Kept) -> list[HeldJob]:
        """The next job, or up to half of those that wait, where they may be run together."""
        taken = [self._waiting.popleft()]
        key = self._runner.bundle_key(taken[0]) if kept.bundles else None
        if key is not None:
            most = min(BUNDLE_MAX, max(2, len(self._waiting) // 2 + 1))
            while len(taken) < most and self._waiting and self._runner.bundle_key(self._waiting[0]) == key:
                taken.append(self._waiting.popleft())
        return taken

    async def _run(self, taken: list[HeldJob], kept: Kept) -> bool:
        """Run the jobs in this slot; False where it was given to others because a job did not end."""
        began_at = time.monotonic()
        left = deque(taken)
        if len(taken) > 1:
            self._in_slots.add(taken[0])
            left = deque(await self._runner.run_bundle(taken, kept))
            kept.bundle_tried(is_any_done=len(left) < len(taken))
            self._in_slots.discard(taken[0])
        is_slot_lost = taken[0].is_abandoned
        while left and not is_slot_lost:
            held = left.popleft()
            if not held.is_abandoned:
                self._in_slots.add(held)
                await self._runner.run(held, kept)
                self._in_slots.discard(held)
                is_slot_lost = held.is_abandoned
        self.abandoned_count -= sum(held.is_abandoned for held in taken)
        if is_slot_lost:
            for held in left:
                if not held.is_abandoned:
                    self.submit(held)
            return False
        self._learn(taken[0].job.job_type, (time.monotonic() - began_at) / len(taken))
        return True

    def _learn(self, job_type: JobType, seconds: float) -> None:
        """How many jobs of this type the slots get through in AHEAD_SECONDS, from how long the last ones took."""
        seconds = min(seconds, LEARNT_SECONDS_MAX)
        average = self._average_seconds.get(job_type, seconds)
        self._average_seconds[job_type] = average = average + AVERAGE_WEIGHT * (seconds - average)
        number = int(self.slots * AHEAD_SECONDS / max(average, 1e-6))
        if number >= self.slots:
            self._ahead_max[job_type] = min(number, AHEAD_MAX)
        else:
            self._ahead_max.pop(job_type, None)
