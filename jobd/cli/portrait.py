"""One job on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jobd.cli.error_groups import groups_table
from jobd.cli.figures import age, count, duration, moment, rate
from jobd.cli.ids import abbreviate
from jobd.cli.listing import SideBySide, cut, table
from jobd.cli.progress import Pace, bars
from jobd.cli.reading import reading_lines
from jobd.cli.screen import QUIET, WARN, indented
from jobd.cli.summary import WAYS, error_text, headline, next_step
from jobd.model.status import JobStatus, JobType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jobd.cli.database import Database
    from jobd.model.job import Job

GROUPS_SHOWN_MAX = 5
FILES_SHOWN_MAX = 10


async def portrait(database: Database, job: Job) -> RenderableType:
    """Everything a person wants to know of a job, the most wanted first."""
    row = (await database.fetch("cli_progress", [job.id]))[0]
    short_id = (await abbreviate(database, [job.id]))[job.id]
    parts: list[RenderableType] = [headline(row), Text(f"  {_kind(job)}", style=QUIET), Text()]
    if job.status in {JobStatus.RUNNING, JobStatus.PAUSED} or (job.progress and not job.status.is_terminal):
        parts += [indented(bars([Pace().look(row, 0.0)], with_names=False)), Text()]
    times = _times(job, row)
    parts += [indented(SideBySide(_counters(job), times) if job.processed_rows else times), Text()]
    parts.append(indented(_particulars(job)))
    if job.files_total is not None and job.files_total > 1:
        files = await database.fetch("cli_files", job.id, FILES_SHOWN_MAX)
        parts += [Text(), indented(_files(files, job))]
    if job.error_code or job.error_message:
        parts += [Text(), indented(error_text(job.error_code, job.error_message))]
    if job.job_type is JobType.VALIDATION and job.result and job.result.get("rows"):
        parts += [Text(), indented(_preview(job.result["rows"]))]
    if job.error_count:
        groups = await database.fetch("cli_error_groups", job.id, None)
        several_files = (job.files_total or 1) > 1
        parts += [Text(), indented(groups_table(groups, GROUPS_SHOWN_MAX, several_files=several_files))]
    if job.status is JobStatus.PENDING or job.waiting_reason:
        parts += [Text(), indented(Text(await database.client.explain(job.id)))]
    if steps := list(_next_steps(job, short_id)):
        parts += [Text(), *steps]
    return Group(*parts)


def _kind(job: Job) -> str:
    priority = "" if job.priority == "normal" else f" · {job.priority} priority"
    return f"{job.job_type} · queue {job.queue}{priority} · submitted by {job.created_by or job.submitted_role}"


def _counters(job: Job) -> Table:
    figures = Table.grid(padding=(0, 2, 0, 0))
    figures.add_column(style=QUIET)
    figures.add_column(justify="right")
    figures.add_row("rows", count(job.processed_rows))
    for way in WAYS:
        figures.add_row(way, count(getattr(job, f"items_{way}")))
    figures.add_row("refused", Text(count(job.error_count), style=WARN if job.error_count else ""))
    return figures


def _times(job: Job, row: Mapping[str, Any]) -> Table:
    times = Table.grid(padding=(0, 2, 0, 0))
    times.add_column(style=QUIET)
    times.add_column()
    times.add_row("submitted", f"{moment(job.created_at)}  ({age(job.created_at)})")
    if job.status is JobStatus.PENDING and job.run_at > job.created_at:
        times.add_row("not before", f"{moment(job.run_at)}  ({age(job.run_at)})")
    if job.started_at:
        times.add_row("started", f"{moment(job.started_at)}  (waited {_between(job.created_at, job.started_at)})")
    if job.paused_at and job.status is JobStatus.PAUSED:
        times.add_row("paused", f"{moment(job.paused_at)}  ({age(job.paused_at)})")
    if job.completed_at:
        times.add_row("ended", f"{moment(job.completed_at)}  ({age(job.completed_at)})")
    if row["ran_seconds"]:
        speed = job.processed_rows / row["ran_seconds"]
        notes = [rate(speed) if job.processed_rows and row["ran_seconds"] >= 0.1 else "", *_interruptions(job)]
        noted = ", ".join(note for note in notes if note)
        times.add_row("ran", duration(row["ran_seconds"]) + (f"  ({noted})" if noted else ""))
    return times


def _interruptions(job: Job) -> list[str]:
    parts = []
    if job.retry_count:
        parts.append(f"retried {job.retry_count} of {job.max_retries} times")
    if job.interrupt_count:
        parts.append(f"interrupted {'once' if job.interrupt_count == 1 else f'{job.interrupt_count} times'}")
    return parts


def _between(earlier: Any, later: Any) -> str:
    return duration(max((later - earlier).total_seconds(), 0))


def _particulars(job: Job) -> Table:
    lines = Table.grid(padding=(0, 2, 0, 0))
    lines.add_column(style=QUIET)
    lines.add_column(overflow="fold")
    for name, value in (
        ("id", str(job.id)),
        ("source", job.source),
        ("options", _json(job.options)),
        ("metadata", _json(job.metadata)),
        *reading_lines(job.detected),
        ("file", job.current_file if job.current_file not in {job.filename, job.source} else None),
        ("key", job.idempotency_key),
        ("batch", job.batch_id),
        ("after", ", ".join(str(other) for other in job.after or [])),
        (
            "duplicate",
            f"of {job.duplicate_of}: the same content; --force imports it again" if job.duplicate_of else None,
        ),
        ("worker", job.worker_id),
        ("result", _json(job.result) if job.job_type in {JobType.EXPORT, JobType.PROCESSING} else None),
        ("cancelled", job.cancellation_reason),
    ):
        if value:
            lines.add_row(name, str(value))
    return lines


def _preview(rows: Sequence[Mapping[str, Any]]) -> Group:
    """The first rows as they would land, a line each."""
    lines = [cut(orjson.dumps(row).decode()) for row in rows]
    return Group(Text("The first rows would be:", style=QUIET), *lines)


def _files(files: Sequence[Mapping[str, Any]], job: Job) -> Table:
    """Those first that went wrong or are being read."""
    columns = ("File", "Status", "Rows", "Refused", "Reason")
    rows = table(*columns, right=("Rows", "Refused"), flexible=("File", "Reason"))
    for file in files:
        rows.add_row(
            cut(file["file"]),
            file["status"],
            count(file["processed_rows"]),
            count(file["error_count"]),
            cut(file["error_message"] or ""),
        )
    total = job.files_total or 0
    if total > len(files):
        rows.add_row(f"and {count(total - len(files))} more", "", "", "", "")
    return rows


def _next_steps(job: Job, short_id: str) -> Iterator[Text]:
    if job.status is JobStatus.RUNNING:
        yield next_step(f"jobd watch {short_id}", "shows its progress live")
    if job.status is JobStatus.PAUSED:
        yield next_step(f"jobd resume {short_id}", "goes on where it stopped")
    if job.error_count:
        yield next_step(f"jobd errors {short_id}", "says what was refused and why")
        yield next_step(
            f"jobd errors {short_id} --format csv", "gives the records, to be mended and imported again"
        )
    if job.status in {JobStatus.FAILED, JobStatus.CANCELLED}:
        yield next_step(f"jobd retry {short_id}", "goes on where it stopped")
        yield next_step(f"jobd logs {short_id}", "tells its story")


def _json(value: Any) -> str | None:
    return orjson.dumps(value).decode() if value else None
