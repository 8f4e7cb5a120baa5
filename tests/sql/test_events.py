"""Events and notifications: once per statement, only when something but progress has changed, cheap in bulk."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from tests.sql.jobs import job_in, register
from tests.sql.roles import make_submitter, submit

if TYPE_CHECKING:
    from tests.support.database import Database


async def hear(database: Database, *channels: str) -> tuple[Any, list[tuple[str, str]]]:
    listener = await database.connect()
    heard: list[tuple[str, str]] = []
    for channel in channels:
        await listener.add_listener(channel, lambda *call: heard.append((call[2], call[3])))
    return listener, heard


async def test_each_status_change_is_one_notification_with_the_events_columns_and_no_names(
    database: Database,
) -> None:
    listener, heard = await hear(database, "jobd_event")
    job_id = await job_in(database, "completed")
    await listener.fetchval("select 1")
    events = [json.loads(payload) for _, payload in heard]
    assert [(event["old_status"], event["new_status"], event["version"]) for event in events] == [
        (None, "pending", 1), ("pending", "running", 2), ("running", "completed", 3),
    ]  # fmt: skip
    assert set(events[1]) == {
        "id", "event_type", "job_id", "job_type", "queue", "old_status", "new_status", "version", "created_at",
    }  # fmt: skip
    ids = await database.fetchval("select array_agg(id order by id) from jobd.job_event where job_id = $1", job_id)
    assert [event["id"] for event in events] == ids


async def test_many_changes_of_one_statement_are_summed_up(database: Database) -> None:
    listener, heard = await hear(database, "jobd_event", "jobd_job")
    await database.execute("insert into jobd.job (source) select 's' from generate_series(1, 500)")
    await listener.fetchval("select 1")
    assert sorted(heard) == [("jobd_event", '{"count": 500}'), ("jobd_job", "default")]


async def test_a_job_that_becomes_claimable_again_wakes_its_workers(database: Database) -> None:
    job_id = await job_in(database, "paused", queue="q")
    listener, heard = await hear(database, "jobd_job")
    await database.execute("update jobd.job set metadata = '{\"a\": 1}' where id = $1", job_id)
    await database.execute("select jobd.resume($1)", job_id)
    await database.execute("update jobd.job set metadata = '{\"a\": 2}' where id = $1", job_id)
    await listener.fetchval("select 1")
    assert heard == [("jobd_job", "q")]


async def test_a_session_may_switch_sending_off(database: Database) -> None:
    listener, heard = await hear(database, "jobd_event", "jobd_job", "jobd_control")
    await database.execute("set jobd.notify = off")
    job_id = await submit(await database.connect(server_settings={"jobd.notify": "off"}))
    await database.execute("select jobd.cancel($1)", job_id)
    await database.execute("select jobd.retry($1)", job_id)
    await listener.fetchval("select 1")
    assert heard == []
    assert await database.fetchval("select count(*) from jobd.job_event") == 3


async def test_a_statement_that_changes_no_row_writes_and_sends_nothing(database: Database) -> None:
    listener, heard = await hear(database, "jobd_event", "jobd_job")
    await database.execute("update jobd.job set cancel_requested = true where false")
    await database.execute("insert into jobd.job (source) select 's' where false")
    await listener.fetchval("select 1")
    assert heard == []


async def test_updated_at_never_lies_before_created_at_even_in_an_older_transaction(database: Database) -> None:
    clerk = await make_submitter(database)
    older = clerk.connection.transaction()
    await older.start()
    await clerk.connection.fetchval("select now()")
    job_id = await submit(await database.connect(clerk.role))
    await clerk.connection.execute("select jobd.cancel($1)", job_id)
    await older.commit()
    assert await database.fetchval(
        "select created_at <= updated_at and updated_at > now() - interval '1 min' from jobd.job"
    )


async def test_fifty_thousand_jobs_change_in_one_update_within_five_seconds(database: Database) -> None:
    """A statement trigger that joins its transition tables by nested loops would take minutes."""
    worker = await register(database)
    for _ in range(8):  # the trigger's plans are cached from single rows
        await database.execute("select jobd.cancel($1)", await submit(worker.connection))
    await database.execute("insert into jobd.job (source) select 's' from generate_series(1, 50000)")
    started = time.monotonic()
    await database.execute("update jobd.job set cancel_requested = true where status = 'pending'")
    assert time.monotonic() - started < 5
    cancelled = "select count(*) from jobd.job_event where new_status = 'cancelled'"
    assert await database.fetchval(cancelled) == 50_008
