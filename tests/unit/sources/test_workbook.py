from __future__ import annotations

import datetime as dt
import importlib.util
import io
import os
import random
import tempfile
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from jobd.errors import HostNotReady, SourceChanged, SourceError
from jobd.sources import Limits, ReadOptions, open_source
from jobd.sources.formats import workbook, workbook_child, workbook_errors
from jobd.sources.formats.workbook_kind import is_workbook
from jobd.sources.places.local import open_file
from jobd.sources.stream import PlainStream
from tests.support.binary_workbooks import xls, xlsb
from tests.support.sources import cells, everything
from tests.support.workbooks import ods, replaced, xlsx

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jobd.sources import RecordBatch, Source
    from jobd.sources.stream import Stream

    Table = list[list[Any]]

SHEET = "xl/worksheets/sheet1.xml"


def only_batch(source: Source) -> RecordBatch:
    reader = source.reader()
    batch = reader.read(1_000_000, 1 << 30)
    assert batch is not None
    assert reader.read(1, 1) is None
    assert source.count_rows() == batch.record_count
    return batch


def rows(batch: RecordBatch) -> list[list[str | None]]:
    return [cells(batch, index) for index in range(len(batch))]


def test_cells_arrive_as_postgresql_writes_their_types(opened: Callable[..., Source]) -> None:
    day = dt.datetime(2024, 2, 29, 12, 30, 15, 250_000)  # noqa: DTZ001  a cell knows no zone
    table: Table = [
        ["text", "number", "when"],
        ["a, b", 1, day],
        ['5" pipe', -2.5, day.date()],
        ["two\nlines", 1e-7, dt.time(23, 59, 1)],
        [" ", 1e20, dt.timedelta(hours=49, minutes=30)],
        ["0012", 123456789012345, True],
        ["#ERROR #N/A", "#ERROR #DIV/0!", None],
        [None, 0.1, "é€𝄞"],
    ]
    source = opened(xlsx({"Data": table}), name="a.bin")
    assert source.header == ["text", "number", "when"]
    assert source.detected["format"] == "xlsx"
    assert source.detected["sheet"] == "Data"
    assert source.resume_note is not None
    batch = only_batch(source)
    assert rows(batch) == [
        ["a, b", "1", "2024-02-29 12:30:15.250000"],
        ['5" pipe', "-2.5", "2024-02-29"],
        ["two\nlines", "0.0000001", "23:59:01"],
        [" ", "100000000000000000000", "49:30:00"],
        ["0012", "123456789012345", "true"],
        ["#N/A", "#DIV/0!", None],
        [None, "0.1", "é€𝄞"],
    ]
    assert all(batch.fields(index)[0].was_quoted for index in range(5)), "text is text, also where it is digits"
    assert not batch.fields(5)[0].was_quoted, "a null word may stand for an error"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e15, "1000000000000000"),
        (-0.0, "0"),
        (1.5e300, "15" + "0" * 299),
        (dt.timedelta(seconds=-90), "-00:01:30"),
        (dt.timedelta(microseconds=1_500_000), "00:00:01.500000"),
        (7, "7"),
    ],
)
def test_numbers_and_durations_have_no_surprises(value: object, text: str) -> None:
    assert workbook_child.written(value) == text


def test_lines_are_rows_of_the_sheet_and_records_are_those_with_something_in_them(
    opened: Callable[..., Source],
) -> None:
    table: Table = [
        ["a", "b\nb", None],
        [],
        ["x\ny\nz", 1],
        ["p", None],
        [None, None, "stray"],
        [],
        ["q\nq", 2, None],
        ["long" * 30, 3],
        ["r", 3],
    ]
    content = xlsx({"T": table}, first=(2, 1))
    source = opened(content, limits=Limits(record_bytes=100))
    assert source.header == ["a", "b\nb"]
    batch = only_batch(source)
    assert rows(batch) == [["x\ny\nz", "1"], ["p", None], ["q\nq", "2"], ["r", "3"]]
    assert batch.rows.tolist() == [1, 2, 4, 6]
    assert batch.lines.tolist() == [5, 6, 9, 11]
    assert [(each.row_number, each.line_number, each.code) for each in batch.refused] == [
        (3, 7, "too_many_fields"),
        (5, 10, "record_too_long"),
    ]


def test_reading_goes_on_from_any_record(tmp_path: Path) -> None:
    table: Table = [
        ["a", "b"],
        *([f"t\n{number}" * (number % 3), number] if number % 7 else [] for number in range(60)),
    ]
    path = tmp_path / "a.xlsx"
    path.write_bytes(xlsx({"T": table}))
    whole = everything(path, ReadOptions(), 1000)
    assert len(whole["rows"]) == 51
    assert [line for _, line, _ in whole["rows"]] == [number + 2 for number in range(60) if number % 7]
    assert everything(path, ReadOptions(), 1) == whole
    assert everything(path, ReadOptions(), 20, resume=True) == whole


