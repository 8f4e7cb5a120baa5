"""prune deletes what ended long ago, whole; erase removes what may be personal and keeps what was counted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.sql.roles import make_member, make_submitter, submit
from tests.sql.test_rights_submitter import ABOUT_JOBS, fill

if TYPE_CHECKING:
    from uuid import UUID

    from tests.support.database import Database


async def make_ended(database: Database, count: int, status: str = "completed", age: str = "100 days") -> None:
    """Jobs that ended; the first of them ended first. Triggers are passed by, as a restored dump would."""
    await database.execute("set session_replication_role = replica")
    await database.execute(
        "insert into jobd.job (source, status, created_at, updated_at, completed_at, cancelled_at, progress,"
        " submitted_role, submitted_role_oid)"
        " select 's' || n, $2, at, at, at, case when $2 = 'cancelled' then at end,"
        " case when $2 = 'completed' then 100 else 0 end, 'postgres', 10"
        " from generate_series(1, $1) n,"
        " lateral (select now() - $3::text::interval + n * interval '1 second') t (at)",
        count,
        status,
        age,
    )
    await database.execute("reset session_replication_role")


async def end(database: Database, job_id: UUID, status: str = "completed") -> None:
    """Let a job run and end, as its own worker would."""
    await database.execute("set role jobd_owner")
    await database.execute(
        "update jobd.job set status = 'running', worker_id = gen_random_uuid(), lease_token = lease_token + 1,"
        " started_at = now(), claimed_at = now() where id = $1",
        job_id,
    )
    await database.execute(
        "update jobd.job set status = $2, worker_id = null, completed_at = clock_timestamp(),"
        " cancelled_at = case when $2 = 'cancelled' then clock_timestamp() end,"
        " progress = case when $2 = 'completed' then 100 else progress end where id = $1",
        job_id,
        status,
    )
    await database.execute("reset role")


async def orphans(database: Database) -> dict[str, int]:
    found = {
        table: await database.fetchval(
            f"select count(*) from jobd.{table} t where not exists (select from jobd.job j where j.id = t.job_id)"
        )
        for table in ABOUT_JOBS
    }
    return {table: count for table, count in found.items() if count}


async def test_prune_deletes_ten_thousand_jobs_a_call_oldest_first_until_none_is_left(database: Database) -> None:
    await make_ended(database, 10_500)
    assert await database.fetchval("select jobd.prune()") == 10_000
    left = await database.fetchrow("select min(substr(source, 2)::int), count(*) from jobd.job")
    assert tuple(left or ()) == (10_001, 500)
    assert await database.fetchval("select jobd.prune()") == 500
    assert await database.fetchval("select jobd.prune()") == 0


async def test_prune_keeps_failed_jobs_unless_told_otherwise_and_what_is_younger(database: Database) -> None:
    for status in ("completed", "failed", "cancelled"):
        await make_ended(database, 1, status)
        await make_ended(database, 1, status, age="80 days")
    pending = await submit(await database.connect())
    assert await database.fetchval("select jobd.prune()") == 2
    assert await database.fetchval("select jobd.prune(keep_failed => false)") == 1
    assert await database.fetchval("select jobd.prune(interval '0', false)") == 3
    assert [row["id"] for row in await database.fetch("select id from jobd.job")] == [pending]


async def test_prune_takes_along_what_was_written_about_a_job_and_leaves_no_orphans(database: Database) -> None:
    mine = await make_submitter(database)
    blob_id = await mine.connection.fetchval("insert into jobd.blob (data) values ('x') returning id")
    gone, kept = await mine.submit(source=f"blob:{blob_id}"), await mine.submit()
    for job_id in (gone, kept):
        await fill(database, job_id)
    await end(database, gone)
    assert await database.fetchval("select jobd.prune(interval '0')") == 1
    assert await orphans(database) == {}
    for table in ABOUT_JOBS:
        jobs = await database.fetch(f"select distinct job_id from jobd.{table}")
        assert [row["job_id"] for row in jobs] == [kept], table
    assert await database.fetchval("select count(*) from jobd.blob") == 0
    # The ledger outlives pruning: the content is still recognised.
    assert await database.fetchval("select count(*) from jobd.import_ledger where job_id = $1", gone) == 1


async def test_prune_ledger_forgets_the_oldest_content_first_and_keeps_what_is_younger(database: Database) -> None:
    await database.execute(
        "insert into jobd.import_ledger"
        " (submitted_role, submitted_role_oid, target, settings, file_hash, job_id, processed_rows, created_at)"
        " select 'postgres', 10, 't', '{}', n, gen_random_uuid(), 1,"
        " now() - interval '100 days' + n * interval '1 minute' from generate_series(1, 10_500) n"
    )
    left = "select min(file_hash::int), count(*) from jobd.import_ledger"
    assert await database.fetchval("select jobd.prune_ledger(interval '99 days')") == 1440
    assert tuple(await database.fetchrow(left) or ()) == (1441, 10_500 - 1440)
    assert await database.fetchval("select jobd.prune_ledger(interval '0')") == 10_500 - 1440
    assert await database.fetchval("select jobd.prune_ledger(interval '0')") == 0
    for wrong in ("null", "interval '-1 day'"):
        with pytest.raises(asyncpg.InvalidParameterValueError, match="must be an age"):
            await database.execute(f"select jobd.prune_ledger({wrong})")


async def test_prune_leaves_a_blob_that_another_submitter_owns_or_a_waiting_job_reads(database: Database) -> None:
    mine, theirs = await make_submitter(database), await make_submitter(database)
    blobs = [
        await mine.connection.fetchval("insert into jobd.blob (data) values ('x') returning id") for _ in "ab"
    ]
    await mine.submit(source=f"blob:{blobs[0]}")
    for submitter, blob_id in ((mine, blobs[0]), (theirs, blobs[1])):
        await end(database, await submitter.submit(source=f"blob:{blob_id}"))
    assert await database.fetchval("select jobd.prune(interval '0')") == 2
    assert await database.fetchval("select count(*) from jobd.blob") == 2


async def test_prune_leaves_a_job_that_another_still_waits_for(database: Database) -> None:
    connection = await database.connect()
    first = await submit(connection)
    second = await submit(connection)
    waiting = await submit(connection, after=[first, second])
    await end(database, first)
    assert await database.fetchval("select jobd.prune(interval '0')") == 0
    await connection.fetchval("select jobd.cancel($1)", waiting)
    assert await database.fetchval("select jobd.prune(interval '0')") == 2


async def test_prune_passes_over_a_job_that_somebody_has_locked(database: Database) -> None:
    await make_ended(database, 3)
    holder = await database.connect()
    async with holder.transaction():
        await holder.execute("select from jobd.job where source = 's1' for update")
        assert await database.fetchval("select jobd.prune()") == 2
    assert await database.fetchval("select jobd.prune()") == 1


async def test_prune_stops_at_a_million_errors_and_still_takes_one_job(database: Database) -> None:
    await make_ended(database, 3)
    await database.execute("set session_replication_role = replica")
    await database.execute("update jobd.job set error_count = 1500000, processed_rows = 1500000")
    await database.execute("reset session_replication_role")
    assert [await database.fetchval("select jobd.prune()") for _ in range(4)] == [1, 1, 1, 0]


async def test_prune_refuses_an_age_that_is_none(database: Database) -> None:
    for age in ("-1 day", None):
        with pytest.raises(asyncpg.InvalidParameterValueError, match="older_than"):
            await database.fetchval("select jobd.prune($1::text::interval)", age)


async def test_prune_is_for_administrators_and_the_daemon(database: Database) -> None:
    mine = await make_submitter(database)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await mine.connection.fetchval("select jobd.prune()")
    for group in ("jobd_admin", "jobd_worker"):
        assert await (await make_member(database, group)).fetchval("select jobd.prune()") == 0


PERSONAL = """
update jobd.job
set cursor = '{"file": "Smith"}', detected = '{"header": ["Smith"]}', result = '["Smith"]', current_file = 'Smith',
    error_message = 'Smith', processed_rows = 3, error_count = 3, file_hash = repeat('a', 64)
