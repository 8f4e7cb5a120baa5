"""A value that is kept as it stands in a record is what taking it apart and writing it anew would give."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobd.importing.as_written import AsWritten
from jobd.sources.copy_dialect import CopyDialect, FieldValue
from jobd.sources.formats.csv_fields import divided

PIECES = [
    b'"',
    b'""',
    b",",
    b"\t",
    b"|",
    b"\r",
    b"\n",
    b"\0",
    b"\xff",
    "\N{REPLACEMENT CHARACTER}".encode(),
    b"a",
    "é".encode(),
]
DELIMITERS = (",", "\t", "|")


def anew(value: FieldValue) -> str:
    return '"' + value.text.replace('"', '""') + '"' if value.was_quoted else value.text


@pytest.mark.parametrize("delimiter", DELIMITERS)
@given(raw=st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
@example(raw=b'1,"a ""b"", c\r\nd",')
@example(raw=b'"a"b,c')
@example(raw=b'a"b,c')
@example(raw=b'"')
@example(raw=b"")
def test_values_as_they_stand_are_those_that_are_read(delimiter: str, raw: bytes) -> None:
    dialect = CopyDialect(delimiter=delimiter)
    found = AsWritten(dialect).values(raw)
    if found is None:
        return
    read = divided(raw, dialect)
    assert read is not None
    assert list(found) == [anew(value) for value in read]
    assert all(value.was_quoted or not set(value.text) & set('"\r\n\t\0') for value in read)


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (b"1,a,,2024-01-01", ["1", "a", "", "2024-01-01"]),
        (b'"x, ""y""","",z', ['"x, ""y"""', '""', "z"]),
        (b",", ["", ""]),
        (b'a,"b\nc"', ["a", '"b\nc"']),
    ],
)
def test_plain_records_are_divided_without_taking_their_values_apart(raw: bytes, values: list[str]) -> None:
    assert AsWritten(CopyDialect()).values(raw) == values


@pytest.mark.parametrize(
    "dialect", [CopyDialect(codec="cp1252"), CopyDialect(quote="'", escape="'"), CopyDialect(escape="\\")]
)
def test_records_of_other_dialects_are_taken_apart(dialect: CopyDialect) -> None:
    assert AsWritten(dialect).values(b"1,a") is None
