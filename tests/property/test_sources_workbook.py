"""Goal: a table of cells comes back as it was, through a workbook, CSV and COPY."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobd.sources import ReadOptions, open_source
from tests.support.sources import cells, copied
from tests.support.workbooks import xlsx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobd.db.embedded import EmbeddedServer

# What XML cannot hold is left out; a workbook keeps numbers of up to 15 digits.
texts = st.text(
    st.one_of(
        st.sampled_from('",;\n\t \\.é€𝄞\ufeff'),
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"),
    ),
    min_size=1,
    max_size=8,
).filter(lambda text: not text.startswith(("_x", "#ERROR")))
numbers = st.one_of(st.integers(-(10**14), 10**14), st.floats(-1e6, 1e6).map(lambda value: round(value, 6)))
table_cells = st.one_of(st.none(), texts, numbers, st.booleans())


@pytest.fixture(scope="module")
def postgres(server: EmbeddedServer) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        yield connection


@given(
    st.integers(2, 4).flatmap(
        lambda width: st.lists(st.lists(table_cells, min_size=width, max_size=width), max_size=6)
    )
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_table_comes_back(postgres: psycopg.Connection[Any], table: list[list[Any]]) -> None:
    header = [f"column {number}" for number in range(len(table[0]) if table else 2)]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "file")
        path.write_bytes(xlsx({"T": [header, *table]}))
        with open_source(str(path), roots=[path.parent], options=ReadOptions()) as source:
            assert source.header == header
            batch = source.reader().read(1000, 1 << 20)
    expected = [list(map(_written, row)) for row in table if any(value is not None for value in row)]
    if batch is None:
        assert not expected
        return
    assert not batch.refused
    found = [cells(batch, index) for index in range(len(batch))]
    assert copied(postgres, batch.data, len(header), batch.dialect) == found
    assert [list(map(_number, row)) for row in found] == [list(map(_number, row)) for row in expected]


def _written(value: object) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _number(text: str | None) -> float | str | None:
    """A number by its value, since it may be written in several ways."""
    try:
        return text if text is None or not text.isascii() else float(text)
    except ValueError:
        return text
