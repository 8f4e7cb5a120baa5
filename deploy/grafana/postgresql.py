"""What PostgreSQL alone can tell, for those without Prometheus: jobd's public views, nothing else."""

from __future__ import annotations

from .look import BAD, FAIR, GOOD, NONE_IS_GOOD, Column, Steps
from .page import Page, Row, Variable
from .panels import Bars, Number, Table
from .queries import POSTGRESQL as DATABASE
from .queries import Sql

QUEUE = Variable(
    "queue", "Queue", "Queues that there are.", "select queue from jobd.queue_stats order by queue", None
)
# A list also where it is empty, as before the first job.
_CHOSEN = "queue = any (array[${queue:sqlstring}]::text[])"
_STATS = f"from jobd.queue_stats where {_CHOSEN}"
STATUSES = {
    "pending": ("pending", "blue"),
    "running": ("running", GOOD),
    "paused": ("paused", FAIR),
    "completed": ("completed", GOOD),
    "failed": ("failed", BAD),
    "cancelled": ("cancelled", "purple"),
}


def _number(
    title: str,
    description: str,
    sql: str,
    unit: str = "none",
    *,
    decimals: int | None = None,
    steps: Steps = (),
    alerts: tuple[str, ...] = (),
) -> Number:
    return Number(
        title=title,
        description=description,
        unit=unit,
        decimals=decimals,
        steps=steps,
        alerts=alerts,
        with_history=False,
        queries=(Sql(sql),),
    )


NOW = (
    _number(
        "Due jobs",
        "Jobs that could run now, up to 10,000 of each queue.",
        f"select sum(due) as due {_STATS}",
        alerts=("JobdQueueStalled",),
    ),
    _number(
        "Waiting jobs",
        "Pending jobs, also those that are for later or held; up to 10,000 of each queue.",
        f"select sum(pending) as pending {_STATS}",
    ),
    _number(
        "Running jobs",
        "Jobs that a daemon holds.",
        f"select sum(running) as running {_STATS}",
        alerts=("JobdSlotsSaturated",),
    ),
    _number(
        "Oldest due job",
        "How long the oldest due job has waited, in queues that are not paused.",
        f"select coalesce(max(oldest_due_age_seconds) filter (where not is_paused), 0) as seconds {_STATS}",
        "s",
        steps=((60, FAIR), (300, BAD)),
        alerts=("JobdQueueStalled", "JobdQueueFallingBehind"),
    ),
    _number(
        "Speed",
        "Records that the running jobs take each second, by their whole time so far.",
        "select coalesce(sum(rows_per_second), 0) as speed from jobd.job_progress"
        f" where status = 'running' and {_CHOSEN}",
        "rowsps",
        decimals=0,
    ),
    _number(
        "Standing still",
        "Running jobs that have committed nothing for 15 minutes.",
        "select count(*) as jobs from jobd.job_progress"
        f" where status = 'running' and updated_at < now() - interval '15 minutes' and {_CHOSEN}",
        steps=NONE_IS_GOOD,
        alerts=("JobdJobNotAdvancing",),
    ),
    _number(
        "Failed, 5 min",
        "Jobs that failed within 5 minutes.",
        f"select count(*) as jobs from jobd.active_jobs where status = 'failed' and {_CHOSEN}",
        steps=((0.5, FAIR),),
        alerts=("JobdJobsFailed", "JobdSubmissionsFail"),
    ),
    _number(
        "Paused queues",
        "Queues from which nothing is claimed, because somebody said so.",
        f"select count(*) filter (where is_paused) as queues {_STATS}",
        steps=((0.5, FAIR),),
    ),
)

QUEUES = (
    Table(
        title="Queues",
        description="What waits and runs in each queue.",
        width=14,
        queries=(
            Sql(
                "select queue, pending, due, running, paused, oldest_due_age_seconds,"
                f" case when is_paused then 'paused' else 'open' end as claims {_STATS}"
                " order by oldest_due_age_seconds desc nulls last"
            ),
        ),
        columns=(
            Column("queue", "queue"),
            Column("pending", "waiting", unit="none"),
            Column("due", "due", unit="none"),
            Column("running", "running", unit="none"),
            Column("paused", "paused jobs", unit="none"),
            Column("oldest_due_age_seconds", "oldest due", unit="s", steps=((60, FAIR), (300, BAD))),
            Column("claims", "claims", words={"open": ("open", GOOD), "paused": ("paused", FAIR)}),
        ),
        alerts=("JobdQueueStalled",),
    ),
    Table(
        title="Why jobs wait",
        description="Reasons that waiting and running jobs give, and what waits without one: for a slot or its"
        " time.",
        width=10,
        queries=(
            Sql(
                "select j.status, coalesce(j.waiting_reason,"
                " case when q.is_paused then 'its queue is paused'"
                " when j.run_at > now() then 'for its time (run_at)'"
                " when j.serial_key is not null or j.after is not null then 'for another job, or a slot'"
                " else 'for a daemon with a free slot' end) as reason,"
                " count(*) as jobs, min(j.created_at) as since"
                " from jobd.active_jobs j join jobd.queue_stats q on q.queue = j.queue"
                f" where (j.status = 'pending' or j.waiting_reason is not null) and j.{_CHOSEN}"
                " group by 1, 2 order by 3 desc limit 50"
            ),
        ),
        columns=(
            Column("status", "status", words=STATUSES, width=90),
            Column("reason", "reason"),
            Column("jobs", "jobs", unit="none", width=80),
            Column("since", "since", unit="dateTimeFromNow", width=140),
        ),
        alerts=("JobdQueueStalled",),
    ),
)

