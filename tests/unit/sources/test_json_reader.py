from __future__ import annotations

import gzip
import json
import random
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobd.errors import OptionError, SourceError
from jobd.sources import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobd.sources import RecordBatch, RefusedRecord, Source

SUITE = json.loads(Path(__file__).parents[2].joinpath("data", "json_test_suite.json").read_text())["cases"]
LARGE = {"n_100000_opening_arrays": "[" * 100_000, "n_open_array_object": '[{"":' * 50_000 + "\n"}


def read(source: Source) -> tuple[list[list[str | None]], list[RefusedRecord]]:
    """All values and all refused records."""
    rows: list[list[str | None]] = []
    refused: list[RefusedRecord] = []
    for batch in source.batches(None, 1000, 1 << 20):
        rows += texts(batch)
        refused += batch.refused
    return rows, refused


def texts(batch: RecordBatch) -> list[list[str | None]]:
    return [
        [None if value == ("", False) else value.text for value in batch.fields(index)]
        for index in range(len(batch))
    ]


def reasons(source: Source) -> list[tuple[int, int, str]]:
    return [(each.row_number, each.line_number, each.code) for each in read(source)[1]]


def test_values_of_an_array_arrive_as_they_are_written(opened: Callable[..., Source]) -> None:
    content = rb"""
[ {"id": 1, "n": 1234567890123456789012345678.10, "t": "a,\"b\"\n\u00e9\ud834\udd1e\\n\/", "j": {"k": ["\"]", 1]}},
  {"t": "", "id": -0, "j": [1, 2.50],
   "n": null},

  {"id": 1e400, "n": "null", "t": "\u0022", "j": true, "id": 2}
]
"""
    source = opened(content, name="a.json")
    assert source.detected["format"] == "json"
    assert source.header == ["id", "n", "t", "j"]
    batch = source.reader().read(100, 1 << 20)
    assert batch is not None
    assert texts(batch) == [
        ["1", "1234567890123456789012345678.10", 'a,"b"\né𝄞\\n/', '{"k": ["\\"]", 1]}'],
        ["-0", None, "", "[1, 2.50]"],
        ["2", "null", '"', "true"],
    ]
    assert batch.rows.tolist() == [1, 2, 3]
    assert batch.lines.tolist() == [2, 3, 6]
    assert batch.raw_record(1) == b'{"t": "", "id": -0, "j": [1, 2.50],\n   "n": null}'
    assert batch.keep_records(batch.rows != 2).raw_record(1) == batch.raw_record(1)


@pytest.mark.parametrize("name", ["x", "x.json", "x.geojson"])
def test_one_object_is_one_record_on_one_line_and_on_several(opened: Callable[..., Source], name: str) -> None:
    for content in (b'{"a": 1, "b": [{"c": 2}]}', b'{\n "a": 1,\n "b": [{"c": 2}]\n}\n'):
        assert read(opened(content, name=name)) == ([["1", '[{"c": 2}]']], [])


def test_objects_one_after_the_other_are_records(opened: Callable[..., Source]) -> None:
    source = opened(b'{"a":1}{"a":\n2} {\n"a":3}\n\n{}', name="a.json")
    assert read(source) == ([["1"], ["2"], ["3"], [None]], [])
    assert source.count_rows() == 4


def test_the_key_of_a_record_is_a_field_of_it(opened: Callable[..., Source]) -> None:
    content = b'{"A1": {"n": 1}, "A\\u00e92": {"n": 2},\n "A1": {"n": 3}}'
    source = opened(content, name="a.json")
    assert source.header == ["key", "n"]
    assert read(source) == ([["A1", "1"], ["Aé2", "2"], ["A1", "3"]], [])
    source = opened(content, name="b.json", fields=["n", "key"])
    assert read(source)[0] == [["1", "A1"], ["2", "Aé2"], ["3", "A1"]]
    assert opened(content, name="c.json", fields=["n"]).header == ["n"]
    again = opened(content, name="a.json", detected=opened(content, name="a.json").detected)
    assert read(again)[0][0] == ["A1", "1"]


