"""Alerts on daemons and on the database."""

from __future__ import annotations

from tests.prometheus.case import Case

A, B = 'job="jobd",instance="a"', 'job="jobd",instance="b"'
IS_A: list[dict[str, str]] = [{"instance": "a"}]
ANY: list[dict[str, str]] = [{}]


def statements(within_seconds: str) -> dict[str, str]:
    """A hundred claims a minute, each answered within so many seconds."""
    bounds = ("0.25", "1", "5", "+Inf")
    return {
        f'jobd_db_statement_seconds_bucket{{operation="claim",{A},le="{bound}"}}': "0+100x30"
        if float(bound) >= float(within_seconds)
        else "0x30"
        for bound in bounds
    }


def lags(within_seconds: str) -> dict[str, str]:
    """A hundred looks a minute, each late by at most so much."""
    return {
        f'jobd_event_loop_lag_seconds_bucket{{{A},le="{bound}"}}': "0+100x30"
        if float(bound) >= float(within_seconds)
        else "0x30"
        for bound in ("0.1", "0.5", "1", "+Inf")
    }


DAEMONS = (
    Case("JobdAbsent", "no target is up", {f"up{{{A}}}": "0x30", f"up{{{B}}}": "0x30"}, ANY),
    Case("JobdAbsent", "there are no targets", {"other": "0x30"}, ANY),
    Case("JobdAbsent", "one of two is up", {f"up{{{A}}}": "0x30", f"up{{{B}}}": "1x30"}),
    Case("JobdInstanceDown", "one of two is down", {f"up{{{A}}}": "0x30", f"up{{{B}}}": "1x30"},
         [{"instance": "a", "job": "jobd"}]),
    Case("JobdInstanceDown", "a restart", {f"up{{{A}}}": "1x17 0 0 1x10"}),
    Case("JobdRestartLoop", "five starts", {f"process_start_time_seconds{{{A}}}": "1x10 2 3 4 5 6 6x10"},
         [{"instance": "a", "job": "jobd"}]),
    Case("JobdRestartLoop", "one upgrade", {f"process_start_time_seconds{{{A}}}": "1x10 2x20"}),
    Case("JobdNotReady", "cut off", {f"jobd_ready{{{A}}}": "0x30", f"jobd_draining{{{A}}}": "0x30"}, IS_A),
    Case("JobdNotReady", "draining", {f"jobd_ready{{{A}}}": "0x30", f"jobd_draining{{{A}}}": "1x30"}),
    Case("JobdDrainTooLong", "it does not end", {f"jobd_draining{{{A}}}": "1x30"}, IS_A),
    Case("JobdDrainTooLong", "it ends", {f"jobd_draining{{{A}}}": "0x15 1x2 0x20"}),
    Case("JobdReloadFailed", "refused", {f"jobd_reload_successful{{{A}}}": "1x5 0x30"}, IS_A),
    Case("JobdReloadFailed", "mended by the next", {f"jobd_reload_successful{{{A}}}": "1x5 0 1x30"}),
    Case("JobdEventLoopLag", "a second late", lags("1"), IS_A),
    Case("JobdEventLoopLag", "in time", lags("0.1")),
    Case("JobdListenerDeaf", "nothing comes back", {f"jobd_listener_up{{{A}}}": "0x30"}, IS_A),
    Case("JobdListenerDeaf", "deaf for a moment", {f"jobd_listener_up{{{A}}}": "1x16 0 0 1x20"}),
    Case("JobdClockSkew", "ten seconds behind", {f"jobd_clock_skew_seconds{{{A}}}": "-10x30"}, IS_A),
    Case("JobdClockSkew", "half a second", {f"jobd_clock_skew_seconds{{{A}}}": "0.5x30"}),
    Case("JobdQueueNamesOverflow", "counted as others",
         {f'jobd_metric_label_overflow_total{{metric="queue",{A}}}': "0x10 0+1x20"}, ANY),
    Case("JobdQueueNamesOverflow", "all have names",
         {f'jobd_metric_label_overflow_total{{metric="queue",{A}}}': "0x30"}),
)  # fmt: skip


def errors(name: str, values: str) -> dict[str, str]:
    """Errors of one class."""
    return {f'jobd_db_errors_total{{class="{name}",{A}}}': values}


def beats(result: str, values: str) -> dict[str, str]:
    """Heartbeats."""
    return {f'jobd_heartbeats_total{{result="{result}",{A}}}': values}


