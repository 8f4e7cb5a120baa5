"""Requests: by function, by flag, withdrawn, in batches; versions; and what an UPDATE may not touch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from tests.sql.jobs import events_of, job_in, register, row_of, status_of
from tests.sql.roles import make_submitter, submit

if TYPE_CHECKING:
    from tests.support.database import Database

FUNCTIONS = {
    "cancel": "select jobd.cancel($1, expected_version => $2)",
    "pause": "select jobd.pause($1, expected_version => $2)",
    "resume": "select jobd.resume($1, $2)",
    "retry": "select jobd.retry($1, $2)",
    "set_priority": "select jobd.set_priority($1, 'high', $2)",
}


async def set_flag(database: Database, job_id: object, flag: str) -> None:
    await database.execute(f"update jobd.job set {flag} where id = $1", job_id)


@pytest.mark.parametrize("status", ["pending", "paused"])
async def test_the_cancel_flag_cancels_a_waiting_job_at_once(database: Database, status: str) -> None:
    job_id = await job_in(database, status)
    await set_flag(database, job_id, "cancel_requested = true")
    row = await row_of(database, job_id)
    assert (row["status"], row["cancel_requested"]) == ("cancelled", False)
    assert row["cancelled_at"] is not None


async def test_the_pause_flag_pauses_a_pending_job_and_clearing_it_resumes(database: Database) -> None:
    job_id = await job_in(database, "pending")
    await set_flag(database, job_id, "pause_requested = true")
    assert await status_of(database, job_id) == "paused"
    await set_flag(database, job_id, "pause_requested = false")
    assert await status_of(database, job_id) == "pending"


async def test_the_pause_flag_on_a_paused_job_changes_nothing(database: Database) -> None:
    job_id = await job_in(database, "paused")
    await set_flag(database, job_id, "pause_requested = true")
    row = await row_of(database, job_id)
    assert (row["status"], row["version"], row["pause_requested"]) == ("paused", 2, False)
    assert len(await events_of(database, job_id)) == 2


async def test_writing_a_whole_row_back_does_not_resume_a_paused_job(database: Database) -> None:
    job_id = await job_in(database, "paused")
    await set_flag(database, job_id, "metadata = '{\"a\": 1}', pause_requested = false, status = status")
    row = await row_of(database, job_id)
    assert (row["status"], row["metadata"]) == ("paused", '{"a": 1}')


async def test_a_request_to_a_running_job_stays_until_it_is_honoured_or_withdrawn(database: Database) -> None:
    job_id = await job_in(database, "running")
    await set_flag(database, job_id, "pause_requested = true")
    assert (await row_of(database, job_id))["pause_requested"]
    assert await database.fetchval("select jobd.resume($1)", job_id)
    await database.execute("select jobd.cancel($1, 'wrong file')", job_id)
    row = await row_of(database, job_id)
    assert (row["status"], row["cancel_requested"], row["cancellation_reason"]) == ("running", True, "wrong file")
    await set_flag(database, job_id, "cancel_requested = false")
    assert not (await row_of(database, job_id))["cancel_requested"]
    names = [event[0] for event in await events_of(database, job_id)]
    assert names[2:] == ["pause_requested", "pause_withdrawn", "cancel_requested", "cancel_withdrawn"]


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_a_flag_on_a_job_that_has_ended_changes_nothing(database: Database, status: str) -> None:
    job_id = await job_in(database, status)
    version = (await row_of(database, job_id))["version"]
    await set_flag(database, job_id, "cancel_requested = true, cancellation_reason = 'late'")
    await set_flag(database, job_id, "pause_requested = true")
    row = await row_of(database, job_id)
    assert (row["status"], row["version"], row["cancel_requested"], row["pause_requested"]) == (
        status, version, False, False,
    )  # fmt: skip


async def test_cancel_twice_is_one_request(database: Database) -> None:
    job_id = await job_in(database, "running")
    assert await database.fetchval("select jobd.cancel($1, 'first')", job_id)
    version = (await row_of(database, job_id))["version"]
    assert await database.fetchval("select jobd.cancel($1, 'second')", job_id)
    row = await row_of(database, job_id)
    assert (row["version"], row["cancellation_reason"]) == (version, "first")


@pytest.mark.parametrize("function", FUNCTIONS)
async def test_a_stale_expected_version_changes_nothing_and_names_both(database: Database, function: str) -> None:
    job_id = await job_in(database, "pending")
    before = await row_of(database, job_id)
    with pytest.raises(asyncpg.SerializationError, match="has version 1, not 7"):
        await database.execute(FUNCTIONS[function], job_id, 7)
    assert await row_of(database, job_id) == before


@pytest.mark.parametrize("function", FUNCTIONS)
async def test_an_unknown_job_is_named(database: Database, function: str) -> None:
    job_id = uuid4()
    with pytest.raises(asyncpg.NoDataFoundError, match=str(job_id)):
        await database.execute(FUNCTIONS[function], job_id, None)


@pytest.mark.parametrize("function", FUNCTIONS)
async def test_anothers_job_is_as_good_as_unknown(database: Database, function: str) -> None:
    mine, other = await make_submitter(database), await make_submitter(database)
    job_id = await other.submit()
    with pytest.raises(asyncpg.NoDataFoundError, match=str(job_id)):
        await mine.connection.execute(FUNCTIONS[function], job_id, None)
    assert await mine.connection.execute("update jobd.job set cancel_requested = true") == "UPDATE 0"
    assert await status_of(database, job_id) == "pending"


async def test_a_submitter_controls_its_own_jobs_and_is_named_in_the_events(database: Database) -> None:
    clerk = await make_submitter(database)
    job_id = await clerk.submit()
    assert await clerk.connection.fetchval(FUNCTIONS["set_priority"], job_id, 1)
    assert await clerk.connection.fetchval("select jobd.cancel($1, 'mistake', 2)", job_id)
    events = await database.fetch(
        "select event_type, actor, reason, data::text from jobd.job_event where job_id = $1 order by id", job_id
    )
    assert [tuple(event) for event in events] == [
        ("submitted", clerk.role, None, None),
        ("priority_changed", clerk.role, None, '{"new_priority": "high", "old_priority": "normal"}'),
        ("status_changed", clerk.role, "mistake", None),
    ]


async def test_the_version_rises_with_status_flags_priority_and_metadata_but_not_with_progress(
    database: Database,
) -> None:
    worker = await register(database)
    job_id = await submit(worker.connection)
    (job,) = await worker.claim()
    await worker.commit(job, added=5, row=5, progress=10.0)
    assert (await row_of(database, job_id))["version"] == 2
    for version, change in enumerate(
        ("metadata = '{\"a\": 1}'", "priority = 'low'", "pause_requested = true", "cancel_requested = true"),
        start=3,
    ):
        await set_flag(database, job_id, change)
        assert (await row_of(database, job_id))["version"] == version


async def test_retry_keeps_counters_cursor_and_errors_and_starts_the_retries_again(database: Database) -> None:
    worker = await register(database)
    job_id = await submit(worker.connection, max_retries=0)
    (job,) = await worker.claim()
    await worker.commit(job, added=5, refused=1, row=6, progress=50.0)
    await worker.finish(job, "retry", error_code="unreachable", error_message="no route")
    row = await row_of(database, job_id)
    assert (row["status"], row["error_code"], row["progress"]) == ("failed", "unreachable", 50.0)
    assert await database.fetchval("select jobd.retry($1)", job_id)
    row = await row_of(database, job_id)
    assert (row["status"], row["error_code"], row["retry_count"], row["completed_at"]) == (
        "pending",
        None,
        0,
        None,
    )
    assert (row["processed_rows"], row["error_count"], json.loads(row["cursor"])) == (6, 1, {"row": 6})


@pytest.mark.parametrize("change", ["source = 'b'", "run_at = now()", "queue = 'b'", "options = '{\"key\": 1}'"])
async def test_what_was_set_at_insert_stays(database: Database, change: str) -> None:
    job_id = await job_in(database, "pending")
    with pytest.raises(asyncpg.PostgresError, match="set at INSERT and stays") as refusal:
        await set_flag(database, job_id, change)
    assert refusal.value.sqlstate == "JB005"


@pytest.mark.parametrize(
    "change",
    ["error_count = 1", "submitted_role = 'x'", "cursor = '{}'", "cancellation_reason = 'x'", "lease_token = 9"],
)
async def test_what_jobd_keeps_is_refused_by_name(database: Database, change: str) -> None:
    job_id = await job_in(database, "running")
    with pytest.raises(asyncpg.PostgresError, match=f'"{change.split(maxsplit=1)[0]}"') as refusal:
        await set_flag(database, job_id, change)
    assert refusal.value.sqlstate == "JB005"


async def test_an_update_validates_priority_and_metadata(database: Database) -> None:
    job_id = await job_in(database, "pending")
    for change in ("priority = 'urgent'", "metadata = '[]'"):
        with pytest.raises(asyncpg.CheckViolationError) as refusal:
            await set_flag(database, job_id, change)
        assert refusal.value.hint
    with pytest.raises(asyncpg.CheckViolationError):
        await database.execute("select jobd.set_priority($1, 'urgent')", job_id)


async def test_a_batch_is_controlled_as_one_as_far_as_it_is_the_callers(database: Database) -> None:
    mine, other = await make_submitter(database), await make_submitter(database)
    batch_id = uuid4()
    jobs = [await mine.submit(batch_id=batch_id) for _ in range(3)]
    foreign = await other.submit(batch_id=batch_id)
    await mine.connection.execute("select jobd.cancel($1)", jobs[0])
    for call, affected, status in (
        ("select jobd.pause_batch($1)", 2, "paused"),
        ("select jobd.pause_batch($1)", 0, "paused"),
        ("select jobd.resume_batch($1)", 2, "pending"),
        ("select jobd.cancel_batch($1, 'all of it')", 2, "cancelled"),
        ("select jobd.cancel_batch($1)", 0, "cancelled"),
    ):
        assert await mine.connection.fetchval(call, batch_id) == affected
        assert await status_of(database, jobs[1]) == status
    assert await status_of(database, foreign) == "pending"


async def test_release_takes_a_job_from_a_live_worker_and_its_writes_find_nothing(database: Database) -> None:
    worker = await register(database)
    job_id = await submit(worker.connection)
    (job,) = await worker.claim()
    assert await database.fetchval("select jobd.release($1)", job_id)
    with pytest.raises(asyncpg.PostgresError) as refusal:
        await worker.commit(job, added=1, row=1)
    assert refusal.value.sqlstate == "JB001"
    assert await worker.finish(job, "completed") is None
    assert await worker.beat() == []
    row = await row_of(database, job_id)
    assert (row["status"], row["interrupt_count"], row["lease_token"]) == ("pending", 1, 2)


async def test_a_control_call_on_a_running_job_is_notified(database: Database) -> None:
    listener = await database.connect()
    heard: list[dict[str, str]] = []
    await listener.add_listener("jobd_control", lambda *call: heard.append(json.loads(call[3])))
    job_id = await job_in(database, "running")
    for function in ("pause", "resume", "cancel"):
        await database.execute(f"select jobd.{function}($1)", job_id)
        await listener.fetchval("select 1")
    assert heard == [{"id": str(job_id), "request": name} for name in ("pause", "resume", "cancel")]


async def test_the_reason_of_a_pause_is_in_its_event(database: Database) -> None:
    waiting, running = await job_in(database, "pending", queue="q"), await job_in(database, "running")
    for _ in range(2):
        for job_id in (waiting, running):
            await database.execute("select jobd.pause($1, 'lunch')", job_id)
            await database.execute("select jobd.resume($1)", job_id)
    rows = await database.fetch("select job_id, reason from jobd.job_event where reason is not null order by id")
    assert [tuple(row) for row in rows] == [(waiting, "lunch"), (running, "lunch")] * 2
