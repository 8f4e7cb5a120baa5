"""``jobd revert``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from jobd.cli.database import AsJson, Database, DatabaseUrl, with_database
from jobd.cli.exits import ExitCode
from jobd.cli.figures import count
from jobd.cli.ids import JobId, find_job
from jobd.cli.listing import cut, table
from jobd.cli.screen import QUIET, WARN, indented, print_json, screen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


def revert(
    job: JobId,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="Rows that could not be undone, listed at most.")
    ] = 20,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Undo an import that tracked changes.

    Rows that it added are deleted, rows that it updated get back what they had, where nobody changed them since.
    The others are listed; to try again, run it again. Exits with 1 when there were any.
    """

    async def work(database: Database) -> int:
        job_id = await find_job(database, job)
        before = (await database.fetch("cli_changes", job_id))[0]
        await database.client.revert(job_id)
        after = (await database.fetch("cli_changes", job_id))[0]
        undone = after["undone_rows"] - before["undone_rows"]
        left = await database.fetch("cli_not_reverted", job_id, limit)
        if as_json:
            print_json({"undone": undone, "left": after["left_rows"], "rows": [dict(row) for row in left]})
        else:
            _show(undone, after["left_rows"], left)
        return ExitCode.FAILED if after["left_rows"] else ExitCode.DONE

    raise typer.Exit(with_database(database_url, work))


def _show(undone: int, left: int, rows: Sequence[Mapping[str, Any]]) -> None:
    console = screen()
    console.print(f"{count(undone)} row{'' if undone == 1 else 's'} undone.")
    if not left:
        return
    console.print(Text(f"{count(left)} could not be undone:", style=WARN))
    listing = table("Key", "Import", "Why not", flexible=("Key", "Why not"))
    for row in rows:
        listing.add_row(cut(row["key"]), row["change"], row["revert_problem"] or "")
    console.print(indented(listing))
    if left > len(rows):
        console.print(Text(f"  The first {count(len(rows))}; --limit shows more.", style=QUIET))
