"""Goal: the same records come out of JSON however it is laid out, looked at, interrupted or broken."""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobd.errors import SourceError
from jobd.sources import Limits, ReadOptions, open_source
from jobd.sources.formats import json_documents, json_nesting, json_text, jsonl_reader, window
from jobd.sources.formats.block import accepts_nothing
from tests.support.sources import cells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEYS = ("id", "a b", "é", "n")

strings = st.text(st.sampled_from('"\\/\n\t,{}[]: a€𝄞'), max_size=8)
nested = st.recursive(
    st.one_of(strings, st.integers(), st.none(), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(strings, inner, max_size=3)),
    max_leaves=6,
)
records = st.dictionaries(st.sampled_from(KEYS), nested, max_size=4)
blanks = st.sampled_from(["", " ", "\n", "\r\n", " \t\n  "])


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def array(texts: list[str], blank: str) -> str:
    return f"{blank}[{blank}" + f"{blank},{blank}".join(texts) + f"{blank}]{blank}"


def keyed(texts: list[str], blank: str) -> str:
    pairs = (f"{json.dumps('k' + str(number))}{blank}:{blank}{text}" for number, text in enumerate(texts))
    return f"{blank}{{{blank}" + f"{blank},{blank}".join(pairs) + f"{blank}}}{blank}"


ESCAPED = r'"a\\\"{{\\"'


def wrapped(inner: str, blank: str) -> str:
    return (
        f'{blank}{{"before":{blank}[1,{{"items":"]"}},{ESCAPED}],"data":{blank}[null{blank},{blank}{{"x":1,'
        f'"items"{blank}:{inner},"after":"}}"}}]{blank},"end":{ESCAPED}}}{blank}'
    )


LAYOUTS: dict[str, tuple[Callable[[list[str], str], str], dict[str, Any]]] = {
    "array": (array, {}),
    "values": (keyed, {"records_path": "*"}),
    "in a row": (lambda texts, blank: blank + blank.join(texts), {"records_path": ""}),
    "array at a path": (
        lambda texts, blank: wrapped(array(texts, blank), blank),
        {"records_path": "data.1.items"},
    ),
    "values at a path": (
        lambda texts, blank: wrapped(keyed(texts, blank), blank),
        {"records_path": "/data/1/items/*"},
    ),
    "one at a path each": (
        lambda texts, blank: "".join(wrapped(text, blank) for text in texts),
        {"records_path": "data.1.items"},
    ),
    "arrays in a row": (
        lambda texts, blank: array([], blank) + "".join(array([each], blank) for each in texts),
        {},
    ),
}


