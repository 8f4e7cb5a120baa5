from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from jobd.errors import SourceError
from jobd.sources import Limits
from jobd.sources.formats.json_convert import Conversion

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobd.sources import RecordBatch, Source


def only_batch(source: Source) -> RecordBatch:
    reader = source.reader()
    batch = reader.read(100_000, 1 << 30)
    assert batch is not None
    assert reader.read(100_000, 1 << 30) is None
    return batch


def texts(batch: RecordBatch) -> list[list[str | None]]:
    return [
        [None if value == ("", False) else value.text for value in batch.fields(index)]
        for index in range(len(batch))
    ]


def test_values_become_csv_text_as_they_are_written(opened: Callable[..., Source]) -> None:
    content = rb"""
{"id": 1, "n": 12345678901234567890123456789.10, "t": "a,\"b\"\n\u00e9\ud834\udd1e\\n\/", "j": {"k": ["\"", null]}}
{"t": "", "id": -0, "j": [1, 2.50], "n": null}

{"id": 1e5, "n": "null", "t": "\u0022", "j": true}"""
    batch = only_batch(opened(content.lstrip(), name="a.jsonl"))
    assert texts(batch) == [
        ["1", "12345678901234567890123456789.10", 'a,"b"\né𝄞\\n/', '{"k": ["\\"", null]}'],
        ["-0", None, "", "[1, 2.50]"],
        ["1e5", "null", '"', "true"],
    ]
    assert batch.rows.tolist() == [1, 2, 3]
    assert batch.lines.tolist() == [1, 2, 4]


def test_the_columns_are_the_keys_of_the_first_thousand_records(opened: Callable[..., Source]) -> None:
    lines = [{"a": 1}, {"b": 2, "a": 3}] + [{"c": 1}] * 998 + [{"d": 1}]
    content = "\n".join(map(json.dumps, lines)).encode()
    source = opened(content, name="a.jsonl")
    assert source.header == ["a", "b", "c"]
    batch = only_batch(source)
    (refused,) = batch.refused
    assert (refused.row_number, refused.code, refused.field, refused.raw) == (
        1001,
        "unknown_field",
        "d",
        b'{"d": 1}',
    )
    assert texts(batch)[:2] == [["1", None, None], ["3", "2", None]]
    assert texts(only_batch(opened(content, name="b.jsonl", ignore_unknown=True)))[-1] == [None, None, None]
    chosen = opened(content, name="c.jsonl", fields=["c", "d"], ignore_unknown=True)
    assert chosen.header == ["c", "d"]
    assert texts(only_batch(chosen))[-2:] == [["1", None], [None, "1"]]


def test_each_bad_line_is_one_error_with_its_reason(opened: Callable[..., Source]) -> None:
    lines = [
        b'{"a": 1}',
        b'{"a": 01}',
        b"[1]",
        b"7",
        b'{"a": "\\u0000"}',
        b'{"a": "\xff"}',
        b'{"a": "\0"}',
        b'{"b": 1}',
        b'{"a": "\\ud800"}',
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a": {"x": "\\u0000"}}',
        b'{"a": 1, "a": 2}',
        b'{"a": 1} {"a": 2}',
        b'{"a": 3}',
    ]
    batch = only_batch(opened(b"\r\n".join(lines), name="a.jsonl", fields=["a"]))
    assert [(each.row_number, each.code) for each in batch.refused] == [
        (2, "malformed_json"),
        (3, "not_an_object"),
        (4, "not_an_object"),
        (5, "nul_byte"),
        (6, "undecodable"),
        (7, "nul_byte"),
        (8, "unknown_field"),
        (9, "undecodable"),
        (10, "nested_too_deeply"),
        (13, "malformed_json"),
    ]
    assert texts(batch) == [["1"], ['{"x": "\\u0000"}'], ["2"], ["3"]]
    assert batch.refused[3].field == "a"


def test_an_object_over_several_lines_is_several_bad_lines(opened: Callable[..., Source]) -> None:
    batch = only_batch(opened(b'{"a": 1}\n{"a":\n2}\n{"a": 3}\n', name="a.jsonl"))
    assert texts(batch) == [["1"], ["3"]]
    assert [each.row_number for each in batch.refused] == [2, 3]


def test_a_line_that_is_too_long_is_one_error_and_reading_goes_on(opened: Callable[..., Source]) -> None:
    content = b'{"a": 1}\n{"a": "' + b"x" * 5_000_000 + b'"}\n{"a": 3}\n{"a": "' + b"y" * 2_000_000 + b'"}'
    source = opened(content, name="a.jsonl", limits=Limits(record_bytes=3_000_000))
    batch = only_batch(source)
    assert batch.rows.tolist() == [1, 3, 4]
    assert [(each.row_number, each.line_number, each.code) for each in batch.refused] == [
        (2, 2, "record_too_long")
    ]
    assert source.count_rows() == 4
    short = opened(content, name="b.jsonl", limits=Limits(record_bytes=1000))
    assert [each.row_number for each in only_batch(short).refused] == [2, 4]


