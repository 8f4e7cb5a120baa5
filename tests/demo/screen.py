"""What is seen of the story: headings, live bars and the table at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from uuid import UUID

    import asyncpg

console = Console(highlight=False)

LOOK_SECONDS = 0.1
BAR_CELLS = 28
COLOURS = {"completed": "green", "failed": "red", "cancelled": "red", "paused": "yellow", "running": "cyan"}

PROGRESS = """
select j.filename, p.status, p.progress, p.processed_rows, j.total_rows, j.estimated_rows,
       p.error_count, p.rows_per_second, p.remaining_seconds
  from jobd.job_progress as p join jobd.job as j using (id)
 where p.id = any($1)
 order by j.created_at, j.id
"""


def heading(text: str) -> None:
    """A step of the story."""
    console.print()
    console.print(Text("▌ " + text, style="bold"))


def say(text: str) -> None:
    """A line of the story; may use rich's markup."""
    console.print("  " + text, soft_wrap=True)


async def watch(
    connection: asyncpg.Connection,
    jobs: Sequence[UUID],
    until: Callable[[], Awaitable[bool]],
) -> None:
    """Show the jobs' bars until something is true."""
    with Live(console=console, auto_refresh=False, transient=not console.is_terminal) as live:
        while True:
            is_over = await until()
            live.update(_bars(await connection.fetch(PROGRESS, list(jobs))), refresh=True)
            if is_over:
                return
            with anyio.move_on_after(LOOK_SECONDS):
                await anyio.sleep_forever()


def _bars(rows: Sequence[asyncpg.Record]) -> Table:
    table = Table.grid(padding=(0, 1))
    for _ in ("file", "bar", "status"):
        table.add_column()
    for _ in ("rows", "refused", "rate"):
        table.add_column(justify="right")
    for row in rows:
        share = float(row["progress"])
        full = round(share / 100 * BAR_CELLS)
        colour = COLOURS.get(row["status"], "white")
        rate = row["rows_per_second"]
        table.add_row(
            "  " + row["filename"],
            Text("━" * full, style=colour) + Text("─" * (BAR_CELLS - full), style="dim"),
            Text(row["status"], style=colour),
            f"{row['processed_rows']:,} rows",
            Text(f"{row['error_count']:,} refused", style="yellow") if row["error_count"] else "",
            f"{rate:,.0f}/s" if rate else "",
        )
    return table


def outcome(title: str, rows: Sequence[asyncpg.Record]) -> None:
    """The table of what happened."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    table.add_column("file")
    for name in ("rows", "added", "unchanged", "refused", "rows/s"):
        table.add_column(name, justify="right")
    table.add_column("status")
    for row in rows:
        table.add_row(
            row["filename"],
            *(f"{row[name]:,}" for name in ("processed_rows", "items_added", "items_unchanged", "error_count")),
            f"{row['rows_per_second']:,.0f}",
            Text(row["status"], style=COLOURS.get(row["status"], "")),
        )
    console.print()
    console.print(table)


def summary(runs: Sequence[tuple[str, asyncpg.Record | None]]) -> None:
    """All files together, run by run."""
    table = Table(title="What happened", title_justify="left", title_style="bold", header_style="dim")
    table.add_column("all five files", no_wrap=True)
    for name in ("rows", "added", "unchanged", "refused", "rows/s"):
        table.add_column(name, justify="right")
    counters = ("processed_rows", "items_added", "items_unchanged", "error_count", "rows_per_second")
    for title, row in runs:
        if row is not None:
            table.add_row(title, *(f"{row[name]:,.0f}" for name in counters))
    console.print()
    console.print(table)


def refused(rows: Sequence[asyncpg.Record]) -> None:
    """Which records were refused, and why, in groups."""
    table = Table(title="Refused, and why", title_justify="left", title_style="bold", header_style="dim")
    table.add_column("value")
    table.add_column("records", justify="right")
    table.add_column("first row", justify="right")
    table.add_column("reason")
    for row in rows:
        table.add_row(row["raw_data"], f"{row['records']:,}", f"{row['first_row']:,}", row["message"])
    console.print()
    console.print(table)
