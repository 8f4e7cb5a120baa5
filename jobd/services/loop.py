"""The loop that every service runs on: a step gives the delay until the next, and anybody may call it earlier."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobd import log
from jobd.db.transient import Advice, advice
from jobd.errors import DatabaseUnavailable, ForeignDatabase

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container

    from jobd.runner.wakeup import Wakeup

BACKOFF_SECONDS_MIN = 0.1
BACKOFF_SECONDS_MAX = 1.0
# A round may wait for a statement (its time-out is 30 s) and for the event loop.
ROUND_SECONDS_MAX = 60.0

_log = log.get("loop")


@dataclass
class Pulse:
    """When each loop has to have completed its next round; from it the process's health is told."""

    due_at: dict[str, float] = field(default_factory=dict)

    def beat(self, name: str, next_within_seconds: float) -> None:
        """A round of that loop is complete."""
        self.due_at[name] = time.monotonic() + next_within_seconds + ROUND_SECONDS_MAX

    def stalled(self, among: Container[str] | None = None) -> list[str]:
        """Loops that do not move, of all or of these."""
        now = time.monotonic()
        late = sorted(name for name, due_at in self.due_at.items() if due_at < now)
        return late if among is None else [name for name in late if name in among]


async def run_loop(
    name: str,
    step: Callable[[], Awaitable[float]],
    wakeup: Wakeup,
    pulse: Pulse,
    *,
    backoff_max: float = BACKOFF_SECONDS_MAX,
) -> None:
    """Run ``step`` for ever. What it raises is logged once and tried again with growing delay."""
    failures = 0
    pulse.beat(name, 0.0)  # a loop whose first round never ends does not move either
    while True:
        try:
            delay = await step()
            if failures:
                _log.info("loop goes on", loop=name, failures=failures)
            failures = 0
        except Exception as error:  # noqa: BLE001  a loop outlives whatever happens in a round, and says so
            failures += 1
            is_outage = (
                isinstance(error, DatabaseUnavailable | ForeignDatabase) or advice(error) is Advice.RECONNECT
            )
            if failures == 1 or not is_outage:
                _log.warning("round failed", loop=name, error=error, failures=failures)
            delay = backoff_seconds(failures, backoff_max)
        pulse.beat(name, delay)
        await wakeup.wait(delay)


def backoff_seconds(failures: int, backoff_max: float = BACKOFF_SECONDS_MAX) -> float:
    """How long to wait after so many failures in a row; never the same for daemons that failed together."""
    longest = min(BACKOFF_SECONDS_MIN * 2 ** min(failures, 10), backoff_max)
    return random.uniform(longest / 2, longest)  # noqa: S311


def jittered(seconds: float) -> float:
    """About that long: daemons started together should not look together for ever."""
    return seconds * random.uniform(0.85, 1.15)  # noqa: S311
