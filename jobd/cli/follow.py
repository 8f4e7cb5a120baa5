"""Follow jobs while they run: bars that move on a terminal, lines that say what changed anywhere else."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import anyio
from rich.live import Live
from rich.text import Text

from jobd.cli.figures import clock
from jobd.cli.ids import abbreviate
from jobd.cli.progress import Pace, Progress, bars, line
from jobd.cli.screen import QUIET, print_json_line, screen
from jobd.client.wait import CHANNEL, news_of
from jobd.errors import JobNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from uuid import UUID

    from rich.console import Console

    from jobd.cli.database import Database

LOOK_SECONDS = 0.25
LINE_SECONDS = 5.0
JOBS_SHOWN_MAX = 20
WIDE = 115
NARROW = 90
ENDED_SHOWN_MAX = 5


class Display(Protocol):
    """Shows one look after another."""

    def show(self, jobs: Sequence[Progress], ids: Mapping[UUID, str]) -> None:
        """Show the jobs as they are now, under these abbreviated ids."""
        ...


async def follow(database: Database, ids: Mapping[UUID, str], display: Display) -> Sequence[Progress]:
    """Show these jobs, given with their abbreviated ids, until all have ended."""
    paces = {job_id: Pace() for job_id in ids}
    async with database.session.listening(CHANNEL) as next_payload:
        while True:
            now = anyio.current_time()
            jobs = await _look(database, paces, now)
            if len(jobs) < len(paces):
                raise JobNotFound("a job that was watched has been deleted")
            display.show(jobs, ids)
            if all(job.status.is_terminal for job in jobs):
                return jobs
            await news_of(ids, next_payload, until=now + LOOK_SECONDS)


async def follow_active(database: Database, display: Display) -> None:
    """Show the jobs that wait or run, and those that ended last, until interrupted."""
    paces: dict[UUID, Pace] = {}
    async with database.session.listening(CHANNEL) as next_payload:
        while True:
            now = anyio.current_time()
            for row in await database.fetch("cli_active_ids", JOBS_SHOWN_MAX):
                paces.setdefault(row["id"], Pace())
            jobs = await _look(database, paces, now)
            ended = [job for job in jobs if job.status.is_terminal]
            for job in ended[:-ENDED_SHOWN_MAX]:
                del paces[job.id]
            display.show([job for job in jobs if job.id in paces], await abbreviate(database, list(paces)))
            await news_of((), next_payload, until=now + LOOK_SECONDS)


async def _look(database: Database, paces: Mapping[UUID, Pace], now: float) -> list[Progress]:
    rows = await database.fetch("cli_progress", list(paces))
    return [paces[row["id"]].look(row, now) for row in rows]


@contextmanager
def display(*, as_json: bool, with_ids: bool = False) -> Iterator[Display]:
    """What suits where the output goes."""
    console = screen()
    if as_json:
        yield JsonLines()
    elif not console.is_terminal:
        yield Lines(console)
    else:
        with Live(console=console, auto_refresh=False) as live:
            yield Bars(live, with_ids=with_ids)


class Bars:
    """Bars that move."""

    def __init__(self, live: Live, *, with_ids: bool) -> None:
        self._live = live
        self._with_ids = with_ids

    def show(self, jobs: Sequence[Progress], ids: Mapping[UUID, str]) -> None:
        """Draw the bars anew."""
        if jobs:
            width = self._live.console.width
            shown = ids if self._with_ids else None
            moving = bars(jobs, shown, is_wide=width >= WIDE, is_narrow=width < NARROW)
            self._live.update(moving, refresh=True)
        else:
            self._live.update(Text("Nothing waits or runs. Ctrl-C ends this.", style=QUIET), refresh=True)


class Lines:
    """A line whenever a job's status changed, and every few seconds while it runs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: dict[UUID, tuple[str, float]] = {}

    def show(self, jobs: Sequence[Progress], ids: Mapping[UUID, str]) -> None:
        """Print what is new."""
        now = anyio.current_time()
        for job in jobs:
            status, at = self._said.get(job.id, ("", 0.0))
            if job.status != status or (job.status == "running" and now - at >= LINE_SECONDS):
                self._said[job.id] = (job.status, now)
                text = Text.assemble((f"{clock()}  {ids[job.id]}  ", QUIET), line(job))
                self._console.print(text)


class JsonLines:
    """A JSON object on a line of its own whenever anything about a job changed."""

    def __init__(self) -> None:
        self._said: dict[UUID, dict[str, Any]] = {}

    def show(self, jobs: Sequence[Progress], ids: Mapping[UUID, str]) -> None:  # noqa: ARG002  programs take whole ids
        """Print what is new."""
        for job in jobs:
            known = {name: value for name, value in job.row.items() if name != "ran_seconds"}
            if self._said.get(job.id) != known:
                self._said[job.id] = known
                speed = {"rows_per_second": job.rows_per_second, "remaining_seconds": job.remaining_seconds}
                print_json_line({**job.row, **speed})
