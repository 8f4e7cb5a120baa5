"""The option schema: rows as objects, what is told of those that do not meet it, and that it always ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.importing import import_file, write

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from tests.support.importing import Imported

TABLE = """
create table t (
    id int primary key, name text, price numeric, is_open boolean, doc jsonb, tags text[], day date, team text
)
"""
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "name": {"type": "string", "minLength": 2, "pattern": "^[A-Z]"},
        "price": {"type": ["number", "null"], "multipleOf": 0.01},
        "is_open": {"type": ["boolean", "null"]},
        "doc": {"type": ["object", "null"], "properties": {"a": {"type": "array", "maxItems": 2}}},
        "tags": {"type": ["array", "null"], "items": {"type": ["string", "null"], "maxLength": 3}},
        "day": {"type": ["string", "null"], "format": "date"},
        "team": {"const": "red"},
    },
    "additionalProperties": False,
}
GOOD = {
    "id": 1,
    "name": "Ann",
    "price": "1,50",
    "is_open": "ja",
    "doc": {"a": [1]},
    "tags": ["x"],
    "day": "01.02.2024",
}
NO_NUMBER = '"1.5" is no number as the options have them written'
OPTIONS = {
    "schema": SCHEMA,
    "decimal": ",",
    "true_values": "ja",
    "date_format": "DD.MM.YYYY",
    "constants": {"team": "red"},
}


def _records(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**GOOD, "id": number, **change} for number, change in enumerate(changes, 1)]


async def _import(
    connection: asyncpg.Connection, directory: Path, records: list[dict[str, Any]], options: dict[str, Any]
) -> Imported:
    lines = [",".join(records[0]), *(",".join(_field(value) for value in record.values()) for record in records)]
    return await import_file(connection, write(directory / "t.csv", lines), "t", options)


def _field(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return '"' + text.replace('"', '""') + '"'


@pytest.mark.parametrize("has_rows", [False, True])
@pytest.mark.parametrize("size", [1, 3, 100])
async def test_rows_that_do_not_meet_the_schema_are_refused(
    connection: asyncpg.Connection, tmp_path: Path, size: int, has_rows: bool
) -> None:
    await connection.execute(TABLE)
    if has_rows:
        await connection.execute("insert into t (id, name) values (1, 'Old')")
    records = _records(
        {},
        {"price": None, "is_open": None, "doc": None, "tags": "{a,NULL}", "day": None},
        {"id": 0, "name": "a"},
        {"price": "1,505", "doc": {"a": [1, 2, 3]}, "tags": ["longer", "x"]},
        {"id": "x", "price": "1.5", "name": "b"},
    )
    imported = await _import(connection, tmp_path, records, {**OPTIONS, "batch_size": size})
    assert imported.tally.success_count == 2
    assert [(each.row_number, each.field, each.code, each.message, each.raw_data) for each in imported.errors] == [
        (3, "id", "schema_violation", "0 is less than the minimum of 1 at /id", "0"),
        (3, "name", "schema_violation", '"a" is shorter than 2 characters at /name', "a"),
        (3, "name", "schema_violation", '"a" does not match "^[A-Z]" at /name', "a"),
        (4, "price", "schema_violation", "1.505 is not a multiple of 0.01 at /price", "1,505"),
        (4, "doc", "schema_violation", "[1,2,3] has more than 2 items at /doc/a", '{"a": [1, 2, 3]}'),
        (4, "tags", "schema_violation", '"longer" is longer than 3 characters at /tags/0', '["longer", "x"]'),
        (5, "id", "invalid_value", '"x" is no number as the options have them written: as in 1234', "x"),
        (5, "price", "invalid_value", f"{NO_NUMBER}: decimal sign ',', as in 1234,5", "1.5"),
        (5, "name", "schema_violation", '"b" is shorter than 2 characters at /name', "b"),
        (5, "name", "schema_violation", '"b" does not match "^[A-Z]" at /name', "b"),
    ]
    assert {each.error_type for each in imported.errors} == {"validation"}
    assert len(imported.rejects) == 3


async def test_what_is_missing_or_too_much_is_told_by_its_name(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table t (id int primary key, name text)")
    schema = {"required": ["mail"], "properties": {"id": True}, "additionalProperties": False}
    imported = await _import(connection, tmp_path, [{"ID": 1, "name": "a"}], {"schema": schema})
    assert sorted(imported.reasons, key=str) == [(1, "mail", "schema_violation"), (1, "name", "schema_violation")]
    by_field = {each.field: each for each in imported.errors}
    assert by_field["mail"].message == '"mail" is a required property'
    assert by_field["mail"].raw_data == '"1","a"'
    assert by_field["name"].raw_data == "a"


async def test_fields_are_called_as_in_the_file(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute("create table t (id int primary key, name text)")
    options = {"schema": {"properties": {"name": {"maxLength": 1}}}, "columns": {"Name": "name"}}
    imported = await _import(connection, tmp_path, [{"id": 1, "Name": "ab"}], options)
    assert imported.reasons == [(1, "Name", "schema_violation")]


async def test_values_of_json_are_its_own(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute("create table t (id int primary key, n numeric, s text)")
    lines = ['{"id": 1, "n": 1.5, "s": "x"}', '{"id": 2, "n": "x", "s": "x"}', '{"id": 3, "n": null, "s": "x"}']
    schema = {"properties": {"n": {"type": "number"}, "s": {"type": "string"}}}
    path = write(tmp_path / "t.jsonl", lines)
    imported = await import_file(connection, path, "t", {"schema": schema})
    assert imported.reasons == [(2, "n", "invalid_value"), (3, "n", "schema_violation")]


async def test_no_more_than_ten_violations_of_a_record_are_told(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table t (id int primary key, tags text[])")
    options: dict[str, Any] = {"schema": {"properties": {"tags": {"items": {"maxLength": 1}}}}}
    imported = await _import(connection, tmp_path, [{"id": 1, "tags": ["long"] * 100}], options)
    assert imported.reasons == [(1, "tags", "schema_violation")] * 10
    options = {"schema": {"properties": {"tags": {"maxItems": 1}}}}
    imported = await _import(connection, tmp_path, [{"id": 1, "tags": ["long"] * 1000}], options)
    assert len(imported.errors[0].message) == 500


def _doubling(times: int) -> dict[str, Any]:
    rules: dict[str, Any] = {
        f"a{number}": {"allOf": [{"$ref": f"#/$defs/a{number + 1}"}] * 2} for number in range(times)
    }
    return {"$defs": {**rules, f"a{times}": {"type": "object"}}, "$ref": "#/$defs/a0"}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "nonsense"}, ["/type", "nonsense"]),
        ({"properties": {"id": {"minimum": "x"}}}, ["/properties/id/minimum", "number"]),
        ({"properties": {"id": {"pattern": "(?=a)b"}}}, ["/properties/id/pattern", "look-around"]),
        ({"properties": {"id": {"pattern": "(a{1000}){1000}"}}}, ["/properties/id/pattern", "not too large"]),
        ({"properties": {"id": {"format": "dat"}}}, ["format", "dat"]),
        ({"$ref": "#/nope"}, ["/nope"]),
        ({"$ref": "http://127.0.0.1:1/schema"}, ["127.0.0.1", "into the schema itself"]),
        ({"$ref": "file:///etc/hostname"}, ["into the schema itself"]),
        ({"$schema": "http://127.0.0.1:1/schema"}, ["127.0.0.1"]),
        ({"$ref": "#"}, ["refers to itself"]),
        (_doubling(40), ["more than 100,000 steps"]),
        ({"anyOf": [{"pattern": "a"}] * 101}, ["101 patterns"]),
        ({"description": "x" * 300_000}, ["bytes long"]),
        ({"allOf": [{}] * 70_000}, ["objects"]),
    ],
)
async def test_a_schema_that_cannot_be_used_is_refused_before_the_first_row(
    connection: asyncpg.Connection, tmp_path: Path, schema: dict[str, Any], words: list[str]
) -> None:
    await connection.execute(TABLE)
    imported = await _import(connection, tmp_path, _records({}), {**OPTIONS, "schema": schema})
    if imported.failure is None:
        pytest.fail("it was taken")
    assert imported.failure.error_code == "option_invalid"
    assert "option schema" in str(imported.failure)
    assert [word for word in words if word in str(imported.failure)], str(imported.failure)
    assert imported.batches == 0


async def test_hostile_patterns_end(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute("create table t (id int primary key, name text)")
    schema = {
        "properties": {"name": {"pattern": "^(a+)+$", "allOf": [{"pattern": "^(a|aa)+$"}, {"pattern": "(a*)*b"}]}}
    }
    imported = await _import(connection, tmp_path, [{"id": 1, "name": "a" * 500_000 + "c"}], {"schema": schema})
    assert imported.reasons == [(1, "name", "schema_violation")] * 3


async def test_a_schema_that_refers_to_itself_ends(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute("create table t (id int primary key, doc jsonb)")
    inner = {"allOf": [{"properties": {"a": {"$ref": "#/$defs/node"}}, "title": side} for side in "lr"]}
    schema = {"$defs": {"node": inner}, "properties": {"doc": {"$ref": "#/$defs/node"}}}
    deep: dict[str, Any] = {}
    for _ in range(60):
        deep = {"a": deep}
    records = [{"id": 1, "doc": deep}, {"id": 2, "doc": {"a": {"a": {}}}}]
    imported = await _import(connection, tmp_path, records, {"schema": schema})
    assert imported.reasons == [(1, None, "schema_violation")]
    assert "too deep" in imported.errors[0].message


async def test_other_drafts_may_be_stated(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute("create table t (id int primary key, tags text[])")
    # In draft 7 a list of items is one schema for each place; in 2020-12 it is no schema at all.
    schema = {"properties": {"tags": {"items": [{"const": "a"}, {"const": "b"}]}}}
    records = [{"id": 1, "tags": ["a", "b"]}, {"id": 2, "tags": ["b", "a"]}]
    draft = "http://json-schema.org/draft-07/schema#"
    imported = await _import(connection, tmp_path, records, {"schema": {"$schema": draft, **schema}})
    assert {error.row_number for error in imported.errors} == {2}
    imported = await _import(connection, tmp_path, records, {"schema": schema})
    assert imported.failure is not None


@pytest.mark.parametrize(("schema", "counts"), [(True, (1, 0, 0, 0, 0)), (False, (0, 0, 0, 0, 1))])
async def test_a_schema_may_be_a_word(
    connection: asyncpg.Connection, tmp_path: Path, schema: bool, counts: tuple[int, ...]
) -> None:
    await connection.execute("create table t (id int primary key)")
    imported = await _import(connection, tmp_path, [{"id": 1}], {"schema": schema})
    assert imported.counts == counts
