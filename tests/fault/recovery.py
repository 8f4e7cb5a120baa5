"""How soon daemons work again once their server is back: each has a queue and an import of its own."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.fault.relay import relay
from tests.support.daemons import submit, wait_for_status
from tests.support.database import Database
from tests.support.files import write_plain
from tests.support.imports import create_plain, processed_rows, submit_import, wait_for_rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from uuid import UUID

    from tests.fault.relay import Relay

CREW = 3
# More than is imported while a test lasts: what is left is cancelled.
RECORDS = 300_000
BATCH_SIZE = 20
BACK_SECONDS_MAX = 2.0
INTERRUPTIONS = "select retry_count, interrupt_count, lease_token from jobd.job where id = $1"


@dataclass
class Crew:
    """Daemons at work, and how long each took to work again after each fault."""

    daemons: Relay
    jobs: dict[str, UUID] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    async def works(self, database: Database) -> None:
        """Wait until each import is some batches further."""
        for job_id in self.jobs.values():
            await wait_for_rows(database, job_id, await processed_rows(database, job_id) + 3 * BATCH_SIZE)

    async def works_again(self, database: Database, back_at: float) -> None:
        """Wait until each daemon took a new job and ended it, and committed a batch of its import."""
        looks = [
            look(database, queue, job_id) for queue, job_id in self.jobs.items() for look in (_took, _goes_on)
        ]
        self.seconds += [at - back_at for at in await asyncio.gather(*looks)]

    def tell(self, what: str) -> None:
        """Print the times and hold them against the bound."""
        median, worst = statistics.median(self.seconds), max(self.seconds)
        print(f"working again after {what}: median {median:.2f} s, worst {worst:.2f} s of {len(self.seconds)}")
        assert worst <= BACK_SECONDS_MAX, self.seconds

    async def left(self, database: Database) -> list[tuple[int, ...]]:
        """Cancel the imports, hold what they left against their counters; gives the interruptions of each."""
        interruptions = []
        for queue, job_id in self.jobs.items():
            await database.execute("select jobd.cancel($1)", job_id)
            await wait_for_status(database, job_id, "cancelled")
            found = await database.fetchrow(f"select count(*), coalesce(max(id), 0) from public.{queue}")
            job = await database.fetchrow("select processed_rows, items_added from jobd.job where id = $1", job_id)
            assert tuple(found or ()) == tuple(job or ())
            interruptions.append(tuple(await database.fetchrow(INTERRUPTIONS, job_id) or ()))
        return interruptions


@contextlib.asynccontextmanager
async def crew_at_work(database: Database, directory: Path, **settings: object) -> AsyncIterator[Crew]:
    """Daemons with an import each that lasts longer than the test."""
    path = write_plain(directory / "plain.csv", RECORDS)
    with relay(database, directory, size=0, heartbeat_seconds=0.5, lease_seconds=10, **settings) as daemons:
        crew = Crew(daemons)
        for number in range(CREW):
            queue = f"queue{number}"
            daemons.start(queues=queue, instance=queue)
            target = await create_plain(database, f"public.{queue}")
            crew.jobs[queue] = await submit_import(
                database, path, target, {"batch_size": BATCH_SIZE, "force": True}, queue=queue
            )
        await crew.works(database)
        yield crew


async def _took(database: Database, queue: str, _job_id: UUID) -> float:
    mine = Database(database.server, database.name)
    job_id = await submit(mine, queue=queue)
    await wait_for_status(mine, job_id, "completed")
    await mine.close()
    return time.monotonic()


async def _goes_on(database: Database, _queue: str, job_id: UUID) -> float:
    mine = Database(database.server, database.name)
    await wait_for_rows(mine, job_id, await processed_rows(mine, job_id) + 1)
    await mine.close()
    return time.monotonic()
