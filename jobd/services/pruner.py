"""Sweeps: opens the gates that triggers may have missed, and deletes what ended long ago, where that is wanted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jobd import log
from jobd.runner.wakeup import Wakeup
from jobd.services.loop import jittered

if TYPE_CHECKING:
    from jobd.runner.parts import Parts
    from jobd.services.worker import Worker

SWEEP_SECONDS = 20.0
GATES_MAX = 1000
PRUNE_SECONDS = 600.0
# Between calls while there is more: claims and endings may share the connection.
PRUNE_PAUSE_SECONDS = 1.0

_log = log.get("pruner")


class Pruner:
    """One step is one bounded sweep."""

    def __init__(self, parts: Parts, worker: Worker) -> None:
        self._worker = worker
        self._queue = parts.queue
        self._prune_after_days = parts.settings.prune_after_days
        # Not at once: daemons that are restarted together would all begin with it.
        self._prune_at = time.monotonic() + jittered(SWEEP_SECONDS)
        self._environment = parts.settings.environment
        self.wakeup = Wakeup()

    async def step(self) -> float:
        """Sweep; gives the delay until the next."""
        if self._worker.is_abroad:
            return jittered(SWEEP_SECONDS)
        await self._queue.require_own_database(self._environment)  # which may have been replaced this moment
        opened: int = (await self._queue.fetch("daemon_open_gates", GATES_MAX))[0][0]
        is_more = await self._prune() if time.monotonic() >= self._prune_at else False
        if opened >= GATES_MAX:
            return 0.1
        return PRUNE_PAUSE_SECONDS if is_more else jittered(SWEEP_SECONDS)

    async def _prune(self) -> bool:
        """Delete what ended too long ago; tells whether there may be more of it."""
        if self._prune_after_days is None:
            return False
        deleted: int = (await self._queue.fetch("daemon_prune", self._prune_after_days))[0][0]
        if deleted:
            _log.info("jobs pruned", jobs=deleted)
            return True
        self._prune_at = time.monotonic() + jittered(PRUNE_SECONDS)
        return False
