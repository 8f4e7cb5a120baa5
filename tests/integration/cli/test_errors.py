"""``errors`` beyond the plain table: the refused records as CSV, files told from each other, and pages."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.cli.test_reading import CSV, refuse_two
from tests.support.worker import SimulatedWorker, refusal

if TYPE_CHECKING:
    from jobd.model.job import Job
    from tests.integration.cli.conftest import Jobd
    from tests.support.database import Database

OWN = ["_jobd_row", "_jobd_line", "_jobd_field", "_jobd_reason"]


def parsed(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


@pytest.fixture
async def several(database: Database, running: Job, worker: SimulatedWorker) -> Job:
    """A job of three files, in two of which something was refused."""
    for name, names in (("/in/a.csv", ["id", "name"]), ("/in/b.csv", ["id", "note"])):
        await worker.commit(
            running.id,
            added=1,
            errors=[refusal(row, field=names[1], file=name, raw_data=" ") for row in (1, 2)],
            rejects=[(1, b"1,x"), (2, b"2,y")],
            fields=[dict(zip(names, values, strict=True)) for values in (("1", "x"), ("2", "y"))],
            file=name,
        )
    await database.execute("set role jobd_owner; update jobd.job set files_total = 3; reset role")
    return running


async def test_the_refused_records_come_in_their_own_columns(
    jobd: Jobd, running: Job, worker: SimulatedWorker
) -> None:
    await refuse_two(worker, running)
    text = (await jobd("errors", running.id, "--format", "csv")).stdout
    assert parsed(text) == [
        ["id", "dest", *OWN, "_jobd_code", "_jobd_filled", "_jobd_record"],
        ["3", "BQN", "3", "4", "dest", '"BQN" is not in airports', "", "", ""],
        ["5", "", "5", "6", "", "row 5 is not good enough", "too_few_fields", "1", "5"],
    ]


async def test_without_refused_records_there_is_a_header_all_the_same(jobd: Jobd, running: Job) -> None:
    assert (await jobd("errors", running.id, "-f", "csv")).stdout == ",".join(OWN) + "\n"


async def test_a_record_with_two_errors_is_one_line(jobd: Jobd, running: Job, worker: SimulatedWorker) -> None:
    errors = [refusal(1, field="id", message="a"), refusal(1, field="dest", message="b")]
    await worker.commit(running.id, errors=errors, rejects=[(1, b"x,y")], fields=[{"id": "x", "dest": "y"}])
    lines = (await jobd("errors", running.id, "-f", "csv")).stdout.splitlines()
    assert lines[1:] == ["x,y,1,2,dest; id,a; b"]


async def test_records_that_an_older_release_kept_are_shown_whole(
    jobd: Jobd, running: Job, worker: SimulatedWorker
) -> None:
    await worker.commit(running.id, errors=[refusal(1)], rejects=[(1, b"1,K\xf6ln")])
    header, line = parsed((await jobd("errors", running.id, "-f", "csv")).stdout)
    assert header == [*OWN, "_jobd_code", "_jobd_filled", "_jobd_record"]
    assert line[-1] == r"1,K\366ln"


async def test_more_than_a_page_of_records_is_written_whole(
    jobd: Jobd, running: Job, worker: SimulatedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobd.cli.refused_csv.PAGE_ROWS", 2)
    rows = range(1, 6)
    await worker.commit(
        running.id,
        errors=[refusal(row) for row in rows],
        rejects=[(row, b"r") for row in rows],
        fields=[{"id": str(row)} for row in rows],
    )
    lines = parsed((await jobd("errors", running.id, "-f", "csv")).stdout)
    assert [line[:2] for line in lines] == [["id", "_jobd_row"], *([str(row), str(row)] for row in rows)]


@pytest.mark.parametrize(
    ("detected", "delimiter"), [(CSV, ","), ({"source": {"format": "csv", "shape": {"delimiter": ord(";")}}}, ";")]
)
async def test_excel_gets_a_mark_its_line_ends_and_the_delimiter_of_the_file(
    jobd: Jobd, running: Job, worker: SimulatedWorker, detected: dict[str, Any], delimiter: str
) -> None:
    await worker.begin(running.id, detected)
    fields = {"a;b": '"x\ny"', "c": "1;2"}
    await worker.commit(running.id, errors=[refusal(1)], rejects=[(1, b"x")], fields=[fields])
    written = (await jobd("errors", running.id, "--excel")).stdout_bytes
    assert written.startswith(b"\xef\xbb\xbf")
    assert written.count(b"\r\n") == 2
    header, line = parsed(written.decode("utf-8-sig"), delimiter)
    assert (header[:2], line[:2]) == (["a;b", "c"], ["x\ny", "1;2"])


async def test_values_that_a_spreadsheet_takes_for_formulas_are_left_as_they_are(
    jobd: Jobd, running: Job, worker: SimulatedWorker
) -> None:
    await worker.commit(running.id, errors=[refusal(1)], rejects=[(1, b"x")], fields=[{"id": "=1+1", "n": "-1"}])
    assert "\r\n=1+1,-1,1,2," in (await jobd("errors", running.id, "--excel")).stdout_bytes.decode()


async def test_files_are_told_apart_and_what_was_not_kept_is_counted(
    jobd: Jobd, several: Job, database: Database
) -> None:
    await database.execute("set role jobd_owner; update jobd.job set errors_not_stored = 7; reset role")
    text = (await jobd("errors", several.id)).stdout
    groups, by_file = text.split("First row")[0].splitlines()[2:5], text.split("First row")[1].splitlines()[1:5]
    assert [line.split() for line in groups[:3]] == [
        ["Refused", "Field", "Reason", "Files"],
        ["2", "name", "foreign_key", "1"],
        ["2", "note", "foreign_key", "1"],
    ]
    assert [line.split() for line in by_file[:2]] == [
        ["/in/a.csv", "2", "name", "foreign_key", "1"],
        ["/in/b.csv", "2", "note", "foreign_key", "1"],
    ]
    assert "(empty)" in text
    assert "7 more were counted but not kept" in text
    result = await jobd("errors", several.id, "--format", "csv")
    assert "7 more were refused than are kept" in result.stderr
    shown = (await jobd("show", several.id)).stdout
    assert ["2", "name", "foreign_key", "1"] in [line.split() for line in shown.splitlines()]


async def test_records_of_many_files_share_one_csv_which_says_of_which_they_are(jobd: Jobd, several: Job) -> None:
    result = await jobd("errors", several.id, "--format", "csv")
    assert [[*line[:3], line[-1]] for line in parsed(result.stdout)] == [
        ["id", "name", "note", "_jobd_file"],
        ["1", "x", "", "/in/a.csv"],
        ["2", "y", "", "/in/a.csv"],
        ["1", "", "x", "/in/b.csv"],
        ["2", "", "y", "/in/b.csv"],
    ]
    assert "different columns" in result.stderr


async def test_one_of_many_files_stands_alone(jobd: Jobd, several: Job) -> None:
    result = await jobd("errors", several.id, "--file", "b.csv", "-f", "csv")
    assert [line[:2] for line in parsed(result.stdout)] == [["id", "note"], ["1", "x"], ["2", "y"]]
    assert result.stderr == ""
    text = (await jobd("errors", several.id, "--file", "/in/a.csv")).stdout
    assert "name" in text
    assert "note" not in text
    assert f"jobd errors {str(several.id)[:13]} --file /in/a.csv --format csv" in text


async def test_a_file_that_is_none_of_them_is_said_to_be_none(jobd: Jobd, several: Job) -> None:
    assert (
        "no record of a file c.csv was refused"
        in (await jobd("errors", several.id, "--file", "c.csv", exit_code=2)).stderr
    )
    assert "not with json" in (await jobd("errors", several.id, "--json", "--excel", exit_code=2)).stderr


async def test_the_table_goes_on_where_it_ended(jobd: Jobd, several: Job) -> None:
    first = (await jobd("errors", several.id, "--limit", 3)).stdout
    (more,) = [line for line in first.splitlines() if "shows the next;" in line]
    arguments = more.split("jobd ")[1].split("  ")[0].split()
    second = (await jobd(*arguments)).stdout
    assert [line.split()[:2] for line in second.splitlines()[:2]] == [["File", "Row"], ["/in/b.csv", "2"]]
    assert "shows the next" not in second


async def test_errors_as_json_are_not_bound_to_a_page(jobd: Jobd, several: Job) -> None:
    assert len(json.loads((await jobd("errors", several.id, "--json")).stdout)) == 4