def test_the_key_is_no_field_where_the_records_say_it_themselves(opened: Callable[..., Source]) -> None:
    own_name = opened(b'{"A": {"n": 1}, "B": {"n": 2, "key": 3}}', name="a.json")
    assert read(own_name) == ([["1", None], ["2", "3"]], [])
    assert own_name.header == ["n", "key"]
    same_value = opened(b'{"7": {"id": 7, "n": 8}, "8": {"id": 8, "n": 8}}', name="b.json")
    assert same_value.header == ["id", "n"]
    late_name = opened(
        b"{" + b",".join(b'"%d":{"n":1}' % index for index in range(1000)) + b',"x":{"key":1,"n":1}}',
        name="c.json",
    )
    for batch in late_name.batches(None, 2000, 1 << 20, lambda _: True):
        assert batch.header == ("key", "n")
        assert [(each.code, each.field) for each in batch.refused] == [("unknown_field", "key")]


def test_bad_keys_of_records_refuse_their_record_alone(opened: Callable[..., Source]) -> None:
    content = rb'{"A": {"n": 1}, "\u0000": {"n": 2}, "\ud800": {"n": 3}, "\x": {"n": 4}, "B": 5, "C": {"n": 6}}'
    source = opened(content, name="a.json", records_path="*")
    assert [each.code for each in read(source)[1]] == [
        "nul_byte",
        "undecodable",
        "malformed_json",
        "not_an_object",
    ]
    assert read(source)[0] == [["A", "1"], ["C", "6"]]


def test_an_object_with_one_value_that_is_none_is_one_record(opened: Callable[..., Source]) -> None:
    assert opened(b'{"a": {"n": 1}, "b": 2}', name="a.json").header == ["a", "b"]
    assert opened(b'{"a": {"n": 1}}', name="b.json").header == ["a"]
    several = opened(b'{"a": {"n": 1},\n"b": {"n": 1}}\n{"a": {"n": 2}, "b": {"n": 3}}', name="c.json")
    assert several.header == ["a", "b"]
    assert opened(b'{"a": {"n": 1}, "b": {"n": 1}}', name="d.json", records_path="").header == ["a", "b"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data.items", [["1"], ["2"]]),
        ("/data/items", [["1"], ["2"]]),
        ("data.items.1", [["2"]]),
        ("data.by_id.*", [["x", "3"], ["y", "4"]]),
        ("/data/with.dot~1~0/0", [["5"]]),
        ("data.items.*", [["1"], ["2"]]),
    ],
)
def test_records_lie_where_the_path_leads(opened: Callable[..., Source], path: str, expected: Any) -> None:
    document = {
        "meta": {"items": [{"n": 0}], "text": "}]"},
        "data": {
            "count": 2,
            "items": [{"n": 1}, {"n": 2}],
            "by_id": {"x": {"n": 3}, "y": {"n": 4}},
            "with.dot/~": [{"n": 5}],
        },
        "more": [[]],
    }
    for indent in (None, 2):
        source = opened(json.dumps(document, indent=indent).encode(), name="a.json", records_path=path)
        assert read(source) == (expected, [])
        again = opened(b"[]", name="b.json")
        assert read(again) == ([], [])


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("data.rows", "there is no 'rows' under data, but count, items"),
        ("rows", "there is no 'rows' at the top, but data, empty"),
        ("data.items.2", "there is no '2' under data.items, but an array of 1"),
        ("data.items.x", "an array, whose steps are numbers"),
        ("data.count.x", "a value that is neither"),
        ("data.count", "a single value"),
        ("empty.x", "where the object is empty"),
    ],
)
def test_a_path_that_leads_nowhere_names_what_there_is(
    opened: Callable[..., Source], path: str, words: str
) -> None:
    content = b'{"data": {"count": 1, "items": [{"n": 1}]}, "empty": {}}'
    with pytest.raises(SourceError, match=words) as refusal:
        opened(content, name="a.json", records_path=path)
    assert refusal.value.error_code == "format_undetectable"


def test_a_path_that_cannot_be_read_is_an_option_error(opened: Callable[..., Source]) -> None:
    with pytest.raises(OptionError, match="empty step"):
        opened(b'{"a": 1}', name="a.json", records_path="a..b")
    with pytest.raises(OptionError, match="source_type json"):
        opened(b'{"a": 1}', name="a.jsonl", records_path="a", source_type="jsonl")


def test_a_document_after_the_first_must_be_like_it(opened: Callable[..., Source]) -> None:
    content = b'{"d": [{"n": 1}]}\n{"x": 0, "d": [{"n": 2}]}\n{"e": []}'
    source = opened(content, name="a.json", records_path="d")
    reader = source.reader()
    batch = reader.read(100, 1 << 20)
    assert batch is not None
    assert texts(batch) == [["1"], ["2"]]
    with pytest.raises(SourceError, match=r"line 3, column 10 .*there is no 'd' at the top, but e"):
        reader.read(100, 1 << 20)


