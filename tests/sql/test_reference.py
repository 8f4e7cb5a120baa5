"""sql/README.md is what applications rely on: everything it names exists, and everything that exists is named."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from jobd.db.schema_text import directory
from jobd.importing.codes import MEANINGS
from tests.sql.roles import make_member, make_submitter, submit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.database import Database

ROOT = Path(__file__).parents[2]
JOB_SECTIONS = ("What you may set on INSERT", "What jobd keeps")
# Raised by PostgreSQL itself where jobd leads to it.
NOT_OURS = {
    "55P03": "a lock that is not had in time",
    "0A000": "COPY into a table with row-level security",
}
CONDITIONS = {
    "check_violation": "23514",
    "foreign_key_violation": "23503",
    "insufficient_privilege": "42501",
    "invalid_grant_operation": "0LP01",
    "invalid_parameter_value": "22023",
    "no_data_found": "P0002",
    "object_in_use": "55006",
    "serialization_failure": "40001",
    "undefined_object": "42704",
    "unique_violation": "23505",
}


@cache
def reference() -> str:
    return (ROOT / "sql" / "README.md").read_text()


def section(title: str) -> str:
    """The text beneath the heading, up to the next one that is no smaller."""
    heading = re.search(rf"^(#+) {re.escape(title)}\n", reference(), re.MULTILINE)
    assert heading, title
    rest = reference()[heading.end() :]
    return re.split(rf"^#{{1,{len(heading[1])}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def words(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def first_cells(text: str) -> set[str]:
    """The words in the first column of the section's tables."""
    cells = re.findall(r"^\| ([^|]*) \|", text, re.MULTILINE)
    return set().union(*(words(cell) for cell in cells))


async def columns(database: Database, relation: str) -> set[str]:
    rows = await database.fetch(
        "select attname from pg_attribute where attrelid = $1::text::regclass and attnum > 0 and not attisdropped",
        relation,
    )
    return {row["attname"] for row in rows}


async def test_every_column_of_the_job_is_in_the_reference_and_no_other(database: Database) -> None:
    internal = re.search(r"^Internal, and free to change: (.*)$", reference(), re.MULTILINE)
    assert internal
    named = set().union(*(first_cells(section(title)) for title in JOB_SECTIONS)) | words(internal[1])
    assert named | {"cancel_requested"} == await columns(database, "jobd.job")
    assert first_cells(section("What you may UPDATE")) <= await columns(database, "jobd.job")


async def test_the_columns_that_may_be_set_are_the_parameters_of_submit(database: Database) -> None:
    parameters = await database.fetchval("select proargnames from pg_proc where oid = 'jobd.submit'::regproc")
    assert set(parameters) == first_cells(section("What you may set on INSERT"))


async def test_every_relation_is_in_the_reference_with_all_of_its_columns(database: Database) -> None:
    rows = await database.fetch(
        "select relname from pg_class where relnamespace = 'jobd'::regnamespace and relkind in ('r', 'v')"
        " and relname not in ('job', 'active_jobs', 'visible_job', 'visible_worker', 'visible_queue')"
    )
    for row in rows:
        listed = re.search(r"^Columns: (.*)$", section(f"jobd.{row['relname']}"), re.MULTILINE)
        assert listed, row["relname"]
        assert words(listed[1]) == await columns(database, f"jobd.{row['relname']}"), row["relname"]
    named = set(re.findall(r"^### jobd\.(\w+)$", reference(), re.MULTILINE))
    assert named == {row["relname"] for row in rows} | {"active_jobs"}


async def test_every_function_that_people_may_call_is_in_the_reference_with_its_parameters(
    database: Database,
) -> None:
    table = section("Functions")
    named = dict(re.findall(r"`jobd\.(\w+)\(([^)]*)\)`", table))
    rows = await database.fetch(
        "select proname, proargnames, pronargs from pg_proc"
        " where pronamespace = 'jobd'::regnamespace and proname = any ($1)",
        list(named),
    )
    assert {row["proname"] for row in rows} == set(named)
    for row in rows:
        if "…" in named[row["proname"]]:
            continue
        parameters = [name.removeprefix("p_") for name in (row["proargnames"] or [])[: row["pronargs"]]]
        assert [name for name in named[row["proname"]].split(", ") if name] == parameters, row["proname"]
    from tests.sql.test_rights_function import CONTROL, QUEUES  # noqa: PLC0415  the sets are kept there

    assert set(named) >= CONTROL | QUEUES | {"release", "grant_submitter", "revoke_submitter"}


