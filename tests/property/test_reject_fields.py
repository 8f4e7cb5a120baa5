"""Whatever a reader refuses can be written down for people, and nothing of it is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobd.importing.fields.mapping import FieldMapping
from jobd.importing.fields.values import FieldForms
from jobd.importing.reject_fields import RejectFields
from jobd.model.cursor import Cursor
from jobd.model.options import ImportOptions
from jobd.sources.copy_dialect import CopyDialect
from jobd.sources.records import Layout, RecordBatch, RefusedRecord
from tests.support.mending import value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = ("id", "note", "_jobd_row", "more")
CODES = (
    "too_few_fields",
    "too_many_fields",
    "undecodable",
    "nul_byte",
    "malformed_json",
    "unknown_field",
    "other",
)
PIECES = [
    b"id",
    b'"',
    b",",
    b"{",
    b"}",
    b":",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\0",
    b"\xff",
    b"\xc3\xa9",
    b"\r",
    b"1",
]
DIALECTS = (
    CopyDialect(),
    CopyDialect(delimiter=";", quote="'", escape="\\", codec="cp1252"),
    CopyDialect(delimiter="\x1f", quote="\x1e", escape="\x1e"),
)


def written(dialect: CopyDialect, *, quotes_texts: bool, raw: bytes, code: str) -> dict[str, str]:
    layout = Layout(dialect, NAMES, len(NAMES), quotes_texts)
    mapping = FieldMapping(fields=(), constants=(), key=(), key_index=None)
    nothing = np.zeros(0, np.int64)
    batch = RecordBatch(
        data=b"", ends=nothing, rows=nothing, lines=nothing, field_ends=np.zeros((0, len(NAMES)), np.int32),
        dialect=dialect, cursor=Cursor(file=1),
    )  # fmt: skip
    fields = RejectFields(layout, mapping, ImportOptions(), FieldForms())
    found: dict[str, str] = json.loads(fields.of_refused(batch, RefusedRecord(1, 1, code, "no good", raw)))
    return found


@pytest.mark.parametrize("dialect", DIALECTS, ids=["comma", "escapes", "text"])
@pytest.mark.parametrize("quotes_texts", [False, True], ids=["csv", "other"])
@given(
    raw=st.one_of(st.binary(max_size=60), st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join)),
    code=st.sampled_from(CODES),
)
@example(raw=b'{"id": "a\xff", "note": [1, "\\ud800"], "more": "x\\u0000"}', code="undecodable")
@example(raw=b'{"id": "x\\u0000", "note": {"a": 1.50}, "more": null, "colour": 1}', code="unknown_field")
def test_every_refused_record_is_written_with_all_of_its_bytes(
    dialect: CopyDialect, quotes_texts: bool, raw: bytes, code: str
) -> None:
    found = written(dialect, quotes_texts=quotes_texts, raw=raw, code=code)
    assert list(found) == ["id", "note", "more", "_jobd_code", "_jobd_filled", "_jobd_record"]
    assert found["_jobd_code"] == code
    assert not any("\0" in value for value in found.values())
    whole = value_of(found["_jobd_record"])
    assert whole == raw.decode(dialect.codec, "backslashreplace").replace("\0", "\\x00")
    for value in list(found.values())[:3]:
        assert value == '""' or value.startswith('"') or not set(value) & set('"\r\n')


@pytest.mark.parametrize(
    ("raw", "code", "values"),
    [
        (
            b'{"note": {"a": 1.50}, "id": 1.0, "more": "", "colour": 1}',
            "unknown_field",
            ["1.0", '"{""a"": 1.50}"', '""'],
        ),
        (b'{"note": tru', "malformed_json", ["", "", ""]),
        (b"[1]", "not_an_object", ["", "", ""]),
    ],
)
def test_a_json_object_is_laid_into_the_columns_as_far_as_it_can_be_read(
    raw: bytes, code: str, values: Sequence[str]
) -> None:
    assert list(written(CopyDialect(), quotes_texts=True, raw=raw, code=code).values())[:3] == values


def test_fields_of_a_short_and_a_long_record_stand_in_their_columns() -> None:
    short = written(CopyDialect(), quotes_texts=False, raw=b'1,"a ""b"""', code="too_few_fields")
    assert (short["id"], short["note"], short["more"]) == ("1", '"a ""b"""', "")
    long = written(CopyDialect(), quotes_texts=False, raw=b"1,a,2,c,d,e", code="too_many_fields")
    assert (long["id"], long["note"], long["more"]) == ("1", "a", "c")
    assert written(CopyDialect(), quotes_texts=False, raw=b'1,"a', code="unterminated_quote")["id"] == ""
