"""What an application may insert, what it gets, and what it is told when it may not."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import asyncpg
import pytest

from jobd.model.options import KNOWN, NOT_BUILT
from tests.sql.jobs import events_of, row_of
from tests.sql.roles import make_member, make_role, make_submitter, submit

if TYPE_CHECKING:
    from tests.support.database import Database

COLUMNS = """
select attname::text from pg_attribute
where attrelid = 'jobd.job'::regclass and attnum > 0 and not attisdropped
order by attnum
"""
KEPT = {
    "status": "'running'",
    "version": "2",
    "cancel_requested": "true",
    "retry_count": "1",
    "interrupt_count": "1",
    "lost_lease_count": "1",
    "duplicate_of": "gen_random_uuid()",
    "parent_id": "gen_random_uuid()",
    "total_rows": "1",
    "processed_rows": "1",
    "success_count": "1",
    "error_count": "1",
    "items_added": "1",
    "items_updated": "1",
    "items_unchanged": "1",
    "items_skipped": "1",
    "items_removed": "1",
    "errors_not_stored": "1",
    "progress": "1",
    "files_total": "1",
    "files_done": "1",
    "current_file": "'a'",
    "cursor": "'{}'",
    "result": "'{}'",
    "error_code": "'a'",
    "error_message": "'a'",
    "waiting_reason": "'a'",
    "worker_id": "gen_random_uuid()",
    "lease_token": "1",
    "cancellation_reason": "'a'",
    "submitted_role": "'postgres'",
    "created_at": "now() - interval '1 day'",
    "updated_at": "now() + interval '1 day'",
    "started_at": "now()",
    "completed_at": "now()",
    "cancelled_at": "now()",
    "paused_at": "now()",
    "submitted_role_oid": "10",
    "is_held": "true",
    "detected": "'{}'",
    "ran_seconds": "1",
    "changed_by": "'a'",
    "erased_at": "now()",
}


async def test_a_row_with_nothing_but_a_source_and_a_target_is_a_job(database: Database) -> None:
    job_id = await submit(await database.connect(), source="/srv/in/flights.csv", target="public.flights")
    row = await row_of(database, job_id)
    assert (row["job_type"], row["queue"], row["priority"], row["status"]) == (
        "import",
        "default",
        "normal",
        "pending",
    )
    assert (row["filename"], row["version"], row["max_retries"]) == ("flights.csv", 1, 3)
    assert row["created_at"] == row["updated_at"]
    assert await events_of(database, job_id) == [("submitted", None, "pending")]


@pytest.mark.parametrize("column", KEPT)
async def test_a_column_of_jobds_is_refused_by_name(database: Database, column: str) -> None:
    with pytest.raises(asyncpg.PostgresError) as refusal:
        await database.execute(f"insert into jobd.job (source, {column}) values ('a', {KEPT[column]})")
    assert refusal.value.sqlstate == "JB005"
    assert f'"{column}"' in str(refusal.value)
    assert refusal.value.hint


async def test_every_column_is_either_settable_or_refused(database: Database) -> None:
    settable = {
        "id", "job_type", "queue", "priority", "serial_key", "run_at", "source", "source_type", "filename",
        "file_hash", "target", "handler", "options", "metadata", "created_by", "tenant", "related_dataset_id",
        "idempotency_key", "estimated_rows", "max_retries", "batch_id", "after", "pause_requested",
    }  # fmt: skip
    internal = {"claimed_at", "gate_checked_at", "retry_requested", "change_reason"}
    columns = {row[0] for row in await database.fetch(COLUMNS)}
    assert columns == settable | set(KEPT) | internal


async def test_defaults_and_nulls_of_object_mappers_pass_for_every_column(database: Database) -> None:
    names = [row[0] for row in await database.fetch(COLUMNS)]
    columns = ", ".join(f'"{name}"' for name in names)
    await database.execute(f"insert into jobd.job ({columns}) values ({', '.join('default' for _ in names)})")
    nullable = "id, status, version, queue, priority, options, metadata, created_at, run_at, cursor, worker_id"
    await database.execute(
        f"insert into jobd.job ({nullable}) values ({', '.join('null' for _ in nullable.split(','))})"
    )
    await database.execute(
        "insert into jobd.job (status, version, created_at, updated_at, progress, lease_token, cancel_requested)"
        " values ('pending', 1, now(), now(), 0, 0, false)"
    )
    assert await database.fetchval("select count(*) from jobd.job where status = 'pending'") == 3


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("job_type", "imports", "import, export, validation, processing"),
        ("source_type", "parquet", "csv, json"),
        ("priority", "urgent", "low, normal, high"),
        ("queue", "a b", "letters, digits"),
        ("queue", "x" * 64, "letters, digits"),
        ("file_hash", "ABC", "SHA-256"),
        ("max_retries", -1, "0 or more"),
        ("estimated_rows", -1, "0 or more"),
        ("options", "[]", "JSON object"),
        ("metadata", "1", "JSON object"),
    ],
)
async def test_a_malformed_value_is_refused_with_what_is_expected(
    database: Database, column: str, value: object, expected: str
) -> None:
    with pytest.raises(asyncpg.CheckViolationError) as refusal:
        await submit(await database.connect(), **{column: value})
    assert column in str(refusal.value)
    assert expected in (refusal.value.hint or "")
    assert not refusal.value.detail, "the row's data is not shown"


@pytest.mark.parametrize(
    ("option", "nearest"),
    [("keys", "key"), ("onconflict", "on_conflict"), ("delimeter", "delimiter"), ("Encoding", "encoding")],
)
async def test_an_unknown_option_is_refused_with_the_nearest_known_one(
    database: Database, option: str, nearest: str
) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match=f'unknown option "{option}"') as refusal:
        await submit(await database.connect(), options=f'{{"key": ["id"], "{option}": 1}}')
    assert f'"{nearest}"' in (refusal.value.hint or "")


async def test_every_known_option_is_accepted(database: Database) -> None:
    options = await database.fetchval("select jsonb_object_agg(name, null)::text from jobd.option")
    await submit(await database.connect(), options=options)
    built = await database.fetch("select name from jobd.option where is_built")
    assert {row[0] for row in built} == KNOWN - NOT_BUILT


async def test_a_role_that_is_no_submitter_is_told_about_grant(database: Database) -> None:
    clerk = await make_submitter(database)
    role = await make_role(database, "stranger")
    await database.execute(f"grant jobd_submitter to {role}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError) as refusal:
        await submit(await database.connect(role))
    assert refusal.value.hint == f"An administrator runs: jobd grant {role}"
    assert (await row_of(database, await clerk.submit()))["submitted_role"] == clerk.role


async def test_a_member_submits_as_its_submitter_and_one_of_several_must_choose(database: Database) -> None:
    one, two = await make_submitter(database), await make_submitter(database)
    member = await make_member(database, one.role)
    assert (await row_of(database, await submit(member)))["submitted_role"] == one.role
    both = await make_member(database, one.role, two.role)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="several submitters") as refusal:
        await submit(both)
    assert "set local role" in (refusal.value.hint or "")
    async with both.transaction():
        await both.execute(f"set local role {two.role}")
        job_id = await submit(both)
    row = await row_of(database, job_id)
    assert (row["submitted_role"], row["changed_by"]) == (two.role, two.role)


async def test_a_submitter_without_a_login_is_refused_until_it_has_one(database: Database) -> None:
    clerk = await make_submitter(database)
    await database.execute("update jobd.submitter set login_oid = null where role_name = $1", clerk.role)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="no login"):
        await clerk.submit()


async def test_a_job_may_start_paused(database: Database) -> None:
    job_id = await submit(await database.connect(), pause_requested=True)
    row = await row_of(database, job_id)
    assert (row["status"], row["pause_requested"]) == ("paused", False)
    assert row["paused_at"] is not None
    assert await database.fetchval("select jobd.resume($1)", job_id)


async def test_a_job_of_a_transaction_that_rolls_back_never_existed(database: Database) -> None:
    listener = await database.connect()
    heard: list[str] = []
    await listener.add_listener("jobd_job", lambda *call: heard.append(call[3]))
    connection = await database.connect()
    transaction = connection.transaction()
    await transaction.start()
    await submit(connection, queue="never")
    await transaction.rollback()
    for table in ("job", "job_event"):
        assert await database.fetchval(f"select count(*) from jobd.{table}") == 0
    assert await database.fetchval("select count(*) from jobd.queue where name = 'never'") == 0
    await submit(connection, queue="after")
    await listener.fetchval("select 1")
    assert heard == ["after"]


async def test_a_queue_is_made_at_its_first_use(database: Database) -> None:
    await submit(await database.connect(), queue="reports")
    assert await database.fetchval("select count(*) from jobd.queue where name = 'reports'") == 1


@pytest.mark.parametrize(
    ("source", "filename"),
    [
        ("/srv/in/a.csv", "a.csv"),
        ("/srv/in/", "in"),
        ("a.csv", "a.csv"),
        ("https://host/x/b.csv?token=1/2", "b.csv"),
        ("s3://bucket/k/c.jsonl.gz", "c.jsonl.gz"),
        (None, None),
    ],
)
async def test_the_filename_is_the_last_part_of_the_source(
    database: Database, source: str | None, filename: str | None
) -> None:
    job_id = await submit(await database.connect(), source=source)
    assert (await row_of(database, job_id))["filename"] == filename


async def test_ids_are_version_7_and_sort_as_they_were_made(database: Database) -> None:
    await database.execute("insert into jobd.job (source) select n::text from generate_series(1, 3000) n")
    ids = [row["id"] for row in await database.fetch("select id from jobd.job order by source::int")]
    assert ids == sorted(ids)
    assert {job_id.version for job_id in ids} == {7}


async def test_a_job_to_wait_for_must_exist(database: Database) -> None:
    unknown = uuid4()
    with pytest.raises(asyncpg.ForeignKeyViolationError, match=str(unknown)):
        await submit(await database.connect(), after=[unknown])


async def test_a_submitter_cannot_wait_for_anothers_job(database: Database) -> None:
    mine, other = await make_submitter(database), await make_submitter(database)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await mine.submit(after=[await other.submit()])


async def test_a_blob_belongs_to_whoever_inserts_it(database: Database) -> None:
    clerk = await make_submitter(database)
    blob = await clerk.connection.fetchrow("insert into jobd.blob (data) values ('abc') returning *")
    assert blob is not None
    assert (blob["submitted_role"], blob["size_bytes"]) == (clerk.role, 3)
    assert isinstance(blob["id"], UUID)


async def test_a_thousand_rows_in_one_statement_write_one_notification_per_queue(database: Database) -> None:
    listener = await database.connect()
    heard: list[str] = []
    await listener.add_listener("jobd_job", lambda *call: heard.append(call[3]))
    await database.execute(
        "insert into jobd.job (source, queue) select 's', 'q' || n % 2 from generate_series(1, 1000) n"
    )
    await listener.fetchval("select 1")
    assert sorted(heard) == ["q0", "q1"]


async def test_copy_into_the_job_table_is_refused_to_submitters(database: Database) -> None:
    """Row-level security does not work with COPY: jobs are submitted by INSERT."""
    clerk = await make_submitter(database)
    with pytest.raises(asyncpg.FeatureNotSupportedError):
        await clerk.connection.copy_records_to_table(
            "job", schema_name="jobd", columns=["source"], records=[("a",)]
        )
