"""Many small files of a kind, for ``public.thing``, which a daemon imports together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.daemons import until

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database

ROWS_EACH = 5
TABLE = "create table public.thing (id bigint primary key, name text check (name <> 'bad'))"


def write_files(directory: Path, count: int, *, first: int = 0) -> list[Path]:
    """Files with rows of their own."""
    paths = []
    for number in range(first, first + count):
        path = directory / f"{number:04}.csv"
        rows = range(number * ROWS_EACH, (number + 1) * ROWS_EACH)
        path.write_text("id,name\n" + "".join(f"{row},thing {row}\n" for row in rows))
        paths.append(path)
    return paths


async def submit_all(database: Database, paths: Sequence[Path], **options: Any) -> list[UUID]:
    """A job for each, all in one statement."""
    rows = await database.fetch(
        "insert into jobd.job (source, target, options)"
        " select source, 'public.thing', $2 from unnest($1::text[]) with ordinality u (source, n) order by n"
        " returning id",
        [str(path) for path in paths],
        json.dumps(options),
    )
    return [row["id"] for row in rows]


async def ended(database: Database, jobs: Sequence[UUID], within: float = 30.0) -> dict[UUID, dict[str, Any]]:
    """The jobs' rows, once all have ended."""
    left = "select count(*) from jobd.job where id = any ($1) and completed_at is null"
    await until(lambda: database.fetchval(left, list(jobs)), lambda count: count == 0, within)
    rows = await database.fetch("select * from jobd.job where id = any ($1)", list(jobs))
    return {row["id"]: dict(row) for row in rows}


def assert_imported_once(jobs: Iterable[Mapping[str, Any]]) -> None:
    """Nothing was wrong with the files, and each is done by its job's first claim."""
    told = {(job["status"], job["items_added"], job["retry_count"], job["lease_token"]) for job in jobs}
    assert told == {("completed", ROWS_EACH, 0, 1)}
