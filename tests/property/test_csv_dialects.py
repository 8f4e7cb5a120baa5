"""Goal: a table that was written as CSV in any dialect comes back the same, wherever reading stops and goes on.

Method: tables of nasty values, written by the rules of the dialect; PostgreSQL must load what the reader hands on.
"""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from jobd.sources import ReadOptions, open_source
from jobd.sources.formats import csv_parts, window
from tests.support.csv_writer import Dialect, Table, dialects, is_writable
from tests.support.sources import cells, copied, everything

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobd.db.embedded import EmbeddedServer

DATA = Path(__file__).parents[1] / "data"
COMMENTS = ["#", "# it's a \"note", "# a,b;c\\", '#"']

values = st.one_of(
    st.none(),
    st.text(alphabet="ab,;\t|:^~\x01\x1f @\"'\\!#\r\n é€.x\x0c", max_size=6),
    st.sampled_from(
        ["", "\\.", "\\N", "NULL", "a\\", '5" x 6"', "#", "# x", " ", "\ufeff", "ß", "日本", "😀", "\x1a."]
    ),
)


@pytest.fixture(scope="module")
def postgres(server: EmbeddedServer) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        yield connection


def options_for(dialect: Dialect) -> ReadOptions:
    return ReadOptions(
        source_type="csv",
        delimiter=dialect.delimiter,
        quote=dialect.quote,
        escape=dialect.escape or dialect.quote or None,
        encoding=None if dialect.has_mark else dialect.encoding,
        header=dialect.header_rows or False,
        comment=dialect.comment,
        skip_rows=len(dialect.before),
    )


@st.composite
def files(draw: st.DrawFn) -> tuple[Dialect, bytes, Table, list[int]]:
    """A dialect, a file in it, the header's last row with the rows, and the line each begins on."""
    dialect = draw(dialects())
    columns = draw(st.integers(1, 4))
    wanted = values.filter(lambda value: is_writable(value, dialect))
    rows: Table = draw(
        st.lists(st.lists(wanted, min_size=columns, max_size=columns), min_size=dialect.header_rows, max_size=8)
    )
    # A header is found in one that is not blank; without one, the first record says how many columns there are.
    assume(rows and all(dialect.record(row) for row in rows[: max(1, dialect.header_rows)]))
    assume(columns > 1 or all(dialect.record(row) for row in rows))
    text = "".join(line + dialect.line_end for line in dialect.before)
    lines = []
    for row in rows:
        if dialect.comment:
            text += "".join(
                line + dialect.line_end for line in draw(st.lists(st.sampled_from(COMMENTS), max_size=2))
            )
        lines.append(1 + text.count(dialect.newline))
        text += dialect.record(row) + dialect.line_end
    if dialect.is_closed:
        text += dialect.line_end * (dialect.blank_lines if columns > 1 else 0)
    else:
        text = text[: -len(dialect.line_end)]
    assume(dialect.has_mark or not text.startswith("\ufeff"))
    return dialect, dialect.bytes_of(text), rows, lines


def as_cells(row: list[str | None], dialect: Dialect) -> list[str | None]:
    return [value if value or dialect.quote else None for value in row]


@given(files())
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_table_comes_back_as_it_was_written(
    postgres: psycopg.Connection[Any], written: tuple[Dialect, bytes, Table, list[int]]
) -> None:
    dialect, content, rows, lines = written
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "file.csv")
        path.write_bytes(content)
        options = options_for(dialect)
        with open_source(str(path), roots=[path.parent], options=options) as source:
            header = source.header
            batch = source.reader().read(1000, 1 << 20)
        names = rows[: dialect.header_rows][-1:]
        assert header == [value or "" for name in names for value in name]
        expected = [
            (number, line, as_cells(row, dialect))
            for number, (row, line) in enumerate(
                zip(rows[dialect.header_rows :], lines[dialect.header_rows :], strict=True), 1
            )
        ]
        whole = everything(path, options, 1000)
        assert whole == {"rows": expected, "refused": []}
        if batch is not None:
            delivered = [cells(batch, index) for index in range(len(batch))]
            assert copied(postgres, batch.data, batch.field_ends.shape[1], batch.dialect) == delivered
        assert everything(path, options, 2, resume=True) == whole
        with pytest.MonkeyPatch.context() as patch:
            for size in (1, 7):
                patch.setattr(csv_parts, "READ_BYTES", size)
                patch.setattr(csv_parts, "_CAREFUL_BYTES", size * 2)
                patch.setattr(window, "_READ_BYTES_MIN", 1)
                assert everything(path, options, 3) == whole


tame = st.one_of(
    st.sampled_from(["Anna", "two words", "Doe, John", "a;b", 'say "hi"', "line\nend", "Köln", ""]),
    st.integers(0, 10**6).map(str),
    st.dates().map(str),
    st.floats(-1000, 1000).map(lambda number: f"{number:.2f}"),
)


@given(
    st.lists(st.lists(tame, min_size=3, max_size=3), min_size=2, max_size=10),
    st.sampled_from(",;\t|\x01\x1f"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32"]),
    st.lists(st.sampled_from(["Report", "", "# made today", "Figures of all branches"]), max_size=3),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
@settings(max_examples=300, deadline=None)
def test_an_ordinary_file_needs_nothing_stated(  # noqa: PLR0917  hypothesis hands them on by position
    rows: list[list[str]], delimiter: str, line_end: str, encoding: str, before: list[str], quoting: Any
) -> None:
    rows = [[value.replace("\n", line_end) for value in row] for row in rows]
    text = io.StringIO(newline="")
    text.write("".join(line + line_end for line in before))
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    writer.writerows([["id", "full name", "amount"], *rows])
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "file.csv")
        path.write_bytes(text.getvalue().encode(encoding))
        with open_source(str(path), roots=[path.parent]) as source:
            assert source.header == ["id", "full name", "amount"]
            batch = source.reader().read(1000, 1 << 20)
    assert batch is not None
    assert [[field.text for field in batch.fields(index)] for index in range(len(batch))] == rows


@pytest.mark.parametrize("delimiter", list(",;\t|:^~\x01\x1f "))
@pytest.mark.parametrize("quotechar", list("\"'"))
@pytest.mark.parametrize("escapechar", [None, "\\"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONE])
def test_naughty_strings_survive_every_dialect(
    tmp_path: Path, delimiter: str, quotechar: str, escapechar: str | None, quoting: Any
) -> None:
    if quoting == csv.QUOTE_NONE and escapechar is None:
        escapechar = "!"
    strings = json.loads((DATA / "blns/blns.json").read_text(encoding="utf-8"))
    rows = [[str(number), text] for number, text in enumerate(strings)]
    path = tmp_path / "naughty.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(
            file,
            delimiter=delimiter,
            quotechar=quotechar,
            escapechar=escapechar,
            doublequote=escapechar is None,
            quoting=quoting,
            lineterminator="\n",
        )
        writer.writerows([["number", "text"], *rows])
    options = ReadOptions(
        delimiter=delimiter,
        quote=quotechar if quoting != csv.QUOTE_NONE else "",
        escape=escapechar or quotechar,
    )
    found = everything(path, options, 100)
    assert not found["refused"]
    assert [[value or "" for value in row] for _, _, row in found["rows"]] == rows
