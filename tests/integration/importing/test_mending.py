"""What is refused is mended and imported again: then all is as if the file had been right from the start."""

from __future__ import annotations

import csv
import gzip
from typing import TYPE_CHECKING

import pytest

from tests.support.importing import import_file, write
from tests.support.mending import csv_of, keep_refused, mended, refused_csv, rows_of, value_of
from tests.support.mending_loops import LOOPS
from tests.support.packing import zipped
from tests.support.workbooks import xlsx

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import asyncpg

    from tests.support.database import Database
    from tests.support.importing import Imported
    from tests.support.mending_loops import Loop

TABLE = """
create table {name} (
    id int primary key, name text, amount numeric(6, 2) not null, day date, tags text[], more jsonb,
    is_new boolean, note varchar(8) default 'none' check (note <> 'bad')
)"""


@pytest.fixture
async def connection(database: Database) -> asyncpg.Connection:
    connection = await database.connect(statement_cache_size=0)
    for name in ("first_target", "plain_target", "right_target"):
        await connection.execute(TABLE.format(name=name))
    return connection


async def contents(connection: asyncpg.Connection, name: str) -> list[str]:
    return [row[0] for row in await connection.fetch(f"select t::text from {name} t order by t::text")]


def reasons(imported: Imported) -> list[tuple[str | None, str]]:
    return [(error.field, error.code) for error in imported.errors]


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.name)
async def test_what_is_refused_is_mended_and_imported(
    connection: asyncpg.Connection, tmp_path: Path, loop: Loop
) -> None:
    options = {**loop.reading, **loop.values}
    good = write(tmp_path / loop.name, loop.right)
    right = await import_file(connection, good, "right_target", options, **loop.columns)
    assert (right.failure, right.errors) == (None, [])
    bad = write(tmp_path / loop.name, loop.bad)
    first = await import_file(connection, bad, "first_target", options, **loop.columns)
    assert first.failure is None
    assert {error.row_number for error in first.errors} == set(loop.mends)
    text = await refused_csv(connection, await keep_refused(connection, first))

    before = await contents(connection, "first_target")
    unmended = write(tmp_path / "again.csv", text)
    again = await import_file(connection, unmended, "first_target", options, **loop.columns)
    assert again.counts == (0, 0, 0, 0, len(loop.mends))
    assert reasons(again) == reasons(first)
    assert await contents(connection, "first_target") == before
    text_again = await refused_csv(connection, await keep_refused(connection, again))
    assert [_own(row) for row in rows_of(text_again)] == [_own(row) for row in rows_of(text)]

    file = write(tmp_path / "mended.csv", mended(text, loop.mends))
    await connection.execute("insert into plain_target select * from first_target")
    for target, stated, columns in (
        ("first_target", options, loop.columns),
        ("plain_target", loop.values, {}),
    ):
        second = await import_file(connection, file, target, stated, **columns)
        assert (second.failure, second.errors) == (None, [])
        assert second.tally.processed_rows == len(loop.mends)
        assert await contents(connection, target) == await contents(connection, "right_target")


def _own(row: dict[str, str]) -> dict[str, str]:
    """What is the record's own in a line, and what is left of it whole."""
    told = {"_jobd_row", "_jobd_line", "_jobd_reason", "_jobd_file"}
    return {name: field for name, field in row.items() if name not in told}


FILES = {
    "1.csv": b"id,name,amount\n1,Ada,1\n2,NA,two\n3,x\n",
    "2.csv": 'id;amount;name;note\n12;;K\xf6ln;\n13;13;"a;b";bad\n'.encode("cp1252"),
    "3.jsonl": b'{"id": 21, "amount": "many", "name": "NA"}\n{"id": 22, "amount": 2}\n',
    "4.csv.gz": gzip.compress(b"id\tamount\n31\tx\n"),
}
MENDS = (
    ("1.csv", 2, {"amount": "2"}),
    ("1.csv", 3, {"amount": "3"}),
    ("2.csv", 1, {"amount": "12"}),
    ("2.csv", 2, {"note": "good"}),
    ("3.jsonl", 1, {"amount": "21"}),
    ("4.csv.gz", 1, {"amount": "31"}),
)
EXPECTED = [
    (1, "Ada", 1, "none"), (2, None, 2, None), (3, "x", 3, None),
    (12, "K\xf6ln", 12, None), (13, "a;b", 13, "good"),
    (21, None, 21, None), (22, None, 2, "none"), (31, None, 31, None),
]  # fmt: skip


