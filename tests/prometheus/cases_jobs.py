"""Alerts on queues and jobs."""

from __future__ import annotations

from tests.prometheus.case import Case

A, B = 'job="jobd",instance="a"', 'job="jobd",instance="b"'
MAIL = 'queue="mail"'
IS_MAIL: list[dict[str, str]] = [{"queue": "mail"}]


def queue(
    age: str = "0x40",
    claims: str | None = "0x40",
    *,
    used: int = 0,
    paused: int = 0,
    unmoved: int = 0,
    overdue: int = 0,
) -> dict[str, str]:
    """A queue as two daemons say the same of it, one of which claims from it with 4 slots."""
    series = {}
    for daemon in (A, B):
        series[f"jobd_queue_oldest_due_age_seconds{{{MAIL},{daemon}}}"] = age
        series[f"jobd_queue_wait_objective_seconds{{{MAIL},{daemon}}}"] = "60x40"
        series[f"jobd_queue_overdue_jobs{{{MAIL},{daemon}}}"] = f"{overdue}x40"
        series[f"jobd_queue_paused{{{MAIL},{daemon}}}"] = f"{paused}x40"
        series[f"jobd_worker_slots{{{daemon}}}"] = "4x40"
    series[f"jobd_worker_slots_used{{{A}}}"] = f"{used}x40"
    series[f"jobd_worker_slots_used{{{B}}}"] = "0x40"
    if claims is not None:
        series[f"jobd_job_claims_total{{{MAIL},{A}}}"] = claims
        series[f"jobd_job_unmoved_seconds{{{MAIL},{A}}}"] = f"{unmoved}x40"
    return series


def objective(good: str, bad: str) -> dict[str, str]:
    """Jobs that ended, by verdict."""
    name = "jobd_job_objective_total"
    return {f'{name}{{{MAIL},verdict="good",{A}}}': good, f'{name}{{{MAIL},verdict="bad",{A}}}': bad}


def failures(code: str, values: str) -> dict[str, str]:
    """Jobs that failed."""
    return {f'jobd_job_failures_total{{code="{code}",{A}}}': values}


def endings(completed: str, failed: str) -> dict[str, str]:
    """Attempts that ended for good."""
    name = f'jobd_job_attempts_total{{{MAIL},job_type="import",{A}'
    return {f'{name},outcome="completed"}}': completed, f'{name},outcome="failed"}}': failed}


LATE = "0+60x40"
CASES = (
    Case("JobdQueueStalled", "nobody claims", queue(LATE), IS_MAIL),
    Case("JobdQueueStalled", "no daemon knows the queue", queue(LATE, None), IS_MAIL),
    Case("JobdQueueStalled", "all slots are stuck", queue(LATE, used=4, unmoved=1000), IS_MAIL),
    Case("JobdQueueStalled", "jobs are claimed, old ones wait", queue(LATE, "0+5x40")),
    Case("JobdQueueStalled", "the queue is paused", queue(LATE, paused=1)),
    Case("JobdQueueStalled", "all slots work on long jobs", queue(LATE, used=4, unmoved=3)),
    Case("JobdQueueFallingBehind", "over the objective", queue("120x40", "0+5x40"), IS_MAIL),
    Case("JobdQueueFallingBehind", "within it", queue("30x40", "0+5x40")),
    Case("JobdQueueFallingBehind", "paused on purpose", queue(LATE, paused=1)),
    Case("JobdSlotsSaturated", "no slot is free of those that claim", queue(used=4, overdue=3), IS_MAIL),
    Case("JobdSlotsSaturated", "busy, nothing overdue", queue(used=4)),
    Case("JobdSlotsSaturated", "overdue, slots are free", queue(used=1, overdue=3)),
    Case("JobdErrorBudgetFastBurn", "a fifth is bad", objective("0+8x90", "0+2x90"), IS_MAIL, 80),
    Case("JobdErrorBudgetFastBurn", "all are bad", objective("0x90", "0+2x90"), IS_MAIL, 80),
    Case("JobdErrorBudgetFastBurn", "one in a hundred is bad", objective("0+99x90", "0+1x90"), minute=80),
    Case("JobdErrorBudgetFastBurn", "only few jobs", objective("0x90", "0x40 1x50"), minute=80),
    Case("JobdErrorBudgetFastBurn", "it is over", objective("0+8x90", "0+2x60 120x30"), minute=80),
    Case("JobdErrorBudgetSlowBurn", "a tenth is bad", objective("0+9x400", "0+1x400"), IS_MAIL, 390),
    Case("JobdErrorBudgetSlowBurn", "all are good", objective("0+9x400", "0x400"), minute=390),
    Case("JobdJobsFailed", "its worker was lost", failures("worker_lost", "0x10 1x20"), [{"code": "worker_lost"}]),
    Case("JobdJobsFailed", "a file was missing", failures("source_missing", "0x10 1x20")),
    Case("JobdSubmissionsFail", "most fail", endings("0+1x90", "0+3x90"), IS_MAIL, 80),
    Case("JobdSubmissionsFail", "few of many", endings("0+9x90", "0+1x90"), minute=80),
    Case("JobdSubmissionsFail", "few in all", endings("0x90", "0x40 0+1x10 10x40"), minute=80),
    Case("JobdJobNotAdvancing", "it stands", queue(unmoved=1000), IS_MAIL),
    Case("JobdJobNotAdvancing", "it moves", queue(unmoved=20)),
    Case("JobdLeasesLost", "many", {f'jobd_leases_lost_total{{reason="expired",{A}}}': "0x10 0+2x20"},
         [{"reason": "expired"}]),
    Case("JobdLeasesLost", "one", {f'jobd_leases_lost_total{{reason="expired",{A}}}': "0x10 1x20"}),
)  # fmt: skip
