"""Job ids as people type and read them: any prefix that fits one job only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from jobd.cli.completing import complete_jobs
from jobd.cli.exits import Misused
from jobd.errors import JobNotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.cli.database import Database

JobId = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The job's id, or its first digits.",
        show_default=False,
        autocompletion=complete_jobs,
    ),
]
JobIds = Annotated[
    list[str],
    typer.Argument(
        metavar="ID...",
        help="The jobs' ids, or their first digits.",
        show_default=False,
        autocompletion=complete_jobs,
    ),
]

DIGITS = 32
DIGITS_MIN = 8
CANDIDATES_MAX = 5
WHERE_IDS_ARE = "See which there are: jobd list"

# Where an abbreviated id may end: the groups of the written form. Ids begin with the time in milliseconds, so the
# first group is shared by all jobs of one minute, the second by those of one millisecond.
_LENGTHS = (13, 18, 23, 36)


async def find_job(database: Database, text: str) -> UUID:
    """The one job whose id begins so."""
    digits = text.strip().lower().replace("-", "")
    if not re.fullmatch(rf"[0-9a-f]{{{DIGITS_MIN},{DIGITS}}}", digits):
        raise Misused(
            f"'{text}' is no job's id, nor the first {DIGITS_MIN} or more digits of one\n{WHERE_IDS_ARE}"
        )
    if len(digits) == DIGITS:
        return UUID(digits)
    first, last = UUID(digits.ljust(DIGITS, "0")), UUID(digits.ljust(DIGITS, "f"))
    rows = await database.fetch("cli_ids_between", first, last, CANDIDATES_MAX + 1)
    found: list[UUID] = [row["id"] for row in rows]
    if not found:
        raise JobNotFound(f"no job's id begins with {text}\n{WHERE_IDS_ARE}")
    if len(found) > 1:
        candidates = ", ".join(str(candidate) for candidate in found[:CANDIDATES_MAX])
        more = " …" if len(found) > CANDIDATES_MAX else ""
        raise Misused(f"several jobs' ids begin with {text}: give more digits\n{candidates}{more}")
    return found[0]


async def abbreviate(database: Database, ids: Sequence[UUID]) -> dict[UUID, str]:
    """The ids cut as short as tells each of them from every other job, all to one length."""
    needed = _LENGTHS[0]
    for row in await database.fetch("cli_id_neighbours", list(ids)):
        own = str(row["id"])
        for neighbour in (row["before"], row["after"]):
            if neighbour is not None:
                needed = max(needed, _common(own, str(neighbour)) + 1)
    length = next(length for length in _LENGTHS if length >= needed)
    return {job_id: str(job_id)[:length] for job_id in ids}


def _common(one: str, other: str) -> int:
    return next((place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b), len(one))
