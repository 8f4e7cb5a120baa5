"""Reads what the database alone knows, for metrics; never on the way of a scrape."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jobd.db import schema_text
from jobd.db.schema_state import SchemaState
from jobd.metrics.labels import TABLES
from jobd.runner.wakeup import Wakeup
from jobd.services.loop import jittered

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobd.runner.lanes import Lanes
    from jobd.runner.parts import Parts


class Sampler:
    """One step is one sample."""

    def __init__(self, parts: Parts, lanes: Lanes, *, on_too_new: Callable[[str], None]) -> None:
        self._on_too_new = on_too_new
        self._known = schema_text.load(parts.settings.role_prefix).version
        self._queue = parts.queue
        self._metrics = parts.metrics
        self._settings = parts.settings
        self.oldest_due_seconds = 0.0
        self.wakeup = Wakeup()
        parts.metrics.daemon.slots.set(parts.settings.concurrency)
        parts.metrics.daemon.slots_used.set_function(lambda: lanes.used)
        connections = parts.metrics.database.connections
        connections.labels("idle").set_function(lambda: parts.pool.idle_count + parts.sessions.idle_count)
        connections.labels("used").set_function(lambda: parts.pool.used_count + parts.sessions.used_count)

    async def step(self) -> float:
        """Sample; gives the delay until the next."""
        began_at = time.monotonic()
        queues = self._metrics.queues
        rows = await self._queue.fetch("daemon_sample_queues")
        queues.show_queues(rows)
        own = [row["oldest_due_age_seconds"] or 0.0 for row in rows if row["queue"] in self._settings.queues]
        self.oldest_due_seconds = max(own, default=0.0)
        await self._server()
        queues.show_tables(await self._queue.fetch("daemon_sample_tables", list(TABLES)))
        queues.sampled(time.monotonic() - began_at)
        return jittered(self._settings.sample_seconds)

    async def _server(self) -> None:
        before = time.time()
        row = (await self._queue.fetch("daemon_sample_server"))[0]
        after = time.time()
        # The server looked at its clock some time between.
        ahead, behind = before - row["clock"], row["clock"] - after
        self._metrics.database.clock_skew.set(max(0.0, ahead) or -max(0.0, behind))
        self._metrics.database.schema.set(row["schema_version"] or 0)
        self._metrics.queues.show_server(row)
        schema = SchemaState(
            row["schema_version"] or 0, self._known, is_text_current=True, compatible_from=row["compatible_from"]
        )
        if schema.is_too_new and schema.compatible_from is not None:
            self._on_too_new(schema.obstacle() or "")
