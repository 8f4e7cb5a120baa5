"""What imports do: records, errors, speed, time, and how jobs of each type end."""

from __future__ import annotations

from . import shared
from .look import BAD, FAIR, Column
from .page import INSTANCE, QUEUE, Page, Row, Variable
from .panels import ALL_IS_WELL, Lines, Number, Table
from .queries import BOTH, JOB_TYPES, Query, Rows
from .queries import INSTANCE as INSTANCES
from .queries import QUEUE as QUEUES

JOB_TYPE = Variable(
    "job_type", "Job type", "Types of jobs that were counted.", "label_values(jobd_job_attempts_total, job_type)"
)
_ROWS = f"jobd_rows_total{{{JOB_TYPES}}}"
_REJECTED = f'jobd_rows_total{{{JOB_TYPES},result="rejected"}}'

NOW = (
    Number(
        title="Records",
        description="Records committed, whatever became of them.",
        unit="rowsps",
        decimals=0,
        queries=(Query(f"sum(rate({_ROWS}[$__rate_interval]))"),),
    ),
    Number(
        title="Read",
        description="Bytes read from sources, as they are there (packed, if they are packed).",
        unit="Bps",
        queries=(Query(f"sum(rate(jobd_read_bytes_total{{{JOB_TYPES}}}[$__rate_interval]))"),),
    ),
    Number(
        title="Running now",
        description="Jobs in a slot, of all types.",
        unit="none",
        queries=(Query(f"sum(jobd_jobs_running{{{BOTH}}})"),),
    ),
    Number(
        title="Remaining",
        description="How much longer the running job that needs longest will run, by the share that it has done.",
        unit="s",
        queries=(Query(f"max(jobd_job_remaining_seconds{{{BOTH}}})"),),
    ),
    Number(
        title="Until all is done",
        description="Waiting jobs divided by the claims of the last 10 minutes, of the queue that needs longest.",
        unit="s",
        empty="no claims",
        queries=(
            Query(
                f'max(max by (queue) (jobd_queue_jobs{{{QUEUES},status="pending"}})'
                f" / on (queue) (sum by (queue) (rate(jobd_job_claims_total{{{BOTH}}}[10m])) > 0))"
            ),
        ),
        alerts=("JobdQueueFallingBehind",),
    ),
    Number(
        title="Refused",
        description="Share of the records in the time shown that were refused.",
        unit="percentunit",
        decimals=1,
        steps=((0.01, FAIR), (0.1, BAD)),
        empty="no records",
        with_history=False,
        queries=(Query(f"sum(increase({_REJECTED}[$__range])) / (sum(increase({_ROWS}[$__range])) > 0)"),),
    ),
    Number(
        title="Completed",
        description="Jobs that completed in the time shown.",
        unit="none",
        decimals=0,
        with_history=False,
        queries=(Query(f'sum(increase(jobd_job_attempts_total{{{JOB_TYPES},outcome="completed"}}[$__range]))'),),
    ),
    Number(
        title="Failed",
        description="Jobs that failed in the time shown, for whatever reason.",
        unit="none",
        decimals=0,
        steps=((0.5, FAIR),),
        with_history=False,
        queries=(
            Query(f'sum(increase(jobd_job_attempts_total{{{JOB_TYPES},outcome=~"failed|timeout"}}[$__range]))'),
        ),
        alerts=("JobdSubmissionsFail", "JobdJobsFailed"),
    ),
)

RECORDS = (
    shared.records_by_result(JOB_TYPES, width=12),
    Lines(
        title="Records by job type",
        description="Records that were committed, by the type of their job.",
        unit="rowsps",
        width=12,
        queries=(Query(f"sum by (job_type) (rate({_ROWS}[$__rate_interval]))", "{{job_type}}"),),
    ),
    Lines(
        title="Refusals by error type",
        description="Reasons why records were refused, of all job types; a record may have several.",
        unit="rowsps",
        queries=(
            Query(
                f"sum by (error_type) (rate(jobd_row_errors_total{{{BOTH}}}[$__rate_interval]))", "{{error_type}}"
            ),
        ),
        alerts=("JobdSubmissionsFail",),
    ),
    Lines(
        title="Share of records refused",
        description="Of the records of each queue in the last 15 minutes, the share that was refused.",
        unit="percentunit",
        queries=(
            Query(
                f"sum by (queue) (rate({_REJECTED}[15m])) / (sum by (queue) (rate({_ROWS}[15m])) > 0)", "{{queue}}"
            ),
        ),
        alerts=("JobdSubmissionsFail",),
    ),
    Lines(
        title="Bytes read",
        description="Bytes read from sources, by job type, as they are there.",
        unit="Bps",
        queries=(
            Query(
                f"sum by (job_type) (rate(jobd_read_bytes_total{{{JOB_TYPES}}}[$__rate_interval]))", "{{job_type}}"
            ),
        ),
    ),
)

