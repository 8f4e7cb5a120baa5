"""A daemon's insides: its loops, its connections, jobd's tables and the process."""

from __future__ import annotations

from . import shared, surroundings
from .look import BAD, FAIR, GOOD, NONE_IS_GOOD, Column
from .page import INSTANCE as INSTANCE_VARIABLE
from .page import Page, Row
from .panels import Lines, Number, Table
from .queries import INSTANCE, PROCESS, Now, Query, Rows

YES = {"0": ("no", BAD), "1": ("yes", GOOD)}


def _by(label: str, metric: str) -> Query:
    return Query(f"sum by ({label}) (rate({metric}{{{INSTANCE}}}[$__rate_interval]))", f"{{{{{label}}}}}")


NOW = (
    Number(
        title="Version",
        description="The versions that run.",
        unit="string",
        by_name=True,
        with_history=False,
        empty="none scraped",
        queries=(Now(f"count by (version) (jobd_build_info{{{INSTANCE}}})", "{{version}}"),),
    ),
    Number(
        title="Schema",
        description="The version of the database's schema.",
        unit="none",
        with_history=False,
        queries=(Query("max(jobd_schema_version)"),),
        alerts=("JobdSchemaMismatch",),
    ),
    Number(
        title="Schema behind",
        description="How many versions the schema is behind what the newest daemon needs.",
        unit="none",
        steps=NONE_IS_GOOD,
        queries=(Query("clamp_min(max(jobd_schema_version_required) - max(jobd_schema_version), 0)"),),
        alerts=("JobdSchemaMismatch",),
    ),
    Number(
        title="Last start",
        description="How long the daemon that started last has run.",
        unit="s",
        queries=(Query(f"time() - max(process_start_time_seconds{{{PROCESS}}})"),),
        alerts=("JobdRestartLoop",),
    ),
    Number(
        title="Age of samples",
        description="How long ago any daemon last read the queues: what is older than this is not on any"
        " dashboard.",
        unit="s",
        decimals=0,
        steps=((60, FAIR), (120, BAD)),
        queries=(Query("time() - max(jobd_queue_sample_timestamp_seconds)"),),
        alerts=("JobdSampleStale",),
    ),
    Number(
        title="Clock skew",
        description="How far the worst clock is off the database's, at least.",
        unit="s",
        decimals=1,
        steps=((1, FAIR), (5, BAD)),
        queries=(Query(f"max(abs(jobd_clock_skew_seconds{{{INSTANCE}}}))"),),
        alerts=("JobdClockSkew",),
    ),
    Number(
        title="Deaf daemons",
        description="Daemons whose notification to themselves does not come back: they poll.",
        unit="none",
        steps=((0.5, FAIR),),
        queries=(Query(f"count(jobd_listener_up{{{INSTANCE}}} == 0) or vector(0)"),),
        alerts=("JobdListenerDeaf",),
    ),
    Number(
        title="Reloads refused",
        description="Daemons that refused the settings that they read last.",
        unit="none",
        steps=NONE_IS_GOOD,
        queries=(Query(f"count(jobd_reload_successful{{{INSTANCE}}} == 0) or vector(0)"),),
        alerts=("JobdReloadFailed",),
    ),
)

DAEMONS = Table(
    title="Daemons",
    description="What each daemon says of itself now.",
    queries=(
        Rows(f"max by (instance, version, python) (jobd_build_info{{{INSTANCE}}})"),
        Rows(f"time() - max by (instance) (process_start_time_seconds{{{PROCESS}}})"),
        Rows(f"max by (instance) (jobd_ready{{{INSTANCE}}})"),
        Rows(f"max by (instance) (jobd_draining{{{INSTANCE}}})"),
        Rows(f"max by (instance) (jobd_listener_up{{{INSTANCE}}})"),
        Rows(f"max by (instance) (jobd_db_up{{{INSTANCE}}})"),
        Rows(f"max by (instance) (jobd_db_pooled{{{INSTANCE}}})"),
        Rows(f"max by (instance) (jobd_worker_slots_used{{{INSTANCE}}})"),
        Rows(f"max by (instance) (jobd_worker_slots{{{INSTANCE}}})"),
        Rows(f"max by (instance) (process_resident_memory_bytes{{{PROCESS}}})"),
        Rows(f"max by (instance) (jobd_reload_success_timestamp_seconds{{{INSTANCE}}} > 0) * 1000"),
    ),
    columns=(
        Column("instance", "daemon", width=170),
        Column("version", "version"),
        Column("python", "Python"),
        Column("Value #B", "runs for", unit="s"),
        Column("Value #C", "ready", words=YES),
        Column("Value #D", "draining", words={"0": ("no", GOOD), "1": ("yes", FAIR)}),
        Column("Value #E", "hears", words={"0": ("no", FAIR), "1": ("yes", GOOD)}),
        Column("Value #F", "database", words={"0": ("away", BAD), "1": ("answers", GOOD)}),
        Column("Value #G", "pooler", words={"0": ("none", GOOD), "1": ("between", GOOD)}),
        Column("Value #H", "slots used", unit="none"),
        Column("Value #I", "slots", unit="none"),
        Column("Value #J", "memory", unit="bytes"),
        Column("Value #K", "reloaded", unit="dateTimeFromNow", width=140),
    ),
    sort=("daemon", False),
    alerts=("JobdNotReady", "JobdDrainTooLong", "JobdReloadFailed"),
)

