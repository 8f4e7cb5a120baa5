"""Reads the queues' gauges from the database; never on the way of a scrape."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jobd.metrics import STATUSES
from jobd.runner.wakeup import Wakeup
from jobd.services.loop import jittered

if TYPE_CHECKING:
    from jobd.runner.lanes import Lanes
    from jobd.runner.parts import Parts


class Sampler:
    """One step is one sample."""

    def __init__(self, parts: Parts, lanes: Lanes) -> None:
        self._queue = parts.queue
        self._metrics = parts.metrics
        self._settings = parts.settings
        self._seen: set[str] = set()
        self.wakeup = Wakeup()
        metrics = parts.metrics
        metrics.slots.set(parts.settings.concurrency)
        metrics.slots_used.set_function(lambda: lanes.used)
        metrics.db_connections.labels("idle").set_function(
            lambda: parts.pool.idle_count + parts.sessions.idle_count
        )
        metrics.db_connections.labels("used").set_function(
            lambda: parts.pool.used_count + parts.sessions.used_count
        )

    async def step(self) -> float:
        """Sample; gives the delay until the next."""
        rows = await self._queue.fetch("daemon_sample_queues")
        metrics = self._metrics
        numbers: dict[tuple[str, str], int] = {}
        ages: dict[str, float] = {}
        for row in rows:
            queue = metrics.queue_label(row["queue"])
            ages[queue] = max(ages.get(queue, 0.0), row["oldest_due_age_seconds"] or 0.0)
            metrics.queue_paused.labels(queue).set(bool(row["is_paused"]))
            if row["status"] is not None:
                numbers[queue, row["status"]] = numbers.get((queue, row["status"]), 0) + (row["jobs"] or 0)
        self._seen.update(ages)
        for queue in self._seen:  # a queue that is empty now is 0, not what it was
            metrics.queue_age.labels(queue).set(ages.get(queue, 0.0))
            for status in STATUSES:
                metrics.queue_jobs.labels(queue, status).set(numbers.get((queue, status), 0))
        metrics.sampled_at.set(time.time())
        return jittered(self._settings.sample_seconds)
