from __future__ import annotations

import time
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest

from jobd.sources import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobd.sources import RecordBatch, Source


def only_batch(source: Source) -> RecordBatch:
    reader = source.reader()
    batch = reader.read(1_000_000, 1 << 30)
    assert batch is not None
    assert reader.read(1, 1) is None
    return batch


def refusals(batch: RecordBatch) -> list[tuple[int, int, str, bytes]]:
    return [(each.row_number, each.line_number, each.code, each.raw) for each in batch.refused]


def texts(batch: RecordBatch) -> list[list[str]]:
    return [[value.text for value in batch.fields(index)] for index in range(len(batch))]


def test_records_that_copy_would_choke_on_are_cut_out_and_the_rest_stays_as_it_is(
    opened: Callable[..., Source],
) -> None:
    content = b'a,b\n1,x\n2\n3,"y\ny"\n4,y,z\n5,\0\n6,\xff\n\n7,z\n8,a\rb\n9,\xc3\xa9'
    batch = only_batch(opened(content))
    assert batch.data == b'1,x\n3,"y\ny"\n7,z\n9,\xc3\xa9\n'
    assert batch.rows.tolist() == [1, 3, 7, 9]
    assert batch.lines.tolist() == [2, 4, 10, 12]
    assert refusals(batch) == [
        (2, 3, "too_few_fields", b"2"),
        (4, 6, "too_many_fields", b"4,y,z"),
        (5, 7, "nul_byte", b"5,\0"),
        (6, 8, "undecodable", b"6,\xff"),
        (8, 11, "stray_line_end", b"8,a\rb"),
    ]
    assert batch.refused[0].message == "1 field where 2 are expected"
    assert batch.record_count == 9
    assert [batch.record(index) for index in range(4)] == [b"1,x\n", b'3,"y\ny"\n', b"7,z\n", b"9,\xc3\xa9\n"]


def test_many_undecodable_records_are_each_found(opened: Callable[..., Source]) -> None:
    lines = [b"%d,%s" % (number, b"\xe9" if number % 3 else b"e") for number in range(1, 301)]
    batch = only_batch(opened(b"a,b\n" + b"\n".join(lines) + b"\n", encoding="utf-8"))
    assert batch.rows.tolist() == list(range(3, 301, 3))
    assert {each.code for each in batch.refused} == {"undecodable"}
    assert len(batch.refused) == 200


def test_a_stray_quote_costs_its_own_line_only(opened: Callable[..., Source]) -> None:
    content = b'a,b\n1,x\n2,5" pipe\n3,"y"\n4,6" pipe\n5,z\n6,"w"\n'
    batch = only_batch(opened(content))
    assert batch.rows.tolist() == [1, 3, 5, 6]
    assert [each.code for each in batch.refused] == ["stray_quote", "stray_quote"]
    assert batch.refused[0].raw == b'2,5" pipe'


def test_a_quote_in_the_middle_of_a_field_on_one_line_is_what_copy_makes_of_it(
    opened: Callable[..., Source],
) -> None:
    batch = only_batch(opened(b'a,b\n1,x"y,z"w\n2, "p\nq" \n'))
    assert texts(batch) == [["1", "xy,zw"], ["2", " p\nq "]]
    assert not batch.refused


