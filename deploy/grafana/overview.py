"""For whoever is on call: is it up, does work wait, does it move, does it fail, and what stands in its way."""

from __future__ import annotations

from . import objectives, shared
from .look import BAD, FAIR, GOOD, NONE_IS_GOOD, ONE_IS_GOOD, Column
from .page import Page, Row
from .panels import Lines, Number, Table
from .queries import BOTH, INSTANCE, PROCESS, QUEUE, Now, Query, Rows

IS_NOT_PAUSED = "unless on (queue) max by (queue) (jobd_queue_paused) == 1"
ENDED = 'outcome=~"completed|failed|timeout|cancelled"'
YES = {"0": ("no", BAD), "1": ("yes", GOOD)}
NOW = (
    Number(
        title="Daemons up",
        description="Daemons that answer Prometheus.",
        unit="none",
        steps=ONE_IS_GOOD,
        empty="none scraped",
        queries=(Query(f"sum(up{{{PROCESS}}})"),),
        alerts=("JobdAbsent", "JobdInstanceDown"),
    ),
    Number(
        title="Alerts",
        description="Alerts of jobd's that fire; they are listed below.",
        unit="none",
        steps=NONE_IS_GOOD,
        queries=(Query(f"count({objectives.FIRING}) or vector(0)"),),
    ),
    Number(
        title="Oldest due job",
        description="How long the oldest job that is due has waited, in queues that are not paused.",
        unit="s",
        steps=((60, FAIR), (300, BAD)),
        queries=(
            Query(
                f"max(max by (queue) (jobd_queue_oldest_due_age_seconds{{{QUEUE}}}) {IS_NOT_PAUSED}) or vector(0)"
            ),
        ),
        alerts=("JobdQueueStalled", "JobdQueueFallingBehind"),
    ),
    Number(
        title="Jobs waiting",
        description="Pending jobs of the queues, also those that are not due yet; up to 10,000 of each queue.",
        unit="none",
        queries=(Query(f'sum(max by (queue) (jobd_queue_jobs{{{QUEUE},status="pending"}}))'),),
    ),
    Number(
        title="Records",
        description="Records committed, whatever became of them.",
        unit="rowsps",
        decimals=0,
        queries=(Query(f"sum(rate(jobd_rows_total{{{BOTH}}}[$__rate_interval]))"),),
    ),
    Number(
        title="Failed, 15 min",
        description="Jobs that failed for good within 15 minutes and not because of their file or target.",
        unit="none",
        decimals=0,
        steps=NONE_IS_GOOD,
        queries=(Query(f'sum(increase(jobd_job_failures_total{{{INSTANCE},code=~"{shared.OWN_FAULTS}"}}[15m]))'),),
        alerts=("JobdJobsFailed",),
    ),
    Number(
        title="Budget left",
        description="What is left of the error budget of the queue that has least, over 30 days or as long as"
        " Prometheus remembers.",
        unit="percentunit",
        decimals=0,
        steps=objectives.BUDGET_STEPS,
        empty="no jobs yet",
        with_history=False,
        queries=(Now(f"min({objectives.BUDGET})"),),
        alerts=("JobdErrorBudgetFastBurn", "JobdErrorBudgetSlowBurn"),
    ),
    Number(
        title="Slots in use",
        description="Share of all daemons' slots that a job is in.",
        unit="percentunit",
        decimals=0,
        steps=((0.8, FAIR), (0.95, BAD)),
        queries=(Query(f"sum(jobd_worker_slots_used{{{INSTANCE}}}) / sum(jobd_worker_slots{{{INSTANCE}}})"),),
        alerts=("JobdSlotsSaturated",),
    ),
)

UP = (
    Lines(
        title="Daemons",
        description="Daemons by what they say: up answers Prometheus, ready takes work, draining is about to"
        " stop.",
        unit="none",
        decimals=0,
        queries=(
            Query(f"sum(up{{{PROCESS}}})", "up"),
            Query(f"sum(jobd_ready{{{INSTANCE}}})", "ready"),
            Query(f"sum(jobd_draining{{{INSTANCE}}})", "draining"),
            Query(f"count(up{{{PROCESS}}} == 0) or vector(0)", "down"),
        ),
        alerts=("JobdInstanceDown", "JobdNotReady", "JobdDrainTooLong"),
    ),
    Table(
        title="Each daemon",
        description="What each daemon says of itself now; one that is down says nothing.",
        width=16,
        queries=(
            Rows(f"max by (instance) (up{{{PROCESS}}})"),
            Rows(f"max by (instance) (jobd_ready{{{INSTANCE}}})"),
            Rows(f"max by (instance) (jobd_draining{{{INSTANCE}}})"),
            Rows(f"max by (instance) (jobd_db_up{{{INSTANCE}}})"),
            Rows(f"max by (instance) (jobd_db_disk_full{{{INSTANCE}}})"),
            Rows(f"max by (instance) (jobd_worker_slots_used{{{INSTANCE}}})"),
            Rows(f"max by (instance) (jobd_worker_slots{{{INSTANCE}}})"),
        ),
        columns=(
            Column("instance", "daemon"),
            Column("Value #A", "up", words=YES),
            Column("Value #B", "ready", words=YES),
            Column("Value #C", "draining", words={"0": ("no", GOOD), "1": ("yes", FAIR)}),
            Column("Value #D", "database", words={"0": ("away", BAD), "1": ("answers", GOOD)}),
            Column("Value #E", "its disk", words={"0": ("has room", GOOD), "1": ("full", BAD)}),
            Column("Value #F", "slots used", unit="none"),
            Column("Value #G", "slots", unit="none"),
        ),
        sort=("daemon", False),
        alerts=("JobdInstanceDown", "JobdNotReady", "JobdDiskFull"),
    ),
)

