"""A submitter sees and controls its own jobs, and nobody else's; who is none is told how to become one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.sql.roles import SUBMIT, make_member, make_submitter, submit

if TYPE_CHECKING:
    from tests.support.database import Database

pytestmark = pytest.mark.each_postgres

OWN_TABLES = (
    "job", "job_event", "job_error", "job_error_group", "job_reject", "job_log", "job_file", "job_change",
    "import_ledger", "blob", "submitter",
)  # fmt: skip
ABOUT_JOBS = ("job_event", "job_error", "job_error_group", "job_reject", "job_log", "job_file", "job_change")


async def fill(database: Database, job_id: object) -> None:
    """One row about this job in every table that has rows about jobs."""
    await database.execute("set role jobd_owner")
    columns = {
        "job_error": "error_type, code, message) select 'parse', 'ragged', 'too few fields'",
        "job_error_group": "code, count) select 'ragged', 1",
        "job_reject": "file, row_number, record) select 'a.csv', 1, 'x'",
        "job_log": "level, event) select 'info', 'opened'",
        "job_file": "position, file) select 1, 'a.csv'",
        "job_change": "key, change) select '{}', 'added'",
        "import_ledger": (
            "submitted_role, target, settings, file_hash, processed_rows) select 'x', 't', '{}', 'f', 1"
        ),
    }
    for table, rest in columns.items():
        names, values = rest.split(") select ")
        await database.execute(
            f"insert into jobd.{table} (job_id, submitted_role_oid, {names})"
            f" select id, submitted_role_oid, {values} from jobd.job where id = $1",
            job_id,
        )
    await database.execute("reset role")


async def test_a_submitter_sees_its_own_rows_in_every_table_and_no_others(database: Database) -> None:
    mine, theirs = await make_submitter(database), await make_submitter(database)
    for submitter in (mine, theirs):
        await fill(database, await submitter.submit())
        await submitter.connection.execute("insert into jobd.blob (data) values ('x')")
    for table in OWN_TABLES:
        owner = "role_oid" if table == "submitter" else "submitted_role_oid"
        owners = await mine.connection.fetch(f"select distinct {owner}::regrole::text from jobd.{table}")
        assert [row[0] for row in owners] == [mine.role], table
        everything = await database.fetchval(f"select count(*) from jobd.{table}")
        assert everything >= 2, table


async def test_an_update_reaches_only_own_jobs(database: Database) -> None:
    mine, theirs = await make_submitter(database), await make_submitter(database)
    job_id = await theirs.submit()
    for change in ("cancel_requested = true", "priority = 'high'", "metadata = '{}'", "pause_requested = true"):
        assert await mine.connection.execute(f"update jobd.job set {change}") == "UPDATE 0"
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await mine.connection.execute("delete from jobd.job")
    assert await database.fetchval("select status from jobd.job where id = $1", job_id) == "pending"


@pytest.mark.parametrize(
    "call",
    [
        "jobd.cancel($1)", "jobd.pause($1)", "jobd.resume($1)", "jobd.retry($1)", "jobd.set_priority($1, 'high')",
        "jobd.explain($1)", "jobd.erase($1)", "jobd.job_errors_json($1)",
    ],
)  # fmt: skip
async def test_a_function_does_not_find_another_submitters_job(database: Database, call: str) -> None:
    mine, theirs = await make_submitter(database), await make_submitter(database)
    job_id = await theirs.submit()
    with pytest.raises(asyncpg.NoDataFoundError, match=str(job_id)):
        await mine.connection.fetchval(f"select {call}", job_id)
    assert (
        await database.fetchval("select (status, version)::text from jobd.job where id = $1", job_id)
        == "(pending,1)"
    )


async def test_batch_functions_count_only_own_jobs(database: Database) -> None:
    mine, theirs = await make_submitter(database), await make_submitter(database)
    batch_id = await database.fetchval("select gen_random_uuid()")
    await mine.submit(batch_id=batch_id)
    other = await theirs.submit(batch_id=batch_id)
    assert await mine.connection.fetchval("select jobd.pause_batch($1)", batch_id) == 1
    assert await mine.connection.fetchval("select jobd.resume_batch($1)", batch_id) == 1
    assert await mine.connection.fetchval("select jobd.cancel_batch($1, 'enough')", batch_id) == 1
    assert await database.fetchval("select status from jobd.job where id = $1", other) == "pending"


async def test_a_submitter_controls_its_own_jobs_through_functions_and_flags(database: Database) -> None:
    mine = await make_submitter(database)
    job_id = await mine.submit()
    connection = mine.connection
    assert await connection.fetchval("select jobd.pause($1)", job_id)
    assert await connection.fetchval("select jobd.resume($1)", job_id)
    assert await connection.fetchval("select jobd.set_priority($1, 'high')", job_id)
    assert await connection.fetchval("select jobd.cancel($1, 'not needed')", job_id)
    assert await connection.fetchval("select jobd.retry($1)", job_id)
    await connection.execute("update jobd.job set cancel_requested = true where id = $1", job_id)
    assert await connection.fetchval("select status from jobd.job where id = $1", job_id) == "cancelled"
    events = await connection.fetch("select distinct actor from jobd.job_event where job_id = $1", job_id)
    assert [event["actor"] for event in events] == [mine.role]


async def test_a_role_that_was_never_granted_is_told_what_to_run(database: Database) -> None:
    stranger = await make_member(database)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):  # not even the schema is open to it
        await stranger.execute(SUBMIT)
    half_way = await make_member(database, "jobd_submitter")
    role = await half_way.fetchval("select current_user")
    with pytest.raises(asyncpg.InsufficientPrivilegeError) as refused:
        await half_way.execute(SUBMIT)
    assert f"jobd grant {role}" in (refused.value.hint or "")
    assert await half_way.fetchval("select count(*) from jobd.job") == 0


async def test_a_submitter_whose_login_is_gone_is_told_what_to_run(database: Database) -> None:
    mine = await make_submitter(database)
    await database.execute(f"drop role {mine.login}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError) as refused:
        await mine.submit()
    assert f"jobd grant {mine.role}" in (refused.value.hint or "")


async def test_a_member_of_a_submitter_submits_for_it_and_sees_its_jobs(database: Database) -> None:
    company = await make_submitter(database, "company")
    member = await make_member(database, company.role)
    job_id = await submit(member)
    assert (
        await company.connection.fetchval("select submitted_role from jobd.job where id = $1", job_id)
        == company.role
    )
    assert await member.fetchval("select jobd.cancel($1)", job_id)
    actor = await database.fetchval(
        "select actor from jobd.job_event where job_id = $1 order by id limit 1", job_id
    )
    assert actor == await member.fetchval("select current_user")


async def test_a_member_of_two_submitters_has_to_say_for_which(database: Database) -> None:
    one, two = await make_submitter(database), await make_submitter(database)
    member = await make_member(database, one.role, two.role)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="several submitters") as refused:
        await submit(member)
    assert "set local role" in (refused.value.hint or "")
    async with member.transaction():
        await member.execute(f"set local role {two.role}")
        job_id = await submit(member)
        assert await member.fetchval("select count(*) from jobd.job") == 1
    await one.submit()
    assert await member.fetchval("select count(*) from jobd.job") == 2
    assert await database.fetchval("select submitted_role from jobd.job where id = $1", job_id) == two.role


async def test_a_superuser_submits_as_itself_though_it_counts_as_member_of_everything(database: Database) -> None:
    await make_submitter(database)
    job_id = await database.fetchval(SUBMIT)
    assert await database.fetchval("select submitted_role from jobd.job where id = $1", job_id) == "postgres"


async def test_a_superuser_that_takes_a_submitters_role_submits_for_it_and_sees_only_its_jobs(
    database: Database,
) -> None:
    mine = await make_submitter(database)
    await database.fetchval(SUBMIT)
    connection = await database.connect()
    await connection.execute(f"set role {mine.role}")
    assert await connection.fetchval("select count(*) from jobd.job") == 0
    job_id = await submit(connection)
    assert await mine.connection.fetchval("select submitted_role from jobd.job where id = $1", job_id) == mine.role


async def test_a_role_made_again_under_the_same_name_does_not_inherit_jobs(database: Database) -> None:
    first = await make_submitter(database)
    job_id = await first.submit(idempotency_key="monthly")
    await first.connection.close()
    await database.execute(f"drop owned by {first.role}")
    await database.execute(f"drop role {first.role}")
    await database.execute(f"create role {first.role} login")
    await database.execute("select jobd.grant_submitter($1)", first.role)
    second = await database.connect(first.role)
    assert await second.fetchval("select count(*) from jobd.job") == 0
    assert await second.fetchval("select count(*) from jobd.active_jobs") == 0
    with pytest.raises(asyncpg.NoDataFoundError):
        await second.fetchval("select jobd.cancel($1)", job_id)
    assert await submit(second, idempotency_key="monthly") != job_id


async def test_a_submitter_cannot_submit_in_anothers_name(database: Database) -> None:
    mine, theirs = await make_submitter(database), await make_submitter(database)
    for column, value in (("submitted_role", theirs.role), ("submitted_role_oid", 10)):
        with pytest.raises(asyncpg.PostgresError, match=column) as refused:
            await mine.submit(**{column: value})
        assert refused.value.sqlstate == "JB005"
        assert refused.value.hint


async def test_a_column_that_jobd_keeps_is_named_with_what_to_do(database: Database) -> None:
    mine = await make_submitter(database)
    job_id = await mine.submit()
    for column, value in (
        ("status", "completed"),
        ("lease_token", 7),
        ("processed_rows", 5),
        ("worker_id", job_id),
    ):
        with pytest.raises(asyncpg.PostgresError, match=f'"{column}"') as at_insert:
            await mine.submit(**{column: value})
        with pytest.raises(asyncpg.PostgresError, match=f'"{column}"|cannot become') as at_update:
            await mine.connection.execute(f"update jobd.job set {column} = $1 where id = $2", value, job_id)
        assert at_insert.value.hint
        assert at_update.value.hint


@pytest.mark.parametrize("table", ABOUT_JOBS)
async def test_a_submitter_cannot_write_what_jobd_writes_about_a_job(database: Database, table: str) -> None:
    mine = await make_submitter(database)
    await fill(database, await mine.submit())
    for statement in (f"delete from jobd.{table}", f"update jobd.{table} set job_id = job_id"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await mine.connection.execute(statement)


async def test_a_blob_is_seen_and_removed_by_its_owner_only(database: Database) -> None:
    mine, theirs = await make_submitter(database), await make_submitter(database)
    blob_id = await mine.connection.fetchval("insert into jobd.blob (data) values ('x') returning id")
    assert await theirs.connection.execute("delete from jobd.blob where id = $1", blob_id) == "DELETE 0"
    role = await database.fetchval("select submitted_role from jobd.blob where id = $1", blob_id)
    assert role == mine.role
    assert await mine.connection.execute("delete from jobd.blob where id = $1", blob_id) == "DELETE 1"


async def test_copy_into_the_job_table_is_refused_and_insert_returning_works(database: Database) -> None:
    mine = await make_submitter(database)
    with pytest.raises(asyncpg.FeatureNotSupportedError):
        await mine.connection.copy_records_to_table(
            "job", schema_name="jobd", records=[("/a", "t")], columns=["source", "target"]
        )
    assert await mine.connection.fetchval(SUBMIT) is not None


async def test_on_conflict_do_nothing_works_under_row_security(database: Database) -> None:
    mine, theirs = await make_submitter(database), await make_submitter(database)
    statement = (
        "insert into jobd.job (source, target, idempotency_key) values ('/a.csv', 't', 'nightly')"
        " on conflict do nothing returning id"
    )
    assert await mine.connection.fetchval(statement) is not None
    assert await mine.connection.fetchval(statement) is None
    assert await theirs.connection.fetchval(statement) is not None  # a key belongs to its submitter
