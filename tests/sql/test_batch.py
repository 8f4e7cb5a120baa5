"""commit_batch: one transaction for rows, counters, errors and cursor, under the lease, by the right session."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.sql.jobs import Worker, commit_batch, register, row_of, somebody_waits
from tests.sql.roles import make_member, make_submitter, submit

if TYPE_CHECKING:
    from tests.sql.roles import Submitter
    from tests.support.database import Database


@pytest.fixture
async def worker(database: Database) -> Worker:
    return await register(database)


@pytest.fixture
async def job(worker: Worker) -> asyncpg.Record:
    await submit(worker.connection)
    (claimed,) = await worker.claim()
    return claimed


def error(row: int, field: str | None = "x", code: str = "type", **values: Any) -> dict[str, Any]:
    return {"row": row, "line": row + 1, "file": "a.csv", "field": field, "type": "validation", "code": code,
            "message": f"row {row} is bad", **values}  # fmt: skip


async def test_a_batch_adds_up_and_advances_the_cursor(
    database: Database, worker: Worker, job: asyncpg.Record
) -> None:
    receipt = await worker.commit(
        job, added=4, updated=3, unchanged=2, skipped=1, refused=2, row=12, progress=30.5, current_file="a.csv"
    )
    assert tuple(receipt) == (1, False, False, 2, 12)
    await worker.commit(job, added=8, row=20, progress=20.0, total_rows=40)
    row = await row_of(database, job["id"])
    assert (row["items_added"], row["items_updated"], row["items_unchanged"], row["items_skipped"]) == (
        12,
        3,
        2,
        1,
    )
    assert (row["success_count"], row["error_count"], row["processed_rows"], row["total_rows"]) == (18, 2, 20, 40)
    assert (row["progress"], json.loads(row["cursor"]), row["current_file"]) == (30.5, {"row": 20}, "a.csv")


async def test_progress_reaches_100_only_at_the_end(
    database: Database, worker: Worker, job: asyncpg.Record
) -> None:
    await worker.commit(job, added=1, row=1, progress=100.0)
    assert (await row_of(database, job["id"]))["progress"] < 100
    await worker.finish(job, "completed")
    assert (await row_of(database, job["id"]))["progress"] == 100


async def test_a_batch_under_a_lost_lease_writes_nothing(
    database: Database, worker: Worker, job: asyncpg.Record
) -> None:
    before = await row_of(database, job["id"])
    for refused in (
        {"lease_token": 2},
        {"lease_token": 0},
    ):
        with pytest.raises(asyncpg.PostgresError, match="is lost") as refusal:
            await worker.commit(job, added=1, row=1, errors=[error(1)], **refused)
        assert refusal.value.sqlstate == "JB001"
    assert await row_of(database, job["id"]) == before
    assert await database.fetchval("select count(*) from jobd.job_error") == 0
    await worker.finish(job, "completed")
    with pytest.raises(asyncpg.PostgresError) as refusal:
        await worker.commit(job, added=1, row=1)
    assert refusal.value.sqlstate == "JB001", "the token is the same, but the attempt has ended"


async def test_a_batch_that_waited_for_a_rescue_finds_its_lease_lost(
    database: Database, worker: Worker, job: asyncpg.Record
) -> None:
    rescuer = await database.connect()
    transaction = rescuer.transaction()
    await transaction.start()
    await rescuer.execute("select jobd.release($1)", job["id"])
    late = asyncio.create_task(worker.commit(job, added=1, row=1))
    await somebody_waits(database)
    await transaction.commit()
    with pytest.raises(asyncpg.PostgresError) as refusal:
        await late
    assert refusal.value.sqlstate == "JB001"


async def test_a_cancel_rolls_the_open_batch_back(database: Database, worker: Worker, job: asyncpg.Record) -> None:
    await database.execute("create table public.t (n int)")
    await database.execute("select jobd.cancel($1)", job["id"])
    transaction = worker.connection.transaction()
    await transaction.start()
    await worker.connection.execute("insert into public.t values (1)")
    with pytest.raises(asyncpg.PostgresError, match="to be cancelled") as refusal:
        await worker.commit(job, added=1, row=1)
    await transaction.rollback()
    assert refusal.value.sqlstate == "JB002"
    assert await database.fetchval("select count(*) from public.t") == 0
    with pytest.raises(asyncpg.PostgresError) as refusal:
        await worker.connection.execute("select jobd.begin($1, 1, null)", job["id"])
    assert refusal.value.sqlstate == "JB002"


async def test_an_application_that_holds_the_row_delays_one_batch_and_loses_nothing(
    database: Database, worker: Worker, job: asyncpg.Record
) -> None:
    application = await database.connect()
    transaction = application.transaction()
    await transaction.start()
    await application.execute("select jobd.pause($1)", job["id"])
    with pytest.raises(asyncpg.LockNotAvailableError):
        await worker.commit(job, added=1, row=1)
    assert await worker.finish(job, "completed") is None, "a grouped ending passes it over"
    await transaction.rollback()
    assert (await worker.commit(job, added=1, row=1))["processed_rows"] == 1


async def test_the_cursor_only_advances(database: Database, worker: Worker, job: asyncpg.Record) -> None:
    await worker.commit(job, added=10, row=10)
    for row in (10, 9):
        with pytest.raises(asyncpg.PostgresError, match="does not advance") as refusal:
            await worker.commit(job, added=1, row=row)
        assert refusal.value.sqlstate == "JB008"
    await worker.commit(job, row=10)
    await worker.commit(job, added=1, cursor={"file": 1, "row": 1})
    assert (await row_of(database, job["id"]))["processed_rows"] == 11


async def test_a_handlers_own_cursor_is_not_compared(worker: Worker, job: asyncpg.Record) -> None:
    for cursor in ({"page": "b"}, {"page": "a"}, None):
        await worker.commit(job, updated=1, cursor=cursor)


async def test_errors_are_kept_with_all_their_columns_and_groups_are_exact(
    database: Database, worker: Worker, job: asyncpg.Record
) -> None:
    first = error(3, sqlstate="22P02", constraint="c", raw="x" * 600)
    errors = [first, error(3, "y"), error(9), error(9, None, "ragged", type="parse", file=None)]
    await worker.commit(job, refused=2, row=10, errors=errors)
    await worker.commit(job, refused=1, row=20, errors=[error(11)])
    row = await database.fetchrow("select * from jobd.job_error order by id limit 1")
    assert row is not None
    assert (row["row_number"], row["line_number"], row["file"], row["field"]) == (3, 4, "a.csv", "x")
    assert (row["error_type"], row["code"], row["sqlstate"], row["constraint_name"]) == (
        "validation", "type", "22P02", "c",
    )  # fmt: skip
    assert row["raw_data"] == "x" * 500
    groups = await database.fetch("select file, field, code, count, first_row from jobd.job_error_group")
    assert {tuple(group) for group in groups} == {
        ("a.csv", "x", "type", 3, 3),
        ("a.csv", "y", "type", 1, 3),
        (None, None, "ragged", 1, 9),
    }
    assert (await row_of(database, job["id"]))["error_count"] == 3, "one record is one error, however many rows"


async def test_refused_records_are_kept_once_as_bytes_up_to_64_kib(
    database: Database, worker: Worker, job: asyncpg.Record
) -> None:
    rejects = [
        {"row": 1, "file": "a.csv", "record": b"\x00\xff,1"},
        {"row": 1, "file": "a.csv", "record": b"again"},
        {"row": 2, "file": "a.csv", "record": b"y" * 100_000},
    ]
    await worker.commit(job, refused=2, row=2, rejects=rejects)
    rows = await database.fetch("select row_number, record from jobd.job_reject order by row_number")
    assert [(row[0], row[1][:4], len(row[1])) for row in rows] == [(1, b"\x00\xff,1", 4), (2, b"yyyy", 65536)]


async def test_beyond_100000_refused_records_only_numbers_are_kept(
    database: Database, worker: Worker, job: asyncpg.Record
) -> None:
    await database.execute("set session_replication_role = replica")
    await database.execute("update jobd.job set error_count = 99998, processed_rows = 99998")
    await database.execute("reset session_replication_role")
    errors = [error(row) for row in (1, 1, 2, 3, 4)]
    rejects = [{"row": row, "file": "a.csv", "record": b"r"} for row in (1, 2, 3, 4)]
    await worker.commit(job, refused=4, row=4, errors=errors, rejects=rejects)
    assert await database.fetchval("select array_agg(row_number order by id) from jobd.job_error") == [1, 1, 2]
    assert await database.fetchval("select count(*) from jobd.job_reject") == 2
    assert await database.fetchval("select sum(count) from jobd.job_error_group") == 5
    row = await row_of(database, job["id"])
    assert (row["error_count"], row["errors_not_stored"]) == (100_002, 2)


async def grant_and_claim(database: Database) -> tuple[Submitter, asyncpg.Record]:
    clerk = await make_submitter(database)
    worker = await register(database)
    await clerk.submit()
    (job,) = await worker.claim()
    return clerk, job


async def test_only_the_submitters_login_commits_its_batches(database: Database) -> None:
    clerk, job = await grant_and_claim(database)
    login = await database.connect(clerk.login)
    assert (await commit_batch(login, job, added=1, row=1))["lease_token"] == 1
    other = await make_submitter(database)
    worker = await make_member(database, "jobd_worker")
    for connection in (
        clerk.connection,
        other.connection,
        await database.connect(other.login),
        worker,
        await database.connect(),
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await commit_batch(connection, job, added=1, row=3)


async def test_a_session_cannot_pretend_to_be_the_submitter_by_set_role(database: Database) -> None:
    clerk, job = await grant_and_claim(database)
    superuser = await database.connect()
    await superuser.execute(f"set role {clerk.role}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await commit_batch(superuser, job, added=1, row=1)


async def test_a_temporary_table_of_the_same_name_captures_nothing(database: Database) -> None:
    clerk, job = await grant_and_claim(database)
    login = await database.connect(clerk.login)
    await database.execute(f"grant temporary on database {database.name} to {clerk.role}")
    await login.execute("create temp table job (like jobd.job); create temp table submitter (like jobd.submitter)")
    await login.execute("set search_path = pg_temp, public")
    assert (await commit_batch(login, job, added=1, row=1))["processed_rows"] == 1
    assert await login.fetchval("select count(*) from pg_temp.job") == 0


async def test_progress_updates_are_hot(database: Database) -> None:
    worker = await register(database)
    await database.execute("insert into jobd.job (source) select '/srv/in/' || n from generate_series(1, 200) n")
    jobs = await worker.claim(4)
    await database.execute("select pg_stat_force_next_flush()")
    await worker.connection.execute("select pg_stat_force_next_flush()")
    count = "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'job'"
    before = await database.fetchrow(count)
    for number in range(1, 251):
        for job in jobs:
            cursor = {"byte": number * 4_000_000, "row": number, "line": number, "block_hash": "0" * 64}
            await worker.commit(job, added=1, cursor=cursor, progress=number / 3, current_file="/srv/in/a.csv")
    await worker.connection.execute("select pg_stat_force_next_flush()")
    after = await database.fetchrow(count)
    assert before is not None
    assert after is not None
    updates, hot = after[0] - before[0], after[1] - before[1]
    assert updates == 1000
    assert hot >= 0.95 * updates, f"{hot} of {updates} were HOT"


async def test_a_batch_commit_notifies_nobody_and_writes_no_event(
    database: Database, worker: Worker, job: asyncpg.Record
) -> None:
    listener = await database.connect()
    heard: list[str] = []
    for channel in ("jobd_job", "jobd_control", "jobd_event"):
        await listener.add_listener(channel, lambda *call: heard.append(call[2]))
    events = await database.fetchval("select count(*) from jobd.job_event")
    await worker.commit(job, added=1, row=1)
    await listener.fetchval("select 1")
    assert heard == []
    assert await database.fetchval("select count(*) from jobd.job_event") == events


async def test_what_is_found_out_at_the_start_is_written_down(
    database: Database, worker: Worker, job: asyncpg.Record
) -> None:
    call = "select jobd.begin($1, 1, $2, p_estimated_rows => $3, p_total_rows => $4, p_file_hash => $5)"
    await worker.connection.execute(call, job["id"], '{"delimiter": ";"}', 100, None, None)
    await worker.connection.execute(call, job["id"], None, None, 99, "0" * 64)
    row = await row_of(database, job["id"])
    assert (json.loads(row["detected"]), row["estimated_rows"], row["total_rows"], row["file_hash"]) == (
        {"delimiter": ";"}, 100, 99, "0" * 64,
    )  # fmt: skip
    assert row["version"] == job["version"]
    with pytest.raises(asyncpg.PostgresError) as refusal:
        await worker.connection.execute("select jobd.begin($1, 9, null)", job["id"])
    assert refusal.value.sqlstate == "JB001"


async def test_a_jobs_log_is_bounded(database: Database, worker: Worker, job: asyncpg.Record) -> None:
    await worker.connection.execute(
        "select jobd.log($1, 'info', 'step', jsonb_build_object('n', n)) from generate_series(1, 1010) n",
        job["id"],
    )
    assert await database.fetchval("select count(*) from jobd.job_log where job_id = $1", job["id"]) == 1000
