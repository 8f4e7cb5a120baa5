"""Rows as the objects that a JSON Schema is held against: names are the target's, values typed by its columns."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from jobd.importing.fields.forms.arrays import JSON_TYPES
from jobd.importing.fields.forms.booleans import BOOLEAN_TYPE, OWN_FALSE, OWN_TRUE
from jobd.importing.fields.forms.numbers import NUMBER_TYPES
from jobd.importing.fields.nulls import null_records
from jobd.sources.copy_dialect import decode_field

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobd.importing.fields.mapping import FieldMapping
    from jobd.importing.fields.nulls import NullRule
    from jobd.importing.target import TargetColumn
    from jobd.sources import RecordBatch

    Row = dict[str, Any]

# What is longer is no number that JSON knows, and stays a text.
_NUMBER = re.compile(r"\s*([+-]?(?:[0-9]{1,1000}(\.[0-9]{0,1000})?|(\.[0-9]{1,1000}))([eE][+-]?[0-9]{1,3})?)\s*")
_BOOLEANS = {**dict.fromkeys(OWN_TRUE, True), **dict.fromkeys(OWN_FALSE, False)}
_ARRAY = re.compile(
    r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<mark>[{},])|(?P<bare>(?:[^{},"\\]|\\.)+))\s*', re.DOTALL
)


class RowObjects:
    """Makes the objects of one import. ``is_json``: the values are the source's own, where it still has them."""

    def __init__(self, mapping: FieldMapping, *, is_json: bool) -> None:
        self._mapping = mapping
        self._is_json = is_json
        self._names = [column.name for column in mapping.stated]
        self._readers = [value_reader(each.column) for each in mapping.fields]
        self._constants = [
            None if text is None else value_reader(column)(text) for column, text in mapping.constants
        ]

    def rows(self, ready: RecordBatch, rule: NullRule, original: RecordBatch) -> list[Row]:
        """One object for each record of ``ready``, which is ``original`` as it goes to COPY."""
        columns = [
            self._column(ready, place, rule, is_text=each.column.is_text, read=read)
            for place, (each, read) in enumerate(zip(self._mapping.fields, self._readers, strict=True))
        ]
        constants = self._constants
        rows = [
            dict(zip(self._names, (*constants, *values), strict=True)) for values in zip(*columns, strict=True)
        ]
        if self._is_json and original.raw is not None:
            return [self._own(original, number, row) for number, row in enumerate(rows)]
        return rows

    @staticmethod
    def _column(
        batch: RecordBatch, place: int, rule: NullRule, *, is_text: bool, read: Callable[[str], Any]
    ) -> list[Any]:
        texts = field_texts(batch, place)
        values: list[Any] = texts if read is str else list(map(read, texts))
        for number in null_records(batch, place, rule, is_text=is_text).tolist():
            values[number] = None
        return values

    def _own(self, original: RecordBatch, number: int, row: Row) -> Row:
        """What the source's own JSON says of a record; a key that it lacks is lacking here too."""
        try:
            found = orjson.loads(original.raw_record(number))
        except orjson.JSONDecodeError:
            return row
        if not isinstance(found, dict):
            return row
        constants = dict(zip(self._names, self._constants, strict=False))
        own = {
            each.column.name: found[each.source_name] for each in self._mapping.fields if each.source_name in found
        }
        return {**constants, **own}


def field_texts(batch: RecordBatch, place: int) -> list[str]:
    """A field of all records, as COPY would read it; nulls are what is written for them."""
    starts, ends = batch.column_starts(place).tolist(), batch.field_ends[:, place].tolist()
    data, dialect = batch.data, batch.dialect
    if data.isascii() or dialect.codec != "utf-8":
        # A byte is a character, so that all of them can be decoded at once.
        text = data.decode(dialect.codec, "replace")
        texts = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    else:
        texts = [data[start:end].decode(errors="replace") for start, end in zip(starts, ends, strict=True)]
    quote = dialect.quote
    if quote.encode() not in data:
        return texts
    return [
        decode_field(data[starts[number] : ends[number]], dialect).text if quote in text else text
        for number, text in enumerate(texts)
    ]


def value_reader(column: TargetColumn) -> Callable[[str], Any]:
    """How a text of a column becomes a value of JSON; one that is none of the column's type stays a text."""
    if column.element_type is not None and column.element_type != "box":  # whose arrays have another comma
        element = _reader(column.element_type)
        return lambda text: _array(text, element)
    return _reader(column.base_type)


def _reader(type_name: str) -> Callable[[str], Any]:
    if type_name in NUMBER_TYPES:
        return _number
    if type_name == BOOLEAN_TYPE:
        return lambda text: _BOOLEANS.get(text.strip().lower(), text)
    if type_name in JSON_TYPES:
        return _json
    return str


def _number(text: str) -> int | Decimal | str:
    if len(text) <= 18 and text.isascii() and text.isdecimal():
        return int(text)
    found = _NUMBER.fullmatch(text)
    if found is None:
        return text
    is_whole = found[2] is None and found[3] is None and found[4] is None
    return int(found[1]) if is_whole else Decimal(found[1])


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _array(text: str, element: Callable[[str], Any]) -> Any:
    """PostgreSQL's form of an array as a list; a text where it cannot be one."""
    body = text.partition("=")[2] if text.lstrip().startswith("[") else text
    stack: list[list[Any]] = []
    position = 0
    while found := _ARRAY.match(body, position):
        position = found.end()
        quoted, mark, bare = found.group("quoted", "mark", "bare")
        if mark == "{":
            stack.append([])
        elif not stack:
            return text
        elif mark == "}":
            done = stack.pop()
            if not stack:
                return done if position == len(body) else text
            stack[-1].append(done)
        elif quoted is not None:
            stack[-1].append(element(re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)))
        elif bare is not None:
            bare = bare.strip()
            is_null = bare.upper() == "NULL"
            stack[-1].append(None if is_null else element(re.sub(r"\\(.)", r"\1", bare, flags=re.DOTALL)))
    return text
