"""Lines of text and rows of sheets in tables: what is null, what is an empty text, and what bad values cost."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.importing import import_file, write
from tests.support.workbooks import xlsx

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

LINES = ['one, "two"', "", "\\.", "NA", "a\x1fb\x1ec", "  é ", "10%\r20%"]


@pytest.mark.parametrize("size", [1, 2, 100])
async def test_lines_arrive_as_they_are_beside_constants(
    connection: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    await connection.execute(
        "create table t (id int generated always as identity primary key, line text, kind text)"
    )
    path = write(tmp_path / "t.log", "\n".join(LINES) + "\n")
    options = {"constants": {"kind": "a\x1f\x1e"}, "batch_size": size, "null_values": ["NA"]}
    imported = await import_file(connection, path, "t", options)
    assert imported.failure is None
    assert imported.counts == (7, 0, 0, 0, 0)
    found = [tuple(row) for row in await connection.fetch("select line, kind from t order by id")]
    assert found == [(None if line == "NA" else line, "a\x1f\x1e") for line in LINES]


async def test_lines_that_a_table_refuses_are_kept_as_they_stood(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table t (line text check (line not like '%x%'))")
    path = write(tmp_path / "t.txt", 'a\n"x", y\nb\x1ex\nc\n')
    imported = await import_file(connection, path, "t")
    assert imported.counts == (2, 0, 0, 0, 2)
    assert [row for row, *_ in imported.reasons] == [2, 3]


@pytest.mark.parametrize(
    ("pattern", "lines"),
    [
        (None, ["1.234,5", "0,25", "1.5"]),
        (r"(?P<value>\S+) (?P<is_open>\w+)", ["1.234,5 ja", "0,25 NEIN", "1,5 true"]),
    ],
    ids=["one column", "a pattern"],
)
async def test_values_of_lines_are_read_as_the_options_say(
    connection: asyncpg.Connection, tmp_path: Path, pattern: str | None, lines: list[str]
) -> None:
    await connection.execute("create table t (value numeric, is_open boolean)")
    options = {"decimal": ",", "thousands": ".", "columns": {} if pattern else {"line": "value"}}
    if pattern:
        options |= {"pattern": pattern, "true_values": ["ja"], "false_values": ["nein"]}
    imported = await import_file(connection, write(tmp_path / "t.txt", lines), "t", options, source_type="text")
    assert (imported.failure, imported.reasons) == (
        None,
        [(3, "is_open" if pattern else "line", "invalid_value")],
    )
    found = [tuple(row) for row in await connection.fetch("select * from t order by value desc")]
    assert found == [(Decimal("1234.5"), True if pattern else None), (Decimal("0.25"), False if pattern else None)]


async def test_a_line_that_is_an_object_of_json_is_a_text_to_a_schema(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table t (line text)")
    schema = {"properties": {"line": {"type": "string"}}}
    path = write(tmp_path / "t.txt", ['{"line": 3}'])
    imported = await import_file(connection, path, "t", {"schema": schema}, source_type="text")
    assert imported.counts == (1, 0, 0, 0, 0)


@pytest.mark.parametrize("size", [1, 100])
async def test_a_sheet_arrives_with_its_nulls_and_its_errors_are_refused(
    connection: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    await connection.execute("create table t (id int primary key, name text, n numeric)")
    table: list[list[Any]] = [
        ["id", "name", "n"],
        [1, "007", 0.1],
        [],
        [2, "n/a", None],
        [3, None, "#ERROR #N/A"],
        [4, "#ERROR #N/A", 4],
        [5, "two\nlines", "#ERROR #DIV/0!"],
    ]
    path = write(tmp_path / "t.xlsx", xlsx({"T": table}))
    options = {"null_values": ["n/a", "#N/A"], "batch_size": size}
    imported = await import_file(connection, path, "t", options)
    assert imported.counts == (4, 0, 0, 0, 1)
    assert imported.reasons == [(5, "n", "invalid_value")]
    found = [tuple(row) for row in await connection.fetch("select id, name, n::text from t order by id")]
    assert found == [(1, "007", "0.1"), (2, None, None), (3, None, None), (4, None, "4")]
