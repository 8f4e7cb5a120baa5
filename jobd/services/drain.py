"""How a daemon stops: claims no more, lets open batches end, hands back what is left, and strikes itself off."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import asyncpg

from jobd import log
from jobd.errors import DatabaseUnavailable
from jobd.model.status import StopReason
from jobd.runner.wakeup import Wakeup

if TYPE_CHECKING:
    from jobd.runner.lanes import Lanes
    from jobd.runner.parts import Parts
    from jobd.services.enforcer import Enforcer
    from jobd.services.reporter import Reporter
    from jobd.services.worker import Worker
    from jobd.tracing.spans import Tracing

FAREWELL_SECONDS_MAX = 5.0
# For rolling back and for writing the endings once the grace is over; the leases expire by themselves otherwise.
AFTER_GRACE_SECONDS_MAX = 10.0
# The same after a second SIGTERM, and for the farewell then: who sends it does not want to wait.
AT_ONCE_SECONDS_MAX = 2.0
# What the service manager is asked for while the drain moves: enough for the farewell too.
STEP_SECONDS = 30.0

_log = log.get("daemon")


class Drain:
    """Asked for once, it keeps to the grace; asked for again, it rolls back and leaves at once."""

    def __init__(
        self, parts: Parts, worker: Worker, *, lanes: Lanes, enforcer: Enforcer, reporter: Reporter
    ) -> None:
        self._parts = parts
        self._worker = worker
        self._lanes = lanes
        self._enforcer = enforcer
        self._reporter = reporter
        self._times = 0
        self.requested = Wakeup()

    @property
    def is_requested(self) -> bool:
        """Whether the daemon is to stop."""
        return self._times > 0

    @property
    def _is_at_once(self) -> bool:
        return self._times > 1

    def request(self) -> None:
        """Stop; called a second time, at once."""
        self._times += 1
        self.requested.set()
        if self._is_at_once and self._enforcer.grace_ends_at is not None:
            self._enforcer.grace_ends_at = time.monotonic()
            self._enforcer.wakeup.set()

    async def run(self) -> None:
        """Claim no more, let the open batches end within the grace, hand back what is left."""
        self._worker.is_draining = True
        self._parts.metrics.daemon.draining.set(1)
        self._reporter.stopping()
        grace = 0.0 if self._is_at_once else self._parts.settings.shutdown_grace_seconds
        _log.info("draining", jobs=len(self._parts.running), grace_seconds=grace)
        self._enforcer.grace_ends_at = time.monotonic() + grace
        running = self._parts.running
        while running or running.claims_in_flight:
            # A second SIGTERM moves the end of the grace to now.
            if time.monotonic() > self._enforcer.grace_ends_at + self._after_grace_seconds():
                _log.warning("leaving although not all endings are confirmed", jobs=len(running))
                break
            self._reporter.wait_up_to(STEP_SECONDS)
            self._lanes.hand_back_waiting()
            running.stop_all(StopReason.SHUTDOWN)
            await running.changed.wait(1.0)

    def _after_grace_seconds(self) -> float:
        """How long to try to write endings; without a lease they are not this worker's to write."""
        if not self._parts.running.is_trusted:
            return 0.0
        return AT_ONCE_SECONDS_MAX if self._is_at_once else AFTER_GRACE_SECONDS_MAX

    async def farewell(self) -> None:
        """Strike the worker off, so that nobody waits for its lease, and have the last spans sent meanwhile."""
        seconds = AT_ONCE_SECONDS_MAX if self._is_at_once else FAREWELL_SECONDS_MAX
        async with anyio.create_task_group() as group:
            if self._parts.tracing is not None:
                group.start_soon(self._close_tracing, self._parts.tracing, seconds)
            with anyio.move_on_after(seconds):
                try:
                    await self._worker.leave()
                except (DatabaseUnavailable, asyncpg.PostgresError) as error:
                    _log.warning("could not deregister; the lease expires by itself", error=error)
        self._parts.pool.terminate()
        self._parts.sessions.expire()

    async def _close_tracing(self, tracing: Tracing, seconds: float) -> None:
        for held in self._parts.running:
            if held.span is not None:
                held.span.end("unconfirmed", None)
        await anyio.to_thread.run_sync(tracing.close, seconds)