LOOPS = (
    Lines(
        title="Lag of the event loop, p99",
        description="All but one in a hundred times the loop of each daemon wakes at most so late: what blocks it"
        " delays heartbeats.",
        unit="s",
        steps=((0.5, BAD),),
        queries=(shared.quantile("jobd_event_loop_lag_seconds", INSTANCE, 0.99, "{{instance}}", "instance"),),
        alerts=("JobdEventLoopLag",),
    ),
    Lines(
        title="Claims by what came",
        description="Rounds of claims: full brought all that was asked for, empty nothing.",
        unit="ops",
        queries=(_by("result", "jobd_claim_rounds_total"),),
        alerts=("JobdClaimsFail",),
    ),
    Lines(
        title="Wake-ups by source",
        description="Why daemons looked for work: a notification, or another reason, such as the poll that comes"
        " anyway.",
        unit="ops",
        queries=(_by("source", "jobd_wakeups_total"),),
        alerts=("JobdListenerDeaf",),
    ),
    Lines(
        title="Heartbeats by result",
        description="Heartbeats: answered, failed, or told that the worker is given up.",
        unit="ops",
        queries=(_by("result", "jobd_heartbeats_total"),),
        alerts=("JobdHeartbeatsFail",),
    ),
    Lines(
        title="Lease remaining",
        description="How long each daemon may still trust its lease; near 0, its jobs are about to be taken.",
        unit="s",
        steps=((0, BAD), (5, GOOD)),
        steps_as_lines=False,
        queries=(Query(f"min by (instance) (jobd_lease_remaining_seconds{{{INSTANCE}}})", "{{instance}}"),),
        alerts=("JobdLeasesLost", "JobdHeartbeatsFail"),
    ),
    Lines(
        title="Last heard",
        description="How long ago each daemon last heard the notification that it sends to itself.",
        unit="s",
        queries=(
            Query(
                f"time() - max by (instance) (jobd_listener_last_heard_timestamp_seconds{{{INSTANCE}}} > 0)",
                "{{instance}}",
            ),
        ),
        alerts=("JobdListenerDeaf",),
    ),
)

DATABASE = (
    Lines(
        title="Connections by state",
        description="Open connections of the daemons' pools.",
        unit="none",
        decimals=0,
        stacked=True,
        queries=(Query(f"sum by (state) (jobd_db_pool_connections{{{INSTANCE}}})", "{{state}}"),),
        alerts=("JobdTooManyConnections",),
    ),
    Lines(
        title="Wait for a connection, p99",
        description="All but one in a hundred times a connection of the daemon's own is there within so long.",
        unit="s",
        queries=(shared.quantile("jobd_db_pool_acquire_seconds", INSTANCE, 0.99, "{{instance}}", "instance"),),
        alerts=("JobdTooManyConnections",),
    ),
    Lines(
        title="Connections opened",
        description="New connections; submitters' logins need new ones, too. Many may mean that they are cut.",
        unit="ops",
        queries=(
            Query(
                f"sum by (instance) (rate(jobd_db_connections_opened_total{{{INSTANCE}}}[$__rate_interval]))",
                "{{instance}}",
            ),
        ),
        alerts=("JobdDatabaseUnreachable",),
    ),
    Lines(
        title="Statements by operation",
        description="Statements of jobd's own, by what they are for.",
        unit="ops",
        queries=(_by("operation", "jobd_db_statement_seconds_count"),),
        alerts=("JobdStatementsSlow",),
    ),
    shared.statements_slow(),
    shared.database_errors(),
)

DAEMON = Page(
    "jobd-daemon",
    "jobd: daemons",
    "A daemon's insides: versions, loops, lease, connections and statements, jobd's own tables, and the process.",
    (
        Row("Now", (*NOW, DAEMONS)),
        Row("Loops and lease", LOOPS),
        Row("Database", DATABASE),
        Row("Tables", surroundings.TABLES),
        Row("Process", surroundings.OF_PROCESS),
    ),
    variables=(INSTANCE_VARIABLE,),
)
