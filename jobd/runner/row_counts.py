"""The metrics of committed batches."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobd.metrics import Metrics
    from jobd.model.job import Job
    from jobd.runner.context import BatchResult


def count_rows(metrics: Metrics, job: Job, batch: BatchResult) -> None:
    """Count what a committed batch brought in, and what was read for it."""
    queue = metrics.labels.of(job.queue)
    tally = batch.tally
    for name, number in (
        ("added", tally.added),
        ("updated", tally.updated),
        ("unchanged", tally.unchanged),
        ("skipped", tally.skipped),
        ("rejected", tally.refused),
    ):
        if number:
            metrics.jobs.rows.labels(queue, job.job_type, name).inc(number)
    for error_type, number in Counter(error.error_type for error in batch.errors).items():
        metrics.jobs.row_errors.labels(queue, error_type).inc(number)
    if batch.read_bytes:
        metrics.jobs.read_bytes.labels(queue, job.job_type).inc(batch.read_bytes)
