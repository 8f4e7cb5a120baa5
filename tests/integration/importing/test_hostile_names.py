"""Goal: no name can do more than be a name; PostgreSQL's tables and jobd's own are left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobd.db.copy import copy_in
from tests.support.importing import import_file, write
from tests.support.names import unique

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from tests.support.database import Database

NAMES = [
    'quo"te', "apo'strophe", "semi;colon", "new\nline", "back\\slash", "comma,", "$jobd$", "$$", "$1", "%s",
    "%(a)s", "{0}", "--comment", "/*", "*/", "); drop table witness; --", '" ; drop table witness; --',
    "'; drop table witness; --", "$jobd$; drop table witness; --", "select", "user", "current_user", "table",
    "null", "default", "oid", "s", "t", "number", "before", "added", "touched", "said", "state", "attempts",
    "is_there", "c0", "\t",
    "\xe9" * 31 + "x",
    "x" * 63, "\uff41", "\u0430", "\u0130",
    "\U0001f600", "\u202eabc", "a\u0301", "pg_catalog.now()", "E'\\x41'",
]  # fmt: skip
HIDDEN = [
    "jobd.job", "jobd.blob", "jobd.queue", "jobd.submitter", "jobd.import_ledger", "pg_catalog.pg_class",
    "pg_class", "pg_authid", "pg_catalog.pg_authid", "pg_largeobject", "information_schema.sql_features",
    '"pg_class"', '"jobd"."job"', " jobd.job ", "JOBD.Job", "pg_toast.pg_toast_1255",
]  # fmt: skip


@pytest.mark.parametrize("target", HIDDEN)
async def test_tables_of_jobd_and_of_postgres_are_no_targets(
    database: Database, tmp_path: Path, target: str
) -> None:
    connection = await database.connect(statement_cache_size=0)  # as a superuser, whom no privilege would stop
    jobs = await connection.fetchval("select count(*) from jobd.job")
    imported = await import_file(connection, write(tmp_path / "a.csv", ["id,name", "1,a"]), target)
    assert imported.failure is not None
    assert imported.failure.error_code == "target_invalid"
    assert "own tables" in str(imported.failure)
    assert await connection.fetchval("select count(*) from jobd.job") == jobs


@pytest.mark.parametrize(
    ("make", "target", "words"),
    [
        ("create view seen as select 1 as id", "public.seen", "a view"),
        ("create materialized view kept as select 1 as id", "public.kept", "a materialised view"),
        ("create sequence counted", "public.counted", "a sequence"),
        ("create type pair as (id int)", "public.pair", "a composite type"),
        (
            (
                "create foreign data wrapper w; create server elsewhere foreign data wrapper w;"
                "create foreign table far (id int) server elsewhere"
            ),
            "public.far",
            "a foreign table",
        ),
        ("create table ruled (id int); create rule r as on insert to ruled do also select 1", "ruled", "rewrite"),
        ("create temporary table brief (id int)", "pg_temp.brief", "temporary"),
        ("create table real (id int); create temporary table real (id int)", "public.real", None),
        ("create table real (id int); create temporary table real (id int)", "real", None),
    ],
)
async def test_only_tables_that_last_are_targets(
    connection: asyncpg.Connection, tmp_path: Path, make: str, target: str, words: str | None
) -> None:
    await connection.execute(make)
    imported = await import_file(connection, write(tmp_path / "a.csv", ["id", "1"]), target)
    if words is None:  # what is in pg_temp hides nothing
        assert imported.failure is None
        assert await connection.fetchval("select count(*) from public.real") == 1
    else:
        assert imported.failure is not None
        assert imported.failure.error_code == "target_invalid"
        assert words in str(imported.failure)


@pytest.mark.each_postgres
@pytest.mark.parametrize("way", ["direct", "staged", "alone"])
async def test_columns_of_any_name_are_filled_whichever_way_a_batch_goes(
    connection: asyncpg.Connection, tmp_path: Path, way: str
) -> None:
    quoted = [await connection.fetchval("select quote_ident($1)", name) for name in NAMES]
    columns = ", ".join(f"{name} text" for name in quoted)
    check = f"check (coalesce(length({quoted[0]}), 0) < 9)"
    await connection.execute(
        f"create table witness (); create table hostile ({columns}, key int primary key, {check})"
    )
    if way != "direct":
        await connection.execute("insert into hostile (key) values (1)")
    if way == "alone":  # refused by a trigger, the row is found by taking each alone
        await connection.execute(
            "create function refuse() returns trigger language plpgsql as"
            " $$ begin if new.key = 3 then raise 'no'; end if; return new; end $$;"
            "create trigger refuse before insert on hostile for each row execute function refuse()"
        )
    header = ",".join(f'"{name.replace(chr(34), chr(34) * 2)}"' for name in [*NAMES, "key"])
    rows = [",".join([*(f"v{place}" for place in range(len(NAMES))), str(key)]) for key in range(1, 6)]
    options = {"encoding": "utf-8", "columns": {name: name for name in NAMES}}
    imported = await import_file(
        connection, write(tmp_path / "a.csv", "\n".join([header, *rows]) + "\n"), "hostile", options
    )
    assert imported.failure is None
    refused = [error.row_number for error in imported.errors]
    assert refused == ([3] if way == "alone" else [])
    found = await connection.fetch("select * from hostile order by key")
    assert [row["key"] for row in found] == [key for key in range(1, 6) if key not in refused]
    assert all(list(row.values())[:-1] == [f"v{place}" for place in range(len(NAMES))] for row in found)
    assert await connection.fetchval("select count(*) from witness") == 0


@pytest.mark.each_postgres
async def test_tables_schemas_types_and_constraints_of_any_name_are_no_more_than_names(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    hostile = await connection.fetchval("select quote_ident($1)", "a'b\"c;$jobd$ .--")
    await connection.execute(f"""
        create schema {hostile};
        create domain {hostile}."d'""$1" as text collate "C" check (value <> 'bad');
        create type {hostile}.mood as enum ('a''"$jobd$', 'b');
        create table {hostile}.{hostile} (
            id int, d {hostile}."d'""$1", m {hostile}.mood,
            constraint "p'""k$jobd$" primary key (id), constraint "ch'""eck" check (d <> 'worse')
        );
    """)
    path = write(tmp_path / "a.csv", ["id,d,m", "1,x,b", "2,bad,b", "3,worse,b", "4,y,c", "1,z,b"])
    imported = await import_file(connection, path, f"{hostile}.{hostile}")
    assert imported.failure is None
    assert imported.counts == (1, 1, 0, 0, 3)


@pytest.mark.parametrize("name", ["_jobd_n", "_jobd_row", "_jobd_"])
async def test_a_column_whose_name_is_jobds_own_is_refused_where_it_would_be_written(
    connection: asyncpg.Connection, tmp_path: Path, name: str
) -> None:
    await connection.execute(f"create table t (id int primary key, {name} int)")
    path = write(tmp_path / "a.csv", ["id,n", "1,5"])
    imported = await import_file(connection, path, "t", {"columns": {"n": name}})
    assert imported.failure is not None
    assert imported.failure.error_code == "column_not_writable"
    assert "rename it" in str(imported.failure)
    passed_over = await import_file(connection, write(tmp_path / "b.csv", [f"id,{name}", "1,5"]), "t")
    assert passed_over.failure is None
    assert tuple((await connection.fetch("select * from t"))[0]) == (1, None)


@pytest.mark.parametrize("look_alike", ["n\u0430me", "\uff4eame", "name\u200b"])
async def test_a_name_that_only_looks_like_a_columns_is_another_name(
    connection: asyncpg.Connection, tmp_path: Path, look_alike: str
) -> None:
    await connection.execute("create table t (id int primary key, name text)")
    path = write(tmp_path / "a.csv", [f"id,{look_alike}", "1,x"])
    imported = await import_file(connection, path, "t", {"encoding": "utf-8"})
    assert imported.failure is not None
    assert imported.failure.error_code == "unknown_column"


@pytest.mark.each_postgres
async def test_operators_and_functions_of_others_take_no_part_in_comparisons(
    connection: asyncpg.Connection, empty_database: Database, tmp_path: Path
) -> None:
    owner, other = unique("owner"), unique("other")
    await connection.execute(f"""
        create role {owner} login; create role {other} login;
        create type mood as enum ('a', 'b');
        create domain named as text;
        create table t (id int primary key, m mood, v varchar(9), n named, l int[], r int4range, c cidr);
        grant select, insert, update on t to {owner};
        grant create, usage on schema public to {other};
    """)
    intruder = await empty_database.connect(other)
    await intruder.execute("create table caught (who text); grant all on caught to public")
    for kind in ("mood", "varchar", "named", "int[]", "int4range", "cidr"):
        await intruder.execute(f"""
            create function same({kind}, {kind}) returns boolean language plpgsql as
                $q$ begin insert into public.caught values (current_user); return true; end $q$;
            create operator public.= (leftarg = {kind}, rightarg = {kind}, function = same);
        """)
    await intruder.execute("""
        create function gather(int[], int) returns int[] language plpgsql as
            $q$ begin insert into public.caught values (current_user); return $1; end $q$;
        create aggregate array_agg(int) (sfunc = gather, stype = int[]);
        create function format(text, name, oid, int) returns text language plpgsql as
            $q$ begin insert into public.caught values (current_user); return ''; end $q$;
    """)
    session = await empty_database.connect(owner, statement_cache_size=0)
    lines = ["id,m,v,n,l,r,c", *(f'{number},a,x,y,"{{1}}","[1,2)",10.0.0.0/8' for number in range(3))]
    first = await import_file(session, write(tmp_path / "a.csv", lines), "public.t")
    assert first.counts == (3, 0, 0, 0, 0), (first.failure, first.errors)
    again = await import_file(
        session, write(tmp_path / "b.csv", [line.replace(",x,", ",z,") for line in lines]), "public.t"
    )
    assert again.counts == (0, 3, 0, 0, 0)
    unchanged = await import_file(session, tmp_path / "b.csv", "public.t")
    assert unchanged.counts == (0, 0, 3, 0, 0)
    assert await connection.fetch("select * from caught") == []


async def test_what_triggers_say_is_not_kept(connection: asyncpg.Connection) -> None:
    await connection.execute(
        "create table t (id int); create function say() returns trigger language plpgsql as"
        " $$ begin raise notice '%', repeat('x', 100000); return new; end $$;"
        "create trigger say after insert on t for each row execute function say()"
    )
    notices: list[asyncpg.PostgresLogMessage] = []
    assert await copy_in(connection, "copy t from stdin", [b"1\n" * 200], notices=notices) == 200
    assert notices == []
