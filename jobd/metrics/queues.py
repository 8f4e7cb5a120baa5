"""What waits, read from the database. All daemons say the same: take the maximum over instances, never the sum."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from jobd.metrics.labels import OTHER, STATUSES, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jobd.metrics.families import Families
    from jobd.metrics.labels import QueueLabels

_SAMPLED = (*STATUSES, "age", "overdue", "objective", "is_paused")


class QueueMetrics:
    """The samples of queues, of jobd's tables, and of what stands in their way."""

    def __init__(self, families: Families, labels: QueueLabels, want: Callable[[str, float], None]) -> None:
        gauge = families.gauge
        self._labels = labels
        self._want = want
        self._seen: set[str] = set()
        text = "read from the database by every daemon alike"
        self.jobs = gauge("jobd_queue_jobs", f"Jobs by status, up to 10,000; {text}.", "queue", "status")
        self.age = gauge("jobd_queue_oldest_due_age_seconds", f"Age of the oldest due job; {text}.", "queue")
        self.overdue = gauge(
            "jobd_queue_overdue_jobs",
            f"Jobs that have been due for longer than the queue's objective, up to 10,000 a priority; {text}.",
            "queue",
        )
        self.objective = gauge(
            "jobd_queue_wait_objective_seconds", f"How long jobs of the queue may wait; {text}.", "queue"
        )
        self.paused = gauge("jobd_queue_paused", f"1 where the queue is paused; {text}.", "queue")
        self.inserted = gauge(
            "jobd_jobs_inserted", f"Rows inserted into jobd.job, since the server's statistics began; {text}."
        )
        self.table_rows = gauge("jobd_table_rows", f"Rows of jobd's tables; {text}.", "relation", "state")
        self.table_bytes = gauge(
            "jobd_table_size_bytes", f"Bytes of jobd's tables and indexes; {text}.", "relation"
        )
        self.oldest_transaction = gauge(
            "jobd_oldest_transaction_age_seconds",
            f"Age of the oldest transaction, which holds back vacuum; 0 without the right to see it; {text}.",
        )
        self.lock_waiters = gauge("jobd_lock_waiters", f"Sessions of jobd that wait for a lock; {text}.")
        self.lock_wait = gauge("jobd_lock_wait_seconds", f"How long the first of them has waited; {text}.")
        self.sampled_at = gauge("jobd_queue_sample_timestamp_seconds", "When all this was last read.")
        self.sample_seconds = gauge("jobd_queue_sample_seconds", "How long that took.")

    def begin_at_zero(self, queues: Iterable[str]) -> None:
        """Make every child that is known now."""
        for queue in queues:
            label = self._labels.of(queue)
            for of_queue in (self.age, self.overdue, self.objective, self.paused):
                of_queue.labels(label)
            for status in STATUSES:
                self.jobs.labels(label, status)
        for relation in TABLES:
            self.table_bytes.labels(relation)
            for state in ("live", "dead"):
                self.table_rows.labels(relation, state)

    def show_queues(self, rows: Iterable[Any]) -> None:
        """What ``jobd.sample_queues`` found; queues beyond the limit are added up."""
        found: dict[str, dict[str, float]] = {}
        for row in rows:
            self._want(row["queue"], row["wait_objective_seconds"])
            label = self._labels.of(row["queue"])
            is_first = label not in found
            queue = found.setdefault(label, dict.fromkeys(_SAMPLED, 0.0))
            queue[row["status"]] += row["jobs"] or 0
            queue["age"] = max(queue["age"], row["oldest_due_age_seconds"] or 0.0)
            is_paused = float(row["is_paused"])
            queue["is_paused"] = is_paused if is_first else min(queue["is_paused"], is_paused)
            queue["objective"] = max(queue["objective"], row["wait_objective_seconds"])
            if row["status"] == "pending":
                queue["overdue"] += row["overdue"] or 0
        self._seen.update(found)
        nothing = dict.fromkeys(_SAMPLED, 0.0)
        for label in self._seen:  # a queue that is empty now is 0, not what it was
            queue = found.get(label, nothing)
            for status in STATUSES:
                self.jobs.labels(label, status).set(queue[status])
            self.age.labels(label).set(queue["age"])
            self.overdue.labels(label).set(queue["overdue"])
            if label != OTHER:
                self.objective.labels(label).set(queue["objective"])
                self.paused.labels(label).set(queue["is_paused"])

    def show_server(self, row: Any) -> None:
        """What ``daemon_sample_server`` found."""
        self.inserted.set(row["inserted_jobs"] or 0)
        self.oldest_transaction.set(row["oldest_transaction_seconds"] or 0.0)
        self.lock_waiters.set(row["lock_waiters"])
        self.lock_wait.set(row["lock_wait_seconds"])

    def show_tables(self, rows: Iterable[Any]) -> None:
        """What ``daemon_sample_tables`` found."""
        for row in rows:
            self.table_rows.labels(row["relation"], "live").set(row["live"])
            self.table_rows.labels(row["relation"], "dead").set(row["dead"])
            self.table_bytes.labels(row["relation"]).set(row["bytes"])

    def sampled(self, seconds: float) -> None:
        """All of it is as of now."""
        self.sampled_at.set(time.time())
        self.sample_seconds.set(seconds)
