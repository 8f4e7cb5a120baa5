"""Any table, in any dialect, with some bad cells and broken lines: what is refused loops.

Left as it is it is refused again with the same codes; mended it is imported, and the target is what a file without
a fault would have made of it.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.importing import import_file, write
from tests.support.mending import csv_of, keep_refused, refused_csv, rows_of

if TYPE_CHECKING:
    import asyncpg

    from tests.support.database import Database
    from tests.support.importing import Imported

TABLE = "create table {name} (id int primary key, note text, number numeric not null, word text)"
HEADER = ("id", "note", "number", "word")
ODD_TEXTS = (
    *("", " ", "NA", "-", "n/a", "\\N", "=1+1", "_jobd_row", "sep=,", "#", "\\", '"', "'", "a\nb", "\r\n"),
)
NULL_WORDS = (("",), ("NA",), ("", "NA", "-"), ("n/a", "\\N"))
TEXTS = st.one_of(
    st.sampled_from(
        ["", "NA", "-", "n/a", "\\N", " ", "=1+1", "_jobd_row", "sep=,", "#", "\\", '"', "'", "a\nb", "\r\n"]
    ),
    st.text(st.characters(codec="cp1252", exclude_categories=["Cc", "Cs"]), max_size=6),
    st.text(st.sampled_from("ab,;\t|\"'\\\n #"), max_size=6),
)


@dataclass(frozen=True)
class Dialect:
    """How a file is written, and what is stated of it."""

    delimiter: str
    quote: str
    encoding: str
    line_end: str
    skip_rows: int
    header: bool

    @property
    def options(self) -> dict[str, Any]:
        return {
            "delimiter": self.delimiter,
            "quote": self.quote,
            "escape": self.quote,
            "encoding": self.encoding,
            "skip_rows": self.skip_rows,
            "header": self.header,
        }

    def file(self, lines: list[str]) -> bytes:
        before = ["a title"] * self.skip_rows + ([self.delimiter.join(HEADER)] if self.header else [])
        return "".join(line + self.line_end for line in [*before, *lines]).encode(self.encoding)

    def line(self, cells: list[Cell]) -> str:
        return self.delimiter.join(self._written(*cell) for cell in cells)

    def _written(self, text: str, is_quoted: bool) -> str:
        if is_quoted or any(sign in text for sign in (self.delimiter, self.quote, "\r", "\n")):
            return self.quote + text.replace(self.quote, self.quote * 2) + self.quote
        return text


Cell = tuple[str, bool]
dialects = st.builds(
    Dialect,
    delimiter=st.sampled_from(",;\t|^"),
    quote=st.sampled_from("\"'"),
    encoding=st.sampled_from(["utf-8", "cp1252", "utf-16"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    skip_rows=st.integers(0, 2),
    header=st.booleans(),
)
cells = st.tuples(TEXTS, st.booleans())
records = st.lists(
    st.tuples(cells, cells, st.sampled_from(["good", "good", "bad", "short", "long"])), min_size=1, max_size=8
)


@pytest.fixture
async def connection(database: Database) -> asyncpg.Connection:
    return await database.connect(statement_cache_size=0)


async def contents(connection: asyncpg.Connection, name: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await connection.fetch(f"select * from {name} order by id")]


@pytest.mark.slow
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(dialect=dialects, table=records, null_values=st.sampled_from(NULL_WORDS))
async def test_what_is_refused_loops(
    connection: asyncpg.Connection,
    dialect: Dialect,
    table: list[tuple[Cell, Cell, str]],
    null_values: tuple[str, ...],
) -> None:
    # The tables that imports stage their batches in are not dropped before their connection ends.
    await connection.execute("discard temp")
    for name in ("looped", "right_from_the_start"):
        await connection.execute(f"drop table if exists {name}")
        await connection.execute(TABLE.format(name=name))
    values = {"null_values": list(null_values)}
    options = {**dialect.options, **values}
    bad, good = [], []
    # Without a header the first record says how many fields there are.
    table = [(*table[0][:2], "bad"), *table[1:]]
    for number, (note, word, kind) in enumerate(table, 1):
        right = [(str(number), False), note, (f"{number}.5", False), word]
        wrong = {
            "good": right,
            "bad": [*right[:2], ("many", False), word],
            "short": right[:-1],
            "long": [*right, ("more", False)],
        }[kind]
        good.append(dialect.line(right))
        bad.append(dialect.line(wrong))

    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder, "table.csv"), dialect.file(good))
        right_import = await import_file(connection, path, "right_from_the_start", options)
        assert (right_import.failure, right_import.errors) == (None, [])
        write(path, dialect.file(bad))
        first = await import_file(connection, path, "looped", options)
        kinds = {row: kind for row, (_, _, kind) in enumerate(table, 1) if kind != "good"}
        assert {error.row_number for error in first.errors} == set(kinds)
        before = await contents(connection, "looped")
        text = await refused_csv(connection, await keep_refused(connection, first))
        path = write(Path(folder, "again.csv"), text)
        again = await import_file(connection, path, "looped", options)
        assert [(each.field, each.code) for each in again.errors] == [
            (each.field, each.code) for each in first.errors
        ]
        assert await contents(connection, "looped") == before

        rows = rows_of(text)
        for row in rows:
            number = int(row["_jobd_row"])
            if kinds[number] == "bad":
                row["number"] = f"{number}.5"
            elif kinds[number] == "short":
                row["word"] = _as_csv(*table[number - 1][1])
                if not table[number - 1][1][0] or "" not in null_values:
                    row["_jobd_record"] = ""  # where the value does not tell that it was filled in
            elif kinds[number] == "long":
                row["_jobd_record"] = ""
        write(path, csv_of(rows))
        second = await import_file(connection, path, "looped", options if len(table) % 2 else values)
        assert (second.failure, second.errors) == (None, [])
        assert second.tally.processed_rows == len(kinds)
        assert await contents(connection, "looped") == await contents(connection, "right_from_the_start")


def reasons(imported: Imported) -> list[tuple[str | None, str]]:
    return [(error.field, error.code) for error in imported.errors]


def _as_csv(text: str, is_quoted: bool) -> str:
    return Dialect(",", '"', "", "", 0, header=True)._written(text, is_quoted)
