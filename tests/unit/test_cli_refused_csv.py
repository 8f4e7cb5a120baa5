from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from jobd.cli.refused_csv import ADDED_COLUMNS, RefusedCsv


def refused(
    record: bytes, *, row: int = 1, field: str | None = None, reason: str = "no good", is_unread: bool = False
) -> dict[str, Any]:
    return {
        "record": record,
        "row_number": row,
        "line_number": row + 1,
        "field": field,
        "reason": reason,
        "is_unread": is_unread,
    }


def written(detected: dict[str, Any], *records: bytes, **reason: Any) -> bytes:
    text = RefusedCsv(detected)
    return b"".join(text.line(refused(record, **reason)) for record in records) + text.header_if_missing()


def parsed(text: bytes, **dialect: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.decode(), newline=""), **dialect))


COMMA = {"delimiter": ord(","), "quote": ord('"'), "escape": ord('"')}


def csv_file(encoding: str = "utf-8", **values: Any) -> dict[str, Any]:
    return {"source": {"format": "csv", "header": ["id", "name"], "shape": COMMA, "encoding": encoding, **values}}


def jsonl_file(*names: str) -> dict[str, Any]:
    return {"source": {"format": "jsonl", "header": list(names), "encoding": "utf-8"}}


CSV = csv_file()


def test_records_keep_their_columns_and_are_followed_by_what_is_wrong() -> None:
    assert parsed(written(CSV, b"1,Ada\n", field="id")) == [
        ["id", "name", *ADDED_COLUMNS],
        ["1", "Ada", "1", "2", "id", "no good"],
    ]


def test_bytes_are_kept_as_they_were_written() -> None:
    assert written(CSV, b'"1",""\r\n').splitlines()[1] == b'"1","",1,2,,no good'
    assert b"\xff\xfe,x," in written(CSV, b"\xff\xfe,x")


def test_a_quoted_line_end_stays_inside_its_field() -> None:
    assert parsed(written(CSV, b'1,"two\nlines"\n'))[1][:2] == ["1", "two\nlines"]


def test_values_beyond_the_last_column_follow_the_reason() -> None:
    assert parsed(written(CSV, b"1,Ada,Lovelace"))[1] == ["1", "Ada", "1", "2", "", "no good", "Lovelace"]


def test_a_short_record_is_filled_up() -> None:
    assert parsed(written(CSV, b"1"))[1] == ["1", "", "1", "2", "", "no good"]


def test_a_quote_that_is_never_closed_does_not_swallow_the_reason() -> None:
    assert parsed(written(CSV, b'1,"Ada'))[1] == ['1,"Ada', "", "1", "2", "", "no good"]


def test_a_reason_is_quoted_where_it_must_be() -> None:
    assert parsed(written(CSV, b"1,Ada", reason='a "b", c'))[1][-1] == 'a "b", c'


def test_the_files_own_dialect_is_kept() -> None:
    shape = {"delimiter": ord(";"), "quote": ord("'"), "escape": ord("\\")}
    detected = csv_file("iso8859-1", shape=shape)
    text = written(detected, b"1;'it\\'s; K\xf6ln'", reason="it's")
    assert text.splitlines()[1] == b"1;'it\\'s; K\xf6ln';1;2;;'it\\'s'"


def test_a_reason_that_the_character_set_lacks_is_written_with_question_marks() -> None:
    detected = csv_file("iso8859-1")
    assert "caf\xe9 ?" in written(detected, b"1,Ada", reason="caf\xe9 \u20ac").decode("iso8859-1")


def test_what_was_turned_into_utf_8_is_written_so() -> None:
    assert "K\xf6ln" in written(csv_file("utf-16", is_transcoded=True), "1,K\xf6ln".encode()).decode()


def test_a_file_without_a_header_gets_the_names_of_the_targets_columns() -> None:
    detected = csv_file(header=None, column_count=3) | {"target": {"fields": [[0, "1", "id"], [2, "3", "name"]]}}
    assert written(detected, b"1,x,Ada").startswith(b"id,column_2,name,_jobd_row,")


def test_json_lines_become_columns() -> None:
    record = b'{"name":"","id":7,"tags":["a","b"],"more":null}\n'
    lines = written(jsonl_file("id", "name", "tags"), record, is_unread=True).splitlines()
    assert lines[1] == b'7,"","[""a"",""b""]",1,2,,no good'


def test_json_lines_that_the_database_refused_are_csv_already() -> None:
    assert parsed(written(jsonl_file("id", "name"), b'"zz","no"'))[1] == ["zz", "no", "1", "2", "", "no good"]


def test_what_is_no_json_follows_the_reason_whole() -> None:
    line = parsed(written(jsonl_file("id", "name"), b'{"id": 1,', is_unread=True))[1]
    assert line == ["", "", "1", "2", "", "no good", '{"id": 1,']


@pytest.mark.parametrize("detected", [CSV, None])
def test_without_records_there_is_a_header_all_the_same(detected: dict[str, Any] | None) -> None:
    assert written(detected or {}).endswith(b"_jobd_row,_jobd_line,_jobd_field,_jobd_reason\n")