def test_what_is_no_object_is_refused_alone(opened: Callable[..., Source]) -> None:
    content = b'[{"a": 1},\n 2, "x,]}", [3, {"a": 4}],\n null, {"a": 5}, 01, nonsense, {"a": 01}, {"a": 6}]'
    source = opened(content, name="a.json")
    assert reasons(source) == [
        (2, 2, "not_an_object"),
        (3, 2, "not_an_object"),
        (4, 2, "not_an_object"),
        (5, 3, "not_an_object"),
        (7, 3, "malformed_json"),
        (8, 3, "malformed_json"),
        (9, 3, "malformed_json"),
    ]
    assert read(source)[0] == [["1"], ["5"], ["6"]]
    assert [each.raw for each in read(source)[1]][1:3] == [b'"x,]}"', b'[3, {"a": 4}]']


def test_a_value_may_end_with_the_source(opened: Callable[..., Source]) -> None:
    assert reasons(opened(b'{"a": 1}\n{"a": 2}\ntrue', name="a.json", source_type="json")) == [
        (3, 3, "not_an_object")
    ]


def test_what_no_text_can_be_is_refused_with_its_field(opened: Callable[..., Source]) -> None:
    deep = b"[" * 4 + b"]" * 4
    content = (
        b'[{"a": "\\u0000"}, {"a": "\\ud800"}, {"a": "\xff"}, {"a": %b}, {"a": [[[1]]]}, {"a": ["\\u0000"]}]'
        % deep
    )
    source = opened(content, name="a.json", limits=Limits(nesting_depth=4))
    rows, refused = read(source)
    assert rows == [["[[[1]]]"], ['["\\u0000"]']]
    assert [(each.code, each.field) for each in refused] == [
        ("nul_byte", "a"),
        ("undecodable", None),
        ("undecodable", None),
        ("nested_too_deeply", "a"),
    ]
    assert "lone surrogate" in refused[1].message
    assert "JOBD_NESTING_DEPTH_MAX" in refused[3].message


@pytest.mark.parametrize("depth", [250, 900, 1100, 100_000])
def test_no_depth_of_nesting_does_harm(opened: Callable[..., Source], depth: int) -> None:
    content = b'[{"a": ' + b"[" * depth + b"]" * depth + b'}, {"a": ' + b'{"x":' * depth + b"1" + b"}" * depth
    source = opened(content + b'}, {"a": 1}]', name="a.json")
    rows, refused = read(source)
    assert rows == [["1"]]
    assert [each.code for each in refused] == ["nested_too_deeply"] * 2


def test_a_record_that_is_too_long_is_refused_and_the_next_is_read(opened: Callable[..., Source]) -> None:
    long = b'{"a": "' + b'\\"}x\n' * 400_000 + b'"}'
    content = (
        b'[{"a": 1}, ' + long + b', "' + b"y" * 40_000_000 + b'", {"a": 2}\n, ' + b"7" * 2_000_000 + b', {"a": 3}]'
    )
    source = opened(content, name="a.json", limits=Limits(record_bytes=1_000_000))
    rows, refused = read(source)
    assert rows == [["1"], ["2"], ["3"]]
    assert [(each.row_number, each.line_number, each.code) for each in refused] == [
        (2, 1, "record_too_long"),
        (3, 400_001, "record_too_long"),
        (5, 400_002, "record_too_long"),
    ]
    assert refused[0].raw == long[: 64 * 1024].rstrip()
    assert "JOBD_RECORD_BYTES_MAX" in refused[0].message
    assert source.count_rows() == 6
    short = opened(b'[{"a": 1}, {"a": "long"}, {"a": 3}]', name="b.json", limits=Limits(record_bytes=10))
    assert [each.raw for each in read(short)[1]] == [b'{"a": "long"}']