def test_a_changed_workbook_is_noticed(opened: Callable[..., Source]) -> None:
    table: Table = [["a"], *([f"value {number}"] for number in range(20))]
    source = opened(xlsx({"T": table}))
    batch = source.reader().read(10, 1 << 20)
    assert batch is not None
    changed = xlsx({"T": [*table[:5], ["other"], *table[6:]]})
    with pytest.raises(SourceChanged):
        opened(changed, detected=source.detected).verify(batch.cursor)
    with pytest.raises(SourceChanged, match="no sheet 'T' any more"):
        opened(xlsx({"U": table}), detected=source.detected)
    with pytest.raises(SourceChanged):
        opened(xlsx({"T": [["b"], ["x"]]}), detected=source.detected)


def test_headers_are_as_in_csv(opened: Callable[..., Source]) -> None:
    table: Table = [
        ["made by", "us"],
        ["group", None, None, None],
        ["a", None, "b"],
        [1, 2, None],
        [3, 4, None, None],
    ]
    content = xlsx({"T": table})
    source = opened(content, header=3)
    assert (source.header, source.column_count) == (["a", "", "b"], 3)
    assert rows(only_batch(source)) == [["1", "2", None], ["3", "4", None]]
    source = opened(content, header=False)
    assert (source.header, source.column_count) == ([], 3)
    assert rows(only_batch(source))[1] == ["group", None, None]
    assert only_batch(source).lines.tolist() == [1, 2, 3, 4, 5]
    source = opened(content, header=True, skip_rows=2, delimiter=";", quote="'", comment="#")
    assert source.header == ["a", "", "b"]
    assert only_batch(source).lines.tolist() == [4, 5]


def test_the_sheet_is_the_first_visible_one_with_something_in_it(opened: Callable[..., Source]) -> None:
    sheets: dict[str, Table] = {
        "Hidden": [["no"]],
        "Empty": [],
        "Spaces": [[None, ""]],
        "Näme & <co>": [["a"], ["#ERROR #REF!"]],
    }
    source = opened(xlsx(sheets, hidden=["Hidden"]))
    assert source.detected["sheet"] == "Näme & <co>"
    assert rows(only_batch(source)) == [["#REF!"]]
    with pytest.raises(SourceError, match="no visible sheet with anything in it") as raised:
        opened(xlsx({"Empty": []}))
    assert raised.value.error_code == "format_undetectable"


def test_spreadsheets_of_open_document_are_read(opened: Callable[..., Source]) -> None:
    source = opened(ods([["a", "b"], ["1", "x & y"]]), name="a.ods")
    assert (source.header, source.detected["format"]) == (["a", "b"], "xlsx")
    assert rows(only_batch(source)) == [["1", "x & y"]]


def test_what_is_no_workbook_is_not_taken_for_one(tmp_path: Path, opened: Callable[..., Source]) -> None:
    def judged(content: bytes) -> bool:
        path = tmp_path / "file"
        path.write_bytes(content)
        file = open_file(str(path), [tmp_path])
        try:
            return is_workbook(file)
        finally:
            file.close()

    good = xlsx({"T": [["a"]]})
    assert judged(good)
    assert judged(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and more")
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w") as archive:
        archive.writestr("a.csv", "a,b\n")
        archive.writestr("xl/a.csv", "a,b\n")
    for content in (b"P", b"PK", b"a,b\n1,2\n", plain.getvalue(), good[:-30], good[:200], b"PK\x03\x04" * 50):
        assert not judged(content)
    with pytest.raises(SourceError, match="is no workbook"):
        opened(b"a,b\n1,2\n", source_type="xlsx")
    assert opened(b"a,b\n1,2\n", name="a.xlsx").detected["format"] == "csv"


def test_a_file_that_can_only_be_streamed_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(xlsx({"T": [["a"], [1]]}))
    stored = open_file(str(path), [tmp_path])

    class Member:
        name, size_bytes, modified_ns = "a.zip/a.xlsx", stored.size_bytes, 0

        def stream(self) -> Stream:
            return PlainStream(stored)

        def close(self) -> None:
            stored.close()

    member = Member()
    assert is_workbook(member)
    stream, sheet, _ = workbook.open_workbook(member, ReadOptions())
    assert (stream.read(100), sheet) == (b'"a"\n1\n', "T")
    assert stream.fraction_before(2) == pytest.approx(1 / 3)
    member.close()


def test_a_workbook_with_a_password_says_so(opened: Callable[..., Source]) -> None:
    document = (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500) + "EncryptedPackage".encode("utf-16-le") + bytes(500)
    )
    with pytest.raises(SourceError, match="is protected by a password; save it without one"):
        opened(document)


