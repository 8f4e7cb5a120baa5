"""Jobs that arrive steadily while something is done to the daemons, and what became of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.daemons import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database

ROWS_WRITTEN = 4
ROWS_IMPORTED = 500
PERIOD_SECONDS = 0.1
TABLES = """
create table public.written (job_id uuid, number int, primary key (job_id, number));
create table public.imported (file text, id int, name text not null, primary key (file, id));
"""


@dataclass
class SteadyLoad:
    """What was submitted, and how long each INSERT took."""

    database: Database
    # Jobs are inserted on a connection of their own: whoever looks asks on the other.
    inserting: Database
    directory: Path
    ids: list[UUID] = field(default_factory=list)
    insert_seconds: list[float] = field(default_factory=list)
    imports: int = 0

    async def submit(self) -> None:
        """Alternately a job of a routine, and an import of a file of its own; each of several batches."""
        number = len(self.ids)
        if number % 2:
            path = self.directory / f"{number}.csv"
            path.write_text("id,name\n" + "".join(f"{row},row {row}\n" for row in range(ROWS_IMPORTED)))
            options = json.dumps({"constants": {"file": path.name}, "batch_size": 100, "key": ["file", "id"]})
            values: tuple[str | None, ...] = ("import", None, str(path), "public.imported", options, "{}")
            self.imports += 1
        else:
            metadata = json.dumps({"rows": ROWS_WRITTEN, "pause": 0.02})
            values = ("processing", "write_rows", None, None, "{}", metadata)
        began_at = time.monotonic()
        job_id = await self.inserting.fetchval(
            "insert into jobd.job (job_type, handler, source, target, options, metadata)"
            " values ($1, $2, $3, $4, $5, $6) returning id",
            *values,
        )
        self.insert_seconds.append(time.monotonic() - began_at)
        self.ids.append(job_id)

    async def has_submitted(self, jobs: int) -> int:
        """Wait until there are so many more jobs; gives how many there were before."""
        before = len(self.ids)

        async def look() -> int:
            return len(self.ids)

        await until(look, lambda seen: seen >= before + jobs)
        return before

    async def is_through(self, within: float = 60.0) -> None:
        """Wait until every job has ended."""
        left = "select count(*) from jobd.job where id = any ($1) and completed_at is null"

        async def look() -> int:
            return int(await self.database.fetchval(left, self.ids))

        await until(look, lambda seen: seen == 0, within)

    async def is_unharmed(self) -> None:
        """Every job completed at the first try, and every row is there once."""
        odd = await self.database.fetch(
            "select id, job_type, status, retry_count, lost_lease_count, error_code, error_message from jobd.job"
            " where id = any ($1) and (status <> 'completed' or retry_count + lost_lease_count + error_count > 0)",
            self.ids,
        )
        assert [dict(row) for row in odd] == []
        count = "select count(*) from"
        assert await self.database.fetchval(f"{count} public.imported") == self.imports * ROWS_IMPORTED
        written = (len(self.ids) - self.imports) * ROWS_WRITTEN
        assert await self.database.fetchval(f"{count} public.written") == written
        repeated = await self.database.fetchval(
            f"{count} jobd.job_event where job_id = any ($1) and new_status = 'completed'", self.ids
        )
        assert repeated == len(self.ids)

    async def longest_wait_seconds(self) -> float:
        """How long a job was pending at most, at its beginning or after it was handed back."""
        return float(
            await self.database.fetchval(
                "select extract(epoch from max(e.until - e.created_at)) from ("
                " select new_status, created_at, lead(created_at) over (partition by job_id order by id) as until"
                " from jobd.job_event where job_id = any ($1)"
                ") e where e.new_status = 'pending'",
                self.ids,
            )
        )


@contextlib.asynccontextmanager
async def steady_load(database: Database, directory: Path) -> AsyncIterator[SteadyLoad]:
    """Submit jobs until this ends."""
    inserting = type(database)(database.server, database.name)
    load = SteadyLoad(database, inserting, directory)

    async def submit() -> None:
        while True:
            await load.submit()
            await asyncio.sleep(PERIOD_SECONDS)

    async with asyncio.TaskGroup() as group:
        submitting = group.create_task(submit())
        yield load
        submitting.cancel()
    await inserting.close()
