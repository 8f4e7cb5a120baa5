"""rejects_csv: the refused records as lines of CSV, page by page, for those who know only SQL."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.sql.jobs import register
from tests.sql.roles import make_submitter, submit
from tests.support.worker import SimulatedWorker, refusal

if TYPE_CHECKING:
    from uuid import UUID

    from tests.support.database import Database

OWN = ["_jobd_row", "_jobd_line", "_jobd_field", "_jobd_reason"]


@pytest.fixture
async def worker(database: Database) -> SimulatedWorker:
    worker = SimulatedWorker(database)
    await worker.register()
    return worker


@pytest.fixture
async def job_id(database: Database, worker: SimulatedWorker) -> UUID:
    """A job that refused five records, three of one file and two of another."""
    job_id = await submit(await database.connect())
    await worker.claim()
    for file, rows in (("a.csv", (1, 2, 10)), ("b.csv", (1, 3))):
        await worker.commit(
            job_id,
            errors=[refusal(row, file=file, field="id") for row in rows],
            rejects=[(row, b"x") for row in rows],
            fields=[{"id": f"{file}{row}", "note": '"a, b"', "share": "1,5"} for row in rows],
            file=file,
        )
    return job_id


async def lines(database: Database, job_id: UUID, **arguments: Any) -> list[str]:
    named = "".join(f", {name} => ${place}" for place, name in enumerate(arguments, 2))
    rows = await database.fetch(f"select line from jobd.rejects_csv($1{named})", job_id, *arguments.values())
    return [row["line"] for row in rows]


async def test_the_header_comes_first_and_then_the_records_in_the_order_of_the_files(
    database: Database, job_id: UUID
) -> None:
    found = await lines(database, job_id)
    assert list(csv.reader(found)) == [
        ["id", "note", "share", *OWN],
        *(
            [f"{file}{row}", "a, b", "1,5", str(row), str(row + 1), "id", f"row {row} is not good enough"]
            for file, row in (("a.csv", 1), ("a.csv", 2), ("a.csv", 10), ("b.csv", 1), ("b.csv", 3))
        ),
    ]
    assert found[1] == 'a.csv1,"a, b","1,5",1,2,id,row 1 is not good enough\n'


async def test_each_line_says_which_record_it_is_so_that_pages_can_follow(
    database: Database, job_id: UUID
) -> None:
    whole = await database.fetch("select * from jobd.rejects_csv($1)", job_id)
    pages = await database.fetch("select * from jobd.rejects_csv($1, max_rows => 2)", job_id)
    while True:
        more = await database.fetch(
            "select * from jobd.rejects_csv($1, after_file => $2, after_row => $3, max_rows => 2)",
            job_id, pages[-1]["file"], pages[-1]["row_number"],
        )  # fmt: skip
        if not more:
            break
        pages = [*pages, *more]
    assert pages == whole
    assert (whole[0]["file"], whole[0]["row_number"]) == ("", 0)


async def test_one_file_alone_another_delimiter_and_chosen_columns(database: Database, job_id: UUID) -> None:
    assert len(await lines(database, job_id, only_file="a.csv")) == 4
    assert len(await lines(database, job_id, only_file="a.csv", after_row=2)) == 1
    assert (await lines(database, job_id, delimiter=";"))[1].startswith('a.csv1;"a, b";1,5;1;2;id;')
    assert (await lines(database, job_id, columns=["share", "_jobd_file"]))[1] == '"1,5",a.csv\n'
    assert await lines(database, job_id, max_rows=0, columns=["id"]) == ["id\n"]


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", None])
async def test_a_delimiter_that_cannot_be_one_is_refused(
    database: Database, job_id: UUID, delimiter: str | None
) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError) as refused:
        await lines(database, job_id, delimiter=delimiter)
    assert refused.value.hint


async def test_reasons_and_names_are_quoted_where_they_must_be(
    database: Database, worker: SimulatedWorker
) -> None:
    job_id = await submit(await database.connect())
    await worker.claim()
    error = refusal(1, field='the "x", y', message='two\nlines, "quoted"')
    await worker.commit(job_id, errors=[error], rejects=[(1, b"x")], fields=[{'the "x", y': "1"}])
    text = "".join(await lines(database, job_id))
    assert list(csv.reader(text.splitlines(keepends=True))) == [
        ['the "x", y', *OWN],
        ["1", "1", "2", 'the "x", y', 'two\nlines, "quoted"'],
    ]


async def test_columns_are_told_in_the_order_in_which_they_were_met(
    database: Database, worker: SimulatedWorker
) -> None:
    job_id = await submit(await database.connect())
    await worker.claim()
    fields = [
        {"b": "", "a": ""},
        {"b": "", "c": "", "a": "", "_jobd_code": "", "_jobd_filled": "", "_jobd_record": ""},
        {"z": ""},
    ]
    rejects = [(row, b"x") for row in (1, 2, 3)]
    await worker.commit(job_id, errors=[refusal(row) for row, _ in rejects], rejects=rejects, fields=fields)
    assert await database.fetchval("select jobd.reject_columns($1)", job_id) == [
        "b", "a", "c", "z", *OWN, "_jobd_code", "_jobd_filled", "_jobd_record",
    ]  # fmt: skip


async def test_nobody_sees_the_records_of_another_submitter(database: Database) -> None:
    owner, other = await make_submitter(database), await make_submitter(database)
    job_id = await submit(owner.connection)
    worker = await register(database)
    await worker.claim()
    assert len(await owner.connection.fetch("select * from jobd.rejects_csv($1)", job_id)) == 1
    for call in ("jobd.rejects_csv($1)", "jobd.rejects_csv($1, columns => '{id}')", "jobd.reject_columns($1)"):
        with pytest.raises(asyncpg.NoDataFoundError):
            await other.connection.fetch(f"select * from {call}", job_id)