# --- bounds


def test_a_workbook_is_bounded_stored_and_unpacked(opened: Callable[..., Source]) -> None:
    bomb = replaced(xlsx({"T": [["a"]]}), {"xl/media/image.bin": bytes(3_000_000)})
    assert len(bomb) < 20_000
    for limit, content in ((2_000_000, bomb), (10_000, xlsx({"T": [[os.urandom(9).hex()] for _ in range(900)]}))):
        with pytest.raises(SourceError, match="JOBD_WORKBOOK_BYTES_MAX") as raised:
            opened(content, limits=Limits(workbook_bytes=limit))
        assert raised.value.error_code == "source_too_large"
    assert opened(bomb, limits=Limits(workbook_bytes=4_000_000)).header == ["a"]


def test_two_cells_far_apart_cost_their_job_only(opened: Callable[..., Source]) -> None:
    far = xlsx({"T": [["a"]]})
    with zipfile.ZipFile(io.BytesIO(far)) as archive:
        text = archive.read(SHEET)
    row = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    with pytest.raises(SourceError, match="is a cell far from all others") as raised:
        opened(replaced(far, {SHEET: text.replace(b"</sheetData>", row)}))
    assert raised.value.error_code == "source_too_large"


def test_a_text_that_many_cells_share_does_not_fill_the_disk(
    opened: Callable[..., Source],
) -> None:
    content = xlsx({"T": [["x" * 30_000]] * 400})
    with pytest.raises(SourceError, match="is longer as text than") as raised:
        opened(content, limits=Limits(workbook_bytes=200_000))
    assert raised.value.error_code == "source_too_large"


