"""Undoing an import that tracked its changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import pytest

from tests.sql.roles import make_submitter
from tests.support.importing import write
from tests.support.tracked import changes_of, import_tracked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database

PEOPLE = "create table people (id int primary key, name text, pay numeric)"
BEFORE = "insert into people values (1, 'ann', 1), (2, 'bob', 2.50), (3, 'cid', 3)"
RECORDS = ["id,name,pay", "1,ANN,1", "2,bob,7", "3,cid,3", "4,dan,4", "4,dan,5", "5,eve,5"]


async def rows(database: Database, table: str = "people") -> list[str]:
    return [row[0] for row in await database.fetch(f"select t::text from {table} t order by 1")]


async def imported(database: Database, tmp_path: Path, **options: Any) -> UUID:
    await database.execute(PEOPLE + ";" + BEFORE)
    path = write(tmp_path / "people.csv", RECORDS)
    job_id, done = await import_tracked(database, path, "public.people", options)
    assert done.counts == (2, 3, 1, 0, 0)
    return job_id


async def revert(database: Database, job_id: UUID) -> int:
    return int(await database.fetchval("select jobd.revert($1)", job_id))


async def problems(database: Database, job_id: UUID) -> Sequence[tuple[str, str]]:
    found = await database.fetch(
        "select key ->> 'id', revert_problem from jobd.job_change where job_id = $1 and reverted_at is null"
        " order by id",
        job_id,
    )
    return [tuple(row) for row in found]


@pytest.mark.parametrize("size", [1, 100])
async def test_added_rows_are_gone_and_updated_ones_as_they_were(
    database: Database, tmp_path: Path, size: int
) -> None:
    job_id = await imported(database, tmp_path, batch_size=size)
    assert await revert(database, job_id) == 0
    assert await rows(database) == ["(1,ann,1)", "(2,bob,2.50)", "(3,cid,3)"]
    assert await problems(database, job_id) == []
    assert await database.fetchval("select bool_and(reverted_at <= clock_timestamp()) from jobd.job_change")
    await database.execute("update people set name = 'later' where id = 1")
    assert await revert(database, job_id) == 0
    assert "(1,later,1)" in await rows(database)


async def test_what_somebody_changed_since_stays_and_is_listed(database: Database, tmp_path: Path) -> None:
    job_id = await imported(database, tmp_path)
    await database.execute("update people set pay = 70 where id = 2; update people set name = 'Dan' where id = 4")
    await database.execute("delete from people where id = 5; update people set pay = 9 where id = 1")
    assert await revert(database, job_id) == 3
    # Of row 4 the update is undone, for it touched the pay alone; then it is not as it was added.
    assert await rows(database) == ["(1,ann,9)", "(2,bob,70)", "(3,cid,3)", "(4,Dan,4)"]
    assert await problems(database, job_id) == [("2", "changed since"), ("4", "changed since"), ("5", "gone")]


async def test_a_second_call_does_what_is_left(database: Database, tmp_path: Path) -> None:
    job_id = await imported(database, tmp_path)
    await database.execute("update people set pay = 70 where id = 2")
    assert await revert(database, job_id) == 1
    await database.execute("insert into people values (4, 'dan', 4)")  # no row of the import's
    await database.execute("update people set pay = 7 where id = 2")
    assert await revert(database, job_id) == 0
    assert await rows(database) == ["(1,ann,1)", "(2,bob,2.50)", "(3,cid,3)", "(4,dan,4)"]
    assert await problems(database, job_id) == []


@pytest.mark.parametrize("timing", ["", "deferrable initially deferred"])
async def test_a_row_that_others_refer_to_stays_and_the_others_go(
    database: Database, tmp_path: Path, timing: str
) -> None:
    job_id = await imported(database, tmp_path)
    await database.execute(f"create table badge (person int references people {timing})")
    await database.execute("insert into badge values (5)")
    assert await revert(database, job_id) == 1
    assert await rows(database) == ["(1,ann,1)", "(2,bob,2.50)", "(3,cid,3)", "(5,eve,5)"]
    ((key, problem),) = await problems(database, job_id)
    assert key == "5"
    assert problem.startswith("refused: ")
    assert "badge" in problem


async def test_one_refused_row_among_thousands_costs_no_other(database: Database, tmp_path: Path) -> None:
    await database.execute(PEOPLE)
    path = write(tmp_path / "people.csv", ["id,name", *(f"{number},n" for number in range(1700))])
    job_id, _ = await import_tracked(database, path, "public.people", {"batch_size": 700})
    await database.execute("create table badge (person int references people)")
    await database.execute("insert into badge values (3), (900)")
    assert await revert(database, job_id) == 2
    assert await rows(database) == ["(3,n,)", "(900,n,)"]
    await database.execute("delete from badge where person = 3")
    assert await revert(database, job_id) == 1
    assert await rows(database) == ["(900,n,)"]


async def test_references_within_the_table_are_undone_from_the_last_one_on(
    database: Database, tmp_path: Path
) -> None:
    await database.execute("create table tree (id int primary key, parent int references tree)")
    records = ["1,", *(f"{number},{number // 2}" for number in range(2, 900))]
    path = write(tmp_path / "tree.csv", ["id,parent", *records])
    job_id, done = await import_tracked(database, path, "public.tree")
    assert done.tally.added == 899
    assert await revert(database, job_id) == 0
    assert await rows(database, "tree") == []


TYPES = r'''
create type mood as enum ('glad', 'sad');
create type pair as (a int, b text);
create domain age as int check (value < 200);
create table odd (
    "the ""id""" int, code text, "Größe %s" float8, flag boolean, stamp timestamptz, local timestamp, day date,
    span interval, price numeric(12,4), data bytea, list int[], words text[], doc jsonb, plain json, how mood,
    both_of pair, years age, net inet, period daterange, short char(5), id uuid,
    unique ("the ""id""", code)
);
insert into odd values (
    1, 'x', 0.1, true, '2020-02-03 04:05:06.789+02', 'infinity', '0044-03-15 BC', '1 mon -2 days', 1.2000,
    '\x00ff', '{1,null}', '{"a,b","c\"d"}', 'null', '{"b":1, "b":2}', 'sad', '(1,"x y")', 5, '10.0.0.1',
    '[2020-01-01,)', 'ab', '00000000-0000-0000-0000-000000000001'
);
insert into odd ("the ""id""", code, "Größe %s") values (2, 'x', 'NaN');
'''
ODD_HEADER = (
    '"the ""id""",code,Größe %s,flag,stamp,local,day,span,price,data,list,words,doc,plain,how,both_of,years,net,'
    "period,short,id"
)
ODD_VALUES = (
    r'x,7,false,1999-01-01Z,1999-01-01,1999-01-01,3 days,7.0000,\x01,"{2}","{z}","{""a"": null}",[],glad,"(2,y)",'
    '6,::1,"[2021-01-01,2022-01-01)",zz,00000000-0000-0000-0000-000000000002'
)


async def test_every_type_comes_back_as_it_was(database: Database, tmp_path: Path) -> None:
    await database.execute(TYPES)
    before = await rows(database, "odd")
    path = write(tmp_path / "odd.csv", [ODD_HEADER, *(f"{number},{ODD_VALUES}" for number in (1, 2, 3))])
    job_id, done = await import_tracked(database, path, "public.odd", {"key": ['the "id"', "code"]})
    assert done.failure is None
    assert done.counts == (1, 2, 0, 0, 0)
    assert await revert(database, job_id) == 0
    assert await rows(database, "odd") == before


async def test_a_trigger_that_keeps_a_row_is_told(database: Database, tmp_path: Path) -> None:
    job_id = await imported(database, tmp_path)
    await database.execute(
        "create function keep() returns trigger language plpgsql as $$ begin return null; end $$;"
        "create trigger keep before delete on people for each row when (old.id = 5) execute function keep()"
    )
    assert await revert(database, job_id) == 1
    assert await problems(database, job_id) == [("5", "left alone by a trigger or a policy")]


async def test_triggers_find_what_they_find_in_an_import(database: Database, tmp_path: Path) -> None:
    job_id = await imported(database, tmp_path)
    await database.execute(
        "create table audit (id int); create function note() returns trigger language plpgsql as $$"
        " begin insert into audit values (old.id); return null; end $$;"
        "create trigger note after update or delete on people for each row execute function note()"
    )
    assert await revert(database, job_id) == 0
    assert await rows(database, "audit") == ["(1)", "(2)", "(4)", "(4)", "(5)"]
    assert await database.fetchval("show search_path") == '"$user", public'


async def test_what_a_failed_job_committed_can_be_undone(database: Database, tmp_path: Path) -> None:
    await database.execute(PEOPLE + "; insert into people values (9, 'nine', 9)")
    path = write(tmp_path / "people.csv", ["id,name,pay", "9,NINE,9", "1,a,1", "2,b,x", "3,c,3"])
    job_id, done = await import_tracked(database, path, "public.people", {"max_errors": 0, "batch_size": 2})
    assert done.failure is not None
    assert len(await changes_of(database, job_id)) == 2
    assert await revert(database, job_id) == 0
    assert await rows(database) == ["(9,nine,9)"]


async def test_the_content_may_be_imported_again(database: Database, tmp_path: Path) -> None:
    job_id = await imported(database, tmp_path)
    for each in (job_id, uuid4()):
        await database.execute(
            "insert into jobd.import_ledger (submitted_role, submitted_role_oid, target, settings, file_hash,"
            " job_id, processed_rows) values ('postgres', 10, 't', '{}', 'f', $1, 1)",
            each,
        )
    before = await database.fetchval("select count(*) from jobd.import_ledger where job_id <> $1", job_id)
    await revert(database, job_id)
    assert await database.fetchval("select count(*) from jobd.import_ledger where job_id = $1", job_id) == 0
    assert await database.fetchval("select count(*) from jobd.import_ledger") == before


@pytest.mark.parametrize(
    ("change", "sqlstate", "words"),
    [
        ("update jobd.job set options = '{}'", "22023", "did not track changes"),
        ("select jobd.erase(id) from jobd.job", "22023", "was erased"),
        ("alter table people rename to persons", "42704", "renamed or replaced"),
        ("drop table people; create table people (id int primary key)", "42704", "renamed or replaced"),
        ("alter table people drop column pay", "42704", "no column pay"),
        ("alter table people drop constraint people_pkey", "42704", "unique index"),
    ],
)
async def test_a_job_that_cannot_be_undone_says_why_and_nothing_is(
    database: Database, tmp_path: Path, change: str, sqlstate: str, words: str
) -> None:
    job_id = await imported(database, tmp_path)
    await database.execute("set session_replication_role = replica; " * change.startswith("update") + change)
    await database.execute("reset session_replication_role")
    with pytest.raises(asyncpg.PostgresError, match=words) as refused:
        await revert(database, job_id)
    assert refused.value.sqlstate == sqlstate


async def test_a_job_that_has_not_ended_is_refused(database: Database) -> None:
    job_id = await database.fetchval(
        "insert into jobd.job (source, target, options) values ('/a', 't', $1) returning id",
        '{"track_changes": true}',
    )
    with pytest.raises(asyncpg.ObjectInUseError, match="pending"):
        await revert(database, job_id)
    await database.execute("select jobd.cancel($1)", job_id)
    assert await revert(database, job_id) == 0
    with pytest.raises(asyncpg.NoDataFoundError):
        await revert(database, uuid4())


async def test_a_submitter_undoes_its_own_jobs_with_its_own_rights(database: Database, tmp_path: Path) -> None:
    mine, theirs = await make_submitter(database), await make_submitter(database)
    await database.execute(PEOPLE + ";" + BEFORE + f"; grant select, insert, update on people to {mine.role}")
    path = write(tmp_path / "people.csv", RECORDS)
    job_id, done = await import_tracked(
        database, path, "public.people", submitter=mine.connection, user=mine.login
    )
    assert done.failure is None
    left = await rows(database)
    with pytest.raises(asyncpg.NoDataFoundError):
        await theirs.connection.fetchval("select jobd.revert($1)", job_id)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="people"):  # nothing, rather than a part
        await mine.connection.fetchval("select jobd.revert($1)", job_id)
    assert await rows(database) == left
    await database.execute(f"grant delete on people to {mine.role}")
    assert await mine.connection.fetchval("select jobd.revert($1)", job_id) == 0
    assert await rows(database) == ["(1,ann,1)", "(2,bob,2.50)", "(3,cid,3)"]


async def test_a_submitter_retries_what_it_undid_from_the_beginning(database: Database, tmp_path: Path) -> None:
    mine = await make_submitter(database)
    await database.execute(PEOPLE + f"; grant select, insert, update, delete on people to {mine.role}")
    path = write(tmp_path / "people.csv", ["id,name,pay", "1,a,1", "2,b,x"])
    job_id, done = await import_tracked(
        database,
        path,
        "public.people",
        {"max_errors": 0, "batch_size": 1},
        submitter=mine.connection,
        user=mine.login,
    )
    assert done.failure is not None
    await database.execute("set role jobd_owner; update jobd.job set cursor = '{}', processed_rows = 1,"
                           " error_count = 1; reset role")  # fmt: skip
    await database.execute("insert into jobd.job_reject (job_id, file, row_number, record, submitted_role_oid)"
                           " select id, 'f', 1, '', submitted_role_oid from jobd.job")  # fmt: skip
    assert await mine.connection.fetchval("select jobd.revert($1)", job_id) == 0
    assert await mine.connection.fetchval("select jobd.retry($1)", job_id)
    row = await database.fetch("select status, cursor, error_count from jobd.job where id = $1", job_id)
    assert [tuple(each) for each in row] == [("pending", None, 0)]
    assert await database.fetchval("select count(*) from jobd.job_reject") == 0


async def test_what_was_undone_is_not_others_to_write(database: Database, tmp_path: Path) -> None:
    mine, theirs = await make_submitter(database), await make_submitter(database)
    await database.execute(PEOPLE + f"; grant select, insert, update on people to {mine.role}")
    path = write(tmp_path / "people.csv", RECORDS)
    await import_tracked(database, path, "public.people", submitter=mine.connection, user=mine.login)
    assert await theirs.connection.execute("update jobd.job_change set revert_problem = 'x'") == "UPDATE 0"
    for statement in (
        "update jobd.job_change set before = '{}'",
        "delete from jobd.job_change",
        "insert into jobd.job_change (job_id, key, change, submitted_role_oid) values ($1, '{}', 'added', 1)",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await mine.connection.execute(statement, *([uuid4()] if "$1" in statement else []))


async def test_policies_hide_rows_from_being_undone(database: Database, tmp_path: Path) -> None:
    mine = await make_submitter(database)
    await database.execute(PEOPLE + f"; grant select, insert, update, delete on people to {mine.role}")
    path = write(tmp_path / "people.csv", RECORDS)
    job_id, _ = await import_tracked(database, path, "public.people", submitter=mine.connection, user=mine.login)
    await database.execute(
        "alter table people enable row level security;"
        "create policy most on people using (id <> 1); create policy read on people for select using (true)"
    )
    assert await mine.connection.fetchval("select jobd.revert($1)", job_id) == 1
    assert await problems(database, job_id) == [("1", "left alone by a trigger or a policy")]


async def test_changes_are_recorded_from_the_submitters_session_only(database: Database, tmp_path: Path) -> None:
    mine, theirs = await make_submitter(database), await make_submitter(database)
    worker_id = uuid4()
    await database.execute("select jobd.register_worker($1, 'w', 'h', 1, '1', '{default}', 1, 60)", worker_id)
    job_id = await mine.submit()
    token = await database.fetchval("select lease_token from jobd.claim($1, '{default}', 1)", worker_id)
    call = (
        "select jobd.record_changes($1, $2, array['{}']::jsonb[], array['added'], array[null]::jsonb[],"
        " array['{}']::jsonb[])"
    )
    for connection in (mine.connection, await database.connect(theirs.login)):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(call, job_id, token)
    login = await database.connect(mine.login)
    with pytest.raises(asyncpg.PostgresError, match="lease") as lost:
        await login.execute(call, job_id, token + 1)
    assert lost.value.sqlstate == "JB001"
    assert await login.fetchval(call, job_id, token) == 1
    owner = await database.fetchval("select submitted_role_oid::regrole::text from jobd.job_change")
    assert owner == mine.role


async def test_erasing_a_job_takes_its_changes_along(database: Database, tmp_path: Path) -> None:
    job_id = await imported(database, tmp_path)
    await database.execute("update people set name = 'Smith'")
    await revert(database, job_id)
    await database.execute("select jobd.erase($1)", job_id)
    kept = await database.fetchrow(
        "select count(*), count(before), count(after), count(revert_problem),"
        " count(*) filter (where key <> '{}') as keys from jobd.job_change"
    )
    assert kept is not None
    assert tuple(kept) == (5, 0, 0, 0, 0)
