"""What fails a job before its first row: the source, the mapping, the target, the rights."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.importing import import_file, write
from tests.support.names import unique

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from tests.support.database import Database

TABLE = """
create table people (
    id int primary key, "First Name" text not null, born date, total int generated always as (id) stored
)"""


async def _failure(
    connection: asyncpg.Connection,
    directory: Path,
    lines: list[str],
    options: dict[str, Any],
    target: str = "people",
) -> tuple[str, str]:
    imported = await import_file(connection, write(directory / "p.csv", lines), target, options)
    assert imported.failure is not None
    assert imported.tally.processed_rows == 0
    return imported.failure.error_code, str(imported.failure)


@pytest.mark.parametrize(
    ("lines", "options", "code", "words"),
    [
        (["id,first name,age", "1,a,5"], {}, "unknown_column", ["'age'", "'first name'", "ignore_unknown"]),
        (["id,first name,borm", "1,a,5"], {}, "unknown_column", ["(nearest: born)"]),
        (["id,born", "1,2000-01-01"], {}, "missing_column", ["'First Name'"]),
        (["first name,born", "a,2000-01-01"], {"key": ["id"]}, "missing_column", ["key column id"]),
        (["id,first name,ID", "1,a,2"], {}, "repeated_column", ["more than once"]),
        (["id,first name,id", "1,a,2"], {}, "repeated_column", ["more than once"]),
        (["id,first name,total", "1,a,2"], {}, "column_not_writable", ["generated"]),
        (["id,first name", "1,a"], {"key": ["born"]}, "missing_column", ["born"]),
        (["id,first name", "1,a"], {"key": ["nothing"]}, "unknown_column", ["nothing"]),
        (["id,first name", "1,a"], {"key": ["id", "first name"]}, "key_not_unique", ["there are: (id)"]),
        (
            ["id,x", "1,a"],
            {"columns": {"x": "last name"}},
            "unknown_column",
            ["last name", "(nearest: first name)"],
        ),
        (["id,first name", "1,a"], {"columns": {"birth": "born"}}, "missing_column", ["'birth'"]),
        (
            ["id,x,y", "1,a,b"],
            {"columns": {"x": "First Name", "y": "First Name"}},
            "repeated_column",
            ["exactly one"],
        ),
        (["id,first name", "1,a"], {"constants": {"age": 1}}, "unknown_column", ["age"]),
        (["id,first name", "1,a"], {"constants": {"id": 1}}, "option_invalid", ["filled more than once"]),
        (["id,first name", "1,a"], {"constants": {"born": "x"}}, "option_invalid", ["invalid input syntax"]),
        (["id,born", "1,"], {"constants": {"First Name": None}}, "option_invalid", ["must not be null"]),
        (["id,first name", "1,a"], {"on_missing": "x"}, "option_not_built", ["on_missing"]),
        (["id,first name", "1,a"], {"batch_size": "x"}, "option_invalid", ["batch_size"]),
        (["1,a,2000-01-01,5,6"], {"header": False}, "unknown_column", ["takes 3"]),
        (["1,a"], {"header": False, "columns": {"a": "id"}}, "option_invalid", ["names none"]),
        (["_jobd_row", "1"], {}, "missing_column", ["no column"]),
    ],
)
async def test_what_does_not_fit_the_target_is_told(  # noqa: PLR0917  one argument per column of the table above
    connection: asyncpg.Connection,
    tmp_path: Path,
    lines: list[str],
    options: dict[str, Any],
    code: str,
    words: list[str],
) -> None:
    await connection.execute(TABLE)
    found, message = await _failure(connection, tmp_path, lines, options)
    assert found == code, message
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("target", "code", "words"),
    [
        ("nobody", "target_missing", "no table nobody"),
        ("public.peple", "target_missing", "did you mean public.people"),
        ("nowhere.people", "target_missing", "no table"),
        ("a.b.c.d", "target_invalid", "no name of a table"),
        ("public.people_seen", "target_invalid", "a view"),
        ("public.people_pkey", "target_invalid", "an index"),
        ("public.ruled", "target_invalid", "rewrite rules"),
    ],
)
async def test_what_is_no_table_is_refused(
    connection: asyncpg.Connection, tmp_path: Path, target: str, code: str, words: str
) -> None:
    await connection.execute(TABLE)
    await connection.execute(
        "create view people_seen as select 1 as id; create table ruled (id int);"
        "create rule quiet as on insert to ruled do instead nothing"
    )
    found, message = await _failure(connection, tmp_path, ["id", "1"], {}, target)
    assert found == code, message
    assert words in message, message


@pytest.mark.parametrize(
    ("grants", "on_conflict", "words"),
    [
        ("", "update", "insert, select, update"),
        ("grant insert on people to {role}", "update", "insert, select, update"),
        ("grant insert, select on people to {role}", "update", "born"),
        ("grant insert, select on people to {role}", "skip", None),
        ("grant insert, select, update on people to {role}", "update", None),
    ],
)
async def test_missing_privileges_are_named_with_the_grant(  # noqa: PLR0917  the same
    connection: asyncpg.Connection,
    empty_database: Database,
    tmp_path: Path,
    grants: str,
    on_conflict: str,
    words: str | None,
) -> None:
    role = unique("clerk")
    await connection.execute("create table people (id int primary key, born date)")
    await connection.execute(f"create role {role} login; " + grants.format(role=role))
    session = await empty_database.connect(role, statement_cache_size=0)
    path = write(tmp_path / "p.csv", ["id,born", "1,"])
    imported = await import_file(session, path, "people", {"on_conflict": on_conflict})
    if words is None:
        assert imported.failure is None
        assert imported.counts == (1, 0, 0, 0, 0)
    else:
        assert imported.failure is not None
        assert imported.failure.error_code == "no_privilege"
        assert words in str(imported.failure)


async def test_names_match_whatever_their_case_blanks_and_unicode_form(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute('create table people (id int primary key, "Größe" int, name text)')
    path = write(tmp_path / "p.csv", [" ID ,GRO\u0308SSE,Called", "1,180,ann"])
    options = {"columns": {"called": "NAME", "nickname": "name", "pet": "Größe"}, "optional": ["pet"]}
    imported = await import_file(connection, path, "people", options)
    assert imported.failure is None
    assert tuple((await connection.fetch("select * from people"))[0]) == (1, 180, "ann")


async def test_names_that_differ_by_case_only_find_their_own_columns(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute('create table t (id int primary key, "ID" int)')
    path = write(tmp_path / "t.csv", ["ID,id", "1,2"])
    assert (await import_file(connection, path, "t")).failure is None
    assert tuple((await connection.fetch("select * from t"))[0]) == (2, 1)
    imported = await import_file(connection, write(tmp_path / "t.csv", ["Id", "1"]), "t")
    assert "may mean id and ID" in str(imported.failure)


async def test_unknown_columns_can_be_passed_over(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute("create table t (id int primary key, name text)")
    path = write(tmp_path / "t.csv", ["age,id,pet,name,x", '5,1,"d,og",ann,1', "6,2,,bob,2"])
    imported = await import_file(connection, path, "t", {"ignore_unknown": True})
    assert imported.counts == (2, 0, 0, 0, 0)
    assert tuple((await connection.fetch("select * from t"))[0]) == (1, "ann")


async def test_without_a_header_fields_go_by_position(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(
        "create table t (no int generated always as identity, id int primary key, "
        "twice int generated always as (id * 2) stored, name text)"
    )
    path = write(tmp_path / "t.csv", ["1,ann", "2,bob"])
    imported = await import_file(connection, path, "t", {"header": False})
    assert imported.counts == (2, 0, 0, 0, 0)
    assert [tuple(row) for row in await connection.fetch("select id, twice, name from t")] == [
        (1, 2, "ann"),
        (2, 4, "bob"),
    ]


async def test_a_file_with_only_a_header_completes_with_no_rows(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table t (id int primary key)")
    imported = await import_file(connection, write(tmp_path / "t.csv", ["id"]), "t")
    assert imported.failure is None
    assert imported.counts == (0, 0, 0, 0, 0)
    assert imported.begun["total_rows"] == 0


async def test_bad_sources_fail_with_their_codes(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute("create table t (id int primary key)")
    empty = await import_file(connection, write(tmp_path / "t.csv", ""), "t")
    assert empty.failure is not None
    assert empty.failure.error_code == "source_empty"
    missing = await import_file(connection, tmp_path / "none.csv", "t")
    assert missing.failure is not None
    assert missing.failure.error_code == "source_missing"


async def test_the_file_s_hash_is_verified_before_the_first_row(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table t (id int primary key)")
    path = write(tmp_path / "t.csv", ["id", "1"])
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (await import_file(connection, path, "t", file_hash=right)).failure is None
    imported = await import_file(connection, path, "t", file_hash="0" * 64)
    assert imported.failure is not None
    assert imported.failure.error_code == "hash_mismatch"


async def test_a_job_without_source_or_target_fails(connection: asyncpg.Connection, tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", ["id", "1"])
    imported = await import_file(connection, path, "")
    assert imported.failure is not None
    assert imported.failure.error_code == "target_missing"
