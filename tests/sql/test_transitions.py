"""Every pair of statuses, allowed or refused: by direct UPDATE, by whomever, and by each control function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from jobd.model.status import JobStatus
from tests.sql.jobs import STATUSES, events_of, job_in, row_of, status_of
from tests.sql.roles import make_member, make_submitter

if TYPE_CHECKING:
    from tests.support.database import Database

ALLOWED = {
    ("pending", "running"),
    ("pending", "paused"),
    ("pending", "cancelled"),
    ("pending", "failed"),
    ("running", "completed"),
    ("running", "failed"),
    ("running", "cancelled"),
    ("running", "paused"),
    ("running", "pending"),
    ("paused", "pending"),
    ("paused", "cancelled"),
    ("failed", "pending"),
    ("cancelled", "pending"),
}

# What each status needs beside the word, so that only the transition can be at fault.
FITTING = """
update jobd.job set
    status = $2,
    worker_id = case when $2 = 'running' then gen_random_uuid() end,
    lease_token = lease_token + 1,
    completed_at = case when $2 in ('completed', 'failed', 'cancelled') then clock_timestamp() end,
    cancelled_at = case when $2 = 'cancelled' then clock_timestamp() end,
    paused_at = case when $2 = 'paused' then clock_timestamp() end,
    progress = case when $2 = 'completed' then 100 else 0 end
where id = $1
"""

# function → the status it leads to from each status; None: it returns false and changes nothing.
CONTROL = {
    "cancel": {"pending": "cancelled", "running": "running", "paused": "cancelled"},
    "pause": {"pending": "paused", "running": "running"},
    "resume": {"paused": "pending"},
    "retry": {"failed": "pending", "cancelled": "pending"},
    "release": {"running": "pending"},
}


async def test_the_transitions_are_data_in_the_database(database: Database) -> None:
    rows = await database.fetch("select old_status, new_status, cause from jobd.transition")
    assert {(row[0], row[1]) for row in rows} == ALLOWED
    assert all(row[2] for row in rows)
    assert set(STATUSES) == set(JobStatus)


@pytest.mark.parametrize("old", STATUSES)
async def test_a_direct_update_by_jobds_owner_passes_only_the_transitions_there_are(
    database: Database, old: str
) -> None:
    owner = await make_member(database, "jobd_owner")
    await owner.execute("set role jobd_owner")
    for new in (status for status in STATUSES if status != old):
        job_id = await job_in(database, old)
        events = await events_of(database, job_id)
        if (old, new) in ALLOWED:
            await owner.execute(FITTING, job_id, new)
            assert await events_of(database, job_id) == [*events, ("status_changed", old, new)]
        else:
            with pytest.raises(asyncpg.PostgresError, match=f"cannot become {new}: it is {old}") as refusal:
                await owner.execute(FITTING, job_id, new)
            assert refusal.value.sqlstate == "JB004"
            assert await status_of(database, job_id) == old


@pytest.mark.parametrize("old", STATUSES)
async def test_a_direct_update_by_anybody_else_is_refused_with_what_to_do(database: Database, old: str) -> None:
    job_id = await job_in(database, old)
    for new in (status for status in STATUSES if status != old):
        with pytest.raises(asyncpg.PostgresError) as refusal:
            await database.execute("update jobd.job set status = $2 where id = $1", job_id, new)
        assert refusal.value.sqlstate == ("JB005" if (old, new) in ALLOWED else "JB004")
        assert refusal.value.hint
        assert await status_of(database, job_id) == old


@pytest.mark.parametrize("function", CONTROL)
async def test_a_control_function_does_what_it_says_or_returns_false(database: Database, function: str) -> None:
    for status in STATUSES:
        job_id = await job_in(database, status)
        before = await row_of(database, job_id)
        expected = CONTROL[function].get(status)
        assert await database.fetchval(f"select jobd.{function}($1)", job_id) == (expected is not None)
        after = await row_of(database, job_id)
        assert after["status"] == (expected or status)
        assert (after["version"] > before["version"]) == (expected is not None)
        if expected is None:
            assert after == before


async def test_a_transition_that_is_not_there_is_refused_for_a_submitter_too(database: Database) -> None:
    clerk = await make_submitter(database)
    job_id = await clerk.submit()
    with pytest.raises(asyncpg.PostgresError) as refusal:
        await clerk.connection.execute("update jobd.job set status = 'completed' where id = $1", job_id)
    assert refusal.value.sqlstate == "JB004"


async def test_counters_that_do_not_add_up_are_refused_by_the_database(database: Database) -> None:
    job_id = await job_in(database, "running")
    await database.execute("set role jobd_owner")
    for change in (
        "processed_rows = 1",
        "success_count = 1, processed_rows = 1",
        "items_added = 1",
        "error_count = -1, processed_rows = -1",
        "progress = 101",
        "progress = -1",
        "progress = 'NaN'",
        "progress = 100",
        "worker_id = null",
        "created_at = now() + interval '1 day'",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await database.execute(f"update jobd.job set {change} where id = $1", job_id)


async def test_not_even_jobds_owner_changes_an_id(database: Database) -> None:
    job_id = await job_in(database, "pending")
    for role in ("postgres", "jobd_owner"):
        await database.execute(f"set role {role}")
        with pytest.raises(asyncpg.PostgresError, match='"id"') as refusal:
            await database.execute("update jobd.job set id = gen_random_uuid() where id = $1", job_id)
        assert refusal.value.sqlstate == "JB005"
