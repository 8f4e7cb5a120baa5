"""jobd.explain names every reason why a job is not running or not advancing, and what to do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.sql.roles import make_member, make_submitter, submit
from tests.sql.test_prune import end
from tests.support.daemons import until

if TYPE_CHECKING:
    from tests.support.database import Database


async def explain(connection: Database | asyncpg.Connection, job_id: UUID) -> str:
    text: str = await connection.fetchval("select jobd.explain($1)", job_id)
    return text


async def make_worker(database: Database, *queues: str, slots: int = 4) -> UUID:
    worker_id = uuid4()
    await database.execute(
        "select jobd.register_worker($1, 'host-a', 'host-a', 1, '1', $2, $3, 60)", worker_id, list(queues), slots
    )
    return worker_id


async def claim(database: Database, worker_id: UUID, queue: str = "default") -> list[asyncpg.Record]:
    return list(await database.fetch("select * from jobd.claim($1, array[$2], 1)", worker_id, queue))


async def test_no_live_worker_serves_the_queue(database: Database) -> None:
    await make_worker(database, "mail")
    mine = await make_submitter(database)
    text = await explain(mine.connection, await mine.submit(queue="heavy"))
    assert "No live worker serves queue 'heavy'" in text
    assert "JOBD_QUEUES=heavy jobd run" in text
    assert "Live workers serve: mail" in text


async def test_every_worker_is_shutting_down(database: Database) -> None:
    worker_id = await make_worker(database, "default")
    await database.execute("select jobd.heartbeat($1, 60, null, null, null, true)", worker_id)
    assert "shutting down" in await explain(database, await submit(await database.connect()))


async def test_the_queue_is_paused(database: Database) -> None:
    await make_worker(database, "default")
    job_id = await submit(await database.connect())
    await database.execute("select jobd.pause_queue('default', now() + interval '1 day')")
    text = await explain(database, job_id)
    assert "Queue 'default' is paused by postgres until 2" in text
    assert "select jobd.resume_queue('default');" in text
    await database.execute("update jobd.queue set resume_at = now() - interval '1 second'")
    assert "paused" not in await explain(database, job_id)


async def test_its_time_has_not_come(database: Database) -> None:
    await make_worker(database, "default")
    run_at = await database.fetchval("select now() + interval '1 hour'")
    text = await explain(database, await submit(await database.connect(), run_at=run_at))
    assert "not to start before" in text
    assert "run_at" in text


async def test_it_waits_for_its_next_attempt_after_an_error(database: Database) -> None:
    worker_id = await make_worker(database, "default")
    job_id = await submit(await database.connect())
    token = (await claim(database, worker_id))[0]["lease_token"]
    await database.execute(
        "select jobd.finish(array[$1::uuid], array[$2::bigint], '{retry}', '{handler_error}',"
        " '{connection reset}', array[null::jsonb], '{60}')",
        job_id,
        token,
    )
    text = await explain(database, job_id)
    assert "attempt 2 of 4 after an error begins (connection reset)" in text


async def test_it_was_handed_back_with_a_reason(database: Database) -> None:
    worker_id = await make_worker(database, "default")
    job_id = await submit(await database.connect())
    token = (await claim(database, worker_id))[0]["lease_token"]
    await database.execute(
        "select jobd.finish(array[$1::uuid], array[$2::bigint], '{waiting}', '{null}', '{/srv/in is not mounted}',"
        " array[null::jsonb], '{60}')",
        job_id,
        token,
    )
    assert "handed it back: /srv/in is not mounted." in await explain(database, job_id)


async def test_an_earlier_job_of_the_same_serial_key_holds_it(database: Database) -> None:
    await make_worker(database, "default")
    mine = await make_submitter(database)
    first = await mine.submit(serial_key="ledger")
    second = await mine.submit(serial_key="ledger")
    text = await explain(mine.connection, second)
    assert f"Job {first} of the same serial_key 'ledger' comes first; it is pending" in text
    await mine.connection.fetchval("select jobd.pause($1)", first)
    assert f"select jobd.resume('{first}');" in await explain(mine.connection, second)
    await mine.connection.fetchval("select jobd.cancel($1)", first)
    assert str(first) not in await explain(mine.connection, second)


async def test_a_failed_job_with_hold_on_failure_holds_those_after_it(database: Database) -> None:
    await make_worker(database, "default")
    connection = await database.connect()
    first = await submit(connection, serial_key="k", options='{"hold_on_failure": true}')
    second = await submit(connection, serial_key="k")
    await end(database, first, "failed")
    text = await explain(database, second)
    assert f"Job {first} of the same serial_key 'k' comes first; it is failed" in text
    assert "hold_on_failure" in text
    assert f"jobd.retry('{first}')" in text


async def test_a_job_that_it_waits_for_has_not_completed(database: Database) -> None:
    await make_worker(database, "default")
    mine = await make_submitter(database)
    first, second = await mine.submit(), await mine.submit()
    job_id = await mine.submit(after=[first, second])
    await mine.connection.fetchval("select jobd.pause($1)", second)
    text = await explain(mine.connection, job_id)
    assert f"It waits for job {first} (after), which is pending" in text
    assert f"which is paused. To let that go on: select jobd.resume('{second}');" in text


async def test_all_slots_are_taken_by_jobs_of_others(database: Database) -> None:
    worker_id = await make_worker(database, "default", slots=1)
    mine, theirs = await make_submitter(database), await make_submitter(database)
    await theirs.submit()
    assert len(await claim(database, worker_id)) == 1
    await theirs.submit(priority="high")
    text = await explain(mine.connection, job_id := await mine.submit())
    assert "All 1 slots of the workers that serve queue 'default' are taken" in text
    assert "after 1 jobs that come first" in text
    assert f"jobd.set_priority('{job_id}', 'high')" in text


async def test_nothing_holds_it(database: Database) -> None:
    await make_worker(database, "default")
    assert "Nothing holds it" in await explain(database, await submit(await database.connect()))


async def test_several_reasons_are_all_named(database: Database) -> None:
    mine = await make_submitter(database)
    await mine.submit(serial_key="k", queue="night")
    job_id = await mine.submit(
        serial_key="k", queue="night", run_at=await database.fetchval("select now() + interval '1 hour'")
    )
    await database.execute("select jobd.pause_queue('night')")
    lines = (await explain(mine.connection, job_id)).split("\n")
    for reason, line in zip(("run_at", "serial_key", "is paused", "No live worker"), lines, strict=True):
        assert reason in line


async def test_a_running_job_says_who_runs_it_and_what_was_asked_of_it(database: Database) -> None:
    worker_id = await make_worker(database, "default")
    mine = await make_submitter(database)
    job_id = await mine.submit()
    await claim(database, worker_id)
    assert "Worker host-a runs it since" in await explain(mine.connection, job_id)
    await mine.connection.fetchval("select jobd.pause($1)", job_id)
    assert "asked to pause" in await explain(mine.connection, job_id)
    await mine.connection.fetchval("select jobd.cancel($1)", job_id)
    assert "asked to cancel" in await explain(mine.connection, job_id)


async def test_a_running_job_whose_lease_expired_says_so(database: Database) -> None:
    worker_id = await make_worker(database, "default")
    job_id = await submit(await database.connect())
    await claim(database, worker_id)
    await database.execute("update jobd.worker set lease_expires_at = now() - interval '1 second'")
    text = await explain(database, job_id)
    assert "The lease of its worker host-a expired at" in text
    assert "jobd run" in text


@pytest.mark.parametrize("is_administrator", [True, False])
async def test_a_running_job_that_is_blocked_names_the_backend_and_the_query_where_it_may_be_seen(
    database: Database, is_administrator: bool
) -> None:
    worker_id = await make_worker(database, "default")
    mine = await make_submitter(database)
    job_id = await mine.submit()
    await claim(database, worker_id)
    await database.execute("create table public.stock (n int)")
    blocker = await database.connect(server_settings={"application_name": "report"})
    worker = await database.connect(server_settings={"application_name": f"jobd:{worker_id}"})
    blocking = blocker.transaction()
    await blocking.start()
    await blocker.execute("lock table public.stock")
    pending = asyncio.ensure_future(worker.execute("insert into public.stock values (1)"))
    watcher = await database.connect()
    await until(lambda: watcher.fetchval("select cardinality(pg_blocking_pids($1))", worker.get_server_pid()))
    text = await explain(watcher if is_administrator else mine.connection, job_id)
    await blocking.rollback()
    await pending
    assert f"blocked by backend {blocker.get_server_pid()} of postgres (report)" in text
    assert f"pg_terminate_backend({blocker.get_server_pid()})" in text
    assert ("running: lock table public.stock" in text) == is_administrator


async def test_a_job_that_has_stopped_says_how_it_goes_on(database: Database) -> None:
    connection = await database.connect()
    jobs = [await submit(connection) for _ in range(4)]
    await connection.fetchval("select jobd.pause($1)", jobs[0])
    await connection.fetchval("select jobd.cancel($1, 'not wanted')", jobs[1])
    await end(database, jobs[2], "failed")
    await end(database, jobs[3])
    assert f"select jobd.resume('{jobs[0]}');" in await explain(database, jobs[0])
    assert f"because: not wanted. To let it go on from where it stopped: select jobd.retry('{jobs[1]}');" in (
        await explain(database, jobs[1])
    )
    assert f"select jobd.retry('{jobs[2]}');" in await explain(database, jobs[2])
    assert "0 rows read, 0 refused" in await explain(database, jobs[3])
    await connection.fetchval("select jobd.erase($1)", jobs[2])
    assert "erased" in await explain(database, jobs[2])


async def test_a_completed_job_says_where_its_refused_rows_are_or_whose_duplicate_it_is(
    database: Database,
) -> None:
    connection = await database.connect()
    job_id = await submit(connection)
    await end(database, job_id)
    await database.execute("set session_replication_role = replica")
    await database.execute("update jobd.job set error_count = 2, processed_rows = 2")
    assert f"select * from jobd.job_error where job_id = '{job_id}'" in await explain(database, job_id)
    await database.execute("update jobd.job set duplicate_of = id")
    assert '{"force": true}' in await explain(database, job_id)


async def test_an_unknown_id_is_named(database: Database) -> None:
    worker = await make_member(database, "jobd_worker")
    job_id = uuid4()
    with pytest.raises(asyncpg.NoDataFoundError, match=str(job_id)):
        await explain(worker, job_id)
