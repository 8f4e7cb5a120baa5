"""Records that resemble other rows are refused, as if each were handled alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobd.client.row_errors import exception_of
from jobd.errors import DuplicateError
from tests.support.importing import import_file, write

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from tests.support.database import Database

FIRMS = (
    "create extension if not exists pg_trgm; create table firms (id int primary key, name varchar(80), city text)"
)
pytestmark = pytest.mark.contrib("pg_trgm")

RULE = {"similar": {"column": "name", "threshold": 0.6}}
SIZES = pytest.mark.parametrize("size", [1, 2, 1000])


@SIZES
async def test_a_record_that_resembles_another_row_is_refused(
    connection: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    await connection.execute(FIRMS + "; insert into firms values (1, 'Acme Corporation'), (2, 'Zenith Ltd')")
    records = [
        "1,ACME Corporation",  # its own row
        "3,Acme Corporation.",
        "4,Globex",
        "5,Globex Inc",
        "6,Globex!",  # its twin was refused, the first one was not
        "7,",
        "8,",
        "2,Globex",  # an update may come to resemble another row, too
    ]
    path = write(tmp_path / "firms.csv", ["id,name", *records])
    imported = await import_file(connection, path, "firms", {**RULE, "batch_size": size})
    assert imported.counts == (3, 1, 0, 0, 4)
    assert [(error.row_number, error.code, error.field) for error in imported.errors] == [
        (number, "similar", "name") for number in (2, 4, 5, 8)
    ]
    assert imported.errors[0].message == 'name resembles that of the row {"id": 1}: similarity 1.0000'
    assert imported.errors[0].error_type == "duplicate"
    assert imported.errors[1].message == 'name resembles that of the row {"id": 4}: similarity 0.6364'
    assert imported.errors[3].raw_data == "Globex"
    assert imported.rejects[0].record == b"3,Acme Corporation."


async def test_the_client_says_which_row_and_how_similar(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(FIRMS + "; insert into firms values (7, 'Acme Corporation')")
    path = write(tmp_path / "firms.csv", ["id,name", "8,Acme Corporations"])
    imported = await import_file(connection, path, "firms", RULE)
    refused = exception_of(imported.errors[0]._asdict())
    assert isinstance(refused, DuplicateError)
    assert refused.existing_key == {"id": 7}
    assert refused.similarity == 0.8421


async def test_a_similarity_of_exactly_the_threshold_reaches_it(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute(FIRMS + "; insert into firms values (1, 'abcdefgh')")
    found = await connection.fetchval("select similarity('abcdefgh', 'abcdefxy')")
    path = write(tmp_path / "firms.csv", ["id,name", "2,abcdefxy"])
    for threshold, refused in ((round(found, 7), 1), (found + 0.001, 0)):
        imported = await import_file(
            connection, path, "firms", {"similar": {"column": "name", "threshold": threshold}}
        )
        assert imported.tally.refused == refused


async def test_several_rules_each_have_their_threshold(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(FIRMS + "; insert into firms values (1, 'Acme Corporation', 'Springfield')")
    path = write(
        tmp_path / "firms.csv",
        ["id,name,city", "2,Acme Corporal,Rome", "3,Other,Springfeld", "4,Acme Corporation,Oslo", "5,Last,Lima"],
    )
    rules = [{"column": "name", "threshold": 0.9}, {"column": "city", "threshold": 0.4}]
    imported = await import_file(connection, path, "firms", {"similar": rules})
    assert [(error.row_number, error.field) for error in imported.errors] == [(2, "city"), (3, "name")]


@SIZES
async def test_without_a_key_the_primary_key_names_the_row(
    connection: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    await connection.execute(
        "create extension if not exists pg_trgm;"
        "create table firms (id int generated always as identity primary key, name text)"
    )
    path = write(tmp_path / "firms.csv", ["name", "Acme Corporation", "Acme Corporation", "Zenith"])
    imported = await import_file(connection, path, "firms", {**RULE, "batch_size": size})
    assert imported.counts == (2, 0, 0, 0, 1)
    assert '{"id": 1}' in imported.errors[0].message


async def test_the_index_is_used_where_there_is_one(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(
        FIRMS + "; insert into firms select g, md5(g::text) from generate_series(1, 20000) g;"
        "create index firms_name on firms using gin (name gin_trgm_ops); analyze firms"
    )
    path = write(tmp_path / "firms.csv", ["id,name", *(f"{20_001 + g},{g:08x}zzzz{g}" for g in range(20))])
    imported = await import_file(connection, path, "firms", RULE)
    assert imported.tally.added > 0
    await connection.execute("select pg_stat_force_next_flush()")
    assert await connection.fetchval("select idx_scan from pg_stat_user_indexes where indexrelname = 'firms_name'")
    assert not await connection.fetchval(
        "select seq_tup_read from pg_stat_user_tables where relname = 'firms' and seq_tup_read > 60000"
    )


@pytest.mark.parametrize("schema", ["trigrams", "Odd Schema"])
async def test_the_extension_may_lie_in_any_schema(
    connection: asyncpg.Connection, tmp_path: Path, schema: str
) -> None:
    await connection.execute(f'create schema "{schema}"; create extension pg_trgm schema "{schema}"')
    await connection.execute(
        "create table firms (id int primary key, name text); insert into firms values (1, 'Acme')"
    )
    imported = await import_file(connection, write(tmp_path / "f.csv", ["id,name", "2,acme"]), "firms", RULE)
    assert imported.counts == (0, 0, 0, 0, 1)


@pytest.mark.parametrize(
    ("rule", "code", "words"),
    [
        ({"column": "nmae", "threshold": 0.5}, "unknown_column", "nearest: name"),
        ({"column": "city", "threshold": 0.5}, "option_invalid", "neither by the file"),
        ({"column": "id", "threshold": 0.5}, "option_invalid", "texts alone"),
    ],
)
async def test_a_rule_that_cannot_be_is_told_before_the_first_row(
    connection: asyncpg.Connection, tmp_path: Path, rule: dict[str, Any], code: str, words: str
) -> None:
    await connection.execute(FIRMS)
    path = write(tmp_path / "firms.csv", ["id,name", "1,a"])
    imported = await import_file(connection, path, "firms", {"similar": rule})
    assert imported.failure is not None
    assert imported.failure.error_code == code
    assert words in str(imported.failure)


async def test_a_database_without_the_extension_is_told_how_to_get_it(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table firms (id int primary key, name text)")
    imported = await import_file(connection, write(tmp_path / "f.csv", ["id,name", "1,a"]), "firms", RULE)
    assert imported.failure is not None
    assert imported.failure.error_code == "option_invalid"
    assert "create extension pg_trgm" in str(imported.failure)


async def test_a_submitter_needs_the_extensions_schema(empty_database: Database, tmp_path: Path) -> None:
    owner = await empty_database.connect()
    await owner.execute("create schema trigrams; create extension pg_trgm schema trigrams")
    await owner.execute("create table firms (id int primary key, name text); create role clerk_of_firms login")
    try:
        await owner.execute(
            "grant insert, select, update on firms to clerk_of_firms;"
            f"grant temporary on database {empty_database.name} to clerk_of_firms"
        )
        clerk = await empty_database.connect("clerk_of_firms", statement_cache_size=0)
        path = write(tmp_path / "f.csv", ["id,name", "1,Acme", "2,Acme"])
        refused = await import_file(clerk, path, "public.firms", RULE)
        assert refused.failure is not None
        assert refused.failure.error_code == "no_privilege"
        assert "grant usage on schema trigrams" in str(refused.failure)
        await owner.execute("grant usage on schema trigrams to clerk_of_firms")
        assert (await import_file(clerk, path, "public.firms", RULE)).counts == (1, 0, 0, 0, 1)
        await clerk.close()
    finally:
        await owner.execute("drop owned by clerk_of_firms; drop role clerk_of_firms")