def test_keys_that_no_identifier_can_be(opened: Callable[..., Source]) -> None:
    keys = ['quo"te', "back\\slash", "", "class", "a b", "é", "__x", "line\nend"]
    content = json.dumps({key: index for index, key in enumerate(keys)}) + '\n{"class": "x"}\n{"new": 1}\n'
    batch = only_batch(opened(content.encode(), name="a.jsonl"))
    assert len(batch.refused) == 0
    source = opened(content.encode(), name="b.jsonl", fields=keys)
    batch = only_batch(source)
    assert source.header == keys
    assert texts(batch)[0] == [str(index) for index in range(len(keys))]
    assert [each.code for each in batch.refused] == ["unknown_field"]


def test_a_file_without_a_single_key_cannot_be_read(opened: Callable[..., Source]) -> None:
    with pytest.raises(SourceError) as refusal:
        opened(b"{}\n{}\n", name="a.jsonl")
    assert refusal.value.error_code == "format_undetectable"


@pytest.mark.parametrize("key", ["a", 'a"b'])
def test_a_single_null_column_is_a_blank_record(opened: Callable[..., Source], key: str) -> None:
    content = "\n".join(json.dumps({key: value}) for value in (None, "x", None)).encode()
    batch = only_batch(opened(content, name="a.jsonl"))
    assert batch.data == b'\n"x"\n\n'
    assert texts(batch) == [[None], ["x"], [None]]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b" \n"])
def test_as_many_values_as_lines_are_not_one_value_a_line(opened: Callable[..., Source], line_end: bytes) -> None:
    content = line_end.join(
        [b'{"a": 1}{"a": 2}', b"", b'{"a":', b'3}{"a": 4}', b'{"a": {}, "a":', b'{}}{"a": 5}', b""]
    )
    batch = only_batch(opened(content, name="a.jsonl", source_type="jsonl", fields=["a"]))
    assert [each.line_number for each in batch.refused] == [1, 3, 4, 5, 6]
    assert texts(batch) == []
    halves = opened(
        line_end.join([b'{"a": {}', b',"a": {}}{"a": 5}']), name="c.jsonl", source_type="jsonl", fields=["a"]
    )
    assert len(only_batch(halves).refused) == 2
    good = only_batch(opened(line_end.join([b'{"a": 1}', b' {"a": 2}', b""]), name="b.jsonl"))
    assert texts(good) == [["1"], ["2"]]


def test_a_record_is_at_hand_as_its_line(opened: Callable[..., Source]) -> None:
    batch = only_batch(opened(b'{"a": 1}\r\n\r\nbad\r\n {"a": "\\u0041"} ', name="a.jsonl", fields=["a"]))
    assert [batch.raw_record(index) for index in range(2)] == [b'{"a": 1}', b' {"a": "\\u0041"} ']
    assert batch.slice(1, 2).data == b'"A"\n'


def test_a_late_key_begins_a_batch_of_its_own_and_the_cursor_knows_it(opened: Callable[..., Source]) -> None:
    content = b'{"a": 1}\n{"b": 2, "x": 3}\n{"a": 4}\n'
    source = opened(content, name="a.jsonl", fields=["a"], ignore_unknown=True)
    first, second = list(source.batches(None, 100, 1 << 20, {"b"}.__contains__))
    assert (first.header, texts(first), first.cursor.late_fields) == (("a",), [["1"]], ())
    assert (second.header, texts(second)) == (("a", "b"), [[None, "2"], ["4", None]])
    assert second.cursor.late_fields == ("b",)
    (again,) = list(source.batches(first.cursor, 100, 1 << 20, {"b"}.__contains__))
    assert texts(again) == texts(second)
    (narrow,) = list(source.batches(None, 100, 1 << 20))
    assert texts(narrow) == [["1"], [None], ["4"]]


def test_late_keys_are_no_more_than_there_may_be_columns(opened: Callable[..., Source]) -> None:
    content = b'{"a": 1}\n{"b": 2}\n{"c": 3}\n'
    source = opened(content, name="a.jsonl", fields=["a"], limits=Limits(columns=2))
    batches = list(source.batches(None, 100, 1 << 20, lambda _: True))
    assert [batch.header for batch in batches] == [("a",), ("a", "b")]
    (refused,) = batches[1].refused
    assert (refused.code, refused.field) == ("too_many_fields", "c")
    assert "JOBD_COLUMNS_MAX" in refused.message


@pytest.mark.parametrize("others", [30, 1500])
def test_keys_that_nobody_wants_are_learnt_and_cost_nothing_more(
    opened: Callable[..., Source], monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    alone = 0
    judge = Conversion._values

    def counting(self: Conversion, record: bytes, identity: bytes | None) -> Any:
        nonlocal alone
        alone += 1
        return judge(self, record, identity)

    monkeypatch.setattr(Conversion, "_values", counting)
    records = [{"a": number, f"x{number % others}": "y" * 50} for number in range(40_000)]
    records.append({"b": 1})
    content = "\n".join(map(json.dumps, records)).encode()
    source = opened(content, name="a.jsonl", fields=["a"], ignore_unknown=True)
    batches = list(source.batches(None, 50_000, 1 << 30, {"b"}.__contains__))
    assert [len(batch) for batch in batches] == [40_000, 1]
    assert batches[1].header == ("a", "b")
    assert (alone < 20_000) == (others < 1000)
