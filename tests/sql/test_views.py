"""The three views: whose jobs they show, what they compute, and that they stay indexed when the table is big."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.sql.roles import make_member, make_submitter

if TYPE_CHECKING:
    import asyncpg

    from tests.support.database import Database

VIEWS = ("active_jobs", "job_progress", "queue_stats")
INTERNAL_COLUMNS = {
    "submitted_role_oid", "claimed_at", "ran_seconds", "detected", "is_held", "gate_checked_at", "retry_requested",
    "changed_by", "change_reason",
}  # fmt: skip


async def columns_of(database: Database, relation: str) -> list[str]:
    rows = await database.fetch(
        "select attname from pg_attribute where attrelid = $1::text::regclass and attnum > 0 and not attisdropped"
        " order by attnum",
        f"jobd.{relation}",
    )
    return [row["attname"] for row in rows]


async def insert_as_found(database: Database, columns: str, *arguments: object) -> None:
    """Rows as they could stand there, without living through everything that leads to them."""
    await database.execute("set session_replication_role = replica")
    await database.execute(f"insert into jobd.job {columns}", *arguments)
    await database.execute("reset session_replication_role")


async def fill_big(database: Database, *roles: str) -> None:
    """200,000 jobs that ended and 10,000 that wait, of several submitters in several queues."""
    for count, columns, values in (
        (200_000, "status, completed_at, progress", "'completed', at, 100"),
        (10_000, "status, completed_at, progress", "'pending', null, 0"),
    ):
        await insert_as_found(
            database,
            f"(queue, created_at, updated_at, submitted_role, submitted_role_oid, {columns})"
            f" select 'q' || n % 3, at, at, r, r::regrole, {values}"
            " from generate_series(1, $2) n,"
            " lateral (select now() - n * interval '1 second', $1::text[]) t (at, roles),"
            " lateral (select case when n % 2000 = 0 then 1 else 2 + n % (cardinality(roles) - 1) end) p (place),"
            " lateral (select roles[place]) x (r)",
            list(roles),
            count,
        )
    await database.execute("insert into jobd.queue (name) values ('q0'), ('q1'), ('q2')")
    await database.execute("analyze jobd.job")


async def scans_of(connection: asyncpg.Connection, query: str) -> set[str]:
    """The ways in which the plan reads jobd.job; with generic plans, as long-lived sessions get them."""
    await connection.execute("set plan_cache_mode = force_generic_plan")
    plan = json.loads(await connection.fetchval(f"explain (format json) {query}"))

    def walk(node: dict[str, Any]) -> set[str]:
        found = {node["Node Type"]} if node.get("Relation Name") == "job" else set()
        return found.union(*(walk(child) for child in node.get("Plans", ())))

    return walk(plan[0]["Plan"])


async def test_the_views_have_the_columns_that_applications_rely_on(database: Database) -> None:
    job = set(await columns_of(database, "job"))
    assert set(await columns_of(database, "active_jobs")) == job - INTERNAL_COLUMNS
    assert await columns_of(database, "job_progress") == [
        "id", "job_type", "queue", "status", "progress", "rows_per_second", "remaining_seconds", "total_rows",
        "estimated_rows", "processed_rows", "success_count", "error_count", "items_added", "items_updated",
        "items_unchanged", "items_skipped", "items_removed", "errors_not_stored", "files_total", "files_done",
        "current_file", "worker_id", "worker_memory_bytes", "updated_at",
    ]  # fmt: skip
    assert await columns_of(database, "queue_stats") == [
        "queue", "is_paused", "pending", "due", "running", "paused", "oldest_due_age_seconds",
    ]  # fmt: skip


async def test_the_views_run_with_the_callers_rights(database: Database) -> None:
    for view in VIEWS:
        options = await database.fetchval(
            "select reloptions from pg_class where oid = $1::text::regclass", f"jobd.{view}"
        )
        assert options == ["security_invoker=true"], view


async def test_the_views_behind_them_keep_functions_of_the_callers_out(database: Database) -> None:
    mine, theirs = await make_submitter(database), await make_submitter(database)
    await theirs.submit(filename="secret.csv")
    await database.execute(f"create schema authorization {mine.role}")
    await mine.connection.execute(
        f"create function {mine.role}.peek(text) returns boolean language plpgsql cost 0.0001 as"
        " $$ begin raise exception 'saw %', $1; end $$"
    )
    for relation in ("jobd.active_jobs", "jobd.visible_job", "jobd.job"):
        assert await mine.connection.fetch(f"select from {relation} where {mine.role}.peek(filename)") == []


async def test_every_caller_sees_through_the_views_what_row_security_shows_of_the_table(
    database: Database,
) -> None:
    mine, theirs = await make_submitter(database), await make_submitter(database)
    for submitter in (mine, theirs, theirs):
        await submitter.submit()
    await database.execute("insert into jobd.job (source) values ('/by/a/superuser')")
    counts = {}
    for name, connection in {
        "mine": mine.connection,
        "theirs": theirs.connection,
        "member of both": await make_member(database, mine.role, theirs.role),
        "worker": await make_member(database, "jobd_worker"),
        "admin": await make_member(database, "jobd_admin"),
        "superuser": await database.connect(),
    }.items():
        rows = await connection.fetchval("select count(*) from jobd.job")
        counts[name] = rows
        for view in ("active_jobs", "job_progress"):
            assert await connection.fetchval(f"select count(*) from jobd.{view}") == rows, (name, view)
        assert await connection.fetchval("select sum(pending) from jobd.queue_stats") == rows, name
    assert counts == {"mine": 1, "theirs": 2, "member of both": 3, "worker": 4, "admin": 4, "superuser": 4}


async def test_a_monitor_reads_the_views_and_nothing_else(database: Database) -> None:
    mine = await make_submitter(database)
    await mine.submit()
    monitor = await make_member(database, "jobd_monitor")
    for view in VIEWS:
        assert await monitor.fetchval(f"select count(*) from jobd.{view}") == 1, view
    readable = await monitor.fetch(
        "select relname from pg_class where relnamespace = 'jobd'::regnamespace and relkind in ('r', 'v', 'S')"
        " and has_table_privilege(oid, 'select, insert, update, delete, truncate, references, trigger')"
        " union select relname from pg_class where relnamespace = 'jobd'::regnamespace and relkind = 'r'"
        " and has_any_column_privilege(oid, 'select, insert, update, references')"
    )
    assert {row["relname"] for row in readable} == {*VIEWS, "visible_job", "visible_worker", "visible_queue"}
    callable_ = await monitor.fetchval(
        "select count(*) from pg_proc where pronamespace = 'jobd'::regnamespace"
        " and has_function_privilege(oid, 'execute')"
    )
    assert callable_ == 0


async def test_active_jobs_are_those_alive_and_those_that_just_ended_newest_first(database: Database) -> None:
    for status, age in (("completed", "6 minutes"), ("failed", "4 minutes"), ("completed", "1 minute")):
        await insert_as_found(
            database,
            "(source, status, created_at, completed_at, progress, submitted_role, submitted_role_oid)"
            " select $1 || ' ' || $2, $1, now() - interval '2 hours', now() - $2::text::interval,"
            " case $1 when 'completed' then 100 else 0 end, 'postgres', 10",
            status,
            age,
        )
    for source in ("pending", "paused"):
        await database.execute("insert into jobd.job (source, pause_requested) values ($1, $1 = 'paused')", source)
    rows = await database.fetch("select source from jobd.active_jobs")
    assert [row["source"] for row in rows][:2] == ["paused", "pending"]
    assert {row["source"] for row in rows[2:]} == {"failed 4 minutes", "completed 1 minute"}


async def test_progress_gives_rate_and_remaining_time_by_the_time_a_job_really_ran(database: Database) -> None:
    worker_id = uuid4()
    await database.execute("select jobd.register_worker($1, 'w', 'h', 1, '1', '{default}', 1, 60)", worker_id)
    await database.execute("select jobd.heartbeat($1, 60, null, null, 12345)", worker_id)
    await insert_as_found(
        database,
        "(status, worker_id, lease_token, claimed_at, ran_seconds, processed_rows, success_count, items_added,"
        " progress, submitted_role, submitted_role_oid, created_at)"
        " values ('running', $1, 1, clock_timestamp() - interval '10 seconds', 10, 4000, 4000, 4000,"
        " 25, 'postgres', 10, now() - interval '9 hours')",
        worker_id,
    )
    row = await database.fetchrow(
        "select rows_per_second, remaining_seconds, worker_memory_bytes from jobd.job_progress"
    )
    assert row is not None
    assert row["rows_per_second"] == pytest.approx(200, rel=0.05)
    assert row["remaining_seconds"] == pytest.approx(60, rel=0.05)
    assert row["worker_memory_bytes"] == 12345


async def test_queue_stats_count_by_queue_and_give_the_age_of_the_oldest_due_job(database: Database) -> None:
    await database.execute("insert into jobd.job (queue, run_at) values ('mail', now() - interval '90 seconds')")
    await database.execute(
        "insert into jobd.job (queue, run_at, priority) values ('mail', now() + interval '1 hour', 'high')"
    )
    await database.execute("insert into jobd.job (queue, pause_requested) values ('mail', true)")
    for _ in range(3):
        await database.execute("insert into jobd.job (queue, serial_key) values ('mail', 'one at a time')")
    row = await database.fetchrow("select * from jobd.queue_stats where queue = 'mail'")
    assert row is not None
    assert (row["pending"], row["due"], row["running"], row["paused"], row["is_paused"]) == (5, 2, 0, 1, False)
    assert row["oldest_due_age_seconds"] == pytest.approx(90, abs=20)
    idle = await database.fetchrow("select * from jobd.queue_stats where queue = 'default'")
    assert tuple(idle or ()) == ("default", False, 0, 0, 0, 0, 0.0)


async def test_views_and_lists_stay_indexed_with_two_hundred_thousand_jobs(database: Database) -> None:
    small, big, bigger = [await make_submitter(database) for _ in range(3)]
    await fill_big(database, small.role, big.role, bigger.role)
    job_id = await database.fetchval("select id from jobd.job limit 1")
    queries = [
        "select * from jobd.active_jobs",
        "select * from jobd.active_jobs limit 20",
        f"select * from jobd.active_jobs where id = '{job_id}'",
        "select * from jobd.job_progress",
        f"select * from jobd.job_progress where id = '{job_id}'",
        "select * from jobd.queue_stats",
        "select * from jobd.queue_stats where queue = 'q1'",
    ]
    lists = [
        "select * from jobd.job order by created_at desc limit 20",
        "select * from jobd.job where status = 'pending' order by created_at desc limit 20",
        "select * from jobd.job where created_by = 'x' order by created_at desc limit 20",
        f"select * from jobd.job where id = '{job_id}'",
    ]
    monitor = await make_member(database, "jobd_monitor")
    worker = await make_member(database, "jobd_worker")
    for query in queries:
        for connection in (monitor, worker, small.connection, big.connection):
            assert "Seq Scan" not in await scans_of(connection, query), query
    for query in lists:
        for connection in (worker, small.connection, big.connection):
            assert "Seq Scan" not in await scans_of(connection, query), query
    # Five of the waiting jobs are the small submitter's.
    assert await small.connection.fetchval("select sum(pending) from jobd.queue_stats") == 5
    assert await monitor.fetchval("select sum(pending) from jobd.queue_stats") == 10_000
