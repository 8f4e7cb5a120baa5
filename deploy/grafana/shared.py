"""Panels that more than one dashboard has, alike in each; those of jobs go by the variables that it declares."""

from __future__ import annotations

from .look import BAD, FAIR
from .panels import ALL_IS_WELL, Lines
from .queries import BOTH, INSTANCE, Query

JOBS_A_SECOND = "suffix:jobs/s"
_QUANTILES = ((0.5, "p50"), (0.99, "p99"))
# Codes that no file and no target is to blame for; as in the alert JobdJobsFailed.
OWN_FAULTS = "database_error|handler_error|source_unavailable|worker_lost|__other__"


def attempts_by_outcome(matchers: str) -> Lines:
    """How attempts end."""
    return Lines(
        title="Attempts by outcome",
        description="Every attempt at a job ends in one of these; only completed, failed, timeout and cancelled"
        " end"
        " the job.",
        unit=JOBS_A_SECOND,
        queries=(
            Query(
                f"sum by (outcome) (rate(jobd_job_attempts_total{{{matchers}}}[$__rate_interval]))", "{{outcome}}"
            ),
        ),
        alerts=("JobdSubmissionsFail",),
    )


def failures_by_code() -> Lines:
    """Why jobs fail."""
    return Lines(
        title="Failed jobs by error code",
        description="Jobs that failed for good in each interval, of all queues. "
        "database_error, handler_error, source_unavailable and worker_lost are no file's fault.",
        unit="none",
        decimals=0,
        as_bars=True,
        empty=ALL_IS_WELL,
        queries=(
            Query(
                f"sum by (code) (increase(jobd_job_failures_total{{{INSTANCE}}}[$__rate_interval])) > 0",
                "{{code}}",
            ),
        ),
        alerts=("JobdJobsFailed",),
    )


def records_by_result(matchers: str, width: int = 8) -> Lines:
    """What becomes of records."""
    return Lines(
        title="Records by result",
        description="Records that were committed, by what became of them.",
        unit="rowsps",
        width=width,
        stacked=True,
        queries=(Query(f"sum by (result) (rate(jobd_rows_total{{{matchers}}}[$__rate_interval]))", "{{result}}"),),
    )


def jobs_running(matchers: str) -> Lines:
    """What runs."""
    return Lines(
        title="Running jobs",
        description="Jobs in a slot, by queue.",
        unit="none",
        decimals=0,
        stacked=True,
        queries=(Query(f"sum by (queue) (jobd_jobs_running{{{matchers}}})", "{{queue}}"),),
        alerts=("JobdSlotsSaturated",),
    )


def time_remaining() -> Lines:
    """How long what runs will run."""
    return Lines(
        title="Time remaining",
        description="How much longer the job of each queue that needs longest will run, by the share that it"
        " has done.",
        unit="s",
        queries=(Query(f"max by (queue) (jobd_job_remaining_seconds{{{BOTH}}})", "{{queue}}"),),
    )


def time_to_empty() -> Lines:
    """How long until nothing waits."""
    return Lines(
        title="Time until the queue is empty",
        description="Waiting jobs divided by the claims of the last 10 minutes; no line where nothing is claimed.",
        unit="s",
        queries=(
            Query(
                'max by (queue) (jobd_queue_jobs{queue=~"$queue",status="pending"})'
                f" / on (queue) (sum by (queue) (rate(jobd_job_claims_total{{{BOTH}}}[10m])) > 0)",
                "{{queue}}",
            ),
        ),
        alerts=("JobdQueueFallingBehind",),
    )


def unmoved() -> Lines:
    """Jobs that live and do not advance."""
    return Lines(
        title="Longest without a commit",
        description="How long the running job of each queue that has committed nothing for longest has not,"
        " although"
        " its lease is renewed.",
        unit="s",
        steps=((300, FAIR), (900, BAD)),
        queries=(Query(f"max by (queue) (jobd_job_unmoved_seconds{{{BOTH}}})", "{{queue}}"),),
        alerts=("JobdJobNotAdvancing",),
    )


def leases() -> Lines:
    """Leases that changed hands."""
    return Lines(
        title="Leases lost and jobs rescued",
        description="Leases that daemons lost while a job ran, by reason, and jobs that were taken from dead"
        " daemons.",
        unit="none",
        decimals=0,
        as_bars=True,
        empty=ALL_IS_WELL,
        queries=(
            Query(
                f"sum by (reason) (increase(jobd_leases_lost_total{{{INSTANCE}}}[$__rate_interval])) > 0",
                "lost: {{reason}}",
            ),
            Query(
                f"sum by (queue) (increase(jobd_leases_rescued_total{{{BOTH}}}[$__rate_interval])) > 0",
                "rescued: {{queue}}",
            ),
        ),
        alerts=("JobdLeasesLost",),
    )


def waits() -> Lines:
    """How long jobs wait."""
    return Lines(
        title="Wait for the claim",
        description="From run_at to the claim: half of the jobs waited at most p50, all but one in a hundred p99.",
        unit="s",
        queries=tuple(quantile("jobd_job_wait_seconds", BOTH, share, name) for share, name in _QUANTILES),
        alerts=("JobdQueueFallingBehind",),
    )


def database_errors() -> Lines:
    """What the database answers that it should not."""
    return Lines(
        title="Errors of the database by class",
        description="Errors in each interval. Some are part of the work: a record that its target refuses is an"
        " error"
        " of class data or constraint first.",
        unit="none",
        decimals=0,
        as_bars=True,
        empty=ALL_IS_WELL,
        queries=(
            Query(
                f"sum by (class) (increase(jobd_db_errors_total{{{INSTANCE}}}[$__rate_interval])) > 0", "{{class}}"
            ),
        ),
        alerts=("JobdDatabaseUnreachable", "JobdConstraintViolations", "JobdConflicts", "JobdTooManyConnections"),
    )


def statements_slow() -> Lines:
    """How long the database takes."""
    return Lines(
        title="Statements, p99",
        description="All but one in a hundred of jobd's own statements take at most so long, by what they are"
        " for.",
        unit="s",
        steps=((1, BAD),),
        queries=(
            Query(
                "histogram_quantile(0.99, sum by (operation, le)"
                f" (rate(jobd_db_statement_seconds_bucket{{{INSTANCE}}}[$__rate_interval])))",
                "{{operation}}",
            ),
        ),
        alerts=("JobdStatementsSlow",),
    )


def in_the_way() -> Lines:
    """What others hold that jobd waits for."""
    return Lines(
        title="Locks and old transactions",
        description="How long the first of jobd's sessions has waited for a lock, and the age of the oldest"
        " transaction, which holds back vacuum (0 without the right to see it).",
        unit="s",
        queries=(
            Query("max(jobd_lock_wait_seconds)", "wait for a lock"),
            Query("max(jobd_oldest_transaction_age_seconds)", "oldest transaction"),
        ),
        alerts=("JobdLockContention", "JobdOldTransaction"),
    )


def quantile(metric: str, matchers: str, share: float, legend: str, by: str = "") -> Query:
    """An estimate of a histogram."""
    labels = f"{by}, le" if by else "le"
    return Query(
        f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{matchers}}}[$__rate_interval])))",
        legend,
    )
