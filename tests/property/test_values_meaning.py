"""Values written in the style of any country come back equal, whatever the batches and the way they take."""

from __future__ import annotations

import csv
import io
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.test_importing_meaning import WAYS
from tests.support.importing import import_file, write

if TYPE_CHECKING:
    from decimal import Decimal

    from tests.support.database import Database
    from tests.support.importing import Imported

TABLE = """
drop table if exists t;
create table t (
    id int primary key, amount numeric(14,2), at timestamp, is_open boolean, tags text[], note text not null
)
"""
HEADER = ("id", "amount", "at", "is_open", "tags", "note")


@dataclass(frozen=True)
class Style:
    """How a country writes."""

    delimiter: str
    decimal: str
    thousands: str
    date_format: str
    strftime: str
    words: tuple[str, str]

    def number(self, value: Decimal, *, is_grouped: bool) -> str:
        plain = f"{value:,.2f}" if is_grouped else f"{value:.2f}"
        return plain.translate({ord(","): self.thousands, ord("."): self.decimal})

    @property
    def options(self) -> dict[str, Any]:
        return {
            "delimiter": self.delimiter,
            "decimal": self.decimal,
            "thousands": self.thousands,
            "date_format": self.date_format,
            "true_values": [self.words[0]],
            "false_values": [self.words[1]],
            "trim": True,
            "null_values": ["", "-"],
            "schema": {"properties": {"amount": {"maximum": 10**11}, "note": {"maxLength": 8}}},
            "encoding": "utf-8",
        }


STYLES = [
    Style(";", ",", ".", "DD.MM.YYYY HH24:MI:SS", "%d.%m.%Y %H:%M:%S", ("wahr", "falsch")),
    Style(",", ".", ",", "MM/DD/YYYY HH12:MI:SS AM", "%m/%d/%Y %I:%M:%S %p", ("Y", "N")),
    Style("\t", ",", "\N{NARROW NO-BREAK SPACE}", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", ("vrai", "faux")),
    Style(",", ".", "'", "DD Mon YYYY, HH24:MI:SS", "%d %b %Y, %H:%M:%S", ("si", "no")),
    Style("|", ",", " ", "YYYY-MM-DD HH24:MI:SS | epoch", "%Y-%m-%d %H:%M:%S", ("да", "нет")),
]

_rows = st.tuples(
    st.integers(1, 6),
    st.none() | st.decimals(-(10**11), 10**11, places=2),
    st.none() | st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)).map(lambda at: at.replace(microsecond=0)),  # noqa: DTZ001
    st.none() | st.booleans(),
    st.none() | st.lists(st.none() | st.sampled_from(["a", 'b"', "c,d", "\\", "{}"]), max_size=3),
    st.sampled_from(["x", 'quoted "q"', "two\nlines", "much too long", "é"]),
)
_bad = st.sampled_from(
    ["", "1.2.3", "1,2,3", "31.02.2024", "02/30/2024", "maybe", "[1", "-", "\N{NO-BREAK SPACE}"]
)


def _written(
    style: Style, row: tuple[Any, ...], flaw: tuple[int, str] | None, *, is_grouped: bool, blank: str
) -> list[str]:
    id_, amount, at, is_open, tags, note = row
    texts = [
        str(id_),
        "-" if amount is None else style.number(amount, is_grouped=is_grouped),
        "" if at is None else at.strftime(style.strftime),
        "-" if is_open is None else style.words[0 if is_open else 1].upper(),
        "" if tags is None else _json(tags),
        note,
    ]
    if flaw is not None:
        texts[flaw[0]] = flaw[1]
    return [f"{blank}{text}{blank}" for text in texts]


def _json(tags: list[str | None]) -> str:
    quoted = ("null" if tag is None else '"' + tag.replace("\\", "\\\\").replace('"', '\\"') + '"' for tag in tags)
    return "[" + ", ".join(quoted) + "]"


async def _imported(
    connection: asyncpg.Connection, path: Path, options: dict[str, Any]
) -> tuple[Imported, list[tuple[Any, ...]]]:
    await connection.execute(TABLE)
    imported = await import_file(connection, path, "t", options)
    return imported, [tuple(row) for row in await connection.fetch("select * from t order by id")]


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.words[0])
@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rows=st.lists(
        st.tuples(
            _rows,
            st.none() | st.tuples(st.integers(0, 5), _bad),
            st.booleans(),
            st.sampled_from(["", " ", "\N{NO-BREAK SPACE}"]),
        ),
        min_size=1,
        max_size=10,
    )
)
async def test_values_come_back_equal_on_every_way(
    empty_database: Database, style: Style, rows: list[Any]
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=style.delimiter, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(
        _written(style, row, flaw, is_grouped=is_grouped, blank=blank) for row, flaw, is_grouped, blank in rows
    )
    connection = await asyncpg.connect(empty_database.url, statement_cache_size=0)
    try:
        await connection.execute("set client_min_messages = error")
        with tempfile.TemporaryDirectory() as directory:
            path = write(Path(directory) / "t.csv", text.getvalue())
            expected, expected_rows = await _imported(connection, path, {**style.options, "batch_size": 1})
            for way in WAYS[1:]:
                with way.taken():
                    options = {**style.options, "batch_size": way.batch_size}
                    found, found_rows = await _imported(connection, path, options)
                assert found_rows == expected_rows, way
                assert found.counts == expected.counts, way
                assert found.errors == expected.errors, way
                assert found.rejects == expected.rejects, way
    finally:
        await connection.close()
    refused = {error.row_number for error in expected.errors}
    sound: dict[int, tuple[Any, ...]] = {}
    for number, (row, flaw, _, _) in enumerate(rows, 1):
        if flaw is None:
            assert (number in refused) == (len(row[5]) > 8), expected.errors
        if number not in refused:
            sound[row[0]] = (row, flaw)
    for row, flaw in sound.values():
        if flaw is None:
            assert row in expected_rows