RUNNING = (
    Table(
        title="Each running job",
        description="How far each running job is, and how long it will take; the slowest to commit come first.",
        height=9,
        queries=(
            Sql(
                "select p.id::text as id, p.queue, p.job_type, coalesce(p.current_file, j.filename, j.handler)"
                " as name,"
                " p.progress, p.rows_per_second, p.remaining_seconds, p.processed_rows, p.error_count,"
                " extract(epoch from now() - p.updated_at)::float8 as unmoved_seconds, j.waiting_reason"
                " from jobd.job_progress p join jobd.active_jobs j on j.id = p.id"
                f" where p.status = 'running' and p.{_CHOSEN} order by p.updated_at limit 100"
            ),
        ),
        columns=(
            Column("id", "job", width=330),
            Column("queue", "queue", width=100),
            Column("job_type", "type", width=100),
            Column("name", "file or handler"),
            Column("progress", "progress", unit="percent", decimals=0, cell="gauge", bounds=(0, 100), width=160),
            Column("rows_per_second", "speed", unit="rowsps", decimals=0, width=110),
            Column("remaining_seconds", "remaining", unit="s", decimals=0, width=100),
            Column("processed_rows", "records", unit="none", width=100),
            Column("error_count", "refused", unit="none", steps=((0.5, FAIR),), width=90),
            Column(
                "unmoved_seconds", "last commit", unit="s", decimals=0, steps=((300, FAIR), (900, BAD)), width=110
            ),
            Column("waiting_reason", "waits for"),
        ),
        alerts=("JobdJobNotAdvancing",),
    ),
    Table(
        title="Jobs by type and status",
        description="Jobs that wait, run, are paused, or ended within 5 minutes.",
        width=8,
        queries=(
            Sql(
                "select job_type, status, count(*) as jobs from jobd.active_jobs"
                f" where {_CHOSEN} group by 1, 2 order by 3 desc limit 20"
            ),
        ),
        columns=(
            Column("job_type", "type", width=100),
            Column("status", "status", words=STATUSES, width=100),
            Column("jobs", "jobs", unit="none", cell="gauge", bounds=(0, None)),
        ),
    ),
    Bars(
        title="Records of running jobs, by result",
        description="What became of the records that running jobs have committed so far.",
        unit="none",
        width=6,
        by_row=True,
        empty="nothing runs",
        queries=(
            Sql(
                "select r.result, sum(r.number)::bigint as number from jobd.job_progress p cross join lateral"
                " (values"
                " ('added', p.items_added), ('updated', p.items_updated), ('unchanged', p.items_unchanged),"
                " ('skipped', p.items_skipped), ('refused', p.error_count)) as r (result, number)"
                f" where p.status = 'running' and p.{_CHOSEN} group by r.result order by r.result"
            ),
        ),
    ),
    Bars(
        title="Running jobs by daemon",
        description="Which daemon holds how many jobs, by the end of the id that jobd workers shows.",
        unit="none",
        width=5,
        by_row=True,
        empty="nothing runs",
        queries=(
            Sql(
                "select '…' || right(worker_id::text, 8) as worker, count(*) as jobs from jobd.job_progress"
                f" where status = 'running' and {_CHOSEN} group by 1 order by 2 desc limit 12"
            ),
        ),
        alerts=("JobdSlotsSaturated",),
    ),
    Bars(
        title="Memory by daemon",
        description="Memory of each daemon that runs jobs, by the end of its id.",
        unit="bytes",
        width=5,
        by_row=True,
        empty="nothing runs",
        queries=(
            Sql(
                "select '…' || right(worker_id::text, 8) as worker, max(worker_memory_bytes) as memory"
                " from jobd.job_progress"
                f" where status = 'running' and {_CHOSEN} group by 1 order by 2 desc nulls last limit 12"
            ),
        ),
    ),
)

ENDED = (
    Table(
        title="Ended within 5 minutes",
        description="How jobs ended; failed ones come first, with their reason.",
        height=9,
        queries=(
            Sql(
                "select id::text as id, queue, job_type, status, processed_rows, error_count, error_code,"
                " error_message,"
                f" completed_at from jobd.active_jobs where completed_at is not null and {_CHOSEN}"
                " order by status = 'failed' desc, completed_at desc limit 100"
            ),
        ),
        columns=(
            Column("id", "job", width=330),
            Column("queue", "queue", width=90),
            Column("job_type", "type", width=95),
            Column("status", "status", words=STATUSES, width=95),
            Column("processed_rows", "records", unit="none", width=80),
            Column("error_count", "refused", unit="none", steps=((0.5, FAIR),), width=75),
            Column("error_code", "code", width=150),
            Column("error_message", "reason"),
            Column("completed_at", "ended", unit="dateTimeFromNow", width=140),
        ),
        alerts=("JobdJobsFailed",),
    ),
)

POSTGRESQL = Page(
    "jobd-postgresql",
    "jobd: from PostgreSQL alone",
    "The same questions without Prometheus: what jobd's views say now, to a role that may read nothing else"
    " (a member of jobd_monitor). There is no past here.",
    (
        Row("Now", NOW),
        Row("What waits", QUEUES),
        Row("What runs", RUNNING),
        Row("What ended", ENDED),
    ),
    variables=(QUEUE,),
    source=DATABASE,
    since="now-5m",
    refresh="10s",
)
