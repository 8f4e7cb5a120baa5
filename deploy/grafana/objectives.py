"""The error budgets of queues, and the alerts of jobd's that fire."""

from __future__ import annotations

from .look import BAD, FAIR, GOOD, NONE_IS_GOOD, Column
from .panels import ALL_IS_WELL, RUNBOOKS, Bars, Lines, Table
from .queries import QUEUE, Now, Query, Rows

# An alert that is about no queue has no such label, and is shown whatever queue is chosen.
FIRING = 'ALERTS{alertname=~"Jobd.+",alertstate="firing",queue=~"$queue|"}'

_BAD = f'increase(jobd_job_objective_total{{{QUEUE},verdict="bad"}}[30d])'
_ALL = f"increase(jobd_job_objective_total{{{QUEUE}}}[30d])"
# As the rules count: 1 % may be bad; a queue with only good jobs has all of it left.
BUDGET = (
    f"clamp_min(1 - (sum by (queue) ({_BAD}) or 0 * sum by (queue) ({_ALL}))"
    f" / (sum by (queue) ({_ALL}) > 0) / 0.01, -1)"
)
BUDGET_STEPS = ((0, BAD), (0.1, FAIR), (0.5, GOOD))


def firing() -> Table:
    """Those that fire, with since when, each a link to its runbook."""
    return Table(
        title="Firing alerts",
        description="Alerts of jobd's rules that fire, by Prometheus; the name leads to the runbook.",
        width=8,
        empty=ALL_IS_WELL,
        queries=(
            Rows(
                "max by (alertname, severity, queue, instance) (ALERTS_FOR_STATE * 1000"
                f" and ignoring (alertstate) {FIRING})"
            ),
        ),
        columns=(
            Column("alertname", "alert", link=("Runbook", f"{RUNBOOKS}/${{__value.raw}}.md")),
            Column("severity", "severity", words={"page": ("page", BAD), "ticket": ("ticket", FAIR)}, width=75),
            Column("queue", "queue", width=90),
            Column("Value", "since", unit="dateTimeFromNow", width=140),
        ),
        sort=("severity", False),
    )


PANELS = (
    Bars(
        title="Error budget left",
        description="Of 1 % of each queue's jobs that may wait too long or be failed by the installation, what"
        " is left"
        " over 30 days, or as long as Prometheus remembers; below 0 it is spent.",
        unit="percentunit",
        decimals=0,
        bounds=(-1, 1),
        steps=BUDGET_STEPS,
        empty="no jobs yet",
        queries=(Now(BUDGET, "{{queue}}"),),
        alerts=("JobdErrorBudgetFastBurn", "JobdErrorBudgetSlowBurn"),
    ),
    Lines(
        title="Burn rate, 1 h",
        description="How fast the error budget is spent: 1 spends it in 30 days, 14.4 for an hour pages, 6 for six"
        " hours is a ticket.",
        unit="none",
        steps=((6, FAIR), (14.4, BAD)),
        queries=(Query(f"queue:jobd_job_objective_bad:ratio_rate1h{{{QUEUE}}} / 0.01", "{{queue}}"),),
        alerts=("JobdErrorBudgetFastBurn", "JobdErrorBudgetSlowBurn"),
    ),
    firing(),
    Table(
        title="Queues",
        description="Each queue now, as the database says.",
        alerts=("JobdQueueNamesOverflow",),
        queries=(
            Rows(f'max by (queue) (jobd_queue_jobs{{{QUEUE},status="pending"}})'),
            Rows(f'max by (queue) (jobd_queue_jobs{{{QUEUE},status="running"}})'),
            Rows(f'max by (queue) (jobd_queue_jobs{{{QUEUE},status="paused"}})'),
            Rows(f"max by (queue) (jobd_queue_oldest_due_age_seconds{{{QUEUE}}})"),
            Rows(f"max by (queue) (jobd_queue_wait_objective_seconds{{{QUEUE}}})"),
            Rows(f"max by (queue) (jobd_queue_overdue_jobs{{{QUEUE}}})"),
            Rows(f"max by (queue) (jobd_queue_paused{{{QUEUE}}})"),
        ),
        columns=(
            Column("queue", "queue"),
            Column("Value #A", "waiting", unit="none"),
            Column("Value #B", "running", unit="none"),
            Column("Value #C", "paused jobs", unit="none"),
            Column("Value #D", "oldest due", unit="s"),
            Column("Value #E", "objective", unit="s"),
            Column("Value #F", "overdue", unit="none", steps=NONE_IS_GOOD),
            Column("Value #G", "claims", words={"0": ("open", GOOD), "1": ("paused", FAIR)}),
        ),
        sort=("oldest due", True),
    ),
)