def test_a_workbook_that_takes_too_long_is_given_up(
    opened: Callable[..., Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = xlsx({"T": [["a"], [1]]})
    monkeypatch.setattr(workbook, "_WALL_SECONDS", 0)
    with pytest.raises(SourceError, match="s to read; save the sheet as CSV"):
        opened(content)
    monkeypatch.setattr(workbook, "_WALL_SECONDS", 60)
    monkeypatch.setattr(workbook, "_CPU_SECONDS", 0)
    with pytest.raises(SourceError, match="s to read; save the sheet as CSV"):
        opened(content)


def test_what_is_missing_is_named(opened: Callable[..., Source], monkeypatch: pytest.MonkeyPatch) -> None:
    content = xlsx({"T": [["a"], [1]]})
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda _name: None)
        with pytest.raises(SourceError, match=r"install jobd\[xlsx\]") as raised:
            opened(content)
    assert raised.value.error_code == "source_unsupported"
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with pytest.raises(HostNotReady, match="cannot be unpacked in /nowhere: No such file"):
        opened(content)


def test_the_program_for_it_gets_none_of_the_secrets(
    opened: Callable[..., Source], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    child = tmp_path / "child.py"
    child.write_text("import os, sys; print(sorted(os.environ), file=sys.stderr); sys.exit(3)")
    monkeypatch.setattr(workbook, "_CHILD", child)
    monkeypatch.setenv("JOBD_DATABASE_URL", "secret")
    monkeypatch.setenv("PGPASSWORD", "secret")
    with pytest.raises(SourceError, match=r"ended with 3 \(\[") as raised:
        opened(xlsx({"T": [["a"]]}))
    assert "JOBD_" not in str(raised.value)
    assert "PGPASSWORD" not in str(raised.value)


def test_an_old_document_that_is_no_workbook_is_refused(opened: Callable[..., Source]) -> None:
    for content in (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        replaced(xlsx({"T": [["a"]]}), {SHEET: b"<"}),
    ):
        with pytest.raises(SourceError, match="is damaged, or no workbook that can be read"):
            opened(content)


def test_no_damage_does_more_than_fail_its_job(tmp_path: Path) -> None:
    chance = random.Random(20_240_229)  # noqa: S311  damage that is the same each time
    table: Table = [
        ["id", "text", "when"],
        *([number, f"text {number}", dt.date(2024, 1, 1)] for number in range(20)),
    ]
    good = xlsx({"T": table})
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if not name.startswith("docProps")}
    path = tmp_path / "a.xlsx"
    outcomes: set[bool | str] = set()
    for attempt in range(200):
        if attempt % 4:
            name = chance.choice(list(members))
            content = replaced(good, {name: _damaged(members[name], chance)})
        else:
            content = _damaged(good, chance)
        path.write_bytes(content)
        try:
            with open_source(str(path), roots=[tmp_path], options=ReadOptions(source_type="xlsx")) as source:
                outcomes.add(sum(batch.record_count for batch in source.batches(None, 1000, 1 << 20)) > 0)
        except SourceError as error:
            outcomes.add(error.error_code)
    assert {True, "source_corrupt"} <= outcomes


def _damaged(content: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at, kind = chance.randrange(len(damaged)), chance.randrange(4)
        if kind == 0:
            damaged[at] = chance.randrange(256)
        elif kind == 1:
            del damaged[at : at + chance.randint(1, 40)]
        elif kind == 2:
            damaged[at:at] = damaged[at : at + chance.randint(1, 40)]
        else:
            damaged[at:at] = chance.choice([b'"', b"<", b"9999999", b"A", b"-1", b"&#0;", b"\xff"])
        damaged = damaged or bytearray(b"x")
    return bytes(damaged)


def test_a_mended_sheet_is_opened_again_as_at_its_first_start(tmp_path: Path) -> None:
    path = tmp_path / "mended.xlsx"
    path.write_bytes(xlsx({"s": [["id", "_jobd_row", "_jobd_line"], [1, 2, 3]]}))
    options = ReadOptions(header=2, skip_rows=3)  # of the file whose records they were
    with open_source(str(path), roots=[tmp_path], options=options) as first:
        detected = dict(first.detected)
    with open_source(str(path), roots=[tmp_path], options=options, detected=detected) as again:
        assert again.header == ["id", "_jobd_row", "_jobd_line"]
        assert sum(batch.record_count for batch in again.batches(None, max_rows=9, max_bytes=1 << 20)) == 1


@pytest.mark.parametrize(
    "options",
    [{}, {"header": 2, "skip_rows": 1}, {"header": False}, {"collects_rest": True, "ragged": "pad"}],
    ids=["nothing stated", "header and skip_rows", "no header", "surplus values"],
)
@pytest.mark.parametrize("is_mended", [True, False], ids=["mended", "of its own"])
def test_a_sheet_is_made_to_text_once_whatever_is_stated(
    opened: Callable[..., Source], monkeypatch: pytest.MonkeyPatch, is_mended: bool, options: dict[str, Any]
) -> None:
    convert, runs = workbook._convert, []

    def counted(name: str, *order: Any) -> dict[str, Any]:
        runs.append(name)
        return convert(name, *order)

    monkeypatch.setattr(workbook, "_convert", counted)
    name = "_jobd_row" if is_mended else "row"
    source = opened(xlsx({"s": [["id", name, "extra"], [1, 2, 3], [4, 5, 6], [7, 8, 9]]}), **options)
    assert len(runs) == 1
    if is_mended:
        assert source.header == ["id", name, "extra"]
        assert source.count_rows() == 3


def test_a_value_that_is_like_a_column_of_ours_changes_nothing(opened: Callable[..., Source]) -> None:
    table: Table = [["title"], ["id", "name"], [1, "_jobd_row"], [2, "b"]]
    source = opened(xlsx({"s": table}), skip_rows=1)
    assert source.header == ["id", "name"]
    assert rows(only_batch(source)) == [["1", "_jobd_row"], ["2", "b"]]


@pytest.mark.parametrize("is_with_errors", [True, False])
@pytest.mark.parametrize(
    "made",
    [xlsb, xls, lambda rows: xls(rows, is_small=True), lambda rows: xlsx({"T": rows})],
    ids=["xlsb", "xls", "xls in small sectors", "xlsx"],
)
def test_errors_in_cells_are_told_by_their_names_in_every_format_of_excel(
    opened: Callable[..., Source], made: Callable[[Table], bytes], is_with_errors: bool
) -> None:
    errors = ["#ERROR #N/A", "#ERROR #DIV/0!", "#ERROR #REF!"] if is_with_errors else [None, None, None]
    table: Table = [["id", "a", "b"], [1, errors[0], "x"], [2, None, errors[1]], [3, errors[2], 0.5]]
    if made in {xls, xlsb} and is_with_errors:
        table[2][2] = "#FORMULA #DIV/0!"
    found = rows(only_batch(opened(made(table), name="a.bin")))
    words = [None if error is None else error.removeprefix("#ERROR ") for error in errors]
    assert found == [["1", words[0], "x"], ["2", None, words[1]], ["3", words[2], "0.5"]]


@pytest.mark.parametrize("made", [xlsb, xls])
def test_a_damaged_table_of_sectors_or_records_has_no_errors_and_no_end_is_not_waited_for(
    made: Callable[[Table], bytes],
) -> None:
    content = made([["id"], ["#ERROR #N/A"]])
    chance = random.Random(7)  # noqa: S311  nothing is secret here
    for _ in range(300):
        broken = bytearray(content)
        for _ in range(chance.randrange(1, 20)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        try:
            workbook_errors.error_cells(io.BytesIO(bytes(broken)), "Sheet")
        except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, ValueError):
            continue  # the archive, which the library says is damaged before
