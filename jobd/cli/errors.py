"""``jobd errors``: what a job refused, and why."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.text import Text

from jobd.cli.database import AsJson, Database, DatabaseUrl, with_database
from jobd.cli.figures import count
from jobd.cli.ids import JobId, abbreviate, find_job
from jobd.cli.refused_csv import RefusedCsv
from jobd.cli.screen import cut, indented, print_json, screen, table
from jobd.cli.summary import next_step
from jobd.errors import JobNotFound

if TYPE_CHECKING:
    from uuid import UUID

    from jobd.model.job import Job

PAGE = 1000
MENDING = "gives the records, to be mended and imported again"
VALUE_CHARACTERS_MAX = 30


class Format(StrEnum):
    """How to print the errors."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def errors(
    job: JobId,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            "-f",
            help="table, to read; csv: the refused records themselves, to be mended; json, for programs.",
        ),
    ] = Format.TABLE,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Rows of the table at most.")] = 20,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Show which records were refused, and why.

    With --format csv come the refused records in their own columns, and behind them _jobd_row, _jobd_line,
    _jobd_field and _jobd_reason, which every import passes over: mend the values and submit the file again.
    """

    async def work(database: Database) -> None:
        found = await database.client.get(await find_job(database, job))
        if found is None:
            raise JobNotFound(f"no such job: {job}")
        if as_json or form is Format.JSON:
            rows = await database.fetch("cli_errors_json", found.id)
            print_json(orjson.loads(rows[0]["errors"]))
        elif form is Format.CSV:
            await _print_csv(database, found)
        else:
            await _print_table(database, found, limit)

    with_database(database_url, work)


async def _print_csv(database: Database, job: Job) -> None:
    """Page by page: there may be many records, and each may be long."""
    text = RefusedCsv(job.detected)
    out = sys.stdout.buffer
    file, row_number = "", -1
    while page := await database.fetch("cli_rejects", job.id, file, row_number, PAGE):
        for row in page:
            out.write(text.line(row))
        file, row_number = page[-1]["file"], page[-1]["row_number"]
    out.write(text.header_if_missing())
    out.flush()


async def _print_table(database: Database, job: Job, limit: int) -> None:
    console = screen()
    if not job.error_count:
        console.print("Nothing was refused.")
        return
    groups = await database.fetch("cli_error_groups", job.id)
    several_files = len({group["file"] for group in groups}) > 1
    short_id = (await abbreviate(database, [job.id]))[job.id]
    console.print(
        Text.assemble((f"{count(job.error_count)} refused", "yellow"), f" of {count(job.processed_rows)} records")
    )
    overview = table("Records", "Field", "Reason", "First row", right=("Records", "First row"))
    for group in groups:
        overview.add_row(count(group["count"]), group["field"] or "", group["code"], count(group["first_row"]))
    console.print()
    console.print(indented(overview))
    console.print()
    await _print_rows(database, job.id, limit, several_files=several_files)
    if job.errors_not_stored:
        console.print(Text(f"{count(job.errors_not_stored)} more were counted but not kept.", style="yellow"))
    console.print(next_step(f"jobd errors {short_id} --format csv", MENDING))


async def _print_rows(database: Database, job_id: UUID, limit: int, *, several_files: bool) -> None:
    rows = await database.fetch("cli_errors", job_id, 0, limit + 1)
    columns = (*(("File",) if several_files else ()), "Row", "Line", "Field", "Value", "Reason")
    listing = table(*columns, right=("Row", "Line"), flexible=("Reason", "Value", "File"))
    for row in rows[:limit]:
        file = (cut(row["file"] or ""),) if several_files else ()
        listing.add_row(
            *file,
            count(row["row_number"]),
            count(row["line_number"]),
            row["field"] or "",
            _shown(row["raw_data"]),
            row["message"],
        )
    screen().print(indented(listing))
    screen().print()
    if len(rows) > limit:
        screen().print(Text(f"  The first {count(limit)}; --limit shows more.\n", style="bright_black"))


def _shown(value: str | None) -> Text:
    if value is None:
        return Text("")
    if not value.strip():
        return Text("(empty)", style="bright_black")
    text = cut(" ".join(value.split()))
    text.truncate(VALUE_CHARACTERS_MAX, overflow="ellipsis")
    return text
