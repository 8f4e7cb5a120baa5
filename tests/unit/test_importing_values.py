from __future__ import annotations

import re
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.errors import OptionError
from jobd.importing.fields.candidates import surrounded
from jobd.importing.fields.forms.booleans import BooleanForm
from jobd.importing.fields.forms.date_pattern import Kind
from jobd.importing.fields.forms.dates import date_form
from jobd.importing.fields.forms.form import Unreadable, trimmed
from jobd.importing.fields.forms.numbers import NumberForm
from jobd.importing.fields.nulls import NullRule
from jobd.importing.fields.rewrite import as_field, with_fields
from jobd.importing.fields.values import FieldForm, FieldForms, Values
from jobd.model.cursor import Cursor
from jobd.sources import CopyDialect, RecordBatch
from jobd.sources.copy_dialect import decode_field

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
    monkeypatch.setattr("jobd.importing.fields.values.REMEMBERED_MAX", 10)
    form = FieldForm(place=0, form=NumberForm(",", ".", is_whole=False, is_typed=False), is_text=False)
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
        written = NumberForm(decimal, thousands, is_whole=False, is_typed=False)(text, True)
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
    assert NumberForm(None, ".", is_whole=True, is_typed=False)("1.000", False) == "1000"
    with pytest.raises(OptionError, match="decimal"):
        NumberForm(None, ".", is_whole=False, is_typed=False)


# --- booleans


def test_stated_words_replace_those_of_postgresql() -> None:
    form = BooleanForm(("Ja", "STRASSE"), ("nein",), is_typed=False)
    assert form(" jA ", False) == "true"
    assert form("straße", False) == "true"
    assert form("NEIN", True) == "false"
    for own in ("true", "t", "1", "no", ""):
        with pytest.raises(Unreadable, match="true is Ja, STRASSE; false is nein"):
            form(own, False)


def test_a_list_that_is_not_stated_is_that_of_postgresql_without_the_other_s_words() -> None:
    form = BooleanForm(("ja", "0"), None, is_typed=False)
    assert form("0", False) == "true"
    assert form("off", False) == "false"
    with pytest.raises(Unreadable):
        form("t", False)


# --- dates


def _read(pattern: str, text: str, kind: Kind = Kind.BOTH) -> str | None:
    form = date_form(pattern, kind, "at", is_named=True)
    assert form is not None
    try:
        return form(text, False)
    except Unreadable:
        return None


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("DD.MM.YYYY", "31.12.2024", "2024-12-31"),
        ("DD.MM.YYYY", " 1.2.2024 ", "2024-02-01"),
        ("dd.mm.yyyy", "01.02.2024", "2024-02-01"),
        ("MM/DD/YY", "02/28/69", "1969-02-28"),
        ("MM/DD/YY", "02/29/68", "2068-02-29"),
        ("YYYYMMDD", "20240102", "2024-01-02"),
        ("DD-Mon-YYYY", "03-SEP-2024", "2024-09-03"),
        ("DD-Mon-YYYY", "03-sept-2024", "2024-09-03"),
        ("Day, DD Month YYYY", "Freitag, 5 January 2024", "2024-01-05"),
        ("Month DD, YYYY", "may  5,\N{NO-BREAK SPACE}2024", "2024-05-05"),
        ('YYYY-MM-DD"T"HH24:MI:SS', "2024-01-02T03:04:05", "2024-01-02T03:04:05"),
        ("YYYY-MM-DDTHH24:MI:SS.USZ", "2024-01-02T03:04:05.25Z", "2024-01-02T03:04:05.25+00"),
        ("YYYY-MM-DD HH24:MI:SS.MS", "2024-01-02 3:04:05.5", "2024-01-02T03:04:05.5"),
        ("YYYYMMDDHH24MISS", "20240102030405", "2024-01-02T03:04:05"),
        ("DD.MM.YYYY HH12:MI AM", "01.02.2024 12:30 am", "2024-02-01T00:30:00"),
        ("DD.MM.YYYY HH:MI PM", "01.02.2024 12:30\N{NARROW NO-BREAK SPACE}P.M.", "2024-02-01T12:30:00"),
        ("DD.MM.YYYY HH24:MI", "01.02.2024 24:00", "2024-02-01T24:00:00"),
        ("YYYY-MM-DD HH24:MI TZ", "2024-01-02 03:04 Europe/Berlin", "2024-01-02T03:04:00 Europe/Berlin"),
        ("YYYY-MM-DD HH24:MI OF", "2024-01-02 03:04 +0530", "2024-01-02T03:04:00+0530"),
        ("YYYY-MM-DD HH24:MITZH:TZM", "2024-01-02 03:04-03:30", "2024-01-02T03:04:00-03:30"),
        ('"am" DD.MM.YYYY "um" HH24 "Uhr"', "Am 1.2.2024 um 7 Uhr", "2024-02-01T07:00:00"),
        ("%d/%m/%Y %H:%M", "5/6/2024 7:08", "2024-06-05T07:08:00"),
        ("%a %b %d %H:%M:%S %z %Y", "Thu Jan 04 10:00:00 +0000 2024", "2024-01-04T10:00:00+0000"),
        ("%Y-%m-%dT%H:%M:%S.%f%z", "2024-01-02T03:04:05.123456Z", "2024-01-02T03:04:05.123456+00"),
        ("%F %T", "2024-01-02 03:04:05", "2024-01-02T03:04:05"),
        ("%I:%M %p, %B %-d, %Y", "1:05 pm, March 7, 2024", "2024-03-07T13:05:00"),
        ("DD.MM.YYYY | YYYY-MM-DD", "2024-01-02", "2024-01-02"),
        ("DD/MM/YYYY | MM/DD/YYYY", "12/31/2024", "2024-12-31"),
        ("epoch", "1700000000", "2023-11-14T22:13:20+00"),
        ("epoch", "-1.5", "1969-12-31T23:59:58.500000+00"),
        ("EPOCH_MS", "1700000000123", "2023-11-14T22:13:20.123000+00"),
        # What could be something else is nothing.
        ("DD.MM.YYYY", "31.02.2024", None),
        ("DD.MM.YYYY", "31.12.24", None),
        ("DD.MM.YYYY", "31.12.2024 10:00", None),
        ("DD.MM.YYYY", "1.1.0000", None),
        ("DD.MM.YYYY", "٣١.١٢.٢٠٢٤", None),
        ("YYYYMMDD", "2024102", None),
        ("YYYY-MM-DD", "2024-13-01", None),
        ("DD-Mon-YYYY", "03-September-2024", None),
        ("DD.MM.YYYY HH12:MI AM", "01.02.2024 13:30 PM", None),
        ("DD.MM.YYYY HH24:MI", "01.02.2024 24:01", None),
        ("DD.MM.YYYY HH24:MI", "01.02.2024 10:60", None),
        ("YYYY-MM-DD HH24:MI OF", "2024-01-02 03:04 +530", None),
        ("YYYY-MM-DD HH24:MI TZ", "2024-01-02 03:04 GMT+2", None),
        ("epoch", "soon", None),
        ("epoch", "1e40", None),
        ("epoch", "999999999999999999", None),
        ("DD.MM.YYYY", "", None),
    ],
)
def test_dates_are_read_by_their_pattern_or_refused(pattern: str, text: str, expected: str | None) -> None:
    assert _read(pattern, text) == expected


