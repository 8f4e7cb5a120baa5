"""What the shell completes from the database: the ids of jobs that a command is about, and queues.

Whoever presses Tab waits for it: it takes no longer than a moment, and says nothing whatever goes wrong.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import threading
from typing import TYPE_CHECKING, Any
from uuid import UUID

import anyio
import typer

from jobd.cli.database import load_settings, opened
from jobd.model.status import JobStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECONDS_MAX = 1.5
JOBS_MAX = 50
QUEUES_MAX = 200
_DIGITS = 32

# Which jobs a command can do something with; any others are about all.
_STATUSES: Mapping[str, Sequence[JobStatus]] = {
    "cancel": (JobStatus.RUNNING, JobStatus.PENDING, JobStatus.PAUSED),
    "pause": (JobStatus.RUNNING, JobStatus.PENDING),
    "resume": (JobStatus.PAUSED,),
    "retry": (JobStatus.FAILED, JobStatus.CANCELLED),
    "priority": (JobStatus.PENDING, JobStatus.PAUSED, JobStatus.RUNNING),
    "watch": (JobStatus.RUNNING, JobStatus.PENDING, JobStatus.PAUSED),
    "revert": (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED),
}


def complete_jobs(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Ids that begin so, newest first, each with its job's status and file for shells that show them."""
    digits = incomplete.lower().replace("-", "")
    if not re.fullmatch(rf"[0-9a-f]{{0,{_DIGITS}}}", digits):
        return []
    first, last = (UUID(digits.ljust(_DIGITS, filler)) for filler in "0f")
    statuses = [status.value for status in _STATUSES.get(ctx.info_name or "", JobStatus)]
    rows = _looked_up(ctx, "cli_complete_jobs", statuses, first, last, JOBS_MAX)
    named = {str(one) for one in ctx.params.get("jobs") or ()}
    return [
        (str(row["id"]), f"{row['status']} {row['what'] or ''}".strip())
        for row in rows
        if str(row["id"]) not in named and str(row["id"]).startswith(incomplete.lower())
    ]


def complete_queues(ctx: typer.Context, incomplete: str) -> list[str]:
    """Queues whose name begins so."""
    names = [str(row["name"]) for row in _looked_up(ctx, "cli_complete_queues", QUEUES_MAX)]
    return [name for name in names if name.startswith(incomplete)]


def _looked_up(ctx: typer.Context, name: str, *arguments: object) -> Sequence[Mapping[str, Any]]:
    """The rows of a named query; none where the database does not answer in time, or refuses."""
    found: list[Mapping[str, Any]] = []

    async def look() -> None:
        with anyio.fail_after(SECONDS_MAX):
            async with opened(load_settings(ctx.params.get("database_url"))) as database:
                found.extend(await database.fetch(name, *arguments))

    def look_quietly() -> None:
        # Whatever is wrong is said by the command itself, once it is run.
        nowhere = io.StringIO()
        with (
            contextlib.suppress(Exception),
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            anyio.run(look)

    looking = threading.Thread(target=look_quietly, daemon=True)
    looking.start()
    looking.join(SECONDS_MAX + 0.5)
    if looking.is_alive():
        # The resolver of names cannot be cut short, and the interpreter would wait for it at its end. Nothing was
        # printed yet, and nothing is to be.
        os._exit(0)
    return found
