"""``jobd list`` and ``jobd show``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from jobd.cli.completing import complete_jobs, complete_queues
from jobd.cli.database import AsJson, Database, DatabaseUrl, with_database
from jobd.cli.figures import age, count, percent
from jobd.cli.ids import JobId, abbreviate, find_job
from jobd.cli.listing import cut, table
from jobd.cli.portrait import portrait
from jobd.cli.progress import name_of
from jobd.cli.screen import QUIET, WARN, print_json, screen, status_text
from jobd.errors import JobNotFound
from jobd.model.job import Job
from jobd.model.status import JobStatus, JobType


def list_jobs(
    *,
    status: Annotated[
        list[JobStatus] | None,
        typer.Option("--status", "-s", help="Only jobs of this status; may be repeated.", show_default=False),
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option(
            "--queue", "-q", metavar="NAME", help="Only jobs of this queue.", autocompletion=complete_queues
        ),
    ] = None,
    job_type: Annotated[JobType | None, typer.Option("--type", help="Only jobs of this type.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many jobs at most.")] = 20,
    after: Annotated[
        str | None,
        typer.Option(
            "--after",
            metavar="ID",
            help="Older ones than this job: the next page.",
            autocompletion=complete_jobs,
        ),
    ] = None,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """List jobs, newest first."""

    async def work(database: Database) -> None:
        last = await database.client.get(await find_job(database, after)) if after else None
        jobs = await database.client.list(status, queue=queue, job_type=job_type, after=last, limit=limit)
        if as_json:
            print_json(jobs)
            return
        if not jobs:
            screen().print("No jobs." if not status and not after else "No such jobs.")
            return
        ids = await abbreviate(database, [job.id for job in jobs])
        rows = table(*_COLUMNS, right=("Rows", "Refused"), flexible=("File", "Target"))
        for job in jobs:
            rows.add_row(
                ids[job.id],
                _status(job),
                count(job.processed_rows),
                Text(count(job.error_count), style=WARN) if job.error_count else Text(""),
                cut(name_of(job.filename, job.job_type)),
                cut(job.target or job.handler or ""),
                Text(age(job.created_at), style=QUIET),
            )
        screen().print(rows)
        if len(jobs) == limit:
            screen().print(Text(f"Older ones: jobd list --after {ids[jobs[-1].id]}", style=QUIET))

    with_database(database_url, work)


def show(
    job: JobId,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Show one job: progress, counters, errors, what to do next."""

    async def work(database: Database) -> None:
        job_id = await find_job(database, job)
        found = await database.client.get(job_id)
        if found is None:
            raise JobNotFound(f"no such job: {job}\nSee which there are: jobd list")
        if as_json:
            print_json(found)
        else:
            screen().print(await portrait(database, found))

    with_database(database_url, work)


_COLUMNS = ("ID", "Status", "Rows", "Refused", "File", "Target", "Submitted")


def _status(job: Job) -> Text:
    """The status, and how far a job is that has begun and not ended."""
    text = status_text(job.status)
    if job.status in {JobStatus.RUNNING, JobStatus.PAUSED, JobStatus.PENDING} and job.progress:
        text.append(f" {percent(job.progress)}")
    return text
