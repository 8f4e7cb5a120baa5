from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobd.sources import ReadOptions, open_source
from jobd.sources.formats.mended import options_of_mended

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "id,name,_jobd_row,_jobd_line,_jobd_field,_jobd_reason"
WHOLE = f"{HEADER},_jobd_code,_jobd_filled,_jobd_record"
STATED = ReadOptions(
    source_type="text", delimiter="|", quote="'", escape="\\", encoding="cp1252", header=False, comment="1",
    skip_rows=3, ragged="truncate", collects_rest=True, records_path="a.b", pattern="(?P<x>.)", separator="\n\n",
)  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        b"id,_jobd_row\n1,_jobd_line\n",
        b'{"id": 1, "_jobd_row": 2}\n',
        b"id^_jobd_row^_jobd_line\n1^2^3\n",
        b"id\n_jobd_row,_jobd_line\n",
        b'"a,_jobd_row,_jobd_line",_jobd_row\n1,2\n',
        b"_jobd_\n1\n",
        b"",
    ],
)
def test_what_only_mentions_a_column_of_jobds_is_read_as_stated(text: bytes) -> None:
    assert options_of_mended(text, STATED) is None


@pytest.mark.parametrize("delimiter", ",;\t|")
@pytest.mark.parametrize("beginning", ["", "\ufeff", "\n"])
def test_a_mended_file_is_known_by_its_header(delimiter: str, beginning: str) -> None:
    text = beginning + HEADER.replace(",", delimiter) + "\n"
    options = options_of_mended(text.encode(), STATED)
    assert options == ReadOptions(source_type="csv", delimiter=delimiter, quote='"', escape='"')


def test_a_header_with_line_ends_and_delimiters_in_its_names_is_read_to_its_end() -> None:
    text = f'"one;\ntwo;three",{HEADER}\n'.encode()
    options = options_of_mended(text, STATED)
    assert options is not None
    assert options.delimiter == ","


def test_a_stated_encoding_counts_where_the_text_is_not_utf_8() -> None:
    ansi = f"{HEADER}\n1,K\xf6ln,,,,\n".encode("cp1252")
    options = options_of_mended(ansi, STATED)
    assert options is not None
    assert options.encoding == "cp1252"


def read(tmp_path: Path, text: str, **options: Any) -> tuple[list[list[str]], list[Any]]:
    path = tmp_path / "mended.csv"
    path.write_text(text)
    with open_source(str(path), roots=[tmp_path], options=ReadOptions(**options)) as source:
        assert source.detected["is_mended"]
        (batch,) = source.batches(None, 1000, 1 << 20)
        return [[field.text for field in batch.fields(index)][:2] for index in range(len(batch))], batch.refused


def test_records_that_still_stand_whole_are_refused_with_the_code_of_before(tmp_path: Path) -> None:
    lines = [
        "1,Ada,1,2,,bad,,,",
        '2,,2,3,name,1 field where 2 are expected,too_few_fields,1,"2"',
        '3,Bob,3,4,,x,"","",""',
        "4,Cid,4,5,,x,,2, ",
        '5,"",5,6,,"is not mended yet (x): do",made up!,1,"5,""x"',
        "6,Eve,7,8,,x,,,",
    ]
    taken, refused = read(tmp_path, "\n".join([WHOLE, *lines]))
    assert taken == [["1", "Ada"], ["3", "Bob"], ["4", "Cid"], ["6", "Eve"]]
    assert [(each.row_number, each.line_number, each.code, each.field, each.raw) for each in refused] == [
        (2, 3, "too_few_fields", "name", b"2"),
        (5, 6, "not_mended", None, b'5,"x'),
    ]
    assert refused[0].message.startswith("is not mended yet (1 field where 2 are expected): ")
    assert refused[1].message == "is not mended yet (x): do"
    assert [field.text for field in refused[0].values][:2] == ["2", ""]


@pytest.mark.parametrize(
    ("line", "is_mended"),
    [
        ('2,Bob,2,3,,x,too_few_fields,1,"2"', True),
        ('2.0,,2,3,,x,too_few_fields,1,"2"', False),  # by a spreadsheet
        (',Bob,2,3,,x,too_few_fields,1,"2"', False),
        ('2,Bob,2,3,,x,too_many_fields,2,"2,Bob,x"', False),
        ('2,Rob,2,3,,x,too_many_fields,2,"2,Bob,x"', False),
        ("2,Bob,2,3,,x,too_many_fields,2,", True),
        ('2,,2,3,,x,no_match,0,"2 - Bob"', True),
        ('2,Bob,2,3,,x,no_match,,"2 - Bob"', False),
        ('2,Bob,2,3,,x,no_match,one,"2 - Bob"', False),
    ],
)
def test_a_line_is_mended_once_more_of_its_columns_are_filled_or_the_whole_is_gone(
    tmp_path: Path, line: str, is_mended: bool
) -> None:
    taken, refused = read(tmp_path, f"{WHOLE}\n{line}\n")
    assert (len(taken), len(refused)) == (is_mended, not is_mended)


def test_lines_that_were_broken_in_mending_are_refused_beside_those_that_were_not_mended(tmp_path: Path) -> None:
    lines = ["1,Ada,1,2,,bad,,,", "2", '3,,3,4,,x,no_match,1,"3"', "4,Cid,4,5,,x,,,", '5,"', "6,Eve,6,7,,x,,,"]
    taken, refused = read(tmp_path, "\n".join([WHOLE, *lines]))
    assert taken == [["1", "Ada"], ["4", "Cid"], ["6", "Eve"]]
    assert [(each.row_number, each.code) for each in refused] == [
        (2, "too_few_fields"),
        (3, "no_match"),
        (5, "unterminated_quote"),
    ]


def test_short_and_long_lines_are_refused_whatever_is_stated(tmp_path: Path) -> None:
    taken, refused = read(tmp_path, f"{HEADER}\n1\n2,Ada,,,,\n3,,,,,,,\n", ragged="truncate")
    assert taken == [["2", "Ada"]]
    assert [each.code for each in refused] == ["too_few_fields", "too_many_fields"]


def test_a_mended_file_is_read_on_as_it_was_begun(tmp_path: Path) -> None:
    path = tmp_path / "mended.csv"
    lines = [f"{row},x,{row},,,,no_match,2,{'r' if row % 3 else ''}" for row in range(9)]
    path.write_text("\n".join([WHOLE, *lines]))
    options = ReadOptions(delimiter="|")
    with open_source(str(path), roots=[tmp_path], options=options) as source:
        first = next(iter(source.batches(None, 4, 1 << 20)))
        detected = source.detected
    with open_source(str(path), roots=[tmp_path], options=options, detected=detected) as source:
        batches = [first, *source.batches(first.cursor, 2, 1 << 20)]
        assert source.count_rows() == 9
    assert [record.row_number for batch in batches for record in batch.refused] == [2, 3, 5, 6, 8, 9]