async def test_every_option_is_in_the_reference_with_whether_it_is_built(database: Database) -> None:
    rows = {row["name"]: row["is_built"] for row in await database.fetch("select name, is_built from jobd.option")}
    named: dict[str, bool] = {}
    for cell, built in re.findall(r"^\| (`[^|]*) \| (yes|not yet) \|", section("Import options"), re.MULTILINE):
        named |= dict.fromkeys(words(cell), built == "yes")
    assert named == rows


async def test_every_transition_is_in_the_reference(database: Database) -> None:
    rows = await database.fetch("select old_status, new_status from jobd.transition")
    named = set(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", section("Life of a job"), re.MULTILINE))
    assert named == {(row["old_status"], row["new_status"]) for row in rows}


async def test_every_role_is_in_the_reference(database: Database) -> None:
    rows = await database.fetch("select rolname from pg_roles where rolname ~ '^jobd_[a-z]+$'")
    assert first_cells(section("Rights")) == {row["rolname"] for row in rows}


def test_every_sqlstate_that_the_schema_raises_is_in_the_reference_and_no_other() -> None:
    text = "\n".join(path.read_text() for path in directory().rglob("*.sql"))
    raised = {
        CONDITIONS[name]
        for name in re.findall(r"raise (\w+) using", text)
        if name not in {"exception", "sqlstate"}
    }
    raised |= set(re.findall(r"(?:errcode = |raise sqlstate )'(\w{5})'", text))
    named = set(re.findall(r"^\| (\w{5}) \|", section("SQLSTATEs"), re.MULTILINE))
    assert named == raised | set(NOT_OURS)


def test_every_code_that_the_package_writes_is_in_the_reference() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "jobd").rglob("*.py"))
    job_codes = first_cells(section("`jobd.job.error_code`"))
    row_codes = first_cells(section("`jobd.job_error.code`"))
    assert set(MEANINGS) <= row_codes
    readers = "\n".join(path.read_text() for path in (ROOT / "jobd" / "sources").rglob("*.py"))
    assert set(re.findall(r"return \(?\"([a-z_]+)\", f?\"", readers)) <= row_codes
    written = set(re.findall(r"\bcode(?:: ClassVar\[str\])? ?= ?\"(\w+)\"", sources)) - {"failed"}
    assert written <= job_codes | row_codes


def scene(statement: str) -> Callable[[Database], Awaitable[None]]:
    async def play(database: Database) -> None:
        await database.execute(statement)

    return play


async def stale_version(database: Database) -> None:
    await database.execute("select jobd.cancel($1, null, 99)", await submit(await database.connect()))


async def taken_key(database: Database) -> None:
    for _ in range(2):
        await submit(await database.connect(), idempotency_key="k")


async def unknown_option(database: Database) -> None:
    await submit(await database.connect(), options='{"kye": ["id"]}')


async def unknown_dependency(database: Database) -> None:
    await submit(await database.connect(), after=[uuid4()])


async def never_granted(database: Database) -> None:
    await submit(await make_member(database, "jobd_submitter"))


async def locked_row(database: Database) -> None:
    holder, connection = await database.connect(), await database.connect()
    job_id = await submit(holder)
    async with holder.transaction():
        await holder.execute("select jobd.cancel($1)", job_id)
        await connection.execute("set lock_timeout = '50ms'")
        await connection.execute("select jobd.pause($1)", job_id)


async def copied_job(database: Database) -> None:
    connection = (await make_submitter(database)).connection
    await connection.copy_records_to_table("job", schema_name="jobd", columns=["source"], records=[("/a",)])