WAITING = (
    Lines(
        title="Waiting jobs",
        description="Pending jobs by queue, up to 10,000 each.",
        unit="short",
        queries=(Query(f'max by (queue) (jobd_queue_jobs{{{QUEUE},status="pending"}})', "{{queue}}"),),
        alerts=("JobdQueueStalled",),
    ),
    Lines(
        title="Oldest due job and objective",
        description="How long the oldest due job of each queue has waited; dashed: the shortest that one may.",
        unit="s",
        dashed="/objective/",
        queries=(
            Query(f"max by (queue) (jobd_queue_oldest_due_age_seconds{{{QUEUE}}})", "{{queue}}"),
            Query(f"min(max by (queue) (jobd_queue_wait_objective_seconds{{{QUEUE}}}))", "objective"),
        ),
        alerts=("JobdQueueStalled", "JobdQueueFallingBehind"),
    ),
    Lines(
        title="Overdue jobs",
        description="Jobs that have been due for longer than their queue's objective and are not claimed yet.",
        unit="short",
        queries=(Query(f"max by (queue) (jobd_queue_overdue_jobs{{{QUEUE}}})", "{{queue}}"),),
        alerts=("JobdQueueFallingBehind", "JobdSlotsSaturated"),
    ),
)

MOVING = (
    Lines(
        title="Jobs in and out",
        description="Jobs inserted (of all queues), claimed, and ended for good: inserted above ended for long"
        " means a"
        " backlog.",
        unit=shared.JOBS_A_SECOND,
        queries=(
            Query("max(rate(jobd_jobs_inserted[$__rate_interval]))", "inserted"),
            Query(f"sum(rate(jobd_job_claims_total{{{BOTH}}}[$__rate_interval]))", "claimed"),
            Query(f"sum(rate(jobd_job_attempts_total{{{BOTH},{ENDED}}}[$__rate_interval]))", "ended"),
        ),
        alerts=("JobdQueueStalled",),
    ),
    shared.records_by_result(BOTH),
    shared.jobs_running(BOTH),
)

FAILING = (
    shared.attempts_by_outcome(BOTH),
    shared.failures_by_code(),
    Lines(
        title="Jobs that completed",
        description="Share of the jobs that ended within 15 minutes which completed, by queue.",
        unit="percentunit",
        maximum=1,
        queries=(
            Query(
                f'sum by (queue) (rate(jobd_job_attempts_total{{{BOTH},outcome="completed"}}[15m]))'
                f" / (sum by (queue) (rate(jobd_job_attempts_total{{{BOTH},{ENDED}}}[15m])) > 0)",
                "{{queue}}",
            ),
        ),
        alerts=("JobdSubmissionsFail",),
    ),
)

ADVANCING = (
    shared.unmoved(),
    Lines(
        title="Longest running job",
        description="How long the job of each queue that has been in its slot for longest has been.",
        unit="s",
        queries=(Query(f"max by (queue) (jobd_job_oldest_running_age_seconds{{{BOTH}}})", "{{queue}}"),),
        alerts=("JobdJobNotAdvancing",),
    ),
    shared.leases(),
)

SATURATION = (
    Lines(
        title="Slots in use, by queue",
        description="Of the slots of the daemons that claim from a queue, the share that any job is in.",
        unit="percentunit",
        maximum=1,
        steps=((0.95, BAD),),
        queries=(Query(f"queue:jobd_worker_slots_used:ratio{{{QUEUE}}}", "{{queue}}"),),
        alerts=("JobdSlotsSaturated",),
    ),
    Lines(
        title="Slots in use, by daemon",
        description="Share of each daemon's slots that a job is in.",
        unit="percentunit",
        maximum=1,
        steps=((0.95, BAD),),
        queries=(
            Query(
                f"max by (instance) (jobd_worker_slots_used{{{INSTANCE}}} / jobd_worker_slots{{{INSTANCE}}})",
                "{{instance}}",
            ),
        ),
        alerts=("JobdSlotsSaturated",),
    ),
    shared.waits(),
)

OVERVIEW = Page(
    "jobd-overview",
    "jobd: overview",
    "For whoever is on call, from top to bottom: is it up, does work wait, does it move, does it fail, how is"
    " the error"
    " budget, what fires, what lives and does not advance, is there room, and how is the database.",
    (
        Row("Now", NOW),
        Row("Is it up?", UP),
        Row("Does work wait?", WAITING),
        Row("Does it move?", MOVING),
        Row("Does it fail?", FAILING),
        Row("Objectives and alerts", objectives.PANELS),
        Row("Alive, and does it advance?", ADVANCING),
        Row("Is there room?", SATURATION),
        Row("The database", (shared.statements_slow(), shared.database_errors(), shared.in_the_way())),
    ),
)
