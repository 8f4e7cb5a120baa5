"""Text and workbooks as sources of jobs, from detection to the rows of a table."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
import xlsxwriter

from tests.support.importing import import_file, write

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

ACCESS = """\
127.0.0.1 - - [10/Oct/2026:13:55:36 +0000] "GET /a HTTP/1.1" 200 2326
::1 - ann [10/Oct/2026:13:55:40 +0000] "POST /b,c HTTP/1.1" 404 -
not a line of an access log
10.0.0.1 - - [11/Oct/2026:00:00:00 +0000] "GET /\\"q\\" HTTP/1.1" 500 17
"""
ACCESS_PATTERN = (
    r"^(?P<host>\S+) \S+ (?P<who>\S+) \[(?P<at>[^\]]+)\] "
    r'"(?P<method>\w+) (?P<path>.*) HTTP/[\d.]+" (?P<status>\d+) (?P<size>\S+)$'
)
QUESTIONS = """\
Q: What is a lease?
A: A time-limited right
to write.

Q: Who holds it?
A: One worker.
---
Q: No answer
"""


@pytest.mark.parametrize("size", [1, 20_000])
async def test_a_log_becomes_rows_by_a_pattern(connection: asyncpg.Connection, tmp_path: Path, size: int) -> None:
    await connection.execute(
        "create table hits (host inet, who text, at timestamptz, path text, status int, size int)"
    )
    imported = await import_file(
        connection,
        write(tmp_path / "access.log", ACCESS),
        "hits",
        {
            "pattern": ACCESS_PATTERN,
            "null_values": {"who": ["-"], "size": ["-"]},
            "ignore_unknown": True,
            "date_format": {"at": "DD/Mon/YYYY:HH24:MI:SS TZHTZM"},
        },
        batch_size=size,
    )
    assert imported.failure is None
    assert [(error.row_number, error.line_number, error.code) for error in imported.errors] == [(3, 3, "no_match")]
    rows = await connection.fetch(
        "select host::text, who, to_char(at at time zone 'UTC', 'DD HH24:MI:SS'), path, status, size from hits"
    )
    assert [tuple(row) for row in rows] == [
        ("127.0.0.1/32", None, "10 13:55:36", "/a", 200, 2326),
        ("::1/128", "ann", "10 13:55:40", "/b,c", 404, None),
        ("10.0.0.1/32", None, "11 00:00:00", '/\\"q\\"', 500, 17),
    ]


@pytest.mark.parametrize("size", [1, 20_000])
async def test_questions_and_answers_become_rows_by_blocks(
    connection: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    await connection.execute("create table faq (question text not null, answer text)")
    imported = await import_file(
        connection,
        write(tmp_path / "faq.txt", QUESTIONS.replace("---\n", "\n")),
        "faq",
        {"separator": "\n\n", "pattern": r"(?s)^Q: (?P<question>[^\n]*)(?:\nA: (?P<answer>.*))?$"},
        batch_size=size,
    )
    assert imported.failure is None
    assert [tuple(row) for row in await connection.fetch("select * from faq")] == [
        ("What is a lease?", "A time-limited right\nto write."),
        ("Who holds it?", "One worker."),
        ("No answer", None),
    ]


async def test_lines_of_text_go_into_one_column_blank_ones_included(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table lines (number int generated always as identity, line text not null)")
    text = ' indented\n\n"quoted", \\.\n\\.\n\x1e\x1f\nlast'
    imported = await import_file(connection, write(tmp_path / "a.txt", text), "lines", source_type="text")
    assert imported.failure is None
    assert await connection.fetchval("select string_agg(line, E'\\n' order by number) from lines") == text


async def test_a_workbook_s_cells_arrive_as_their_column_s_types(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute(
        "create table people (id int primary key, name text, born date, rate numeric, ok boolean)"
    )
    book = xlsxwriter.Workbook(tmp_path / "people.xlsx", {"default_date_format": "yyyy-mm-dd"})
    sheet = book.add_worksheet("People")
    rows: list[list[Any]] = [
        ["id", "name", "born", "rate", "ok"],
        [1, 'Änn, "A"\nB', dt.date(1980, 2, 29), 0.1, True],
        [2, None, None, 1e15, False],
        ["x", "bad", None, 1, True],
    ]
    for place, row in enumerate(rows):
        for column, value in enumerate(row):
            if value is not None:
                sheet.write(place, column, value)
    book.close()
    imported = await import_file(connection, tmp_path / "people.xlsx", "people")
    assert imported.failure is None
    assert imported.begun["detected"]["source"]["sheet"] == "People"
    assert [(error.row_number, error.field, error.raw_data) for error in imported.errors] == [(3, "id", "x")]
    assert [tuple(row) for row in await connection.fetch("select id, name, born, rate::text, ok from people")] == [
        (1, 'Änn, "A"\nB', dt.date(1980, 2, 29), "0.1", True),
        (2, None, None, "1000000000000000", False),
    ]
