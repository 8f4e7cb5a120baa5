"""Sweeps what triggers may have missed: jobs still held back although what they waited for has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.runner.wakeup import Wakeup
from jobd.services.loop import jittered

if TYPE_CHECKING:
    from jobd.runner.parts import Parts

SWEEP_SECONDS = 20.0
GATES_MAX = 1000


class Pruner:
    """One step is one bounded sweep."""

    def __init__(self, parts: Parts) -> None:
        self._queue = parts.queue
        self.wakeup = Wakeup()

    async def step(self) -> float:
        """Sweep; gives the delay until the next."""
        opened: int = (await self._queue.fetch("daemon_open_gates", GATES_MAX))[0][0]
        return 0.1 if opened >= GATES_MAX else jittered(SWEEP_SECONDS)
