"""``jobd errors``: what a job refused, and why."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.text import Text

from jobd.cli.database import AsJson, Database, DatabaseUrl, with_database
from jobd.cli.error_groups import groups_by_file_table, groups_table
from jobd.cli.exits import Misused
from jobd.cli.figures import count
from jobd.cli.ids import JobId, abbreviate, find_job
from jobd.cli.listing import cut, table
from jobd.cli.refused_csv import Writing, write_refused
from jobd.cli.screen import QUIET, WARN, indented, print_json, screen
from jobd.cli.summary import next_step
from jobd.errors import JobNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobd.model.job import Job

MENDING = "gives the records, to be mended and imported again"
VALUE_CHARACTERS_MAX = 30
GROUPS_SHOWN_MAX = 20


class Format(StrEnum):
    """How to print the errors."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def errors(
    *,
    job: JobId,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            "-f",
            help="table, to read; csv: the refused records themselves, to be mended; json, for programs.",
        ),
    ] = Format.TABLE,
    excel: Annotated[
        bool,
        typer.Option(
            "--excel",
            help="csv that Excel opens: with a byte order mark and its line ends, and semicolons where the job's "
            "file has them. Values stay as they are: Excel takes one that begins with = + - or @ for a formula.",
        ),
    ] = False,
    file: Annotated[
        str | None,
        typer.Option(
            "--file", metavar="NAME", help="Of a job of many files only this one; the end of its name will do."
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Rows of the table at most.")] = 20,
    after: Annotated[
        int, typer.Option("--after", min=0, metavar="ID", help="Go on behind the last row of a table before.")
    ] = 0,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Show which records were refused, and why.

    With --format csv come the refused records in their own columns, and behind them _jobd_row, _jobd_line,
    _jobd_field and _jobd_reason, which every import passes over: mend the values and submit the file again, with
    the options of the first. A record that does not fit into the columns stands whole in _jobd_record: fill the
    columns, or empty that where they are right, or it is refused again.
    """
    is_json = as_json or form is Format.JSON
    if is_json and (excel or file or after):
        raise Misused("--excel, --file and --after go with the table or csv, not with json")

    async def work(database: Database) -> None:
        found = await database.client.get(await find_job(database, job))
        if found is None:
            raise JobNotFound(f"no such job: {job}")
        if is_json:
            rows = await database.fetch("cli_errors_json", found.id)
            print_json(orjson.loads(rows[0]["errors"]))
            return
        name = None if file is None else await _file_named(database, found, file)
        if excel or form is Format.CSV:
            writing = Writing.for_excel(found) if excel else Writing()
            await write_refused(database, found, name, writing, sys.stdout.buffer)
        else:
            await _print_table(database, found, name, limit, after)

    with_database(database_url, work)


async def _file_named(database: Database, job: Job, name: str) -> str:
    """The one file that is meant, by its whole name or the end of it."""
    names = [row["file"] for row in await database.fetch("cli_error_files", job.id, name)]
    if name in names or len(names) == 1:
        return name if name in names else str(names[0])
    if not names:
        raise Misused(f"no record of a file {name} was refused\nSee jobd errors {job.id} for the files.")
    raise Misused(f"several files are called {name}: {', '.join(names)}\nSay more of the name.")


async def _print_table(database: Database, job: Job, file: str | None, limit: int, after: int) -> None:
    console = screen()
    if not job.error_count:
        console.print("Nothing was refused.")
        return
    groups = await database.fetch("cli_error_groups", job.id, file)
    several_files = file is None and (job.files_total or 1) > 1
    if not after:
        refused = f"{count(job.error_count)} refused"
        console.print(Text.assemble((refused, WARN), f" of {count(job.processed_rows)} records"))
        console.print()
        console.print(indented(groups_table(groups, GROUPS_SHOWN_MAX, several_files=several_files)))
        console.print()
        if several_files:
            by_file = await database.fetch("cli_error_groups_by_file", job.id, GROUPS_SHOWN_MAX)
            console.print(indented(groups_by_file_table(by_file)))
            console.print()
    rows = await database.fetch("cli_errors", job.id, after, limit + 1, file)
    short_id = (await abbreviate(database, [job.id]))[job.id]
    _print_rows(rows[:limit], several_files=several_files)
    named = f" --file {file}" if file else ""
    if len(rows) > limit:
        more = f"jobd errors {short_id}{named} --limit {limit} --after {rows[limit - 1]['id']}"
        console.print(next_step(more, "shows the next; --limit shows more at once"))
    if job.errors_not_stored:
        console.print(Text(f"{count(job.errors_not_stored)} more were counted but not kept.", style=WARN))
    console.print(next_step(f"jobd errors {short_id}{named} --format csv", MENDING))


def _print_rows(rows: Sequence[Mapping[str, Any]], *, several_files: bool) -> None:
    columns = (*(("File",) if several_files else ()), "Row", "Line", "Field", "Value", "Reason")
    listing = table(*columns, right=("Row", "Line"), flexible=("Reason", "Value", "File"))
    for row in rows:
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


def _shown(value: str | None) -> Text:
    if value is None:
        return Text("")
    if not value.strip():
        return Text("(empty)", style=QUIET)
    text = cut(" ".join(value.split()))
    text.truncate(VALUE_CHARACTERS_MAX, overflow="ellipsis")
    return text