@pytest.mark.parametrize("is_archive", [False, True], ids=["a directory", "an archive"])
async def test_records_of_many_files_of_all_kinds_are_mended_in_one(
    connection: asyncpg.Connection, tmp_path: Path, is_archive: bool
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    if is_archive:
        write(folder / "all.zip", zipped(FILES))
    else:
        for name, content in FILES.items():
            write(folder / name, content)
    options = {"null_values": ["NA", ""]}
    source = folder / "all.zip" if is_archive else folder
    first = await import_file(connection, source, "first_target", options, roots=[folder])
    assert (first.failure, first.tally.refused) == (None, len(MENDS))
    job_id = await keep_refused(connection, first)
    rows = rows_of(await refused_csv(connection, job_id))
    assert list(rows[0])[:4] == ["id", "name", "amount", "note"]
    origins = [(value_of(row["_jobd_file"]).rpartition("/")[2], int(row["_jobd_row"])) for row in rows]
    assert origins == [(name, row) for name, row, _ in MENDS]
    of_one = await refused_csv(connection, job_id, only_file=value_of(rows[2]["_jobd_file"]))
    assert [row["_jobd_row"] for row in rows_of(of_one)] == ["1", "2"]

    text = csv_of([{**row, **mend} for row, (_, _, mend) in zip(rows, MENDS, strict=True)])
    second = await import_file(connection, write(tmp_path / "mended.csv", text), "first_target", options)
    assert (second.failure, second.errors) == (None, [])
    found = await connection.fetch("select id, name, amount, note from first_target order by id")
    assert [tuple(row) for row in found] == EXPECTED


@pytest.mark.parametrize(
    "null_values",
    [["NA"], "NA", ["n,a", "NA"], {"note": ["NA"], "Word": ["-"]}, {" NOTE": ["NA"], "name": ["-"]}],
)
async def test_a_column_that_a_record_s_own_file_lacks_is_null(
    connection: asyncpg.Connection, tmp_path: Path, null_values: object
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "1.csv", "id,Word,amount\n1,a,one\n2,b,2,surplus\n4,d,4\n")
    write(folder / "2.csv", "id,amount,note\n3,three,c\n")
    options = {
        "null_values": null_values,
        "columns": {"Word": "name", "note": "note"},
        "optional": ["name", "note"],
    }
    first = await import_file(connection, folder, "first_target", options)
    assert (first.failure, first.tally.refused) == (None, 3)
    rows = rows_of(await refused_csv(connection, await keep_refused(connection, first, options)))
    word = "-" if isinstance(null_values, dict) else "NA"
    assert [(row["Word"], row["note"]) for row in rows] == [("a", "NA"), ("b", ""), (word, "c")]
    again = await import_file(connection, write(tmp_path / "again.csv", csv_of(rows)), "first_target", options)
    assert reasons(again) == reasons(first)
    rows = [{**row, "amount": row["id"]} for row in (rows[0], rows[2])]
    second = await import_file(connection, write(tmp_path / "mended.csv", csv_of(rows)), "first_target", options)
    assert (second.failure, second.errors) == (None, [])
    found = await connection.fetch("select id, name, note from first_target order by id")
    assert [tuple(row) for row in found] == [(1, "a", None), (3, None, "c"), (4, "d", "none")]


@pytest.mark.parametrize(
    ("save", "name"),
    [
        pytest.param(lambda text: text, "comma.csv", id="as it is"),
        pytest.param(lambda text: "\ufeff" + text.replace("\n", "\r\n"), "excel.csv", id="with a mark"),
        pytest.param(lambda text: "sep=,\r\n" + text, "sep.csv", id="behind a line that names the delimiter"),
        pytest.param(
            lambda text: text.replace(",", ";").encode("cp1252"), "ansi.csv", id="by a German spreadsheet"
        ),
        pytest.param(lambda text: text.replace(",", "\t").encode("utf-16"), "unicode.txt", id="as Unicode text"),
        pytest.param(
            lambda text: xlsx({"s": list(csv.reader(text.splitlines()))}), "book.xlsx", id="as a workbook"
        ),
        pytest.param(lambda text: gzip.compress(text.encode()), "packed.csv.gz", id="packed"),
    ],
)
async def test_a_mended_file_is_known_however_a_spreadsheet_saves_it(
    connection: asyncpg.Connection, tmp_path: Path, save: Callable[[str], str | bytes], name: str
) -> None:
    reading = {
        "delimiter": "|",
        "header": False,
        "skip_rows": 2,
        "encoding": "cp1252",
        "comment": "#",
        "quote": "'",
    }
    text = "name,id,amount,_jobd_row,_jobd_line,_jobd_field,_jobd_reason\n#K\xf6ln,1,1,2,3,amount,bad\n"
    imported = await import_file(connection, write(tmp_path / name, save(text)), "first_target", reading)
    assert (imported.failure, imported.errors) == (None, [])
    assert tuple((await connection.fetch("select id, name, amount from first_target"))[0]) == (1, "#K\xf6ln", 1)


async def test_a_record_that_was_kept_in_part_is_not_imported_in_part(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    long = "x" * (70 << 10)
    path = write(tmp_path / "long.csv", f"id,name,amount\n1,Ada,1\n2,{long},two\n3,{long},3\n")
    first = await import_file(connection, path, "first_target")
    assert [error.code for error in first.errors] == ["invalid_value"]
    text = await refused_csv(connection, await keep_refused(connection, first))
    assert len(text) < 66 << 10
    again = await import_file(connection, write(tmp_path / "again.csv", text), "first_target")
    assert reasons(again) == [("amount", "not_mended")]
    assert again.counts == (0, 0, 0, 0, 1)


async def test_a_word_for_null_is_written_in_the_words_of_its_column(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    lines = ['{"id": 1, "name": null, "note": null, "amount": "x"}', '{"id": 2, "name": "", "amount": null}']
    options = {"null_values": {"name": ["NA"], "note": ["-", "?"], "amount": ["NA", ""]}}
    first = await import_file(connection, write(tmp_path / "a.jsonl", lines), "first_target", options)
    text = await refused_csv(connection, await keep_refused(connection, first))
    assert [(row["name"], row["note"], row["amount"]) for row in rows_of(text)] == [
        ("NA", "-", "x"),
        ('""', "-", ""),
    ]
