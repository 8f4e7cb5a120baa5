from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.errors import OptionError
from jobd.importing.fields.forms.arrays import ArrayForm
from jobd.importing.fields.mapping import FieldMapping, MappedField
from jobd.importing.fields.nulls import NullRule
from jobd.importing.objections import Objections
from jobd.importing.schema.row_objects import RowObjects, value_reader
from jobd.importing.schema.row_schema import RowSchema
from jobd.importing.schema.schema_cost import SchemaCost
from jobd.importing.target import TargetColumn
from jobd.model.cursor import Cursor
from jobd.sources import CopyDialect, RecordBatch
from jobd.sources.records import RawText


def _column(name: str, base_type: str, element_type: str | None = None) -> TargetColumn:
    return TargetColumn(
        attnum=1,
        name=name,
        quoted_name=name,
        type_name=base_type,
        type_oid=0,
        type_modifier=-1,
        is_text=base_type == "text",
        base_type=base_type,
        is_composite=False,
        element_type=element_type,
        is_not_null=False,
        refuses_null=False,
        has_default=False,
        is_generated=False,
        identity="",
        has_collation=False,
        collation_name=None,
        equality=None,
        is_equality_exact=False,
        may_select=True,
        may_insert=True,
        may_update=True,
    )


def _mapping(*columns: TargetColumn, constants: tuple[tuple[TargetColumn, str | None], ...] = ()) -> FieldMapping:
    fields = tuple(
        MappedField(position=place, source_name=f"the {column.name}", column=column)
        for place, column in enumerate(columns)
    )
    return FieldMapping(fields=fields, constants=constants, key=(), key_index=None)


def _batch(records: list[bytes], dialect: CopyDialect | None = None, raw: RawText | None = None) -> RecordBatch:
    """Records of two fields."""
    data = b"".join(record + b"\n" for record in records)
    ends = np.cumsum([len(record) + 1 for record in records])
    firsts = [int(end) - len(record) - 1 + record.index(b",") for record, end in zip(records, ends, strict=True)]
    return RecordBatch(
        data=data,
        ends=ends,
        rows=np.arange(1, len(records) + 1),
        lines=np.arange(2, len(records) + 2),
        field_ends=np.column_stack((firsts, ends - 1)).astype(np.int32),
        dialect=dialect or CopyDialect(),
        cursor=Cursor(byte=len(data), line=0, size=len(data), modified_ns=0),
        raw=raw,
    )


# --- rows as objects


@pytest.mark.parametrize(
    ("base_type", "text", "expected"),
    [
        ("integer", "12", 12),
        ("integer", " -12 ", -12),
        ("numeric", "1.50", Decimal("1.50")),
        ("numeric", ".5", Decimal("0.5")),
        ("numeric", "1e3", Decimal("1e3")),
        ("numeric", "NaN", "NaN"),
        ("numeric", "1e99999", "1e99999"),
        ("numeric", "1" * 1001, "1" * 1001),
        ("bigint", "9" * 30, int("9" * 30)),
        ("integer", "x", "x"),
        ("integer", "٣", "٣"),
        ("boolean", "t", True),
        ("boolean", " OFF ", False),
        ("boolean", "maybe", "maybe"),
        ("jsonb", '{"a": 1}', {"a": 1}),
        ("jsonb", "{", "{"),
        ("date", "2024-01-01", "2024-01-01"),
        ("text", "12", "12"),
    ],
)
def test_a_text_becomes_a_value_of_its_column_s_type(base_type: str, text: str, expected: Any) -> None:
    found = value_reader(_column("c", base_type))(text)
    assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", []),
        ("{a,b}", ["a", "b"]),
        (' { a b , "c,\\"d" , NULL, "NULL" } ', ["a b", 'c,"d', None, "NULL"]),
        ("{{a},{b}}", [["a"], ["b"]]),
        ("[0:1]={a,b}", ["a", "b"]),
        ("{a;b}", ["a;b"]),
        ("{a", "{a"),
        ("a}", "a}"),
        ("{a}b", "{a}b"),
        ("", ""),
    ],
)
def test_an_array_becomes_a_list(text: str, expected: Any) -> None:
    assert value_reader(_column("c", "text[]", "text"))(text) == expected


