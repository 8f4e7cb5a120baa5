"""Refused records by their columns, each value written as CSV has it: what people mend and import again.

A value keeps its quotes, or their lack, wherever these mean something: of CSV all of them, as an unquoted value
may be a word for null; of other formats those of an empty text. What a format other than CSV has by itself (a
null, a bare number, a string that is JSON) is written so that it is read the same from CSV under the same options.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import filterfalse
from typing import TYPE_CHECKING

import msgspec
import orjson

from jobd.importing.as_written import AsWritten
from jobd.importing.fields.forms.booleans import BooleanForm
from jobd.importing.fields.forms.json_text import json_string
from jobd.importing.fields.forms.numbers import NumberForm
from jobd.importing.fields.names import normal
from jobd.importing.fields.nulls import needs_quotes
from jobd.importing.fields.stated import stated_by_field
from jobd.model.own_columns import CODE, FILLED, RECORD, is_own
from jobd.model.row_error import REJECT_BYTES_MAX
from jobd.sources.copy_dialect import FieldValue
from jobd.sources.formats.csv_fields import divided
from jobd.sources.records import REST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.importing.fields.forms.form import Form
    from jobd.importing.fields.mapping import FieldMapping
    from jobd.importing.fields.values import FieldForms
    from jobd.model.options import ImportOptions
    from jobd.sources.records import Layout, RecordBatch, RefusedRecord

NOT_MENDED = "not_mended"
_NEEDS_QUOTES = re.compile('["\r\n]')
_IS_NOT_PLAIN = re.compile('["\r\n,;\t|]')  # with the delimiters that the lines may have
_RAGGED = frozenset({"too_few_fields", "too_many_fields"})
_NO_TEXT = re.compile("[\0\N{REPLACEMENT CHARACTER}]")
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class _Column:
    """A field's place in the record, its name, its words for null, and the form that its values are read in."""

    position: int
    name: str
    words: tuple[str, ...] = ("",)
    quoted_words: tuple[str, ...] = ()
    is_trimmed: bool = False
    form: Form | None = None
    is_rest: bool = False

    @property
    def null(self) -> str:
        """How a null is written: without quotes, where a word is one that needs none."""
        if "" in self.words:
            return ""
        plain = next(filterfalse(_IS_NOT_PLAIN.search, self.words), self.words[0])
        return _quoted(plain) if _NEEDS_QUOTES.search(plain) else plain

    def is_null(self, text: str, *, was_quoted: bool = False) -> bool:
        """Whether a text is a word for null; in the quotes of CSV only some are."""
        words = self.quoted_words if was_quoted else self.words
        return text in words or (self.is_trimmed and text.strip() in words)

    def word(self, text: str) -> str:
        """A word for null as it is, or another one where it needs quotes, in which texts stand."""
        return self.null if _IS_NOT_PLAIN.search(text) else text


