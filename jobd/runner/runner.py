"""Runs one claimed job, whatever its type: a straight line from its slot to an outcome, which is a value."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import anyio
from structlog.contextvars import bind_contextvars, unbind_contextvars

from jobd.errors import JobCancelled, LeaseLost, Stopped
from jobd.model.status import StopReason
from jobd.runner import outcome, points
from jobd.runner.batch import BatchRunner
from jobd.runner.context import JobContext

if TYPE_CHECKING:
    from jobd.model.status import JobType
    from jobd.runner.context import Handler
    from jobd.runner.finisher import Finisher
    from jobd.runner.held import HeldJob
    from jobd.runner.logins import Logins
    from jobd.runner.outcome import Ended
    from jobd.runner.parts import Parts


class HandlerLookup(Protocol):
    """Finds who runs a type of job."""

    async def __call__(self, job_type: JobType) -> Handler:
        """Give the handler; raises JobFailed where there is none."""
        ...


class Runner:
    """Runs jobs one by one; many of its ``run`` calls go on at once."""

    def __init__(self, parts: Parts, handlers: HandlerLookup, logins: Logins, finisher: Finisher) -> None:
        self._handlers = handlers
        self._logins = logins
        self._finisher = finisher
        self._queue = parts.queue
        self._running = parts.running
        self._metrics = parts.metrics
        self._settings = parts.settings

    async def run(self, held: HeldJob) -> None:
        """Run the job to the end of this attempt and have that written."""
        held.started_at = time.monotonic()
        bind_contextvars(job_id=str(held.job.id))
        if held.timeout_at is not None:
            held.wake_enforcer()
        try:
            ended = await self._attempt(held)
            await points.reach("job.ended")
            if not held.is_abandoned:
                self._finisher.add(held, ended)
        finally:
            unbind_contextvars("job_id")
            if held.session is not None:
                await held.session.close()

    async def _attempt(self, held: HeldJob) -> Ended:
        """How the attempt ends. The open batch, if any, is rolled back when this returns."""
        if held.stop_reason is not None:
            return _stopped(held)
        try:
            with anyio.CancelScope() as held.scope:
                return outcome.completed(await self._perform(held))
            return _stopped(held)
        except (Stopped, JobCancelled, LeaseLost) as stop:
            return _stopped(held, stop)
        except Exception as error:  # noqa: BLE001  whatever a handler raises becomes the job's outcome
            # What breaks because the job was cut is no failure of its own.
            is_cut = held.scope is not None and held.scope.cancel_called
            return _stopped(held) if is_cut else outcome.raised(error, held.job)
        finally:
            held.scope = None
            if held.session is not None:
                await held.session.roll_back()

    async def _perform(self, held: HeldJob) -> object:
        """Have the job's handler do the work."""
        handler = await self._handlers(held.job.job_type)
        held.session = self._logins.session_of(held.job)
        batches = BatchRunner(held, held.session, self._queue, self._running, self._metrics)
        await points.reach("job.start")
        return await handler.run(JobContext(held, batches, self._queue, self._logins, self._settings))


def _stopped(held: HeldJob, stop: Stopped | JobCancelled | LeaseLost | None = None) -> Ended:
    """The outcome of a stop: what the database said goes before what was asked for here."""
    reason = held.stop_reason or StopReason.SHUTDOWN
    if isinstance(stop, JobCancelled):
        reason = StopReason.CANCEL
    elif isinstance(stop, LeaseLost):
        reason = StopReason.LEASE_LOST
    return outcome.stopped(reason, held.job.options.get("timeout"))
