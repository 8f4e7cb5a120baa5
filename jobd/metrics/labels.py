"""Label values: closed sets, and a guard over the names of queues, which come from other people's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

OTHER = "__other__"
QUEUES_MAX = 50
OUTCOMES = ("completed", "failed", "retried", "cancelled", "paused", "interrupted", "timeout", "lease_lost")
ROW_RESULTS = ("added", "updated", "unchanged", "skipped", "rejected")
ROW_ERROR_TYPES = ("parse", "validation", "duplicate", "system")
JOB_TYPES = ("import", "validation", "processing")
STATUSES = ("pending", "running", "paused")
VERDICTS = ("good", "bad")
LEASE_LOSSES = ("fenced", "expired", "declared_dead")
BEATS = ("answered", "failed", "declared_dead")
CLAIM_RESULTS = ("full", "partial", "empty", "error")
WAKEUPS = ("notification", "other")
ERROR_CLASSES = (
    "connection", "timeout", "serialization", "deadlock", "lock_timeout", "read_only", "disk_full",
    "too_many_connections", "constraint", "data", "privilege", "fence", "other",
)  # fmt: skip
# Why jobs fail for good; what is not among them is counted as __other__.
FAILURES = (
    "all_rows_refused", "atomic_too_long", "column_not_writable", "database_error", "format_undetectable",
    "handler_error", "handler_unknown", "hash_mismatch", "key_not_unique", "missing_column", "no_privilege",
    "option_invalid", "option_unsupported", "repeated_column", "source_changed", "source_corrupt", "source_empty",
    "source_forbidden", "source_missing", "source_too_large", "source_truncated", "source_unavailable",
    "source_unsupported", "target_changed", "target_missing", "target_refused", "timeout", "too_many_errors",
    "unknown_column", "worker_lost", OTHER,
)  # fmt: skip
# jobd's own statements, by what they are for.
OPERATIONS = {
    "daemon_claim": "claim",
    "daemon_beat": "heartbeat",
    "daemon_begin": "begin",
    "daemon_begin_bundle": "begin",
    "daemon_finish": "finish",
    "daemon_rescue": "rescue",
    "daemon_sample_queues": "sample",
    "daemon_sample_server": "sample",
    "daemon_sample_tables": "sample",
    "batch_commit": "commit",
}
OTHER_OPERATION = "other"
# Tables of jobd's whose dead rows slow it down.
TABLES = ("job", "job_event", "job_error", "job_reject", "worker")


class QueueLabels:
    """Names of queues as label values: so many at most, the others are one."""

    def __init__(self, on_overflow: Callable[[], None]) -> None:
        self._known: set[str] = set()
        self._on_overflow = on_overflow

    def of(self, queue: str) -> str:
        """The queue's name, or ``__other__`` once there are too many of them."""
        if queue in self._known:
            return queue
        if len(self._known) >= QUEUES_MAX:
            self._on_overflow()
            return OTHER
        self._known.add(queue)
        return queue
