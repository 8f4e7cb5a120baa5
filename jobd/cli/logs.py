"""``jobd logs``: a job's story."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from rich.text import Text

from jobd.cli.database import AsJson, Database, DatabaseUrl, with_database
from jobd.cli.figures import moment
from jobd.cli.ids import JobId, find_job
from jobd.cli.screen import BAD, QUIET, STATUS_SIGNS, WARN, print_json, screen
from jobd.errors import JobNotFound
from jobd.model.status import JobStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEVEL_STYLES = {"debug": QUIET, "info": "", "warning": WARN, "error": BAD}
# Worker ids say nothing to people, who read its name; --json has them.
_FOR_PROGRAMS = {"worker_id", "lease_token", "former_worker_id"}


def logs(
    job: JobId,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Tell a job's story: its events and its worker's log."""

    async def work(database: Database) -> None:
        job_id = await find_job(database, job)
        rows = await database.fetch("cli_timeline", job_id)
        if not rows and await database.client.get(job_id) is None:
            raise JobNotFound(f"no such job: {job}")
        if as_json:
            print_json([{**row, "data": _decoded(row["data"])} for row in rows])
            return
        console = screen()
        for row in rows:
            console.print(_line(row))

    with_database(database_url, work)


def _line(row: Mapping[str, Any]) -> Text:
    text = Text(f"{moment(row['created_at'])}  ", style=QUIET)
    line = Text(row["event"].replace("_", " "), style=_LEVEL_STYLES.get(row["level"], ""))
    if row["new_status"] and row["new_status"] != row["old_status"]:
        sign, style = STATUS_SIGNS[JobStatus(row["new_status"])]
        line = Text(f"{sign} {row['new_status'] if row['old_status'] else row['event']}", style=style)
    text = Text.assemble(text, line)
    if row["actor"]:
        text.append(f"  by {row['actor']}", style=QUIET)
    if row["reason"] and row["reason"] != row["new_status"]:
        text.append(f"  {row['reason']}")
    for name, value in (_decoded(row["data"]) or {}).items():
        if name in _FOR_PROGRAMS:
            continue
        shown = value if isinstance(value, str) else orjson.dumps(value).decode()
        text.append(f"  {name}=", style=QUIET).append(shown)
    return text


def _decoded(data: str | None) -> Any:
    return orjson.loads(data) if data else None
