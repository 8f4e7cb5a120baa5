"""How the database answers this daemon."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jobd.metrics.labels import ERROR_CLASSES, OPERATIONS, OTHER_OPERATION

if TYPE_CHECKING:
    from prometheus_client import Histogram

    from jobd.metrics.families import Families

DISK_FULL = "disk_full"
# Longer than a job that waits for room takes to try again: whoever looks meanwhile is to see it.
DISK_FULL_SECONDS = 30.0
STATEMENT_BUCKETS = (0.001, 0.01, 0.05, 0.25, 1, 5)
ACQUIRE_BUCKETS = (0.001, 0.01, 0.1, 1, 10)


class DatabaseMetrics:
    """Connections, statements and errors."""

    def __init__(self, families: Families) -> None:
        counter, gauge, histogram = families.counter, families.gauge, families.histogram
        self.up = gauge("jobd_db_up", "1 when the last heartbeat was answered.")
        self.disk_full = gauge("jobd_db_disk_full", "1 while the database's disk lately had no room for a write.")
        self.disk_full.set_function(lambda: self.is_disk_full)
        self._disk_full_until = 0.0
        self.pooled = gauge("jobd_db_pooled", "1 where a pooler stands between this daemon and the database.")
        self.connections = gauge("jobd_db_pool_connections", "Open connections.", "state")
        self.opened = counter("jobd_db_connections_opened", "Connections that were opened.")
        self.acquire = histogram(
            "jobd_db_pool_acquire_seconds", "Waits for a connection of the daemon's own.", ACQUIRE_BUCKETS
        )
        self.errors = counter("jobd_db_errors", "Errors of the database.", "class")
        self.statements = histogram(
            "jobd_db_statement_seconds", "Statements of the daemon's own.", STATEMENT_BUCKETS, "operation"
        )
        self.schema = gauge("jobd_schema_version", "The version of the database's schema.")
        self.schema_required = gauge(
            "jobd_schema_version_required", "The least version of it that this daemon works with."
        )
        self.clock_skew = gauge(
            "jobd_clock_skew_seconds", "How far this host's clock is ahead of the server's, by at least so much."
        )
        self._operations: dict[str, Histogram] = {}
        for name in ERROR_CLASSES:
            self.errors.labels(name)
        for state in ("idle", "used"):
            self.connections.labels(state)
        for operation in {*OPERATIONS.values(), OTHER_OPERATION}:
            self._operations[operation] = self.statements.labels(operation)

    def count_statement(self, name: str, seconds: float) -> None:
        """Count a statement by what it is for, and how long it took."""
        self._operations[OPERATIONS.get(name, OTHER_OPERATION)].observe(seconds)

    def count_error(self, name: str | None) -> None:
        """Count an error under its class; None is no error of the database's."""
        if name is not None:
            self.errors.labels(name).inc()
        if name == DISK_FULL:
            self._disk_full_until = time.monotonic() + DISK_FULL_SECONDS

    @property
    def is_disk_full(self) -> bool:
        """Whether the database lately had no room for what was to be written."""
        return time.monotonic() < self._disk_full_until