class RejectFields:
    """Writes the refused records of one layout as JSON objects: the name of each column, and its value."""

    def __init__(self, layout: Layout, mapping: FieldMapping, options: ImportOptions, forms: FieldForms) -> None:
        self._is_csv = not layout.quotes_texts
        self._codec = layout.dialect.codec
        self._width = layout.column_count
        is_collected = options.rest is not None and (not layout.header or layout.header[-1] == REST)
        self._rest = layout.column_count - 1 if self._is_csv and is_collected else None
        self._columns = _columns(layout, mapping, options, forms)
        self._names = [column.name for column in self._columns]
        self._is_whole = len(self._columns) == self._width
        self._standing = AsWritten(layout.dialect) if self._are_values_kept else None

    @property
    def _are_values_kept(self) -> bool:
        """Whether what stands in a record is what is written of it, also where it is a word for null."""
        return (
            self._is_csv
            and self._rest is None
            and not any(
                column.is_rest or column.quoted_words or any(map(_IS_NOT_PLAIN.search, column.words))
                for column in self._columns
            )
        )

    def of(self, batch: RecordBatch, number: int, raw: bytes) -> str:
        """A record that the reader took, and its bytes."""
        if len(raw) > REJECT_BYTES_MAX:
            return self._unread(raw, NOT_MENDED, None)
        standing = self._as_written(raw)
        if standing is not None and len(standing) == self._width:
            return _object(self._named(standing))
        return _object(self._values(batch.fields(number)))

    def of_refused(self, batch: RecordBatch, record: RefusedRecord) -> str:
        """A record that the reader could not take: as far as it can be made out, and whole behind that."""
        values: Sequence[FieldValue | None] | None = record.values
        standing = self._as_written(record.raw) if values is None else None
        if standing is not None:
            return self._annotated(self._named(standing), record.code, record.raw)
        if values is None and not self._is_csv and record.raw[:1] == b"{":
            values = self._members(record.raw)
        elif values is None and (self._is_csv or record.code in _RAGGED):
            values = self._collected(divided(record.raw, batch.dialect))
        return self._unread(record.raw, record.code, values)

    def _as_written(self, raw: bytes) -> Sequence[str] | None:
        return None if self._standing is None else self._standing.values(raw)

    def _named(self, standing: Sequence[str]) -> dict[str, str]:
        """Each column's value, of those that stand in a record; of one that is missing, a null."""
        if len(standing) >= self._width and self._is_whole:
            return dict(zip(self._names, standing, strict=False))
        return {
            column.name: standing[column.position] if column.position < len(standing) else column.null
            for column in self._columns
        }

    def _collected(self, values: Sequence[FieldValue] | None) -> Sequence[FieldValue | None] | None:
        """The values as the reader gives them: surplus ones as one, not known where one of them is not."""
        if values is None or self._rest is None or len(values) <= self._rest:
            return values
        rest = values[self._rest :]
        array = orjson.dumps([each.text for each in rest]).decode()
        return [*values[: self._rest], FieldValue(array, was_quoted=True) if all(map(_is_text, rest)) else None]

    def _unread(self, raw: bytes, code: str, values: Sequence[FieldValue | None] | None) -> str:
        known = [each if each and _is_text(each) else None for each in values or ()]
        return self._annotated(self._values(known), code, raw)

    def _annotated(self, written: dict[str, str], code: str, raw: bytes) -> str:
        text = raw[:REJECT_BYTES_MAX].decode(self._codec, "backslashreplace").replace("\0", r"\x00")
        filled = sum(value not in {"", '""'} for value in written.values())
        return _object(written | {CODE: code, FILLED: str(filled), RECORD: _quoted(text)})

    def _members(self, raw: bytes) -> list[FieldValue | None] | None:
        """The values of a JSON object, in the order of the columns, as far as they are text."""
        try:
            members = _MEMBERS.decode(raw.decode("utf-8", "replace"))
            values: list[FieldValue | None] = [None] * self._width
            for column in self._columns:
                values[column.position] = _member(bytes(members.get(column.name, b"null")))
        except (msgspec.DecodeError, RecursionError):
            return None
        return values

    def _values(self, fields: Sequence[FieldValue | None]) -> dict[str, str]:
        """Each column's value; of one that is not known, a null."""
        write = _as_csv if self._is_csv else _from_other
        written = {}
        for column in self._columns:
            field = fields[column.position] if column.position < len(fields) else None
            if field is None or (column.is_rest and field == FieldValue("", was_quoted=False)):
                written[column.name] = column.null
            else:
                written[column.name] = write(field, column)
        return written


def _columns(
    layout: Layout, mapping: FieldMapping, options: ImportOptions, forms: FieldForms
) -> tuple[_Column, ...]:
    words = stated_by_field("null_values", options.null_values, mapping, options)
    trim = stated_by_field("trim", options.trim, mapping, options)
    # Without types of the source's own, a value is written as the forms have it already.
    form_of = {each.place: each.form for each in forms.after} if layout.is_typed else {}
    place_of = {each.position: place for place, each in enumerate(mapping.fields)}
    others = {normal(name) for name in (*layout.header, *options.columns)}
    columns = []
    for position in range(layout.column_count):
        place = place_of.get(position)
        name = layout.header[position] if layout.header else f"column_{position + 1}"
        if place is not None and (not layout.header or name == REST):
            own_name = mapping.fields[place].column.name
            name = REST if normal(own_name) in others else own_name
        if is_own(name):
            continue
        if place is None:
            columns.append(_Column(position, name))
        else:
            stated = words.at(place) or ("",)
            columns.append(
                _Column(
                    position,
                    name,
                    words=stated,
                    quoted_words=tuple(word for word in stated if needs_quotes(word, layout.dialect)),
                    is_trimmed=bool(trim.at(place)),
                    form=form_of.get(place),
                    is_rest=mapping.fields[place].is_rest,
                )
            )
    return tuple(columns)


def _is_text(field: FieldValue) -> bool:
    """Whether all of a value could be read; a part of it would be taken for the whole."""
    return not _NO_TEXT.search(field.text)


def _member(raw: bytes) -> FieldValue:
    if raw[:1] == b'"':
        return FieldValue(str(msgspec.json.decode(raw)), was_quoted=True)
    return FieldValue("" if raw == b"null" else raw.decode(), was_quoted=raw[:1] in {b"{", b"["})


def _as_csv(field: FieldValue, column: _Column) -> str:
    if field.text and column.is_null(field.text, was_quoted=field.was_quoted):
        return column.word(field.text)
    return _quoted(field.text) if field.was_quoted or _NEEDS_QUOTES.search(field.text) else field.text


def _from_other(field: FieldValue, column: _Column) -> str:
    text, was_quoted = field
    if not text and not was_quoted:
        return column.null
    if text and column.is_null(text):
        return column.word(text)
    if column.form is json_string:
        text = json_string(text, was_quoted) or text
    elif isinstance(column.form, NumberForm | BooleanForm) and not was_quoted:
        text = column.form.written(text)
    # A text of blanks is none that is null, also where blanks are cut.
    return _quoted(text) if not text.strip() or _NEEDS_QUOTES.search(text) else text


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _object(values: dict[str, str]) -> str:
    return orjson.dumps(values).decode()
