"""``jobd watch``: live progress."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import anyio
import typer
from rich.text import Text

from jobd.cli.completing import complete_jobs
from jobd.cli.database import AsJson, Database, DatabaseUrl, with_database
from jobd.cli.exits import ExitCode, exit_code_of_jobs
from jobd.cli.follow import display, follow, follow_active
from jobd.cli.ids import abbreviate, find_job
from jobd.cli.screen import QUIET, complaints, screen
from jobd.cli.summary import summary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID


def watch(
    jobs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...",
            help="Watch these until they end.",
            show_default=False,
            autocompletion=complete_jobs,
        ),
    ] = None,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Watch jobs as they run: rows, speed, time left.

    With ids it ends when all of them have, with exit code 0, 1 (one failed or was cancelled) or 3 (refused rows).
    Without, it shows whatever waits or runs until Ctrl-C.
    """

    async def work(database: Database) -> int:
        if jobs:
            job_ids = [await find_job(database, text) for text in jobs]
            return await watch_until_ended(database, job_ids, as_json=as_json)
        with display(as_json=as_json, with_ids=True) as shown:
            await follow_active(database, shown)
        return ExitCode.DONE

    if jobs:
        raise typer.Exit(with_database(database_url, work))
    with suppress(KeyboardInterrupt):
        with_database(database_url, work)


async def watch_until_ended(database: Database, job_ids: Sequence[UUID], *, as_json: bool) -> int:
    """Show the jobs until they end, then what became of each; gives the exit code."""
    ids = await abbreviate(database, job_ids)
    try:
        with display(as_json=as_json, with_ids=len(ids) > 1) as shown:
            ended = await follow(database, ids, shown)
    except anyio.get_cancelled_exc_class():
        # Ctrl-C ends the watching, not what is watched.
        complaints().print(Text(f"still at work: jobd watch {' '.join(ids.values())}", style=QUIET))
        raise
    if not as_json:
        for job in ended:
            for text in summary(job.row, ids[job.id]):
                screen().print(text)
    return exit_code_of_jobs(job.row for job in ended)
