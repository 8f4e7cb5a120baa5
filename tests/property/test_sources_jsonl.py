"""Goal: every JSON value arrives as it was written, through COPY, whatever stands in it and beside it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jobd.sources import ReadOptions, open_source
from jobd.sources.formats import jsonl_reader, window
from tests.support.sources import Cells, copied, everything
from tests.support.sources import cells as cells_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobd.db.embedded import EmbeddedServer

KEYS = ("id", "a b", "é", "n")


class Number(str):
    """A JSON number by its text."""

    __slots__ = ()


strings = st.text(
    st.one_of(
        st.sampled_from('"\\/\n\r\t\b\f,\x01\x7fnul{}[]:é€𝄞\ufeff'), st.characters(exclude_categories=["Cs"])
    ),
    max_size=12,
).filter(lambda text: "\0" not in text)
numbers = st.one_of(
    st.integers(-(10**40), 10**40).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=6).map(lambda value: format(value, "f")),
    st.sampled_from(["-0", "1.10", "1e5", "1E-400", "0.1000000000000000000000000000001"]),
).map(Number)
nested = st.recursive(
    st.one_of(strings, st.integers(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(strings, inner, max_size=3)),
    max_leaves=6,
).filter(lambda value: isinstance(value, list | dict))
values = st.one_of(strings, numbers, nested, st.none(), st.booleans())
records = st.dictionaries(st.sampled_from(KEYS), values, max_size=4)
lines = st.lists(
    st.one_of(
        records, st.sampled_from(["", "  ", "nonsense", '{"id": 01}', "[1]", '{"id": "\\u0000"}', '{"x": 1}'])
    ),
    min_size=1,
    max_size=12,
)


def written(record: dict[str, Any], *, ascii_only: bool, blank: str) -> str:
    def value_text(value: Any) -> str:
        return value if isinstance(value, Number) else json.dumps(value, ensure_ascii=ascii_only)

    pairs = (
        f"{json.dumps(key, ensure_ascii=ascii_only)}{blank}:{blank}{value_text(value)}"
        for key, value in record.items()
    )
    return "{" + f",{blank}".join(pairs) + blank + "}"


def expected(record: dict[str, Any], *, ascii_only: bool) -> Cells:
    cells: Cells = []
    for key in KEYS:
        value = record.get(key)
        if value is None:
            cells.append(None)
        elif isinstance(value, str):
            cells.append(str(value))
        else:
            cells.append(json.dumps(value, ensure_ascii=ascii_only))
    return cells


@pytest.fixture(scope="module")
def postgres(server: EmbeddedServer) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        yield connection


@given(lines, st.booleans(), st.sampled_from(["", " ", "\t "]), st.sampled_from(["\n", "\r\n"]))
@example([{"id": '\\"', "n": "\\u0041\\"}, {"id": "\\\\n"}], True, "", "\n")
@example([{"id": None, "n": "null"}, {"id": "null,null"}], True, "", "\n")
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_values_arrive_as_they_were_written(
    postgres: psycopg.Connection[Any], content: list[Any], ascii_only: bool, blank: str, line_end: str
) -> None:
    text = line_end.join(
        each if isinstance(each, str) else written(each, ascii_only=ascii_only, blank=blank) for each in content
    )
    if not text.strip():
        return
    options = ReadOptions(source_type="jsonl", fields=KEYS)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "file.jsonl")
        path.write_bytes(text.encode())
        whole = everything(path, options, 1000)
        with open_source(str(path), roots=[path.parent], options=options) as source:
            batch = source.reader().read(1000, 1 << 20)
        good = [each for each in content if not isinstance(each, str)]
        assert [row[2] for row in whole["rows"]] == [expected(each, ascii_only=ascii_only) for each in good]
        line_of_good = [number for number, each in enumerate(content, 1) if not isinstance(each, str)]
        assert [row[1] for row in whole["rows"]] == line_of_good
        codes = {"nonsense": "malformed_json", '{"id": 01}': "malformed_json", "[1]": "not_an_object"}
        codes |= {'{"id": "\\u0000"}': "nul_byte", '{"x": 1}': "unknown_field"}
        bad = [each for each in content if isinstance(each, str) and each.strip()]
        assert [(each[2], each[3].decode()) for each in whole["refused"]] == [(codes[each], each) for each in bad]
        if batch is not None:
            delivered = [cells_of(batch, index) for index in range(len(batch))]
            assert copied(postgres, batch.data, len(KEYS), batch.dialect) == delivered
        assert everything(path, options, 1) == whole
        assert everything(path, options, 3, resume=True) == whole
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jsonl_reader, "READ_BYTES", 16)
            patch.setattr(window, "_READ_BYTES_MIN", 1)
            assert everything(path, options, 1000) == whole
