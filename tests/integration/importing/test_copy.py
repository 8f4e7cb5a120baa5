"""COPY itself: what it loads, what it reports, and that a dead server is noticed in the middle of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import asyncpg
import pytest

from jobd.db.copy import copy_in
from tests.support.importing import import_file, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database


async def test_rows_are_counted_and_messages_collected(connection: asyncpg.Connection) -> None:
    await connection.execute("create table t (n int)")
    notices: list[asyncpg.PostgresLogMessage] = []
    if connection.get_server_version() < (17,):
        return  # no such options before
    statement = "copy t from stdin (format csv, on_error ignore, log_verbosity verbose)"
    assert await copy_in(connection, statement, [b"1\nx\n", b"3\n"], notices=notices) == 2
    assert str(notices[0].message).endswith('at line 2 for column "n": "x"')
    assert await copy_in(connection, "copy t from stdin", [b"7\n" * 200_000]) == 200_000


async def test_an_error_leaves_the_connection_usable(connection: asyncpg.Connection) -> None:
    await connection.execute("create table t (n int)")
    with pytest.raises(asyncpg.InvalidTextRepresentationError):
        await copy_in(connection, "copy t from stdin (format csv)", [b"x\n" * 1_000_000])
    assert await connection.fetchval("select 1") == 1


@pytest.mark.parametrize("by", ["server", "client"])
async def test_a_backend_that_dies_under_back_pressure_is_noticed_at_once(
    connection: asyncpg.Connection, empty_database: Database, by: str
) -> None:
    await connection.execute(
        """
        create table t (line text);
        create function slow() returns trigger language plpgsql as $$
        begin perform pg_sleep(0.1); return new; end $$;
        create trigger slow before insert on t for each row execute function slow()
        """
    )
    pid = connection.get_server_pid()
    busy = "select count(*) from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'"

    async def kill() -> None:
        while not await empty_database.fetchval(busy, pid):  # noqa: ASYNC110  the server tells nobody of it
            await anyio.sleep(0.01)
        if by == "server":
            await empty_database.execute(f"select pg_terminate_backend({pid})")
        else:
            connection.terminate()
        killed_at.append(time.monotonic())

    killed_at: list[float] = []
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(kill)
            with pytest.raises(asyncpg.ConnectionDoesNotExistError):
                await copy_in(connection, "copy t from stdin", [b"a line\n" * 5_000_000])
    assert time.monotonic() - killed_at[0] < 1


async def test_a_line_of_a_backslash_and_a_dot_ends_nothing(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table t (line text, id int)")
    records = ["\\.,1", '"a\n\\.\nb",2', '"\\.",3', "x,4", "\\.,y", "z,6"]
    path = write(tmp_path / "t.csv", ["line,id", *records])
    imported = await import_file(connection, path, "t", {"null_values": []})
    assert imported.counts == (5, 0, 0, 0, 1)
    rows = [tuple(row) for row in await connection.fetch("select * from t order by id")]
    assert rows == [("\\.", 1), ("a\n\\.\nb", 2), ("\\.", 3), ("x", 4), ("z", 6)]
    await connection.execute("create table one (line text)")
    path = write(tmp_path / "one.csv", ["line", "a", "\\.", "b"])
    assert (await import_file(connection, path, "one")).counts == (3, 0, 0, 0, 0)


# ruff: noqa: E501  the records of the file below are what they are
VALUES = '''id,int8,num,txt,vc,ch,dt,ts,tz,iv,b,u,j,jb,arr,by,en,fl,inet,rng
1,9223372036854775807,-0.00001,"a ""quoted"", text",abc,ab,2024-02-29,2024-01-01 10:00:00.123456,2024-01-01 10:00+05:30,1 day 02:03,t,a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,"{""a"":  1}","{""b"": [1, 2]}","{1,2,NULL}",\\x00ff,red,NaN,10.0.0.1/8,"[1,5)"
2,0,1e10,"two
lines",  spaced  ,x,infinity,epoch,infinity,P1Y2M,no,A0EEBC999C0B4EF8BB6D6BB9BD380A11,null,null,{},abc,green,-Infinity,::1,empty
3,,,,,,,,,,,,,,,,,,,
4,-1,NaN,"",,"",1999-12-31 BC,2024-01-01T00:00:00,2024-06-01 12:00,-3 days,1,,"""x""","""x""","{""1"",2}",,red,1e308,,"(,)"
5,5,12345678901234567890.123456789,\\N \\. ünïcödé \U0001f600,ÄÖÜ,é,20240102,"Jan 2, 2024",2024-01-01 UTC,1:30,false,,[],[],,\\\\,green,0.1,1.2.3.4,"[2,2]"
'''
TYPED = """
create type colour as enum ('red', 'green');
create table {name} (id int primary key, int8 bigint, num numeric, txt text, vc varchar(20), ch char(3), dt date,
    ts timestamp, tz timestamptz, iv interval, b bool, u uuid, j json, jb jsonb, arr int[], by bytea, en colour,
    fl float8, inet inet, rng int4range)
"""


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("has_rows", [False, True])
async def test_what_is_loaded_equals_what_psql_s_copy_loads(
    connection: asyncpg.Connection, empty_database: Database, tmp_path: Path, line_end: str, has_rows: bool
) -> None:
    await connection.execute(TYPED.format(name="ours"))
    await connection.execute("create table theirs (like ours)")
    path = write(tmp_path / "v.csv", VALUES.replace("\n", line_end))
    if has_rows:
        await connection.execute("insert into ours (id, txt) values (2, 'old')")
    forced = "int8,num,dt,ts,tz,iv,b,u,j,jb,arr,by,en,fl,inet,rng"
    empty_database.server.run(
        "psql",
        "-X",
        "-q",
        f"{empty_database.url}?options=-cdatestyle%3DISO,YMD%20-ctimezone%3DUTC%20-cintervalstyle%3Dpostgres",
        "-c",
        f"\\copy theirs from '{path}' (format csv, header, force_null ({forced}))",
    )
    imported = await import_file(connection, path, "ours")
    assert imported.errors == []
    assert imported.counts == ((4, 1, 0, 0, 0) if has_rows else (5, 0, 0, 0, 0))
    ours = [row[0] for row in await connection.fetch("select o::text from ours o order by id")]
    theirs = [row[0] for row in await connection.fetch("select t::text from theirs t order by id")]
    assert ours == theirs