@contextmanager
def small_looks(size: int) -> Iterator[None]:
    """Every piece that is looked at has few bytes, so that everything lies across the border of two."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (json_documents, jsonl_reader):
            patch.setattr(module, "READ_BYTES", size)
        patch.setattr(json_documents, "_FIRST_LOOK_BYTES", max(1, size // 2))
        patch.setattr(json_text, "_LOOK_BYTES", size)
        for module in (json_text, json_nesting):
            patch.setattr(module, "PIECE_BYTES", size)
        patch.setattr(window, "_READ_BYTES_MIN", 1)
        yield


def outcome(
    path: Path,
    options: ReadOptions,
    max_rows: int = 1000,
    *,
    resume: bool = False,
    accepts: Callable[[str], bool] | None = None,
) -> dict[str, Any]:
    """All records in order, each with the header it was read under, and the error at which reading ended."""
    found: list[tuple[Any, ...]] = []
    error: tuple[str, str] | None = None
    count = 0
    accepts = accepts or accepts_nothing
    try:
        with open_source(str(path), roots=[path.parent], options=options) as source:
            reader, cursor = source.reader(accepts=accepts), None
            while True:
                if resume:
                    detected = source.detected
                    with open_source(str(path), roots=[path.parent], options=options, detected=detected) as again:
                        batch = again.reader(cursor, accepts).read(max_rows, 1 << 20)
                else:
                    batch = reader.read(max_rows, 1 << 20)
                if batch is None:
                    break
                assert cursor is None or cursor.is_behind(batch.cursor)
                cursor = batch.cursor
                present: list[tuple[Any, ...]] = [
                    (
                        int(batch.rows[index]),
                        int(batch.lines[index]),
                        *zip(batch.header, cells(batch, index), strict=True),
                        batch.raw_record(index),
                    )
                    for index in range(len(batch))
                ]
                present += [
                    (each.row_number, each.line_number, each.code, each.field, each.message, each.raw)
                    for each in batch.refused
                ]
                found += sorted(present, key=lambda record: record[0])
            assert cursor is None or cursor.line >= source.start().line
            assert source.count_rows() == len(found)
    except SourceError as broken:
        error = broken.error_code, str(broken)
        count = -1
    assert [record[0] for record in found] == list(range(1, len(found) + 1))
    return {"records": found, "error": error, "count": count}


def values(result: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [record[2:] for record in result["records"]]


@given(st.lists(records, min_size=1, max_size=8), blanks, st.sampled_from(list(LAYOUTS)), st.integers(1, 40))
@example([{"id": '\\"', "n": "\\\\"}, {"id": "}{"}], "", "in a row", 1)
@example([{"id": [[]], "n": "]"}, {}], "\n", "values at a path", 3)
@settings(max_examples=150, deadline=None)
def test_every_layout_gives_the_same_records(
    content: list[dict[str, Any]], blank: str, layout: str, size: int
) -> None:
    texts = [compact(record) for record in content]
    written, options = LAYOUTS[layout]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "file.json")
        path.write_text("\n".join(texts))
        lines = outcome(path, ReadOptions(source_type="jsonl", fields=KEYS))
        assert lines["error"] is None
        assert [record[-1].decode() for record in lines["records"]] == texts
        path.write_text(written(texts, blank), newline="")
        reading = ReadOptions(source_type="json", fields=KEYS, **options)
        whole = outcome(path, reading)
        assert (whole["error"], values(whole)) == (None, values(lines))
        assert outcome(path, reading, 1) == whole
        assert outcome(path, reading, 2, resume=True) == whole
        with small_looks(size):
            assert outcome(path, reading) == whole


pieces = st.sampled_from(
    [
        *'{}[],:" \n\\',
        "null",
        "01",
        '{"id": 1}',
        '{"id": "x"}',
        '{"new": 1}',
        '"id"',
        '"k": ',
        '"\\ud800"',
        "\0",
        "é",
    ]
)
faulty = st.lists(pieces, min_size=1, max_size=12).map("".join)


@given(st.sampled_from(['[{"id": 1}, ', '{"id": 1}\n', '{"k": {"id": 1}, ', '{"data": [{"id": 1}, ', ""]), faulty)
@example('[{"id": 1}, ', '{"id": [1}, {"id": 2}]')
@example('[{"id": 1}, ', '{"id": 1} x, {"id": 2}]')
@example('{"k": {"id": 1}, ', '"id"  :  01, "k": {"id": 1}}')
@example('{"data": [{"id": 1}, ', '{"id": 1}], "data": [')
@settings(max_examples=150, deadline=None)
def test_what_is_broken_ends_in_the_same_way_however_it_is_looked_at(beginning: str, rest: str) -> None:
    path_of = {'{"k": ': "*", '{"data"': "data"}
    records_path = next((path for start, path in path_of.items() if beginning.startswith(start)), None)
    options = ReadOptions(
        source_type="json", fields=KEYS, records_path=records_path, limits=Limits(record_bytes=40, nesting_depth=3)
    )
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "file.json")
        path.write_text(beginning + rest, newline="")
        whole = outcome(path, options)
        assert outcome(path, options, 1) == whole
        assert outcome(path, options, 1, resume=True) == whole
        for size in (1, 7):
            with small_looks(size):
                assert outcome(path, options) == whole


@given(st.lists(records, min_size=2, max_size=5), blanks, st.data())
@settings(max_examples=60, deadline=None)
def test_what_stands_before_a_cut_is_kept(content: list[dict[str, Any]], blank: str, draw: st.DataObject) -> None:
    text = array([compact(record) for record in content], blank).encode()
    options = ReadOptions(source_type="json", fields=KEYS)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "file.json")
        path.write_bytes(text)
        whole = outcome(path, options)
        size = draw.draw(st.integers(text.index(b"[") + 1, text.rindex(b"]")))
        path.write_bytes(text[:size])
        cut = outcome(path, options)
        assert cut["error"] is not None
        assert cut["error"][0] == "source_malformed"
        assert cut["records"] == whole["records"][: len(cut["records"])]
        assert len(cut["records"]) == complete_records(text[:size].decode("utf-8", "ignore"))


def complete_records(text: str) -> int:
    """How many objects end in the beginning of an array."""
    rest = text[text.index("[") + 1 :].lstrip(" \t\r\n,")
    count = 0
    while rest:
        try:
            _, used = json.JSONDecoder().raw_decode(rest)
        except ValueError:
            break
        rest = rest[used:].lstrip(" \t\r\n,")
        count += 1
    return count


LONG = '"' + "x" * 99 + '"'
late = st.lists(
    st.one_of(
        st.dictionaries(st.sampled_from(["a", "b", "c", "x", 'q"', "y"]), st.integers(0, 9), max_size=3),
        st.sampled_from(["bad", LONG, {"a": "\0", "b": 1}]),
    ),
    min_size=1,
    max_size=10,
)


@given(late, st.booleans(), st.booleans(), st.integers(1, 30))
@example([{"a": 1}, {"x": 1}, {"b": 1, "x": 1}, {"a": 2, "c": 3}], True, False, 5)
@example([{"b": 1, "c": 1, "x": 1}, {"c": 2}], False, True, 5)
@example([{"a": 1}, LONG, {"b": 1}], False, False, 5)
@settings(max_examples=80, deadline=None)
def test_keys_that_turn_up_late_widen_the_records_behind_them(
    content: list[Any], ignores: bool, is_jsonl: bool, size: int
) -> None:
    texts = [each if isinstance(each, str) else json.dumps(each) for each in content]
    wanted = {"b", "c", 'q"'}
    kind = "jsonl" if is_jsonl else "json"
    options = ReadOptions(source_type=kind, fields=["a"], ignore_unknown=ignores, limits=Limits(record_bytes=90))
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "file")
        path.write_text("\n".join(texts) if is_jsonl else array(texts, " "), newline="")
        accepts = wanted.__contains__
        whole = outcome(path, options, accepts=accepts)
        header = ["a"]
        found: list[str | list[tuple[str, str | None]]] = []
        for each in content:
            if isinstance(each, str):
                found.append("record_too_long" if each == LONG else "malformed_json")
                continue
            header += [key for key in each if key in wanted and key not in header]
            if "\0" in each.values():
                found.append("nul_byte")
            elif not ignores and any(key in {"x", "y"} for key in each):
                found.append("unknown_field")
            else:
                found.append([(key, str(each[key]) if key in each else None) for key in header])
        seen = [record[2] if isinstance(record[2], str) else list(record[2:-1]) for record in whole["records"]]
        assert seen == found
        assert outcome(path, options, 1, accepts=accepts) == whole
        assert outcome(path, options, 3, resume=True, accepts=accepts) == whole
        with small_looks(size):
            assert outcome(path, options, accepts=accepts) == whole
