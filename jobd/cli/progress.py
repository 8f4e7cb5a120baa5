"""How far a job is: the row a progress bar shows, and how fast it moves just now."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from jobd.cli.figures import count, countdown, duration, percent, rate
from jobd.cli.screen import BAD, QUIET, STATUS_SIGNS, WARN, status_text
from jobd.model.status import JobStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

NAME_WIDTH_MAX = 20
BAR_WIDTH = 24
PACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at a job."""

    row: Mapping[str, Any]
    rows_per_second: float | None
    remaining_seconds: float | None

    @property
    def id(self) -> UUID:
        """The job's id."""
        job_id: UUID = self.row["id"]
        return job_id

    @property
    def status(self) -> JobStatus:
        """The job's status."""
        return JobStatus(self.row["status"])

    @property
    def name(self) -> str:
        """What people call the job."""
        return name_of(self.row["filename"], self.row["job_type"])

    @property
    def rows(self) -> str:
        """Rows done, of how many where that is known; ≈ where it is estimated."""
        done, total, estimate = self.row["processed_rows"], self.row["total_rows"], self.row["estimated_rows"]
        if self.status is JobStatus.COMPLETED or (total is None and not estimate):
            return f"{count(done)} rows"
        if total is not None:
            return f"{count(done)} of {count(total)}"
        return f"{count(done)} of ≈{count(max(done, estimate))}"

    @property
    def note(self) -> Text:
        """What there is to say beside the bar: speed and time left, or why nothing moves."""
        row = self.row
        match self.status:
            case JobStatus.RUNNING if row["cancel_requested"] or row["pause_requested"]:
                return Text("cancelling …" if row["cancel_requested"] else "pausing …", style=WARN)
            case JobStatus.RUNNING:
                speed = rate(self.rows_per_second or None).replace(" rows", "")
                left = "" if self.remaining_seconds is None else f"{countdown(self.remaining_seconds)} left"
                note = "  ".join(part for part in (speed, left) if part)
            case JobStatus.PENDING:
                note = row["waiting_reason"] or "waiting"
            case JobStatus.FAILED:
                return Text(row["error_code"] or "failed", style=BAD)
            case JobStatus.COMPLETED:
                note = "same content as before" if row["duplicate_of"] else f"in {duration(row['ran_seconds'])}"
            case _:
                note = self.status.value
        return Text(note, style="" if self.status is JobStatus.RUNNING else QUIET)


@dataclass
class Pace:
    """Speed over the last few seconds, which tells more about what is to come than the mean since the start."""

    looks: deque[tuple[float, int, float]] = field(default_factory=deque)

    def look(self, row: Mapping[str, Any], now: float) -> Progress:
        """Take a row as it is now."""
        if row["status"] != JobStatus.RUNNING:
            self.looks.clear()
            return Progress(row, _mean(row), None)
        self.looks.append((now, row["processed_rows"], row["progress"]))
        while now - self.looks[0][0] > PACE_SECONDS and len(self.looks) > 2:
            self.looks.popleft()
        then, rows, progress = self.looks[0]
        elapsed = now - then
        if elapsed < 1 or row["processed_rows"] == rows:
            speed = _mean(row)
            per_second = row["progress"] / row["ran_seconds"] if row["ran_seconds"] else 0
        else:
            speed = (row["processed_rows"] - rows) / elapsed
            per_second = (row["progress"] - progress) / elapsed
        remaining = (100 - row["progress"]) / per_second if per_second > 0 else None
        return Progress(row, speed, remaining)


def name_of(filename: str | None, job_type: str) -> str:
    """The file's name; for a job without one, what it is."""
    return filename or job_type


def bars(
    jobs: Sequence[Progress],
    ids: Mapping[UUID, str] | None = None,
    *,
    with_names: bool = True,
    is_wide: bool = True,
    is_narrow: bool = False,
) -> RenderableType:
    """The jobs, a line each: status, name, bar, rows, and speed or state; where it is narrow, two lines each."""
    if is_narrow:
        return Group(*(part for job in jobs for part in _two_lines(job, ids, with_name=with_names)))
    table = Table.grid(padding=(0, 2, 0, 0))
    for job in jobs:
        sign, style = STATUS_SIGNS[job.status]
        refused = f"{count(job.row['error_count'])} refused" if job.row["error_count"] else ""
        table.add_row(
            *([Text(ids[job.id], style=QUIET)] if ids else []),
            *([Text.assemble((sign, style), f" {_short(job.name)}")] if with_names else []),
            _bar(job),
            Text(percent(job.row["progress"]), justify="right"),
            Text(job.rows if is_wide else f"{count(job.row['processed_rows'])} rows", justify="right"),
            Text(refused, style=WARN),
            job.note,
        )
    for column in table.columns:
        column.no_wrap = True
    for column in table.columns[len(table.columns) - 5 : len(table.columns) - 4]:
        column.no_wrap, column.max_width = False, BAR_WIDTH  # the bar alone gives way
    return table


def _two_lines(
    job: Progress, ids: Mapping[UUID, str] | None, *, with_name: bool
) -> tuple[RenderableType, RenderableType]:
    sign, style = STATUS_SIGNS[job.status]
    parts = [
        *([Text(ids[job.id], style=QUIET)] if ids else []),
        Text.assemble((sign, style), f" {_short(job.name)}" if with_name else ""),
        Text(percent(job.row["progress"])),
        Text(f"{count(job.row['processed_rows'])} rows"),
        *([Text(f"{count(job.row['error_count'])} refused", style=WARN)] if job.row["error_count"] else []),
    ]
    first = Text("  ").join(parts)
    first.no_wrap, first.overflow = True, "ellipsis"
    note = job.note
    note.no_wrap, note.overflow = True, "ellipsis"
    second = Table.grid(padding=(0, 2, 0, 0))
    second.add_column(width=2)
    second.add_column(max_width=BAR_WIDTH)
    second.add_column(no_wrap=True)
    second.add_row("", _bar(job), note)
    return first, second


def _short(name: str) -> str:
    """A long name without its middle: the end often tells files apart."""
    half = (NAME_WIDTH_MAX - 1) // 2
    return name if len(name) <= NAME_WIDTH_MAX else f"{name[:half]}…{name[-half:]}"


def line(job: Progress) -> Text:
    """The same in one line without a bar, for logs and pipes."""
    text = Text.assemble(status_text(job.status), f" {job.name} {percent(job.row['progress'])}, {job.rows}")
    if job.row["error_count"]:
        text.append(f", {count(job.row['error_count'])} refused")
    note = job.note
    return text.append(f", {note}") if note.plain and note.plain != job.status.value else text


def _bar(job: Progress) -> ProgressBar:
    _, style = STATUS_SIGNS[job.status]
    return ProgressBar(
        total=100, completed=job.row["progress"], style=QUIET, complete_style=style, finished_style=style
    )


def _mean(row: Mapping[str, Any]) -> float | None:
    return row["processed_rows"] / row["ran_seconds"] if row["ran_seconds"] else None
