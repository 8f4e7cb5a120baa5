"""Runs one claimed job, whatever its type: a straight line from its slot to an outcome, which is a value."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import anyio
from structlog.contextvars import bind_contextvars, unbind_contextvars

from jobd import log
from jobd.errors import JobCancelled, LeaseLost, Stopped
from jobd.model.status import Outcome, StopReason
from jobd.runner import outcome, points
from jobd.runner.batch import BatchRunner
from jobd.runner.bundle import Bundle
from jobd.runner.context import JobContext
from jobd.runner.kept import Kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.model.status import JobType
    from jobd.runner.context import Handler
    from jobd.runner.finisher import Finisher
    from jobd.runner.held import HeldJob
    from jobd.runner.logins import Logins
    from jobd.runner.outcome import Ended
    from jobd.runner.parts import Parts
    from jobd.tracing.spans import Tracing


_log = log.get("runner")


class HandlerLookup(Protocol):
    """Finds who runs a type of job."""

    def made(self, job_type: JobType) -> Handler | None:
        """Give the handler if it was used already."""
        ...

    async def __call__(self, job_type: JobType) -> Handler:
        """Give the handler; raises JobFailed where there is none."""
        ...


class Runner:
    """Runs jobs one by one; many of its ``run`` calls go on at once."""

    def __init__(self, parts: Parts, handlers: HandlerLookup, logins: Logins, finisher: Finisher) -> None:
        self._parts = parts
        self._handlers = handlers
        self._logins = logins
        self._finisher = finisher
        self._queue = parts.queue
        self._running = parts.running
        self._metrics = parts.metrics
        self._settings = parts.settings
        self._tracing = parts.tracing

    def kept(self) -> Kept:
        """What a slot keeps from job to job; to be closed when no job follows."""
        return Kept(self._logins)

    async def run(self, held: HeldJob, kept: Kept) -> None:
        """Run the job to the end of this attempt and have that written."""
        went_well = False
        held.started_at = time.monotonic()
        bind_contextvars(job_id=str(held.job.id))
        if self._tracing is not None:
            _begin_span(held, self._tracing)
        if held.timeout_at is not None:
            held.wake_enforcer()
        try:
            ended = await self._attempt(held, kept)
            await points.reach("job.ended")
            if not held.is_abandoned:
                self._finisher.add(held, ended)
                went_well = ended.outcome is Outcome.COMPLETED
        finally:
            unbind_contextvars("job_id", "trace_id")
            if held.span is not None:
                held.span.leave()
            if not went_well:
                await kept.close()

    def bundle_key(self, held: HeldJob) -> object | None:
        """What jobs must have in common to be run together; None for one that is run by itself."""
        handler = self._handlers.made(held.job.job_type)
        return None if handler is None or held.stop_reason is not None else handler.bundle_key(held.job)

    async def run_bundle(self, members: Sequence[HeldJob], kept: Kept) -> list[HeldJob]:
        """Run jobs of one key together as far as that goes; gives those that are to be run by themselves."""
        handler = self._handlers.made(members[0].job.job_type)
        assert handler is not None  # noqa: S101  it gave the key
        session = await kept.session_for(members[0].job)
        bundle = Bundle(members, kept, session, parts=self._parts, logins=self._logins)
        with anyio.CancelScope() as scope:
            for held in members:
                held.started_at = time.monotonic()
                held.session, held.scope = session, scope
                if self._tracing is not None:
                    held.span = self._tracing.attempt(held.job)
                if held.timeout_at is not None:
                    held.wake_enforcer()
            try:
                await handler.run_bundle(bundle)
            except Exception as error:  # noqa: BLE001  whatever it is, each job by itself meets it again, or does not
                _log.debug("jobs are run by themselves", jobs=len(members) - len(bundle.done), error=error)
            finally:
                await session.roll_back()
        for held in members:
            held.scope = held.session = None
            if held.job.id in bundle.done and not held.is_abandoned:
                self._finisher.add(held, outcome.completed(bundle.done[held.job.id]))
        return [held for held in members if held.job.id not in bundle.done]

    async def _attempt(self, held: HeldJob, kept: Kept) -> Ended:
        """How the attempt ends. The open batch, if any, is rolled back when this returns."""
        if held.stop_reason is not None:
            return _stopped(held)
        try:
            with anyio.CancelScope() as held.scope:
                return outcome.completed(await self._perform(held, kept))
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

    async def _perform(self, held: HeldJob, kept: Kept) -> object:
        """Have the job's handler do the work."""
        handler = await self._handlers(held.job.job_type)
        held.session = await kept.session_for(held.job)
        batches = BatchRunner(held, held.session, self._queue, self._running, self._metrics)
        await points.reach("job.start")
        context = JobContext(held, batches, kept, queue=self._queue, logins=self._logins, settings=self._settings)
        return await handler.run(context)


def _begin_span(held: HeldJob, tracing: Tracing) -> None:
    """Begin to trace the attempt; one that a bundle has begun goes on."""
    held.span = span = held.span or tracing.attempt(held.job)
    span.enter()
    bind_contextvars(trace_id=span.trace_id)


def _stopped(held: HeldJob, stop: Stopped | JobCancelled | LeaseLost | None = None) -> Ended:
    """The outcome of a stop: what the database said goes before what was asked for here."""
    reason = held.stop_reason or StopReason.SHUTDOWN
    if isinstance(stop, JobCancelled):
        reason = StopReason.CANCEL
    elif isinstance(stop, LeaseLost):
        reason = StopReason.LEASE_LOST
    return outcome.stopped(reason, held.job.options.get("timeout"))
