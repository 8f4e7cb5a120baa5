"""``jobd cancel``, ``pause``, ``resume``, ``retry`` and ``priority``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from jobd.cli.database import Database, DatabaseUrl, with_database
from jobd.cli.exits import ExitCode
from jobd.cli.ids import JobId, JobIds, abbreviate, find_job
from jobd.cli.progress import name_of
from jobd.cli.screen import QUIET, complaints, screen, status_text
from jobd.model.status import JobStatus, Priority

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from jobd.model.job import Job

Reason = Annotated[
    str | None, typer.Option("--reason", "-r", metavar="TEXT", help="Why; it is kept with the job.")
]


def cancel(jobs: JobIds, reason: Reason = None, database_url: DatabaseUrl = None) -> None:
    """Cancel jobs.

    A running one rolls its open batch back; what was committed stays.
    """
    _ask(jobs, database_url, lambda database, job_id: database.client.cancel(job_id, reason))


def pause(jobs: JobIds, reason: Reason = None, database_url: DatabaseUrl = None) -> None:
    """Pause jobs.

    A running one stops after the batch that is open, and keeps its place in the file.
    """
    _ask(jobs, database_url, lambda database, job_id: database.client.pause(job_id, reason))


def resume(jobs: JobIds, database_url: DatabaseUrl = None) -> None:
    """Resume paused jobs.

    They go on from the exact row where they stopped, on any daemon.
    """
    _ask(jobs, database_url, lambda database, job_id: database.client.resume(job_id))


def retry(jobs: JobIds, database_url: DatabaseUrl = None) -> None:
    """Retry failed or cancelled jobs.

    They go on from the exact row where they stopped.
    """
    _ask(jobs, database_url, lambda database, job_id: database.client.retry(job_id))


def priority(
    job: JobId,
    level: Annotated[Priority, typer.Argument(metavar="low|normal|high", show_default=False)],
    database_url: DatabaseUrl = None,
) -> None:
    """Move a job forwards or back among those that wait."""
    _ask([job], database_url, lambda database, job_id: database.client.set_priority(job_id, level))


def _ask(texts: list[str], database_url: str | None, ask: Callable[[Database, UUID], Awaitable[bool]]) -> None:
    async def work(database: Database) -> int:
        # All ids are looked up before anything is changed: a mistyped one must not leave half of it done.
        job_ids = [await find_job(database, text) for text in texts]
        ids = await abbreviate(database, job_ids)
        code = ExitCode.DONE
        for job_id in job_ids:
            is_changed = await ask(database, job_id)
            job = await database.client.get(job_id)
            if job is not None:
                console = screen() if is_changed else complaints()
                console.print(_answer(job, ids[job_id], is_changed))
            code = code if is_changed else ExitCode.FAILED
        return code

    raise typer.Exit(with_database(database_url, work))


def _answer(job: Job, short_id: str, is_changed: bool) -> Text:
    text = Text.assemble((f"{short_id}  ", QUIET), f"{name_of(job.filename, job.job_type)}  ")
    if not is_changed:
        return text.append_text(Text.assemble("is ", status_text(job.status), ": nothing to do"))
    text.append_text(status_text(job.status))
    if job.status is JobStatus.RUNNING and job.cancel_requested:
        text.append("  its worker has been asked to cancel it")
    elif job.status is JobStatus.RUNNING and job.pause_requested:
        text.append("  its worker has been asked to pause it")
    elif job.status is JobStatus.PENDING:
        text.append(f"  {job.priority} priority, queue {job.queue}", style=QUIET)
    return text