async def too_many_changes(database: Database) -> None:
    _, job_id, lease_token = await running_job(database)
    await database.execute(
        "select jobd.record_changes($1, $2, array_fill('{}'::jsonb, array[1000001]), '{}', '{}', '{}')",
        job_id,
        lease_token,
    )


async def running_job(database: Database) -> tuple[object, object, int]:
    worker_id = uuid4()
    await database.execute("select jobd.register_worker($1, 'a', 'h', 1, '1', '{default}', 1, 60)", worker_id)
    await submit(await database.connect())
    job = await database.fetchrow("select id, lease_token from jobd.claim($1, '{default}', 1)", worker_id)
    assert job is not None
    return worker_id, job["id"], job["lease_token"]


async def commit(database: Database, job_id: object, lease_token: int, row: int) -> None:
    cursor = f'{{"row": {row}}}'
    await database.execute(
        "select jobd.commit_batch($1, $2, 1, 0, 0, 0, 0, $3::text::jsonb, 1)", job_id, lease_token, cursor
    )


async def worker_with_jobs(database: Database) -> None:
    worker_id, _, _ = await running_job(database)
    await database.execute("select jobd.deregister_worker($1)", worker_id)


async def lost_lease(database: Database) -> None:
    _, job_id, lease_token = await running_job(database)
    await commit(database, job_id, lease_token + 1, 1)


async def cancelled_job(database: Database) -> None:
    _, job_id, lease_token = await running_job(database)
    await database.execute("select jobd.cancel($1)", job_id)
    await commit(database, job_id, lease_token, 1)


async def illegal_transition(database: Database) -> None:
    await database.execute(
        "update jobd.job set status = 'completed' where id = $1", await submit(await database.connect())
    )


async def column_of_jobds(database: Database) -> None:
    await submit((await make_submitter(database)).connection, processed_rows=3)


async def batch_sent_twice(database: Database) -> None:
    _, job_id, lease_token = await running_job(database)
    for _ in range(2):
        await commit(database, job_id, lease_token, 1)


SCENES: dict[str, Callable[[Database], Awaitable[None]]] = {
    "P0002": scene("select jobd.cancel(gen_random_uuid())"),
    "40001": stale_version,
    "23505": taken_key,
    "23514": unknown_option,
    "23503": unknown_dependency,
    "42501": never_granted,
    "42704": scene("select jobd.grant_submitter('nobody at all')"),
    "0LP01": scene("select jobd.grant_submitter('postgres')"),
    "0A000": copied_job,
    "22023": scene("select jobd.prune(interval '-1 day')"),
    "55P03": locked_row,
    "55006": worker_with_jobs,
    "JB001": lost_lease,
    "JB002": cancelled_job,
    "JB003": scene("select jobd.heartbeat(gen_random_uuid(), 60)"),
    "JB004": illegal_transition,
    "JB005": column_of_jobds,
    "JB008": batch_sent_twice,
    "JB009": too_many_changes,
}


@pytest.mark.parametrize("sqlstate", SCENES)
async def test_every_sqlstate_is_really_raised_and_says_what_to_do(database: Database, sqlstate: str) -> None:
    with pytest.raises(asyncpg.PostgresError) as raised:
        await SCENES[sqlstate](database)
    assert raised.value.sqlstate == sqlstate
    if sqlstate not in {"22023", "55006", *NOT_OURS}:
        assert raised.value.hint


def test_no_sqlstate_of_the_reference_is_left_untried() -> None:
    assert set(re.findall(r"^\| (\w{5}) \|", section("SQLSTATEs"), re.MULTILINE)) == set(SCENES)


async def test_the_examples_of_the_reference_run(database: Database) -> None:
    await make_member(database, "jobd_worker")
    job_id = await submit(await database.connect())
    examples = re.findall(r"```sql\n(.*?)```", section("Five minutes") + section("Notifications"), re.DOTALL)
    assert len(examples) >= 7
    for example in examples:
        await database.execute(example.replace("'…'", f"'{job_id}'"))
    assert await database.fetchval("select count(*) from jobd.job") == 3
