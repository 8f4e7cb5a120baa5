"""The metrics of committed batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobd.metrics import Metrics
    from jobd.model.job import Job
    from jobd.runner.context import BatchResult


def count_rows(metrics: Metrics, job: Job, batch: BatchResult) -> None:
    """Count what a committed batch brought in, and what was read for it."""
    queue = metrics.queue_label(job.queue)
    tally = batch.tally
    for name, number in (
        ("added", tally.added),
        ("updated", tally.updated),
        ("unchanged", tally.unchanged),
        ("skipped", tally.skipped),
        ("rejected", tally.refused),
    ):
        if number:
            metrics.rows.labels(queue, job.job_type, name).inc(number)
    if batch.read_bytes:
        metrics.read_bytes.labels(queue, job.job_type).inc(batch.read_bytes)