JOBS = (
    shared.attempts_by_outcome(JOB_TYPES),
    Lines(
        title="Completed by job type",
        description="Jobs that completed, by their type.",
        unit=shared.JOBS_A_SECOND,
        queries=(
            Query(
                f'sum by (job_type) (rate(jobd_job_attempts_total{{{JOB_TYPES},outcome="completed"}}'
                "[$__rate_interval]))",
                "{{job_type}}",
            ),
        ),
    ),
    shared.failures_by_code(),
    Lines(
        title="Duration of attempts",
        description="From the claim to the end, by job type: half of them took at most p50, all but one in"
        " twenty p95.",
        unit="s",
        queries=tuple(
            shared.quantile("jobd_job_duration_seconds", JOB_TYPES, share, f"{{{{job_type}}}}, {name}", "job_type")
            for share, name in ((0.5, "p50"), (0.95, "p95"))
        ),
    ),
    shared.waits(),
    shared.jobs_running(BOTH),
    Table(
        title="Job types",
        description="What each queue's jobs of each type did in the time shown, and when one last completed.",
        queries=(
            Rows(
                f'sum by (queue, job_type) (increase(jobd_job_attempts_total{{{JOB_TYPES},outcome="completed"}}'
                "[$__range]))"
            ),
            Rows(
                "sum by (queue, job_type)"
                f' (increase(jobd_job_attempts_total{{{JOB_TYPES},outcome=~"failed|timeout"}}[$__range]))'
            ),
            Rows(f"sum by (queue, job_type) (increase({_ROWS}[$__range]))"),
            Rows(f"sum by (queue, job_type) (increase({_REJECTED}[$__range]))"),
            Rows(f"max by (queue, job_type) (jobd_job_last_success_timestamp_seconds{{{JOB_TYPES}}}) * 1000"),
        ),
        columns=(
            Column("queue", "queue"),
            Column("job_type", "job type"),
            Column("Value #A", "completed", unit="none", decimals=0),
            Column("Value #B", "failed", unit="none", decimals=0, steps=((0.5, FAIR),)),
            Column("Value #C", "records", unit="short", decimals=0),
            Column("Value #D", "refused", unit="short", decimals=0, steps=((0.5, FAIR),)),
            Column("Value #E", "last completed", unit="dateTimeFromNow"),
        ),
        sort=("records", True),
        alerts=("JobdSubmissionsFail",),
    ),
)

TIME = (shared.time_remaining(), shared.time_to_empty(), shared.unmoved())

BATCHES = (
    Lines(
        title="Duration of batches",
        description="From a batch's BEGIN to its COMMIT, of all queues.",
        unit="s",
        queries=tuple(
            shared.quantile("jobd_batch_duration_seconds", INSTANCES, share, name)
            for share, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
        ),
        alerts=("JobdStatementsSlow",),
    ),
    Lines(
        title="Batches tried again by class",
        description="Batches that were rolled back and tried again in each interval, by the database's error.",
        unit="none",
        decimals=0,
        as_bars=True,
        empty=ALL_IS_WELL,
        queries=(
            Query(
                f"sum by (class) (increase(jobd_batches_retried_total{{{INSTANCES}}}[$__rate_interval])) > 0",
                "{{class}}",
            ),
        ),
        alerts=("JobdConflicts",),
    ),
    shared.leases(),
)

IMPORTS = Page(
    "jobd-imports",
    "jobd: imports",
    "What jobs do: records by result and error, speed, time remaining, how jobs of each type end, and their"
    " batches.",
    (
        Row("Now", NOW),
        Row("Records", RECORDS),
        Row("Jobs", JOBS),
        Row("Time", TIME),
        Row("Batches and leases", BATCHES),
    ),
    variables=(INSTANCE, QUEUE, JOB_TYPE),
)
