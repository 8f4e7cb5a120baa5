"""Goal: whatever jobd shows or says to one submitter, nothing in it comes from another's job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.sql.jobs import commit_batch, register
from tests.sql.roles import Submitter, make_submitter

if TYPE_CHECKING:
    from uuid import UUID

    from tests.support.database import Database

pytestmark = pytest.mark.each_postgres

# In every text that a submitter can give a job. A queue's name is not one of them: queues are shared.
MARK = "k9f3secret"
RELATIONS = (
    "select c.oid::regclass::text from pg_class c where c.relnamespace = 'jobd'::regnamespace"
    " and c.relkind in ('r', 'v', 'p', 'm') and has_table_privilege('jobd_submitter', c.oid, 'select')"
)
FUNCTIONS = (
    "select p.proname::text as name, p.proargtypes::oid[]::regtype[]::text[] as types,"
    " p.pronargs - p.pronargdefaults as required"
    " from pg_proc p where p.pronamespace = 'jobd'::regnamespace and p.prorettype <> 'trigger'::regtype"
    " and has_function_privilege('jobd_submitter', p.oid, 'execute')"
)


async def make_secret_job(database: Database) -> tuple[Submitter, UUID, UUID]:
    """A running job with a batch behind it and the mark wherever a submitter, or its file, can put one."""
    submitter = await make_submitter(database)
    batch_id = await database.fetchval("select gen_random_uuid()")
    job_id = await submitter.submit(
        source=f"/srv/{MARK}.csv", target=f"{MARK}.t", filename=MARK, created_by=MARK, tenant=MARK,
        serial_key=MARK, idempotency_key=MARK, metadata=f'{{"{MARK}": 1}}',
        options=f'{{"constants": {{"{MARK}": 1}}}}',
        batch_id=batch_id,
    )  # fmt: skip
    await submitter.connection.execute("insert into jobd.blob (data, filename) values ($1, $2)", b"x", MARK)
    worker = await register(database)
    job = next(row for row in await worker.claim() if row["id"] == job_id)
    await worker.connection.execute(
        "select jobd.begin($1, $2, jsonb_build_object($3::text, 1), p_current_file => $3::text,"
        " p_file => array[$3::text], p_file_size => '{1}', p_file_modified_at => array[now()])",
        job_id,
        job["lease_token"],
        MARK,
    )
    await worker.connection.execute("select jobd.log($1, 'info', $2, '{}')", job_id, MARK)
    error = {"row": 1, "file": MARK, "field": MARK, "type": "parse", "code": MARK, "message": MARK, "raw": MARK}
    login = await database.connect(submitter.login)
    rejects = [{"row": 1, "record": MARK.encode()}]
    await commit_batch(login, job, refused=1, row=1, errors=[error], rejects=rejects, current_file=MARK)
    await database.execute(
        "insert into jobd.import_ledger (job_id, submitted_role_oid, submitted_role, target, settings, file_hash,"
        " processed_rows) select id, submitted_role_oid, submitted_role, $2, '{}', $2, 1 from jobd.job"
        " where id = $1",
        job_id,
        MARK,
    )
    await database.execute(
        "insert into jobd.job_change (job_id, key, change, submitted_role_oid)"
        " select id, to_jsonb($2::text), 'added', submitted_role_oid from jobd.job where id = $1",
        job_id,
        MARK,
    )
    return submitter, job_id, batch_id


async def test_no_relation_shows_anything_of_anothers_job(database: Database) -> None:
    owner, job_id, _ = await make_secret_job(database)
    other = await make_submitter(database)
    seen_by_owner = 0
    for row in await database.fetch(RELATIONS):
        statement = f"select r::text from {row[0]} r where strpos(r::text, $1) > 0 or strpos(r::text, $2) > 0"
        seen_by_owner += bool(await owner.connection.fetch(statement, MARK, str(job_id)))
        assert await other.connection.fetch(statement, MARK, str(job_id)) == [], row[0]
    assert seen_by_owner >= 11  # or the mark is nowhere, and its absence says nothing


async def test_nor_do_the_planners_statistics(database: Database) -> None:
    await make_secret_job(database)
    other = await make_submitter(database)
    await database.execute("analyze")
    for view in ("pg_stats", "pg_stats_ext", "pg_stat_activity", "pg_stat_progress_copy"):
        assert await other.connection.fetch(f"select 1 from {view} v where strpos(v::text, $1) > 0", MARK) == []


async def test_a_function_of_the_callers_sees_no_row_that_it_may_not_see(database: Database) -> None:
    await make_secret_job(database)
    other = await make_submitter(database)
    await other.connection.execute("create temporary table overheard (what text)")
    await other.connection.execute(
        "create function pg_temp.overhear(what text) returns boolean language plpgsql cost 0.0000001 as"
        " $$ begin insert into overheard values (what); return true; end $$"
    )
    for row in await database.fetch(RELATIONS):
        await other.connection.fetch(f"select 1 from {row[0]} r where pg_temp.overhear(r::text)")
    heard = await other.connection.fetch("select what from overheard where strpos(what, $1) > 0", MARK)
    assert heard == []


async def test_no_function_tells_anything_of_anothers_job(database: Database) -> None:
    owner, job_id, batch_id = await make_secret_job(database)
    other = await make_submitter(database)
    oid = await database.fetchval("select submitted_role_oid from jobd.job where id = $1", job_id)
    before = await database.fetchrow("select j::text from jobd.job j where id = $1", job_id)
    own_job = await other.submit()
    fake = f'jsonb_populate_record(null::jobd.job, \'{{"id": "{job_id}", "queue": "default"}}\')'
    values = {
        "uuid": (f"'{job_id}'::uuid", f"'{batch_id}'::uuid", f"'{own_job}'::uuid"),
        "uuid[]": (f"array['{job_id}'::uuid]",),
        "oid": (f"{oid}::oid",),
        "jobd.job": (fake,),
        "text": (f"'{MARK[:3]}'", f"'{owner.role}'"),
    }
    called = set()
    for function in await database.fetch(FUNCTIONS):
        for choice in range(3):
            arguments = []
            for type_name in function["types"][: function["required"]]:
                given = values.get(type_name, (f"null::{type_name}",))
                arguments.append(given[min(choice, len(given) - 1)])
            try:
                async with other.connection.transaction():
                    said = str(
                        await other.connection.fetch(
                            f"select x::text from jobd.{function['name']}({', '.join(arguments)}) x"
                        )
                    )
            except asyncpg.PostgresError as error:
                said = f"{error} {error.detail} {error.hint}"
            called.add(function["name"])
            assert MARK not in said, function["name"]
    assert {"explain", "submit", "gate", "cancel_batch", "explain_workers", "refuse_taken_key"} <= called
    assert await database.fetchrow("select j::text from jobd.job j where id = $1", job_id) == before


async def test_a_key_and_a_serial_key_of_anothers_change_nothing(database: Database) -> None:
    await make_secret_job(database)
    other = await make_submitter(database)
    job_id = await other.submit(idempotency_key=MARK, serial_key=MARK)
    assert not await database.fetchval("select is_held from jobd.job where id = $1", job_id)


async def test_anothers_job_cannot_be_waited_for_nor_told_from_one_that_is_not_there(database: Database) -> None:
    _, theirs, _ = await make_secret_job(database)
    other = await make_submitter(database)
    nowhere = await database.fetchval("select gen_random_uuid()")
    said = []
    for job_id in (theirs, nowhere):
        with pytest.raises(asyncpg.ForeignKeyViolationError) as refused:
            await other.submit(after=[job_id])
        said.append(str(refused.value).replace(str(job_id), "…"))
    assert said[0] == said[1]


async def test_an_id_that_is_taken_is_said_to_be_so_and_no_more(database: Database) -> None:
    _, theirs, _ = await make_secret_job(database)
    other = await make_submitter(database)
    own = await other.submit()
    said = []
    for job_id in (theirs, own):
        with pytest.raises(asyncpg.UniqueViolationError) as refused:
            await other.connection.fetchval("select jobd.submit('/a.csv', 't', id => $1)", job_id)
        said.append(f"{refused.value} {refused.value.detail}".replace(str(job_id), "…"))
    assert said[0] == said[1]


async def test_a_made_up_job_does_not_tell_when_others_jobs_are_due(database: Database) -> None:
    theirs, other = await make_submitter(database), await make_submitter(database)
    await register(database)
    for _ in range(3):
        await theirs.submit()
    own = await other.submit()
    ask = "select array_to_string(jobd.explain_workers(j, true), '') from {} j"
    said = await other.connection.fetchval(ask.format("jobd.job") + " where id = $1", own)
    assert "after 3 jobs" in said  # of the caller's own job the number is its to know
    made_up = 'jsonb_populate_record(null::jobd.job, to_jsonb(j) || \'{"run_at": "2100-01-01"}\')'
    probe = f"(select ({made_up}).* from jobd.job j where id = $1)"
    assert await other.connection.fetchval(ask.format(probe).replace("(j,", "(j::jobd.job,"), own) == ""


@pytest.mark.parametrize("mode", ["access exclusive", "exclusive", "share", "share row exclusive"])
async def test_a_submitter_cannot_lock_what_all_of_them_use(database: Database, mode: str) -> None:
    mine = await make_submitter(database)
    shared = await database.fetch(f"{RELATIONS} and c.relkind = 'r' and c.relname <> 'blob'")
    for row in shared:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await mine.connection.execute(f"begin; lock table {row[0]} in {mode} mode")
        await mine.connection.execute("rollback")
    # What it needs the right to write for goes on.
    job_id = await mine.submit()
    await mine.connection.execute("update jobd.job set pause_requested = true where id = $1", job_id)
    assert await mine.connection.fetch("select from jobd.job where id = $1 for no key update", job_id)
