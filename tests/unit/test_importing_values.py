from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.errors import OptionError
from jobd.importing.forms.booleans import BooleanForm
from jobd.importing.forms.form import Unreadable, trimmed
from jobd.importing.forms.numbers import NumberForm
from jobd.importing.nulls import NullRule
from jobd.importing.rewrite import as_field, with_fields
from jobd.importing.values import FieldForm, FieldForms, Values, surrounded
from jobd.model.cursor import Cursor
from jobd.sources import CopyDialect, RecordBatch
from jobd.sources.records import decode_field

DIALECT = CopyDialect()


def _batch(records: list[list[bytes]], dialect: CopyDialect = DIALECT) -> RecordBatch:
    data = b"".join(b",".join(fields) + b"\n" for fields in records)
    widths = np.array([[len(field) + 1 for field in fields] for fields in records], np.int64)
    ends = np.cumsum(widths.ravel()).reshape(widths.shape)
    return RecordBatch(
        data=data,
        ends=ends[:, -1].copy(),
        rows=np.arange(1, len(records) + 1),
        lines=np.arange(2, len(records) + 2),
        field_ends=(ends - 1).astype(np.int32),
        dialect=dialect,
        cursor=Cursor(byte=len(data), line=0, size=len(data), modified_ns=0),
    )


def _fields(batch: RecordBatch) -> list[list[bytes]]:
    found = []
    for number in range(len(batch)):
        start = int(batch.starts[number])
        record = []
        for end in batch.field_ends[number].tolist():
            record.append(batch.data[start:end])
            start = end + 1
        found.append(record)
    return found


# --- rewriting

_field = st.sampled_from([b"", b"a", b'""', b'"x,y"', b"long enough", " \N{NO-BREAK SPACE}".encode()])


@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(_field, min_size=width, max_size=width), min_size=1)
    ),
    st.data(),
)
def test_other_fields_stay_where_some_are_rewritten(records: list[list[bytes]], data: st.DataObject) -> None:
    width = len(records[0])
    places = [(record, place) for record in range(len(records)) for place in range(width)]
    chosen = sorted(data.draw(st.sets(st.sampled_from(places))))
    texts = [data.draw(_field) for _ in chosen]
    expected = [list(fields) for fields in records]
    for (record, place), text in zip(chosen, texts, strict=True):
        expected[record][place] = text
    at = np.array(chosen, np.int64).reshape(-1, 2)
    found = with_fields(_batch(records), at[:, 0], at[:, 1], texts)
    assert _fields(found) == expected
    assert found.data == _batch(expected).data
    assert found.ends.tolist() == _batch(expected).ends.tolist()


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8")), st.booleans(), st.sampled_from('"\\'))
def test_a_text_written_as_a_field_is_read_as_the_same(text: str, is_quoted: bool, escape: str) -> None:
    dialect = CopyDialect(escape=escape)
    assert decode_field(as_field(text, dialect, is_quoted=is_quoted), dialect).text == text


@given(st.lists(st.text(' \t\N{NO-BREAK SPACE}\u3000a"é,\n', max_size=5), min_size=1), st.booleans())
def test_trim_cuts_what_str_strip_cuts(texts: list[str], is_quoted: bool) -> None:
    records = [[as_field(text, DIALECT, is_quoted=is_quoted), b" x "] for text in texts]
    form = FieldForm(place=0, form=trimmed, is_text=True, candidates=surrounded)
    found = Values(FieldForms(before=(form,)), DIALECT, "").trimmed(_batch(records))
    assert [decode_field(fields[0], DIALECT).text for fields in _fields(found)] == [text.strip() for text in texts]
    assert [fields[1] for fields in _fields(found)] == [b" x "] * len(texts)


def test_trim_looks_behind_empty_quotes() -> None:
    form = FieldForm(place=0, form=trimmed, is_text=True, candidates=surrounded)
    found = Values(FieldForms(before=(form,)), DIALECT, "").trimmed(_batch([[b'"" a'], [b'a" "'], [b'" "a']]))
    assert [decode_field(fields[0], DIALECT).text for fields in _fields(found)] == ["a", "a", "a"]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobd.importing.values.REMEMBERED_MAX", 10)
    form = FieldForm(place=0, form=NumberForm(",", ".", is_whole=False, is_json=False), is_text=False)
    values = Values(FieldForms(after=(form,)), DIALECT, "")
    for first in range(0, 100, 5):
        batch = _batch([[b'"%d,5"' % number] for number in range(first, first + 5)])
        found, objections = values.read(batch, NullRule())
        assert not objections
        assert _fields(found) == [[b"%d.5" % number] for number in range(first, first + 5)]
    assert max(map(len, values._remembered.values())) <= 15
    long = b'"' + b"1" * 1000 + b',0"'
    found, _ = values.read(_batch([[long]]), NullRule())
    assert _fields(found) == [[b"1" * 1000 + b".0"]]
    assert not any(long in remembered for remembered in values._remembered.values())


