"""Each kind of bad record: its code, and that it costs no good one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from jobd.importing.codes import MEANINGS
from tests.support.importing import import_file, write
from tests.support.names import unique

if TYPE_CHECKING:
    from pathlib import Path

    from jobd.db.embedded import EmbeddedServer
    from tests.support.database import Database

TABLE = """
create table shop (code text primary key);
insert into shop values ('a'), ('b');
create domain percent as int check (value between 0 and 100);
create domain word as text not null;
create table sale (
    id int primary key, shop text references shop,
    amount numeric(5,2) constraint amount_is_paid check (amount > 0),
    note varchar(5), day date not null, share percent, mark word, small smallint, seat int unique,
    during int4range, exclude using gist (during with &&)
)
"""
HEADER = "id,shop,amount,note,day,share,mark,small,seat,during"
GOOD = {
    "id": "1",
    "shop": "a",
    "amount": "1.50",
    "note": "fine",
    "day": "2024-02-29",
    "share": "7",
    "mark": "x",
    "small": "1",
    "seat": "1",
    "during": '"[1,2)"',
}


def _record(**values: str) -> str:
    return ",".join({**GOOD, **values}.values())


BAD: dict[str, tuple[str, list[tuple[str | None, str, str | None]]]] = {
    "an integer that is none": (_record(id="2", small="one"), [("small", "invalid_value", "22P02")]),
    "a number out of range": (_record(id="2", small="70000"), [("small", "out_of_range", "22003")]),
    "a numeric that overflows": (_record(id="2", amount="12345"), [("amount", "out_of_range", "22003")]),
    "a text that is too long": (_record(id="2", note="longer"), [("note", "too_long", "22001")]),
    "a day that does not exist": (_record(id="2", day="2023-02-29"), [("day", "out_of_range", "22008")]),
    "a day that is none": (_record(id="2", day="soon"), [("day", "invalid_value", "22007")]),
    "a null where none may be": (_record(id="2", day=""), [("day", "null_not_allowed", "23502")]),
    "a null that a domain refuses": (_record(id="2", mark=""), [("mark", "null_not_allowed", "23502")]),
    "a value that a domain refuses": (_record(id="2", share="101"), [("share", "check_violation", "23514")]),
    "a null in the key": (_record(id=""), [("id", "key_is_null", "23502")]),
    "a value that a CHECK refuses": (_record(id="2", amount="-1"), [("amount", "check_violation", "23514")]),
    "a reference to nothing": (_record(id="2", shop="z"), [("shop", "foreign_key_violation", "23503")]),
    "a value that must be unique": (
        _record(id="2", during=""),
        [("seat", "unique_violation", "23505")],
    ),
    "a value that EXCLUDE refuses": (
        _record(id="2", seat=""),
        [(None, "exclusion_violation", "23P01")],
    ),
    "several bad fields": (
        _record(id="2", small="one", amount="two", day=""),
        [
            ("amount", "invalid_value", "22P02"),
            ("day", "null_not_allowed", "23502"),
            ("small", "invalid_value", "22P02"),
        ],
    ),
    "too few fields": ("2,a,1", [(None, "too_few_fields", None)]),
    "too many fields": (_record(id="2") + ",more", [(None, "too_many_fields", None)]),
    "a NUL byte": (_record(id="2", note="a\0b"), [(None, "nul_byte", None)]),
}


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_record_is_told_and_costs_no_good_one(
    connection: asyncpg.Connection, tmp_path: Path, kind: str, size: int
) -> None:
    record, reasons = BAD[kind]
    await connection.execute(TABLE)
    after = _record(id="3", seat="3", during='"[5,6)"')
    path = write(tmp_path / "sale.csv", [HEADER, _record(), record, after])
    imported = await import_file(connection, path, "sale", {"batch_size": size})
    assert imported.counts == (2, 0, 0, 0, 1)
    assert [(error.field, error.code, error.sqlstate) for error in imported.errors] == reasons
    assert {(error.row_number, error.line_number, error.file) for error in imported.errors} == {(2, 3, str(path))}
    assert all(error.message for error in imported.errors)
    assert [(reject.row_number, reject.record) for reject in imported.rejects] == [(2, record.encode())]
    assert [row["id"] for row in await connection.fetch("select id from sale order by id")] == [1, 3]


async def test_messages_say_what_is_wrong(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(TABLE)
    path = write(
        tmp_path / "sale.csv",
        [
            HEADER,
            _record(shop="z"),
            _record(amount="-1"),
            _record(),
            _record(id="2", during=""),
            _record(day="soon"),
        ],
    )
    imported = await import_file(connection, path, "sale")
    assert [(error.message, error.constraint_name, error.raw_data) for error in imported.errors] == [
        ("(shop) = (z): there is no such row in public.shop", "sale_shop_fkey", "z"),
        ("the rule amount_is_paid refuses it: (amount > (0)::numeric)", "amount_is_paid", "-1"),
        ("another row has the same (seat) = (1), which must be unique", "sale_seat_key", "1"),
        ('invalid input syntax for type date: "soon"', None, "soon"),
    ]


async def test_raw_data_is_cut(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute("create table t (id int primary key, n int)")
    path = write(tmp_path / "t.csv", ["id,n", f"1,{'x' * 2000}", f"2,{'y' * 200_000},3"])
    imported = await import_file(connection, path, "t")
    assert [len(error.raw_data or "") for error in imported.errors] == [500, 500]
    assert [len(reject.record) for reject in imported.rejects] == [2002, 64 * 1024]


async def test_every_code_has_a_meaning() -> None:
    used = {code for _, reasons in BAD.values() for _, code, _ in reasons}
    of_reader = {"too_few_fields", "too_many_fields", "nul_byte"}
    assert used - of_reader <= set(MEANINGS)


async def test_what_a_trigger_raises_is_the_record_s_error(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(
        """
        create table t (id int primary key, name text);
        create function judge() returns trigger language plpgsql as $$
        begin
            if new.id % 100 = 7 then raise exception 'never %', new.id; end if;
            return new;
        end $$;
        create trigger judge after insert on t for each row execute function judge()
        """
    )
    path = write(tmp_path / "t.csv", ["id,name", *(f"{id_},x" for id_ in range(1000))])
    imported = await import_file(connection, path, "t")
    assert imported.counts == (990, 0, 0, 0, 10)
    assert imported.errors[1].message == "never 107"
    assert {(error.error_type, error.code, error.sqlstate) for error in imported.errors} == {
        ("system", "trigger_refused", "P0001")
    }


async def test_rows_that_a_trigger_drops_are_skipped(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(
        """
        create table t (id int primary key, name text not null);
        create function judge() returns trigger language plpgsql as $$
        begin
            if new.id = 3 then return null; end if;
            new.name := coalesce(new.name, 'nobody');
            return new;
        end $$;
        create trigger judge before insert on t for each row execute function judge()
        """
    )
    path = write(tmp_path / "t.csv", ["id,name", "1,a", "2,", "3,c", "x,d"])
    for size in (1, 100):
        imported = await import_file(connection, path, "t", {"batch_size": size})
        assert imported.counts == (2, 0, 0, 1, 1)
        assert await connection.fetchval("select name from t where id = 2") == "nobody"
        await connection.execute("truncate t")


async def test_row_security_refuses_single_rows(
    connection: asyncpg.Connection, empty_database: Database, tmp_path: Path
) -> None:
    clerk = unique("clerk")
    await connection.execute(
        f"""
        create role {clerk} login;
        create table t (id int primary key, owner text);
        insert into t values (9, 'somebody');
        alter table t enable row level security;
        create policy own on t using (owner = 'me') with check (owner = 'me');
        grant select, insert, update on t to {clerk};
        grant usage on schema public to {clerk}
        """
    )
    session = await empty_database.connect(clerk, statement_cache_size=0)
    path = write(tmp_path / "t.csv", ["id,owner", "1,me", "2,you", "3,me", "9,me"])
    for size in (1, 100):
        imported = await import_file(session, path, "t", {"batch_size": size})
        assert imported.failure is None
        assert imported.counts in {(2, 0, 0, 0, 2), (0, 0, 2, 0, 2)}
        assert imported.reasons == [(2, None, "row_security"), (4, "id", "unique_violation")]


async def test_many_dangling_references_are_found_by_one_query(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute(
        "create table shop (code int primary key); insert into shop select generate_series(0, 9);"
        "create table sale (id int primary key, shop int references shop)"
    )
    path = write(tmp_path / "sale.csv", ["id,shop", *(f"{id_},{id_ % 11}" for id_ in range(5000))])
    imported = await import_file(connection, path, "sale", {"batch_size": 1000})
    assert imported.counts == (4546, 0, 0, 0, 454)
    assert {(error.code, error.raw_data) for error in imported.errors} == {("foreign_key_violation", "10")}


async def test_a_later_row_may_refer_to_an_earlier_one_of_the_same_table(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table node (id int primary key, parent int references node)")
    path = write(tmp_path / "node.csv", ["id,parent", "1,", "2,1", "3,4", "4,4", "5,3", "6,5", "7,2"])
    for size in (1, 3, 100):
        imported = await import_file(connection, path, "node", {"batch_size": size})
        assert imported.counts == (4, 0, 0, 0, 3)
        assert imported.reasons == [(row, "parent", "foreign_key_violation") for row in (3, 5, 6)]
        await connection.execute("truncate node")


async def test_deferred_constraints_are_checked_with_the_batch(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute(
        "create table shop (code text primary key); insert into shop values ('a');"
        "create table sale (id int primary key, shop text references shop deferrable initially deferred)"
    )
    path = write(tmp_path / "sale.csv", ["id,shop", "1,a", "2,b", "3,a"])
    imported = await import_file(connection, path, "sale")
    assert imported.counts == (2, 0, 0, 0, 1)
    assert imported.reasons == [(2, "shop", "foreign_key_violation")]


async def test_characters_that_the_database_cannot_store_are_the_record_s_error(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    path = write(tmp_path / "t.csv", b"id,name\n1,ann\n2,b\x81b\n3,c\x80\n")
    await connection.execute("create table t (id int primary key, name text)")
    imported = await import_file(connection, path, "t", {"encoding": "windows-1252"})
    assert imported.counts == (2, 0, 0, 0, 1)
    assert imported.reasons == [(2, None, "undecodable")]
    assert await connection.fetchval("select name from t where id = 3") == "c€"


async def test_half_of_the_records_may_be_bad(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute("create table t (id int primary key, n int, name text not null)")
    lines = [f"{id_},{'x' if id_ % 2 else id_},{'' if id_ % 3 == 0 else 'a'}" for id_ in range(3000)]
    path = write(tmp_path / "t.csv", ["id,n,name", *lines])
    for size in (50, 1000):
        imported = await import_file(connection, path, "t", {"batch_size": size})
        assert imported.counts == (1000, 0, 0, 0, 2000)
        assert len(imported.errors) == 1500 + 1000
        assert len(imported.rejects) == 2000
        await connection.execute("truncate t")


async def test_characters_that_the_database_s_encoding_lacks_are_the_record_s_error(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    name = unique("latin")
    boss = await asyncpg.connect(server.url())
    await boss.execute(f"create database {name} encoding 'LATIN1' locale 'C' template template0")
    session = await asyncpg.connect(server.url(name), statement_cache_size=0)
    try:
        await session.execute("create table t (id int primary key, name text)")
        path = write(
            tmp_path / "t.csv",
            ["id,name", "1,\N{LATIN SMALL LETTER E WITH ACUTE}", "2,\N{EURO SIGN}", "x,c", "4,d"],
        )
        for size in (1, 100):
            imported = await import_file(session, path, "t", {"batch_size": size})
            assert imported.counts in {(2, 0, 0, 0, 2), (0, 0, 2, 0, 2)}
            assert imported.reasons == [(2, None, "undecodable"), (3, "id", "invalid_value")]
            assert imported.errors[0].sqlstate == "22P05"
    finally:
        await session.close()
        await boss.execute(f"drop database {name}")
        await boss.close()