@given(st.lists(st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\0")))))
def test_an_array_of_json_that_was_written_for_postgresql_becomes_the_same_list(values: list[str | None]) -> None:
    written = ArrayForm("text")(orjson.dumps(values).decode(), True)
    assert written is not None
    assert value_reader(_column("c", "text[]", "text"))(written) == values


@pytest.mark.parametrize("codec", ["utf-8", "iso8859-1"])
def test_rows_have_the_names_of_the_target_and_nulls_and_constants(codec: str) -> None:
    mapping = _mapping(_column("n", "integer"), _column("s", "text"), constants=((_column("c", "integer"), "5"),))
    records = ['1,é"', '"2","x, ""y"""', '"",""', ",NA"]
    batch = _batch([record.encode(codec) for record in records], CopyDialect(codec=codec))
    rows = RowObjects(mapping, is_json=False).rows(batch, NullRule(), batch)
    assert rows[1:] == [
        {"c": 5, "n": 2, "s": 'x, "y"'},
        {"c": 5, "n": None, "s": ""},
        {"c": 5, "n": None, "s": "NA"},
    ]
    assert rows[0]["s"].startswith("é")
    rows = RowObjects(mapping, is_json=False).rows(batch, NullRule(word="NA", forces_null=False), batch)
    assert rows[3]["s"] is None


def test_values_of_json_are_those_of_its_own_text() -> None:
    texts = [b'{"the n": "1", "the s": 5, "other": 1}', b'{"the s": null}', b"[]"]
    ends = np.cumsum([len(text) for text in texts])
    raw = RawText(data=b"".join(texts), starts=ends - [len(text) for text in texts], ends=ends)
    batch = _batch([b'"1",5', b",", b"3,x"], raw=raw)
    mapping = _mapping(_column("n", "integer"), _column("s", "text"), constants=((_column("c", "text"), "x"),))
    rows = RowObjects(mapping, is_json=True).rows(batch, NullRule(), batch)
    assert rows == [{"c": "x", "n": "1", "s": 5}, {"c": "x", "s": None}, {"c": "x", "n": 3, "s": "x"}]
    assert RowObjects(mapping, is_json=False).rows(batch, NullRule(), replace(batch, raw=None))[0]["n"] == 1


# --- what a schema may cost


def test_what_refers_to_the_same_again_and_again_is_counted_each_time() -> None:
    twice = {"allOf": [{"$ref": "#/$defs/leaf"}, {"$ref": "#/$defs/leaf"}]}
    assert SchemaCost({"$defs": {"leaf": {"type": "object"}}, **twice}).steps == 5


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"$ref": "#"}, "b": {"items": {"$ref": "#"}}}},
        {
            "$id": "https://example.org/a",
            "properties": {"b": {"$ref": "a"}, "c": {"$ref": "https://example.org/a#"}},
        },
        {"$defs": {"x": {"$anchor": "x", "properties": {"y": {"$ref": "#x"}}}}, "$ref": "#x"},
        {"definitions": {"a/b": {"type": "string"}}, "properties": {"a": {"$ref": "#/definitions/a~1b"}}},
    ],
)
def test_a_schema_that_goes_into_the_value_may_refer_to_itself(schema: dict[str, Any]) -> None:
    assert SchemaCost(schema).levels is None


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$dynamicAnchor": "me", "anyOf": [{"$dynamicRef": "#me"}]},
        {"$recursiveRef": "#"},
        {"$id": "https://example.org/a", "not": {"$ref": "a"}},
        {
            "$defs": {"a": {"if": {"$ref": "#/$defs/b"}}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}},
            "$ref": "#/$defs/a",
        },
        {"dependentSchemas": {"a": {"$ref": "#"}}},
    ],
)
def test_a_schema_that_refers_to_itself_for_the_same_value_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="without end"):
        SchemaCost(schema)


def test_a_record_that_is_too_large_for_its_schema_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobd.importing.schema.row_schema.RECORD_STEPS_MAX", 100)
    mapping = _mapping(_column("n", "integer"), _column("s", "text"))
    schema = RowSchema({"properties": {"s": {"maxLength": 5}}}, mapping, is_json=False)
    batch = _batch([b"1," + b"x" * 10, b"1," + b"x" * 100])
    objections = Objections()
    schema.judge(batch, NullRule(), batch, objections)
    assert [objections.to(number)[0].message for number in (0, 1)] == [
        '"xxxxxxxxxx" is longer than 5 characters at /s',
        "is too large to be held against the schema: more than 50 bytes",
    ]
