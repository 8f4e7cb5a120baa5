"""Claims beside one another: from a short queue, from a long one, and from a long one with a long history."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg

from jobd.db import migrate
from tests.bench.report import Figure
from tests.support.bulk_jobs import unchecked

if TYPE_CHECKING:
    from tests.bench.laboratory import Laboratory

FEW, MANY, HISTORY = 100, 1_000_000, 5_000_000
ROUNDS, CLAIMS, AT_ONCE = 40, 10, 10
FINISHED = """
insert into jobd.job (
    source, target, status, run_at, created_at, claimed_at, started_at, completed_at, progress, lease_token,
    created_by, submitted_role, submitted_role_oid
)
select 's', 'public.t', 'completed', t, t, t, t, t, 100, 1, 'application', 'postgres', 10
from (select now() - n * interval '1 second' from generate_series(1, {count}) n) as past (t);
"""
WAITING = """
insert into jobd.job (job_type, handler) select 'processing', 'noop' from generate_series(1, {count});
"""


class Claims:
    """The median claim of ten jobs, in three databases in turn."""

    def __init__(self, laboratory: Laboratory) -> None:
        self.laboratory = laboratory
        self.figures: list[Figure] = []

    async def measure(self) -> None:
        """Fill the databases, then claim from one after the other."""
        queues = [
            await self._queue("few", waiting=FEW, finished=0),
            await self._queue("many", waiting=MANY, finished=0),
            await self._queue("old", waiting=MANY, finished=HISTORY),
        ]
        for _ in range(ROUNDS):
            for queue in queues:
                await queue.round()
        few, many, old = (statistics.median(queue.seconds) for queue in queues)
        self.figures = [
            Figure("claim of ten, 100 waiting", "ms", few * 1e3, 5, 2, is_at_most=True),
            Figure("claim, 1,000,000 waiting (100 = 1)", "", many / few, 1.2, 1.1, is_at_most=True),
            Figure("claim, 5,000,000 finished besides", "", old / few, 1.2, 1.1, is_at_most=True),
        ]
        for queue in queues:
            await queue.connection.close()

    async def _queue(self, name: str, *, waiting: int, finished: int) -> _Queue:
        server = self.laboratory.server
        server.run("createdb", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", name)
        await migrate.migrate(server.url(name))
        connection = await asyncpg.connect(server.url(name))
        if finished:
            await connection.execute(unchecked(FINISHED.format(count=finished)))
        # With triggers and all, by the thousand: as applications would.
        for _ in range(0, waiting, 10_000):
            await connection.execute(WAITING.format(count=min(waiting, 10_000)))
        await connection.execute("vacuum analyze jobd.job")
        await connection.execute("checkpoint")
        queue = _Queue(connection)
        await queue.register()
        return queue


class _Queue:
    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.seconds: list[float] = []
        self._worker_id = uuid4()

    async def register(self) -> None:
        await self.connection.execute(
            "select jobd.register_worker($1, 'bench', 'host', 1, '0', array['default'], $2, 3600)",
            self._worker_id,
            AT_ONCE,
        )

    async def round(self) -> None:
        """Claim some times; what was claimed is finished and as many are submitted, unmeasured."""
        for _ in range(CLAIMS):
            started = time.perf_counter()
            jobs = await self.connection.fetch(
                "select * from jobd.claim($1, array['default'], $2)", self._worker_id, AT_ONCE
            )
            self.seconds.append(time.perf_counter() - started)
            await self.connection.fetch(
                "select jobd.finish($1, $2, $3)",
                [job["id"] for job in jobs],
                [job["lease_token"] for job in jobs],
                ["completed"] * len(jobs),
            )
            await self.connection.execute(WAITING.format(count=len(jobs)))
