"""What jobs do on this daemon: sum over instances."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from jobd.metrics.labels import (
    ERROR_CLASSES,
    FAILURES,
    LEASE_LOSSES,
    OTHER,
    OUTCOMES,
    ROW_ERROR_TYPES,
    ROW_RESULTS,
    VERDICTS,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client import Counter, Gauge, Histogram

    from jobd.metrics.families import Families
    from jobd.metrics.labels import QueueLabels

WAIT_BUCKETS = (0.01, 0.1, 1, 5, 15, 60, 300, 900, 3600)
DURATION_BUCKETS = (0.1, 1, 5, 30, 300, 3600)
BATCH_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
WAIT_OBJECTIVE_SECONDS = 60.0
# Ends that are nobody's doing but the installation's. A file or a target that is wrong is its submitter's matter.
_BAD_CODES = {"database_error", "handler_error", "source_unavailable", "worker_lost"}


class RunningJobs(NamedTuple):
    """Of one queue's jobs in a slot here: how many, and the longest times in seconds."""

    number: int = 0
    age: float = 0.0
    unmoved: float = 0.0
    remaining: float = 0.0

    def with_job(self, age: float, unmoved: float, remaining: float) -> RunningJobs:
        """These and one more."""
        return RunningJobs(
            self.number + 1, max(self.age, age), max(self.unmoved, unmoved), max(self.remaining, remaining)
        )


