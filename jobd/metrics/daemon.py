"""This daemon itself: its slots, its lease, its ears, its loops and its log."""

from __future__ import annotations

import platform
import time
from typing import TYPE_CHECKING

from jobd.metrics.labels import BEATS, CLAIM_RESULTS, WAKEUPS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobd.metrics.families import Families

LAG_BUCKETS = (0.001, 0.01, 0.05, 0.1, 0.5, 1, 5)
LOG_LEVELS = ("warning", "error")


class DaemonMetrics:
    """What one daemon says of itself."""

    def __init__(self, families: Families, version: str) -> None:
        counter, gauge, histogram = families.counter, families.gauge, families.histogram
        self.slots = gauge("jobd_worker_slots", "Jobs this worker runs at one time.")
        self.slots_used = gauge("jobd_worker_slots_used", "Slots in use.")
        self.claims_asked = counter(
            "jobd_claim_rounds", "Claims by how much of what was asked for came.", "result"
        )
        self.wakeups = counter("jobd_wakeups", "Why the claimer looked for work.", "source")
        self.listener_up = gauge("jobd_listener_up", "1 while a notification sent to itself comes back.")
        self.heard_at = gauge(
            "jobd_listener_last_heard_timestamp_seconds", "When a notification sent to itself last came back."
        )
        self.beats = counter("jobd_heartbeats", "Heartbeats by what came of them.", "result")
        self.lease_remaining = gauge("jobd_lease_remaining_seconds", "How long the lease is still trusted.")
        self.loop_lag = histogram("jobd_event_loop_lag_seconds", "How late the event loop wakes.", LAG_BUCKETS)
        self.ready = gauge("jobd_ready", "1 where /readyz would say so.")
        self.reload_succeeded = gauge("jobd_reload_successful", "1 unless the settings last read were refused.")
        self.reload_succeeded.set(1)
        self.reloaded_at = gauge("jobd_reload_success_timestamp_seconds", "When settings were last taken over.")
        self.draining = gauge("jobd_draining", "1 while the daemon stops.")
        self.log_records = counter("jobd_log_records", "Lines logged of that level.", "level")
        self.overflow = counter("jobd_metric_label_overflow", "Label values counted as __other__.", "metric")
        self.build_info = gauge("jobd_build_info", "The running version.", "version", "python")
        self.build_info.labels(version, platform.python_version()).set(1)
        for result in CLAIM_RESULTS:
            self.claims_asked.labels(result)
        for result in BEATS:
            self.beats.labels(result)
        for source in WAKEUPS:
            self.wakeups.labels(source)
        for level in LOG_LEVELS:
            self.log_records.labels(level)
        self.overflow.labels("queue")
        self._logged: dict[str, int] = {}

    def count_claim_round(self, asked: int, came: int) -> None:
        """Count a claim by how much came."""
        self.claims_asked.labels("empty" if came == 0 else "full" if came == asked else "partial").inc()

    def heard(self) -> None:
        """The listener heard its own notification."""
        self.listener_up.set(1)
        self.heard_at.set(time.time())

    def show_log(self, counts: Mapping[str, int]) -> None:
        """How many lines were logged so far, by level."""
        for level in LOG_LEVELS:
            self.log_records.labels(level).inc(counts.get(level, 0) - self._logged.get(level, 0))
        self._logged = dict(counts)