def rows(live: int, dead: int) -> dict[str, str]:
    """A table as two daemons say the same of it."""
    return {
        f'jobd_table_rows{{relation="job",state="{state}",{daemon}}}': f"{number}x60"
        for state, number in (("live", live), ("dead", dead))
        for daemon in (A, B)
    }


DATABASE = (
    Case("JobdDatabaseUnreachable", "no daemon",
         {f"jobd_db_up{{{A}}}": "0x30", f"jobd_db_up{{{B}}}": "0x30"}, ANY),
    Case("JobdDatabaseUnreachable", "one of two", {f"jobd_db_up{{{A}}}": "0x30", f"jobd_db_up{{{B}}}": "1x30"}),
    Case("JobdSampleStale", "nobody reads", {f"jobd_queue_sample_timestamp_seconds{{{A}}}": "60x30"}, ANY),
    Case("JobdSampleStale", "one of two reads", {
        f"jobd_queue_sample_timestamp_seconds{{{A}}}": "60x30",
        f"jobd_queue_sample_timestamp_seconds{{{B}}}": "0+60x30"}),
    Case("JobdDiskFull", "full", {f"jobd_db_disk_full{{{A}}}": "1x30", f"jobd_db_disk_full{{{B}}}": "0x30"}, ANY),
    Case("JobdDiskFull", "room again", {f"jobd_db_disk_full{{{A}}}": "1x10 0x20"}),
    Case("JobdSchemaMismatch", "a new daemon, an old schema", {
        f"jobd_schema_version{{{A}}}": "7x30", f"jobd_schema_version_required{{{A}}}": "7x30",
        f"jobd_schema_version_required{{{B}}}": "8x30"}, ANY),
    Case("JobdSchemaMismatch", "an old daemon, a new schema", {
        f"jobd_schema_version{{{A}}}": "8x30", f"jobd_schema_version_required{{{A}}}": "7x30"}),
    Case("JobdLockContention", "tried and given up", {f"jobd_lock_wait_seconds{{{A}}}": "2 0 " * 15}, ANY),
    Case("JobdLockContention", "short waits", {f"jobd_lock_wait_seconds{{{A}}}": "0.2x30"}),
    Case("JobdLockContention", "a single wait", {f"jobd_lock_wait_seconds{{{A}}}": "0x18 3 0x20"}),
    Case("JobdConflicts", "deadlocks", errors("deadlock", "0+5x40"), [{"class": "deadlock"}], 30),
    Case("JobdConflicts", "one now and then", errors("deadlock", "0x10 1x10 2x20"), minute=30),
    Case("JobdConstraintViolations", "refused", errors("constraint", "0x10 0+1x20"), [{"class": "constraint"}]),
    Case("JobdConstraintViolations", "refused once", errors("constraint", "0x10 1x20")),
    Case("JobdTooManyConnections", "refused", errors("too_many_connections", "0x5 0+1x30"), ANY),
    Case("JobdTooManyConnections", "another error", errors("timeout", "0x5 0+1x30")),
    Case("JobdClaimsFail", "each round", {f'jobd_claim_rounds_total{{result="error",{A}}}': "0+6x30"}, IS_A),
    Case("JobdClaimsFail", "nothing found", {f'jobd_claim_rounds_total{{result="empty",{A}}}': "0+6x30",
                                             f'jobd_claim_rounds_total{{result="error",{A}}}': "0x10 1x20"}),
    Case("JobdHeartbeatsFail", "not answered", beats("failed", "0+6x30"), IS_A),
    Case("JobdHeartbeatsFail", "answered", {**beats("answered", "0+60x30"), **beats("failed", "0x10 2x20")}),
    Case("JobdStatementsSlow", "five seconds", statements("5"), [{"operation": "claim"}]),
    Case("JobdStatementsSlow", "a quarter of a second", statements("0.25")),
    Case("JobdTableBloat", "more dead than half", rows(20000, 15000), [{"relation": "job"}], 40),
    Case("JobdTableBloat", "a small table", rows(100, 15000), minute=40),
    Case("JobdTableBloat", "vacuum keeps up", rows(20000, 1000), minute=40),
    Case("JobdOldTransaction", "two hours", {f"jobd_oldest_transaction_age_seconds{{{A}}}": "7200+60x30"}, ANY),
    Case("JobdOldTransaction", "a long import", {f"jobd_oldest_transaction_age_seconds{{{A}}}": "600+60x30"}),
)  # fmt: skip
