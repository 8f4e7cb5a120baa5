"""Measures how late the event loop wakes, and says so when it stood still: then nothing kept the lease.

Code that does not give way (a user's handler that sleeps or computes in it) or a process that was stopped: the
leases may be over when it goes on, and what it holds may be somebody else's.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from jobd import log
from jobd.runner.wakeup import Wakeup

if TYPE_CHECKING:
    from jobd.runner.parts import Parts

# Short against what is looked for: the part of a standstill that falls into the sleep is not seen.
LOOK_SECONDS = 0.1
STANDSTILL_SECONDS = 1.0
NAMED_MAX = 10

_log = log.get("lag")


class Lag:
    """One step is one measurement."""

    def __init__(self, parts: Parts) -> None:
        self._metrics = parts.metrics
        self._running = parts.running
        self.wakeup = Wakeup()

    async def step(self) -> float:
        """Measure; the next one follows at once."""
        due_at = time.monotonic() + LOOK_SECONDS
        await anyio.sleep(LOOK_SECONDS)
        late = max(0.0, time.monotonic() - due_at)
        self._metrics.daemon.loop_lag.observe(late)
        if late > STANDSTILL_SECONDS:
            jobs = [held.job.id for held in self._running.unfinished()]
            _log.warning(
                "the event loop stood still", seconds=round(late, 1), jobs=len(jobs), job_ids=jobs[:NAMED_MAX]
            )
        return 0.0