where id = $1;
update jobd.job_error
set file = 'Smith', raw_data = 'Smith', message = 'Smith is no number', row_number = 7
where job_id = $1;
insert into jobd.job_error_group (job_id, submitted_role_oid, code, count, file, field, first_row)
select $1, submitted_role_oid, 'ragged', 2, file, null, 5
from jobd.job j, unnest(array['Smith', 'B']) file
where j.id = $1;
update jobd.job_reject set record = 'Smith', file = 'Smith' where job_id = $1;
update jobd.job_log set data = '"Smith"' where job_id = $1;
update jobd.job_file set file = 'Smith' where job_id = $1;
update jobd.job_change set key = '["Smith"]', before = '"Smith"', after = '"Smith"' where job_id = $1;
update jobd.job_event set reason = 'Smith', data = '"Smith"' where job_id = $1;
update jobd.import_ledger set filename = 'Smith' where job_id = $1;
"""


async def make_personal(database: Database) -> tuple[asyncpg.Connection, UUID]:
    """A job that ended, with the word "Smith" wherever a person's data could be."""
    mine = await make_submitter(database)
    blob_id = await mine.connection.fetchval("insert into jobd.blob (data) values ('Smith') returning id")
    job_id = await mine.submit(
        source=f"blob:{blob_id}", filename="Smith.csv", metadata=json.dumps({"name": "Smith"}), idempotency_key="k"
    )
    await fill(database, job_id)
    await end(database, job_id)
    await database.execute("set session_replication_role = replica")
    await database.execute(PERSONAL.replace("$1", f"'{job_id}'"))
    await database.execute("reset session_replication_role")
    return mine.connection, job_id