@pytest.mark.parametrize(
    ("content", "rows", "words"),
    [
        (b'[{"a": 1},\n{"a": 2},]', 2, r"line 2, column 10 \(byte 20\): expected no comma before \]"),
        (b'[{"a": 1} {"a": 2}]', 1, r"column 11 .*expected a comma or \]; there stands '{.a"),
        (b'[{"a": 1}, , {"a": 2}]', 1, r"column 12 .*expected a value"),
        (b'[{"a": 1}, {"a": "x, {"b": 3}]', 1, r"column 24 .*expected ',' or '}'; there stands 'b"),
        (b'[{"a": 1}, {"a": [2, {"a": 3}]', 1, r"column 31 .*the end of the record that begins in line 1"),
        ('[{"a": "é"}, {"a": "x}]'.encode(), 1, r"column 24 .*the end of the record .*there the source ends"),
        (b'[{"a": 1}, {"a": 2}', 2, r"column 20 .*expected \] before the end"),
        (b'[{"a": 1}]]', 1, r"column 11 .*expected a document"),
        (b'[{"a": 1}}', 1, r"column 10 .*expected a comma or \]"),
        (b'{"a": 1}, {"a": 2}', 1, r"column 9 .*expected a value; there stands '"),
        (b'{"x": {"a": 1}, "y": {"a": 2}, z: 3}', 2, r"column 32 .*expected a key"),
        (b'{"x": {"a": 1}, "y": {"a": 2}, "z" 3}', 2, r"column 36 .*expected a colon"),
    ],
)
def test_a_fault_ends_reading_behind_the_good_records_and_says_where(
    opened: Callable[..., Source], content: bytes, rows: int, words: str
) -> None:
    source = opened(content, name="a.json", source_type="json")
    reader = source.reader()
    for _ in range(rows):
        batch = reader.read(1, 1 << 20)
        assert batch is not None
        assert (len(batch), batch.refused) == (1, [])
    for _ in range(2):
        with pytest.raises(SourceError, match=words) as fault:
            reader.read(1, 1 << 20)
        assert fault.value.error_code == "source_malformed"
    with pytest.raises(SourceError, match=words):
        source.count_rows()
    assert source.estimate_rows() >= 0


def test_a_fault_far_behind_in_its_line_is_placed_by_its_byte(opened: Callable[..., Source]) -> None:
    content = b'[\n{"a": "' + b"x" * 100_000 + b'"}, }'
    with pytest.raises(SourceError, match=r"at line 2 \(byte 100013\): expected a value"):
        read(opened(content, name="a.json"))


def test_a_fault_before_the_first_record_fails_at_once(opened: Callable[..., Source]) -> None:
    with pytest.raises(SourceError, match="line 2, column 1") as fault:
        opened(b"[\n,", name="a.json")
    assert fault.value.error_code == "source_malformed"


