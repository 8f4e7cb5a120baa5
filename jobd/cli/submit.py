"""``jobd submit``: put a file into a table."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.text import Text

from jobd.cli.completing import complete_queues
from jobd.cli.database import AsJson, Database, DatabaseUrl, with_database
from jobd.cli.exits import ExitCode, Misused
from jobd.cli.ids import abbreviate
from jobd.cli.screen import WARN, complaints, print_json, screen
from jobd.cli.summary import next_step
from jobd.cli.watch import watch_until_ended
from jobd.model.job import Job
from jobd.model.status import JobType, Priority
from jobd.settings import callers_traceparent
from jobd.tracing.traceparent import with_current

_URI = re.compile(r"[a-z][a-z0-9+.-]*://|blob:", re.IGNORECASE)
UPLOAD_BYTES_MAX = 512 << 20
_GLOB = re.compile(r"[*?\[]")


class OnConflict(StrEnum):
    """What to do with a row whose key is there already."""

    UPDATE = "update"
    SKIP = "skip"
    ERROR = "error"


def submit(
    *,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Path or URI to import.", show_default=False)],
    target: Annotated[
        str, typer.Option("--target", "-t", metavar="TABLE", help="Table to import into: schema.table.")
    ],
    key: Annotated[
        list[str] | None,
        typer.Option("--key", "-k", metavar="COLUMN", help="Column that identifies a row; may be repeated."),
    ] = None,
    on_conflict: Annotated[
        OnConflict | None, typer.Option("--on-conflict", help="What to do with rows that exist. [default: update]")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Find out what an import would do, row by row, and keep nothing of it."),
    ] = False,
    upload: Annotated[
        bool,
        typer.Option("--upload", "-u", help="Send the bytes along, for a daemon that cannot read this disk."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Import although the same content was already.")] = False,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", metavar="NAME=VALUE", help="Any other option; the value may be JSON."),
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option("--queue", "-q", metavar="NAME", help="Queue for the job.", autocompletion=complete_queues),
    ] = None,
    priority: Annotated[Priority | None, typer.Option("--priority", "-p", help="Place in the queue.")] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option("--idempotency-key", metavar="KEY", help="With the same key it is the same job."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Show progress until the job ends.")] = False,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Submit a file for import.

    With --wait the exit code says how it ended: 0 done, 1 failed or cancelled, 3 completed with refused rows.
    """
    options = parse_options(option or [])
    if key:
        options["key"] = key
    if on_conflict:
        options["on_conflict"] = on_conflict.value
    if force:
        options["force"] = True
    content = _content(file) if upload else None
    source = absolute(file)

    async def work(database: Database) -> int:
        async with database.session.transaction():
            place = source if content is None else await database.client.upload(content, Path(file).name)
            job = await database.client.submit(
                place,
                target,
                filename=Path(file).name if upload else None,
                job_type=JobType.VALIDATION if dry_run else JobType.IMPORT,
                options=options,
                metadata=with_current(None, otherwise=callers_traceparent()),
                queue=queue,
                priority=priority,
                idempotency_key=idempotency_key,
            )
        if not wait:
            await _say_submitted(database, job, as_json=as_json)
            return ExitCode.DONE
        return await watch_until_ended(database, [job.id], as_json=as_json)

    raise typer.Exit(with_database(database_url, work))


def _content(file: str) -> bytes:
    """What is to be uploaded; it is held in memory whole."""
    path = Path(file).expanduser()
    try:
        size = path.stat().st_size
        if path.is_file() and size <= UPLOAD_BYTES_MAX:
            return path.read_bytes()
    except OSError as error:
        raise Misused(f"{file} cannot be read: {error.strerror}") from error
    raise Misused(
        f"--upload takes a file of at most {UPLOAD_BYTES_MAX >> 20} MB, and {file} is none\n"
        "Put it where the daemon can read it, and submit its path."
    )


def absolute(file: str) -> str:
    """The source as the daemon is to find it: a path from the root, a URI as it is."""
    if _URI.match(file):
        return file
    path = Path(file).expanduser().absolute()
    if not path.exists() and not _GLOB.search(file):
        complaints().print(
            Text.assemble(("note: ", WARN), f"{path} is not on this machine; the daemon's must have it"),
        )
    return str(path)


def parse_options(pairs: list[str]) -> dict[str, Any]:
    """Options as they are typed: ``max_errors=1%``, ``null_values=["NA",""]``."""
    options: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise Misused(f"--option {pair}: not NAME=VALUE\nFor example: --option max_errors=1%")
        try:
            options[name] = orjson.loads(value)
        except orjson.JSONDecodeError:
            options[name] = value
    return options


async def _say_submitted(database: Database, job: Job, *, as_json: bool) -> None:
    if as_json:
        print_json(job)
        return
    ids = await abbreviate(database, [job.id])
    screen().print(Text.assemble("submitted ", (str(job.id), "bold"), f"  {job.filename} → {job.target}"))
    screen().print(next_step(f"jobd watch {ids[job.id]}", "shows its progress"))