async def places_of(database: Database, word: str) -> list[str]:
    tables = await database.fetch(
        "select oid::regclass::text as name from pg_class"
        " where relnamespace = 'jobd'::regnamespace and relkind = 'r'"
    )
    found = []
    for table in tables:
        for row in await database.fetch(f"select * from {table['name']}"):
            found += [f"{table['name']}.{name}" for name, value in row.items() if word in str(value)]
    return found


async def test_erase_removes_a_persons_data_from_every_table(database: Database) -> None:
    owner, job_id = await make_personal(database)
    before = set(await places_of(database, "Smith"))
    assert {place.split(".")[1] for place in before} >= {*ABOUT_JOBS, "job", "blob", "import_ledger"} - {
        "job_error_group"
    }
    assert await owner.fetchval("select jobd.erase($1)", job_id) is True
    assert await places_of(database, "Smith") == []
    assert await owner.fetchval("select jobd.erase($1)", job_id) is False


async def test_erase_keeps_counters_key_hash_and_the_numbers_of_errors(database: Database) -> None:
    owner, job_id = await make_personal(database)
    columns = "status, processed_rows, error_count, file_hash, idempotency_key, target, submitted_role, created_at"
    before = await owner.fetchrow(f"select {columns} from jobd.job where id = $1", job_id)
    await owner.fetchval("select jobd.erase($1)", job_id)
    after = await owner.fetchrow(f"select {columns} from jobd.job where id = $1", job_id)
    assert before == after
    groups = await owner.fetch(
        "select code, field, file, count from jobd.job_error_group where job_id = $1", job_id
    )
    assert [tuple(group) for group in groups] == [("ragged", None, None, 5)]
    error = await owner.fetchrow("select row_number, code, message from jobd.job_error where job_id = $1", job_id)
    assert tuple(error or ()) == (7, "ragged", "erased")
    # Still the job that holds its key, and still content that was imported.
    with pytest.raises(asyncpg.UniqueViolationError):
        await submit(owner, idempotency_key="k")
    assert await owner.fetchval("select file_hash from jobd.import_ledger where job_id = $1", job_id) == "f"


async def test_erase_leaves_an_event_that_says_who_did_it(database: Database) -> None:
    owner, job_id = await make_personal(database)
    await owner.fetchval("select jobd.erase($1)", job_id)
    event = await owner.fetchrow(
        "select event_type, actor, new_status from jobd.job_event where job_id = $1 order by id desc limit 1",
        job_id,
    )
    assert tuple(event or ()) == ("erased", await owner.fetchval("select current_user"), "completed")


async def test_erase_refuses_a_job_that_has_not_ended(database: Database) -> None:
    mine = await make_submitter(database)
    job_id = await mine.submit()
    with pytest.raises(asyncpg.PostgresError, match="only a job that has ended") as refused:
        await mine.connection.fetchval("select jobd.erase($1)", job_id)
    assert refused.value.sqlstate == "JB004"
    assert "jobd.cancel" in (refused.value.hint or "")


async def test_erase_refuses_while_another_job_still_reads_the_same_bytes(database: Database) -> None:
    owner, job_id = await make_personal(database)
    source = await owner.fetchval("select source from jobd.job where id = $1", job_id)
    other = await submit(owner, source=source)
    with pytest.raises(asyncpg.PostgresError, match=str(other)) as refused:
        await owner.fetchval("select jobd.erase($1)", job_id)
    assert refused.value.sqlstate == "JB004"


async def test_erasing_is_not_taken_back(database: Database) -> None:
    owner, job_id = await make_personal(database)
    await owner.fetchval("select jobd.erase($1)", job_id)
    with pytest.raises(asyncpg.PostgresError, match="erased_at") as refused:
        await owner.execute("update jobd.job set erased_at = null where id = $1", job_id)
    assert refused.value.sqlstate == "JB005"
