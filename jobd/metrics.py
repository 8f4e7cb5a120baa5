"""What a daemon counts, in a registry of its own. The names are part of the public contract."""

from __future__ import annotations

import platform
import time
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

if TYPE_CHECKING:
    from collections.abc import Iterable

OTHER = "__other__"
QUEUES_MAX = 50
OUTCOMES = ("completed", "failed", "retried", "cancelled", "paused", "interrupted", "timeout", "lease_lost")
ROW_RESULTS = ("added", "updated", "unchanged", "skipped", "rejected")
JOB_TYPES = ("import", "export", "validation", "processing")
STATUSES = ("pending", "running", "paused")
LEASE_LOSSES = ("fenced", "expired", "declared_dead")
ERROR_CLASSES = (
    "connection", "timeout", "serialization", "deadlock", "lock_timeout", "read_only", "disk_full",
    "too_many_connections", "constraint", "data", "privilege", "fence", "other",
)  # fmt: skip
DISK_FULL = "disk_full"
# Longer than a job that waits for room takes to try again: whoever looks meanwhile is to see it.
DISK_FULL_SECONDS = 30.0
WAIT_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 900, 3600)
DURATION_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600)
LAG_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5)


class Metrics:
    """All metrics of one daemon. Queue names come from other people's rows, so their number is bounded."""

    def __init__(self, version: str, queues: Iterable[str] = ()) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series beside each counter that nobody looks at
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, text, labels, buckets=buckets, registry=registry)

        self.claims = counter("jobd_job_claims", "Jobs claimed.", "queue")
        self.attempts = counter("jobd_job_attempts", "Attempts by how they ended.", "queue", "job_type", "outcome")
        self.wait = histogram("jobd_job_wait_seconds", "From run_at to the claim.", WAIT_BUCKETS, "queue")
        self.duration = histogram(
            "jobd_job_duration_seconds", "From the claim to the end.", DURATION_BUCKETS, "queue", "job_type"
        )
        self.rows = counter("jobd_rows", "Records by what became of them.", "queue", "job_type", "result")
        self.read_bytes = counter("jobd_read_bytes", "Bytes read from sources.", "queue", "job_type")
        self.queue_jobs = gauge("jobd_queue_jobs", "Jobs by status, read from the database.", "queue", "status")
        self.queue_age = gauge("jobd_queue_oldest_due_age_seconds", "Age of the oldest due job.", "queue")
        self.queue_paused = gauge("jobd_queue_paused", "1 where the queue is paused.", "queue")
        self.slots = gauge("jobd_worker_slots", "Jobs this worker runs at one time.")
        self.slots_used = gauge("jobd_worker_slots_used", "Slots in use.")
        self.listener_up = gauge("jobd_listener_up", "1 while a notification sent to itself comes back.")
        self.leases_lost = counter("jobd_leases_lost", "Leases lost while a job ran.", "reason")
        self.leases_rescued = counter("jobd_leases_rescued", "Jobs taken from dead workers.", "queue")
        self.lease_remaining = gauge("jobd_lease_remaining_seconds", "How long the lease is still trusted.")
        self.db_up = gauge("jobd_db_up", "1 when the last heartbeat was answered.")
        self.disk_full = gauge("jobd_db_disk_full", "1 while the database's disk lately had no room for a write.")
        self.disk_full.set_function(lambda: self.is_disk_full)
        self._disk_full_until = 0.0
        self.db_pooled = gauge("jobd_db_pooled", "1 where a pooler stands between this daemon and the database.")
        self.db_connections = gauge("jobd_db_pool_connections", "Open connections.", "state")
        self.db_errors = counter("jobd_db_errors", "Errors of the database.", "class")
        self.wakeups = counter("jobd_wakeups", "Why the claimer looked for work.", "source")
        self.loop_lag = histogram("jobd_event_loop_lag_seconds", "How late the event loop wakes.", LAG_BUCKETS)
        self.sampled_at = gauge("jobd_queue_sample_timestamp_seconds", "When the queues were last read.")
        self.draining = gauge("jobd_draining", "1 while the daemon stops.")
        self.overflow = counter("jobd_metric_label_overflow", "Label values counted as __other__.", "metric")
        self.build_info = gauge("jobd_build_info", "The running version.", "version", "python")
        self.build_info.labels(version, platform.python_version()).set(1)
        self._queues: set[str] = set()
        # Looking a child up by its labels costs more than counting: those of every job are remembered.
        self._claimed: dict[str, tuple[Counter, Histogram]] = {}
        self._attempted: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self._begin_at_zero(queues)

    def _begin_at_zero(self, queues: Iterable[str]) -> None:
        """Make every child that is known now, so that a first increase is seen as one."""
        for queue in queues:
            label = self.queue_label(queue)
            self.claims.labels(label)
            self.wait.labels(label)
            self.leases_rescued.labels(label)
            self.queue_age.labels(label)
            for status in STATUSES:
                self.queue_jobs.labels(label, status)
            for job_type in JOB_TYPES:
                self.duration.labels(label, job_type)
                self.read_bytes.labels(label, job_type)
                for outcome in OUTCOMES:
                    self.attempts.labels(label, job_type, outcome)
                for result in ROW_RESULTS:
                    self.rows.labels(label, job_type, result)
        for reason in LEASE_LOSSES:
            self.leases_lost.labels(reason)
        for name in ERROR_CLASSES:
            self.db_errors.labels(name)
        for state in ("idle", "used"):
            self.db_connections.labels(state)
        for source in ("notification", "other"):
            self.wakeups.labels(source)

    def queue_label(self, queue: str) -> str:
        """The queue's name, or ``__other__`` once there are too many of them."""
        if queue in self._queues:
            return queue
        if len(self._queues) >= QUEUES_MAX:
            self.overflow.labels("queue").inc()
            return OTHER
        self._queues.add(queue)
        return queue

    def count_claim(self, queue: str, wait_seconds: float) -> None:
        """Count a claimed job, and how long it had been due."""
        claims, wait = self._claimed.get(queue) or self._children_of_claims(queue)
        claims.inc()
        wait.observe(wait_seconds)

    def count_attempt(self, queue: str, job_type: str, outcome: str, seconds: float) -> None:
        """Count an attempt that has ended, and how long it took."""
        key = (queue, job_type, outcome)
        attempts, duration = self._attempted.get(key) or self._children_of_attempts(*key)
        attempts.inc()
        duration.observe(seconds)

    def _children_of_claims(self, queue: str) -> tuple[Counter, Histogram]:
        label = self.queue_label(queue)
        children = self.claims.labels(label), self.wait.labels(label)
        if label != OTHER:  # what is remembered is bounded like the labels
            self._claimed[queue] = children
        return children

    def _children_of_attempts(self, queue: str, job_type: str, outcome: str) -> tuple[Counter, Histogram]:
        label = self.queue_label(queue)
        children = self.attempts.labels(label, job_type, outcome), self.duration.labels(label, job_type)
        if label != OTHER:
            self._attempted[queue, job_type, outcome] = children
        return children

    def count_database_error(self, name: str | None) -> None:
        """Count an error under its class; None is no error of the database's."""
        if name is not None:
            self.db_errors.labels(name).inc()
        if name == DISK_FULL:
            self._disk_full_until = time.monotonic() + DISK_FULL_SECONDS

    @property
    def is_disk_full(self) -> bool:
        """Whether the database lately had no room for what was to be written."""
        return time.monotonic() < self._disk_full_until

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The metrics as text, and its content type, as the scraper asked for it."""
        if "application/openmetrics-text" in accept:
            open_text: bytes = openmetrics.generate_latest(self.registry)  # type: ignore[no-untyped-call]
            return open_text, openmetrics.CONTENT_TYPE_LATEST
        text: bytes = generate_latest(self.registry)
        return text, "text/plain; version=0.0.4; charset=utf-8"