class JobMetrics:
    """Claims, attempts, rows and batches; and whether each job ended as its queue's objective wants."""

    def __init__(self, families: Families, labels: QueueLabels) -> None:
        counter, gauge, histogram = families.counter, families.gauge, families.histogram
        self._labels = labels
        self.claims = counter("jobd_job_claims", "Jobs claimed.", "queue")
        self.attempts = counter("jobd_job_attempts", "Attempts by how they ended.", "queue", "job_type", "outcome")
        self.failures = counter("jobd_job_failures", "Jobs that failed, by error code.", "code")
        self.wait = histogram("jobd_job_wait_seconds", "From run_at to the claim.", WAIT_BUCKETS, "queue")
        self.duration = histogram(
            "jobd_job_duration_seconds", "From the claim to the end.", DURATION_BUCKETS, "queue", "job_type"
        )
        self.objectives = counter(
            "jobd_job_objective",
            "Jobs by whether they were claimed within their queue's objective and not failed by the installation.",
            "queue",
            "verdict",
        )
        self.last_success = gauge(
            "jobd_job_last_success_timestamp_seconds", "When a job last completed here.", "queue", "job_type"
        )
        self.running = gauge("jobd_jobs_running", "Jobs that run here.", "queue")
        self.oldest = gauge(
            "jobd_job_oldest_running_age_seconds", "Age of the job that runs longest here.", "queue"
        )
        self.unmoved = gauge(
            "jobd_job_unmoved_seconds",
            "How long the job here that has not moved its cursor for longest has not.",
            "queue",
        )
        self.remaining = gauge(
            "jobd_job_remaining_seconds",
            "How much longer the job here that needs longest will run, by the share that it has done.",
            "queue",
        )
        self.rows = counter("jobd_rows", "Records by what became of them.", "queue", "job_type", "result")
        self.row_errors = counter("jobd_row_errors", "Reasons why records were refused.", "queue", "error_type")
        self.read_bytes = counter("jobd_read_bytes", "Bytes read from sources.", "queue", "job_type")
        self.batch = histogram("jobd_batch_duration_seconds", "From a batch's BEGIN to its COMMIT.", BATCH_BUCKETS)
        self.batches_again = counter("jobd_batches_retried", "Batches that were tried again, by why.", "class")
        self.leases_lost = counter("jobd_leases_lost", "Leases lost while a job ran.", "reason")
        self.leases_rescued = counter("jobd_leases_rescued", "Jobs taken from dead workers.", "queue")
        # Looking a child up by its labels costs more than counting: those of every job are remembered.
        self._claimed: dict[str, tuple[Counter, Histogram]] = {}
        self._attempted: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self._succeeded: dict[tuple[str, str], Gauge] = {}
        self._judged: dict[tuple[str, str], Counter] = {}
        self._wanted: dict[str, float] = {}
        self._shown: set[str] = set()

    def begin_at_zero(self, queues: Iterable[str], job_types: Iterable[str]) -> None:
        """Make every child that is known now, so that a first increase is seen as one."""
        for queue in queues:
            label = self._labels.of(queue)
            for of_queue in (self.claims, self.wait, self.leases_rescued, self.running):
                of_queue.labels(label)
            for longest in (self.oldest, self.unmoved, self.remaining):
                longest.labels(label)
            for verdict in VERDICTS:
                self.objectives.labels(label, verdict)
            for error_type in ROW_ERROR_TYPES:
                self.row_errors.labels(label, error_type)
            for job_type in job_types:
                self.read_bytes.labels(label, job_type)
                self.duration.labels(label, job_type)
                for outcome in OUTCOMES:
                    self.attempts.labels(label, job_type, outcome)
                for result in ROW_RESULTS:
                    self.rows.labels(label, job_type, result)
        for reason in LEASE_LOSSES:
            self.leases_lost.labels(reason)
        for code in FAILURES:
            self.failures.labels(code)
        for error_class in ERROR_CLASSES:
            self.batches_again.labels(error_class)

    def want(self, queue: str, wait_seconds: float) -> None:
        """How long a queue's jobs may wait, as the database says."""
        if queue not in self._wanted:  # a daemon also rescues jobs of queues that it does not claim from
            self.leases_rescued.labels(self._labels.of(queue))
        self._wanted[queue] = wait_seconds

    def count_claim(self, queue: str, wait_seconds: float) -> None:
        """Count a claimed job, and how long it had been due."""
        claims, wait = self._claimed.get(queue) or self._children_of_claims(queue)
        claims.inc()
        wait.observe(wait_seconds)

    def count_attempt(
        self, queue: str, job_type: str, outcome: str, seconds: float, exemplar: Mapping[str, str] | None = None
    ) -> None:
        """Count an attempt that has ended, and how long it took; ``exemplar`` says which it was."""
        key = (queue, job_type, outcome)
        attempts, duration = self._attempted.get(key) or self._children_of_attempts(*key)
        attempts.inc()
        duration.observe(seconds, None if exemplar is None else dict(exemplar))

    def count_ending(self, queue: str, job_type: str, outcome: str, code: str | None, wait_seconds: float) -> None:
        """Count a job that has ended for good, against its queue's objective."""
        if outcome == "completed":
            (self._succeeded.get((queue, job_type)) or self._child_of_successes(queue, job_type)).set(time.time())
        elif outcome in {"failed", "timeout"}:
            self.failures.labels(code if code in FAILURES else OTHER).inc()
        else:
            return
        is_bad = wait_seconds > self._wanted.get(queue, WAIT_OBJECTIVE_SECONDS)
        is_bad = is_bad or (outcome == "failed" and code in _BAD_CODES)
        verdict = "bad" if is_bad else "good"
        (self._judged.get((queue, verdict)) or self._child_of_objectives(queue, verdict)).inc()

    def show_running(self, running: Mapping[str, RunningJobs]) -> None:
        """Of each queue: how many jobs run, and the longest times that one has run, not moved, and needs still."""
        self._shown.update(running)
        for label in self._shown:  # a queue that is empty now is 0, not what it was
            jobs = running.get(label, RunningJobs())
            self.running.labels(label).set(jobs.number)
            self.oldest.labels(label).set(jobs.age)
            self.unmoved.labels(label).set(jobs.unmoved)
            self.remaining.labels(label).set(jobs.remaining)

    def _children_of_claims(self, queue: str) -> tuple[Counter, Histogram]:
        label = self._labels.of(queue)
        children = self.claims.labels(label), self.wait.labels(label)
        if label != OTHER:  # what is remembered is bounded like the labels
            self._claimed[queue] = children
        return children

    def _child_of_successes(self, queue: str, job_type: str) -> Gauge:
        label = self._labels.of(queue)
        child = self.last_success.labels(label, job_type)
        if label != OTHER:
            self._succeeded[queue, job_type] = child
        return child

    def _child_of_objectives(self, queue: str, verdict: str) -> Counter:
        label = self._labels.of(queue)
        child = self.objectives.labels(label, verdict)
        if label != OTHER:
            self._judged[queue, verdict] = child
        return child

    def _children_of_attempts(self, queue: str, job_type: str, outcome: str) -> tuple[Counter, Histogram]:
        label = self._labels.of(queue)
        children = self.attempts.labels(label, job_type, outcome), self.duration.labels(label, job_type)
        if label != OTHER:
            self._attempted[queue, job_type, outcome] = children
        return children