def test_a_column_takes_the_part_that_its_type_has() -> None:
    pattern, text = "DD.MM.YYYY HH24:MI:SS.MSTZH", "01.02.2024 03:04:05.6+02"
    assert _read(pattern, text, Kind.DATE) == "2024-02-01"
    assert _read(pattern, text, Kind.TIME) == "03:04:05.6+02"
    assert _read("epoch", "86400", Kind.DATE) == "1970-01-02"


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("dd.MM.yyyy HH:mm", "month twice; minutes are MI"),
        ("YYYY-MM-DD HH:MI", "HH24"),
        ("YYYY-MM-DD HH24:MI AM", "HH24"),
        ("%d.%m.%Y %I:%M", "%I and %p"),
        ("YYYY-MM-DD MI", "no hour"),
        ("YYYY-MM-DD HH24:SS", "no minute"),
        ("YYYY-MM-DD HH24:MI.MS", "no second"),
        ("DDD YYYY", "'D'"),
        ("IYYY-MM-DD", "'IYYY'"),
        ("YYYY-MM-DD Uhr", "'Uhr'"),
        ("%Q", "%Q"),
        ("%d.%m.%", "in the middle"),
        ("...", "no part"),
        ("DD.MM.", "lacks the year"),
        ("HH24:MI", "lacks the day, month, year"),
        ("YYYY-MM-DD HH24TZM", "TZM without TZH"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(OptionError, match=re.escape(words)):
        date_form(pattern, Kind.BOTH, "at", is_named=True)


def test_an_option_for_all_columns_is_for_those_that_it_fits() -> None:
    assert date_form("HH24:MI | DD.MM.YYYY", Kind.DATE, "day", is_named=False) is not None
    assert date_form("DD.MM.YYYY", Kind.TIME, "at", is_named=False) is None
    with pytest.raises(OptionError, match="'epoch' lacks the time without a date, which column at needs"):
        date_form("epoch", Kind.TIME, "at", is_named=True)


def test_a_hostile_date_is_refused_at_once() -> None:
    assert _read("Day Month DD YYYY", "a" * 1_000_000) is None
    assert _read("DayMonDayYYYYDD", "jan" * 66) is None


@given(
    st.datetimes(),
    st.sampled_from(
        [
            ("DD.MM.YYYY HH24:MI:SS,US", "{0.day}.{0.month:02}.{0.year:04} {0:%H:%M:%S},{0:%f}"),
            ("YYYYMMDDHH24MISSUS", "{0.year:04}{0:%m%d%H%M%S%f}"),
            ("Mon DD YYYY HH12:MI:SS.US AM", "{0:%b %d} {0.year:04} {0:%I:%M:%S.%f %p}"),
            ("%A, %d. %B %Y %H:%M:%S.%f", "{0:%A, %d. %B} {0.year:04} {0:%H:%M:%S.%f}"),
        ]
    ),
)
def test_a_time_written_by_a_pattern_comes_back(moment: datetime, style: tuple[str, str]) -> None:
    pattern, template = style
    written = _read(pattern, template.format(moment))
    assert written is not None
    assert datetime.fromisoformat(written) == moment