@pytest.mark.parametrize(
    "codec", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
def test_every_unicode_encoding_is_recognised(opened: Callable[..., Source], codec: str) -> None:
    for text in ('[{"a": "é𝄞"}]', '{"a": "é𝄞"}\n{"a": "b"}'):
        source = opened(text.encode(codec), name="a.json")
        assert read(source)[0][0] == ["é𝄞"]
        assert source.count_rows() == text.count("{")


def test_an_empty_array_has_no_records_and_no_header(opened: Callable[..., Source]) -> None:
    for content, options in ((b" [ ]\n", {}), (b'{"d": []}', {"records_path": "d"})):
        source = opened(content, name="a.json", **options)
        assert (source.header, read(source), source.count_rows()) == ([], ([], []), 0)
        assert source.estimate_rows() == 0


def test_a_single_value_is_no_source_of_records(opened: Callable[..., Source]) -> None:
    for content in (b"7", b'"text"', b"[1, 2]", b"[{}]"):
        with pytest.raises(SourceError) as refusal:
            opened(content, name="a.json", source_type="json")
        assert refusal.value.error_code == "format_undetectable"


def test_geojson_says_where_its_records_are(opened: Callable[..., Source]) -> None:
    content = b'{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"n": 1}}]}'
    with pytest.raises(SourceError, match='records_path "features"'):
        opened(content, name="a.geojson")
    assert read(opened(content, name="a.geojson", records_path="features"))[0] == [["Feature", '{"n": 1}']]


def test_a_document_of_any_size_takes_little_memory_and_is_estimated_well(opened: Callable[..., Source]) -> None:
    record = b'{"id": 123456, "name": "somebody, \\"quoted\\"", "tags": ["a", "b"]}'
    content = b'{"meta": {"x": "' + b"y" * 40_000_000 + b'"}, "rows": [' + b",".join([record] * 30_000) + b"]}"
    source = opened(gzip.compress(content, 1), name="a.json.gz", records_path="rows")
    tracemalloc.start()
    try:
        assert sum(len(batch) for batch in source.batches(None, 20_000, 4 << 20)) == 30_000
        assert source.count_rows() == 30_000
        assert tracemalloc.get_traced_memory()[1] < len(content) / 2
    finally:
        tracemalloc.stop()
    plain = opened(content[content.index(b"[") : -1], name="b.json")
    assert abs(plain.estimate_rows() - 30_000) < 300


@pytest.mark.parametrize("name", [name for name in SUITE if name.startswith("n_")] + list(LARGE))
def test_what_is_no_json_is_refused_with_a_reason(opened: Callable[..., Source], name: str) -> None:
    content = {**SUITE, **LARGE}[name].encode()
    refused, code = ending(opened, content, fields=["a"], ignore_unknown=True)
    assert all(each.message for each in refused)
    # Two documents one after the other are no fault here.
    assert bool(refused or code) == (name != "n_structure_double_array")


def ending(
    opened: Callable[..., Source], content: bytes, **options: Any
) -> tuple[list[RefusedRecord], str | None]:
    """What was refused, and the code of what ended the reading or kept it from beginning."""
    refused: list[RefusedRecord] = []
    try:
        for batch in opened(content, name="a.json", source_type="json", **options).batches(None, 1000, 1 << 20):
            refused += batch.refused
    except SourceError as error:
        return refused, error.error_code
    return refused, None


@pytest.mark.parametrize("name", [name for name in SUITE if name.startswith("y_")])
def test_every_json_arrives_as_the_field_of_a_record(opened: Callable[..., Source], name: str) -> None:
    text = SUITE[name].strip(" \t\r\n")
    value = json.loads(text)
    for content, kind in ((f'[{{"a": {text}}}]', "json"), ('{"a": ' + text.replace("\n", " ") + "}", "jsonl")):
        source = opened(content.encode(), name=f"a.{kind}", source_type=kind, fields=["a"])
        rows, refused = read(source)
        if isinstance(value, str) and "\0" in value:
            assert [each.code for each in refused] == ["nul_byte"]
        elif value is None or isinstance(value, str):
            assert (rows, refused) == ([[value]], [])
        else:
            assert (rows[0][0] or "").split() == text.split()


@pytest.mark.parametrize("name", [name for name in SUITE if name.startswith("y_")])
def test_every_document_comes_back_record_by_record(opened: Callable[..., Source], name: str) -> None:
    value = json.loads(SUITE[name])
    if not isinstance(value, list | dict):
        return
    source = opened(SUITE[name].encode(), name="a.json", source_type="json", fields=["a"], ignore_unknown=True)
    rows, refused = read(source)
    if isinstance(value, dict):
        assert (len(rows), refused) == (1, [])
    else:
        assert len(rows) + len(refused) == len(value) == source.count_rows()
        assert {each.code for each in refused} <= {"not_an_object"}


@pytest.mark.parametrize("name", [name for name in SUITE if name.startswith("i_")])
def test_doubtful_json_does_no_harm(opened: Callable[..., Source], name: str) -> None:
    content = SUITE[name].encode("utf-8", "surrogatepass")
    for options in ({"fields": ["a"], "ignore_unknown": True}, {}):
        _, code = ending(opened, content, **options)
        assert code in {None, "source_malformed", "format_undetectable"}


FORMS = ['[{"a": 1}, {"a": 2}, {"a": 3}]', '{"x": {"a": 1}, "y": {"a": 2}, "z": {"a": 3}}',
         '{"a": 1} {"a": 2} {"a": 3}', '{"a": 1}\n{"a": 2}\n{"a": 3}\n']  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_what_stands_before_a_break_is_delivered_however_short(opened: Callable[..., Source], form: str) -> None:
    packed = gzip.compress(form.encode() + random.Random(1).randbytes(1000), 0)  # noqa: S311  nothing secret
    source = opened(packed[: packed.index(b"3")], name="file.json.gz", source_type="json")
    reader = source.reader()
    found = [reader.read(1, 1 << 20), reader.read(1, 1 << 20)]
    assert [texts(batch)[0][-1] for batch in found if batch] == ["1", "2"]
    with pytest.raises(SourceError) as caught:
        reader.read(1, 1 << 20)
    assert caught.value.error_code == "source_truncated"
