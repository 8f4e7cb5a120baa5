"""All metrics of one daemon, and how they are told to a scraper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from jobd.metrics.daemon import DaemonMetrics
from jobd.metrics.database import DatabaseMetrics
from jobd.metrics.families import Families
from jobd.metrics.jobs import JobMetrics
from jobd.metrics.labels import JOB_TYPES, QueueLabels
from jobd.metrics.queues import QueueMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Metrics:
    """The groups of metrics. ``before_scrape``: called before each scrape, for what is known only then."""

    def __init__(self, version: str, queues: Iterable[str] = (), job_types: Iterable[str] = JOB_TYPES) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series beside each counter that nobody looks at
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        families = Families(registry)
        self.daemon = DaemonMetrics(families, version)
        self.labels = QueueLabels(self.daemon.overflow.labels("queue").inc)
        self.jobs = JobMetrics(families, self.labels)
        self.queues = QueueMetrics(families, self.labels, self.jobs.want)
        self.database = DatabaseMetrics(families)
        self.before_scrape: list[Callable[[], None]] = []
        names = tuple(queues)
        self.jobs.begin_at_zero(names, job_types)
        self.queues.begin_at_zero(names)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The metrics as text, and its content type, as the scraper asked for it."""
        for prepare in self.before_scrape:
            prepare()
        if "application/openmetrics-text" in accept:
            open_text: bytes = openmetrics.generate_latest(self.registry)  # type: ignore[no-untyped-call]
            return open_text, openmetrics.CONTENT_TYPE_LATEST
        text: bytes = generate_latest(self.registry)
        return text, "text/plain; version=0.0.4; charset=utf-8"