# --- numbers


def _number(text: str, decimal: str | None, thousands: str | None) -> str | None:
    try:
        written = NumberForm(decimal, thousands, is_whole=False, is_json=False)(text, True)
    except Unreadable:
        return None
    return text if written is None else written


@pytest.mark.parametrize(
    ("text", "decimal", "thousands", "expected"),
    [
        ("1.234.567,89", ",", ".", "1234567.89"),
        ("1234567,89", ",", ".", "1234567.89"),
        ("-1.234", ",", ".", "-1234"),
        ("+1,5", ",", ".", "+1.5"),
        (" 1,5 ", ",", None, "1.5"),
        ("1 234,5", ",", " ", "1234.5"),
        ("1\N{NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567,5", ",", " ", "1234567.5"),
        ("1 234,5", ",", "\N{NARROW NO-BREAK SPACE}", "1234.5"),
        ("1'234.5", None, "'", "1234.5"),
        ("1\N{RIGHT SINGLE QUOTATION MARK}234.5", None, "'", "1234.5"),
        ("1,23,45,678.5", ".", ",", "12345678.5"),
        ("12,34,567", ".", ",", "1234567"),
        ("1,5e3", ",", None, "1.5e3"),
        (",5", ",", None, ".5"),
        ("5,", ",", None, "5."),
        ("NaN", ",", None, "NaN"),
        ("-Infinity", ",", ".", "-Infinity"),
        ("0,5", ",", " ", "0.5"),
        # What could be something else is nothing.
        ("1,2", ".", ",", None),
        ("1,23", ".", ",", None),
        ("1,2345", ".", ",", None),
        ("12,34", ".", ",", None),
        ("1234,567", ".", ",", None),
        ("1,234,56", ".", ",", None),
        ("1.5", ",", None, None),
        ("1,5", ".", None, None),
        ("1.234,56.7", ",", ".", None),
        ("1..234", ",", ".", None),
        ("1-", ",", ".", None),
        ("(1)", ",", ".", None),
        ("--1", ",", ".", None),
        ("€ 1", ",", ".", None),
        ("1%", ",", ".", None),
        ("", ",", ".", None),
        (",", ",", ".", None),
        ("1_000", ",", ".", None),
        ("0x10", ",", ".", None),
        ("٣", ",", ".", None),
        ("1 234", ",", ".", None),
    ],
)
def test_numbers_are_read_with_their_signs_or_refused(
    text: str, decimal: str | None, thousands: str | None, expected: str | None
) -> None:
    assert _number(text, decimal, thousands) == expected


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**12), max_value=10**12),
    st.sampled_from([",", ".", "\N{ARABIC DECIMAL SEPARATOR}"]),
    st.sampled_from([",", ".", " ", "\N{NO-BREAK SPACE}", "'", "_", None]),
)
def test_a_number_written_with_signs_comes_back(value: object, decimal: str, thousands: str | None) -> None:
    if decimal == thousands:
        return
    plain = f"{value:,.3f}"
    written = "".join({",": thousands or "", ".": decimal}.get(character, character) for character in plain)
    assert _number(written, decimal, thousands) == f"{value:.3f}"


def test_a_hostile_number_is_refused_at_once() -> None:
    assert _number("1" * 200_000 + "x", ",", ".") is None
    assert _number("1.234" * 50_000, ",", ".") is None


def test_a_point_between_thousands_needs_no_decimal_sign_in_whole_numbers() -> None:
    assert NumberForm(None, ".", is_whole=True, is_json=False)("1.000", False) == "1000"
    with pytest.raises(OptionError, match="decimal"):
        NumberForm(None, ".", is_whole=False, is_json=False)


# --- booleans


def test_stated_words_replace_those_of_postgresql() -> None:
    form = BooleanForm(("Ja", "STRASSE"), ("nein",), is_json=False)
    assert form(" jA ", False) == "true"
    assert form("straße", False) == "true"
    assert form("NEIN", True) == "false"
    for own in ("true", "t", "1", "no", ""):
        with pytest.raises(Unreadable, match="true is Ja, STRASSE; false is nein"):
            form(own, False)


def test_a_list_that_is_not_stated_is_that_of_postgresql_without_the_other_s_words() -> None:
    form = BooleanForm(("ja", "0"), None, is_json=False)
    assert form("0", False) == "true"
    assert form("off", False) == "false"
    with pytest.raises(Unreadable):
        form("t", False)
