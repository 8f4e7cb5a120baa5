"""``jobd queues``, ``workers`` and ``prune``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

import typer
from rich.text import Text

from jobd.cli.database import AsJson, Database, DatabaseUrl, with_database
from jobd.cli.exits import Misused
from jobd.cli.figures import age, count, duration, size
from jobd.cli.listing import table
from jobd.cli.screen import BAD, GOOD, QUIET, WARN, complaints, print_json, screen

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
QUEUE_COUNT_MAX = 10_000


def queues(as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """Show what waits and runs in each queue."""

    async def work(database: Database) -> None:
        rows = await database.fetch("cli_queues")
        if as_json:
            print_json([dict(row) for row in rows])
            return
        figures = ("Pending", "Due", "Running", "Paused", "Oldest due")
        listing = table("Queue", "State", *figures, right=figures)
        for row in rows:
            until = f" until {age(row['resume_at'])}" if row["resume_at"] else ""
            state = Text(f"‖ paused{until}", style=WARN) if row["is_paused"] else Text("open", style=GOOD)
            counts = [_capped(row[name]) for name in ("pending", "due", "running", "paused")]
            oldest = row["oldest_due_age_seconds"]
            listing.add_row(row["queue"], state, *counts, duration(oldest) if oldest else "-")
        screen().print(listing)

    with_database(database_url, work)


def workers(as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """Show the daemons: those that run, those lost of late."""

    async def work(database: Database) -> None:
        rows = await database.fetch("cli_workers")
        if as_json:
            print_json([dict(row) for row in rows])
            return
        if not rows:
            screen().print("No daemon is running. Start one: jobd run")
            return
        listing = table(
            "Worker", "Host", "PID", "State", "Jobs", "Memory", "Queues", "Up", right=("PID", "Jobs", "Memory")
        )
        for row in rows:
            if row["is_alive"]:
                state = Text("draining", style=WARN) if row["is_draining"] else Text("● alive", style=GOOD)
            else:
                state = Text(f"✗ silent for {age(row['heartbeat_at']).removesuffix(' ago')}", style=BAD)
            listing.add_row(
                row["name"],
                row["host"],
                str(row["pid"]),
                state,
                f"{row['running']} of {row['slots']}",
                size(row["memory_bytes"]),
                ", ".join(row["queues"]),
                age(row["created_at"]).removesuffix(" ago"),
            )
        screen().print(listing)

    with_database(database_url, work)


def prune(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="Jobs that ended longer ago: 90d, 12h, 8w.")
    ] = "90d",
    failed: Annotated[bool, typer.Option("--failed", help="Failed jobs too, which are kept otherwise.")] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Delete jobs that ended long ago, with all about them."""
    limit = parse_age(older_than)

    async def work(database: Database) -> None:
        deleted = 0
        while batch := await database.client.prune(limit, keep_failed=not failed):
            deleted += batch
            if batch >= 10_000:
                complaints().print(Text(f"{count(deleted)} deleted so far …", style=QUIET))
        screen().print(f"{count(deleted)} job{'' if deleted == 1 else 's'} deleted.")

    with_database(database_url, work)


def parse_age(text: str) -> timedelta:
    """90d, 12h, 30m …"""  # noqa: D400  examples say it best
    if not (parts := re.fullmatch(r"(\d{1,6})\s*([smhdw])", text.strip().lower())):
        raise Misused(f"'{text}' is not an age\nFor example: 90d, 12h or 8w")
    return timedelta(**{_UNITS[parts[2]]: int(parts[1])})


def _capped(number: int) -> str:
    """The view stops counting at 10,000."""
    return f"{count(number)}+" if number >= QUEUE_COUNT_MAX else count(number)
