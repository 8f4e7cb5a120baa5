"""Tries again what a passing trouble of the database kept from being done, and gives up what is none."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, TypeVar

import anyio

from jobd import log
from jobd.db.transient import Advice, ErrorClass, advice, error_class, is_disk_full, sqlstate_of, why_away
from jobd.errors import DatabaseUnavailable, HostNotReady, JobCancelled, JobdError, LeaseLost, Stopped
from jobd.model.status import StopReason
from jobd.runner.fence import refusal
from jobd.runner.traced import tell_tried_again

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from jobd.db.session import Session
    from jobd.metrics import Metrics
    from jobd.runner.held import HeldJob
    from jobd.runner.running import RunningSet

T = TypeVar("T")

PAUSE_SECONDS_MIN = 0.02
PAUSE_SECONDS_MAX = 1.0
# A conflict that lasts longer than this is no matter of luck: the job is tried again later, as a whole.
CONFLICT_SECONDS_MAX = 300.0
# That this job alone does not get through, while the lease is renewed: an outage lasts as long as it lasts.
UNREACHABLE_SECONDS_MAX = 120.0

_log = log.get("batch")


async def nothing_to_recover() -> None:
    """For work that leaves nothing behind when its connection is lost."""


class Persistence:
    """Does one thing after the other on a job's session, each for as long as there is hope."""

    def __init__(self, held: HeldJob, session: Session, running: RunningSet, metrics: Metrics) -> None:
        self._held = held
        self._session = session
        self._running = running
        self._metrics = metrics

    def raise_if_stopped(self) -> None:
        """Stop here, at a batch border, where that is asked for: by LeaseLost, JobCancelled or Stopped."""
        reason = self._held.stop_reason
        if reason is None and self._running.is_trusted:
            return
        job_id = self._held.job.id
        if reason is StopReason.LEASE_LOST or reason is None:
            raise LeaseLost("the lease could not be renewed in time", job_id=job_id)
        if reason is StopReason.CANCEL:
            raise JobCancelled("a cancel was asked for", job_id=job_id)
        raise Stopped(f"stopped at a batch border: {reason}", reason=reason, job_id=job_id)

    async def run(
        self, work: Callable[[], Awaitable[T]], recover: Callable[[], Awaitable[T | None]] = nothing_to_recover
    ) -> T:
        """Run ``work`` until it succeeds or fails for good; ``recover`` finds out what a lost connection left."""
        began_at = time.monotonic()
        try:
            return await self._try_until_done(work, recover)
        finally:
            if self._held.waits_for is not None:
                _log.info("waits no longer", seconds=round(time.monotonic() - began_at, 3))
                self._held.waits_for = None

    async def _try_until_done(
        self, work: Callable[[], Awaitable[T]], recover: Callable[[], Awaitable[T | None]]
    ) -> T:
        began_at = time.monotonic()
        pause = PAUSE_SECONDS_MIN
        is_lost = False
        while True:
            try:
                if is_lost:
                    found = await recover()
                    if found is not None:
                        return found
                    is_lost = False
                await self._wait_for_writes()
                return await work()
            except Exception as error:  # noqa: BLE001  what must not be tried again is raised from there
                is_lost = await self._after_error(error, time.monotonic() - began_at) or is_lost
                self._metrics.jobs.batches_again.labels(error_class(error) or ErrorClass.OTHER).inc()
                if self._held.span is not None:
                    tell_tried_again(self._held.span, error, is_lost=is_lost)
                reason = why_away(error)
                if reason != self._held.waits_for:
                    _log.warning("tried again", reason=reason, error=error, is_connection_lost=is_lost)
                    self._held.waits_for = reason
            seconds = pause * random.uniform(0.5, 1.5)  # noqa: S311  apart from others that failed together
            await (self._running.wait_for_database(seconds) if is_lost else anyio.sleep(seconds))
            pause = min(pause * 2, PAUSE_SECONDS_MAX)
            self.raise_if_stopped()

    async def _wait_for_writes(self) -> None:
        """Write nothing where the database is not to be written to."""
        if self._running.is_read_only:
            self._held.waits_for = "the database is read-only"
            _log.warning("waits", reason=self._held.waits_for)
        while self._running.is_read_only:
            await self._running.wait_for_database(PAUSE_SECONDS_MAX)
            self.raise_if_stopped()

    async def _after_error(self, error: Exception, tried_seconds: float) -> bool:
        """Tidy up and tell whether the connection was lost; raise what must not be tried again."""
        self._metrics.database.count_error(error_class(error))
        if is_disk_full(error):
            await self._session.roll_back()
            raise _no_room(error) from error
        is_away = isinstance(error, DatabaseUnavailable)
        # On a connection that another task gave up the driver may stumble in the middle of a statement.
        is_stumble = error_class(error) is None and not isinstance(error, JobdError) and self._session.is_lost
        what = Advice.RECONNECT if is_away or is_stumble else advice(error)
        if what is Advice.RECONNECT:
            self._session.give_up()
            if min(tried_seconds, self._running.answered_seconds) > UNREACHABLE_SECONDS_MAX:
                raise error
            return True
        await self._session.roll_back()
        refused = refusal(error, self._held.job.id)
        if refused is not None:
            raise refused from error
        # Who holds the job's row may hold it for long (an open transaction with jobd.cancel): no limit for that.
        is_conflict = what is Advice.RETRY and (
            sqlstate_of(error) == "55P03" or tried_seconds < CONFLICT_SECONDS_MAX
        )
        if not is_conflict:
            raise error
        return False


def _no_room(error: Exception) -> HostNotReady:
    """The job gives its slot to others, and goes on when there is room: no retry is used up by a full disk."""
    return HostNotReady(f"the database's disk is full: {error}")