@pytest.mark.parametrize("gap", [0, 3_000_000])
def test_a_quote_that_is_never_closed_costs_its_own_line_only(opened: Callable[..., Source], gap: int) -> None:
    rows = max(3, gap // 12)
    content = b'a,b\n1,"x\n' + b"".join(b"%d,abcdefgh\n" % number for number in range(2, rows))
    source = opened(content, limits=Limits(record_bytes=1 << 20))
    batch = only_batch(source)
    assert refusals(batch) == [(1, 2, "unterminated_quote", batch.refused[0].raw)]
    assert batch.refused[0].raw.startswith(b'1,"x')
    assert batch.rows.tolist() == list(range(2, rows))
    assert batch.lines.tolist() == list(range(3, rows + 1))
    assert source.count_rows() == rows - 1


@pytest.mark.parametrize("filling", [b"x", b",", b'"', b'"\n', b"\n\\", b"a,"])
def test_a_50_mb_record_is_one_error_in_bounded_memory(opened: Callable[..., Source], filling: bytes) -> None:
    inside = filling * (50_000_000 // len(filling))
    if filling in {b'"\n', b"\n\\"}:
        inside = b'"' + inside.replace(b'"', b'""') + b'"'
    source = opened(b"a,b\n1,x\n2," + inside + b"\n3,y\n", quote='"', escape='"')
    del inside
    tracemalloc.start()
    batches = list(source.batches(None, 20_000, 4 << 20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [row for batch in batches for row in batch.rows.tolist()] == [1, 3]
    (refused,) = [each for batch in batches for each in batch.refused]
    assert (refused.row_number, refused.code) == (2, "record_too_long")
    assert 65_000 < len(refused.raw) <= 65_536
    assert peak < 90e6


def test_a_long_record_within_the_bound_is_read(opened: Callable[..., Source]) -> None:
    value = b'"' + b'line, of "" text\n' * 200_000 + b'"'
    source = opened(b"a,b\n1,x\n2," + value + b"\n3,y\n")
    batch = only_batch(source)
    assert batch.rows.tolist() == [1, 2, 3]
    assert batch.fields(1)[1].text == 'line, of " text\n' * 200_000
    assert batch.lines.tolist() == [2, 3, 200_004]


@pytest.mark.parametrize(
    "line",
    [b'1,a"b\n', b'"\n', b'"a\n', b",\n", b"\n", b'1,"\\\n', b"\xff\n", b'1,"a"b\nc"\n', b"1,2,3\n", b"\r\n"],
)
def test_hostile_files_take_a_bounded_time(opened: Callable[..., Source], line: bytes) -> None:
    content = b"a,b\n" + line * (300_000 // len(line))
    source = opened(content, delimiter=",", quote='"', escape="\\" if b"\\" in line else '"')
    started = time.perf_counter()
    records = sum(batch.record_count for batch in source.batches(None, 20_000, 4 << 20))
    assert records == source.count_rows()
    assert time.perf_counter() - started < 20


def test_a_lone_end_of_data_mark_is_data_on_every_server(opened: Callable[..., Source]) -> None:
    batch = only_batch(opened(b"a\nx\n\\.\n\n\\.y\n"))
    assert batch.data == b'x\n"\\."\n\n\\.y\n'
    assert texts(batch) == [["x"], ["\\."], [""], ["\\.y"]]


def test_fields_that_are_empty_are_found_at_once(opened: Callable[..., Source]) -> None:
    batch = only_batch(opened(b'a,b,c\n1,,x\n2,"",y\n,z,\n4,"NA",NA\n'))
    assert batch.empty_fields(0).tolist() == [2]
    assert batch.empty_fields(1).tolist() == [0]
    assert batch.empty_fields(1, quoted=True).tolist() == [0, 1]
    assert batch.empty_fields(2).tolist() == [2]
    assert batch.fields_equal(2, b"NA").tolist() == [3]
    assert batch.fields_equal(1, b"NA").tolist() == []
    assert batch.fields_equal(0, b"").tolist() == [2]
    assert batch.fields(1)[1] == ("", True)
    assert batch.fields(0)[1] == ("", False)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_records_and_columns_can_be_left_out(opened: Callable[..., Source], line_end: bytes) -> None:
    rows = [b"1,,x", b'2,"b,b",y', b'3,"c\nc",', b",d,w"]
    batch = only_batch(opened(line_end.join([b"a,b,c", *rows, b""]), delimiter=","))
    kept = batch.keep_records(np.array([True, False, True, True]))
    assert kept.data == line_end.join([rows[0], rows[2], rows[3], b""])
    assert (kept.rows.tolist(), texts(kept)) == ([1, 3, 4], [["1", "", "x"], ["3", "c\nc", ""], ["", "d", "w"]])
    assert not len(kept.keep_records(np.zeros(3, np.bool_)))
    for columns in ([0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]):
        fewer = batch.keep_columns(columns)
        assert texts(fewer) == [[row[column] for column in columns] for row in texts(batch)]
        assert [fewer.record(index) for index in range(4)] == [
            b",".join(each.encode() for each in _raw(row, columns)) + line_end for row in rows
        ]
    part = batch.slice(1, 3)
    assert part.data == line_end.join([rows[1], rows[2], b""])
    assert (part.rows.tolist(), texts(part)) == ([2, 3], texts(batch)[1:3])
    assert not len(batch.slice(2, 2))


def _raw(row: bytes, columns: list[int]) -> list[str]:
    fields = row.decode().replace("b,b", "b\0b").split(",")
    return [fields[column].replace("\0", ",") for column in columns]
