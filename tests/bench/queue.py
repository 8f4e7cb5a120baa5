"""The queue by itself: jobs that do nothing, through everything that a job goes through."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import anyio

from tests.bench.report import Figure

if TYPE_CHECKING:
    import asyncpg

    from tests.bench.laboratory import Laboratory

JOBS = 20_000
PICKUPS = 200
PICKUP_PAUSE_SECONDS = 0.02
IDLE_SECONDS = 10
PATIENCE_SECONDS = 120
UNFINISHED = "select exists (select from jobd.job where status in ('pending', 'running'))"
SUBMIT = "insert into jobd.job (job_type, handler) select 'processing', 'noop' from generate_series(1, $1::int)"


class Queue:
    """The measures of the queue."""

    def __init__(self, laboratory: Laboratory) -> None:
        self.laboratory = laboratory
        self.figures: list[Figure] = []

    async def measure(self) -> None:
        """Measure everything, once."""
        connection = await self.laboratory.connect()
        try:
            await self._submit_rate(connection)
            await self._throughput(connection, waiting=0, name="jobs/s, 20,000 waiting", must=8_000, aim=15_000)
            with self.laboratory.daemon() as daemon:
                await connection.execute(SUBMIT, 1)  # once this one is done, the daemon is up and listens
                await self._drained(connection)
                await self._pickup(connection)
                await self._idle(connection)
                memory = daemon.memory_info().rss / 1e6
                self.figures.append(Figure("idle: resident memory", "MB", memory, 70, 50, is_at_most=True))
        finally:
            await connection.close()

    async def _submit_rate(self, connection: asyncpg.Connection) -> None:
        rates = []
        for _ in range(JOBS // 1_000):
            started = time.perf_counter()
            await connection.execute(SUBMIT, 1_000)
            rates.append(1_000 / (time.perf_counter() - started))
        self.figures.append(
            Figure(
                "plain INSERT of 1,000 job rows",
                "rows/s",
                statistics.median(rates),
                30_000,
                60_000,
                is_at_most=False,
            )
        )

    async def _throughput(
        self, connection: asyncpg.Connection, *, waiting: int, name: str, must: float, aim: float
    ) -> None:
        if waiting:
            await connection.execute(SUBMIT, waiting)
        await connection.execute("vacuum analyze jobd.job")
        await connection.execute("checkpoint")
        with self.laboratory.daemon():
            await self._drained(connection)
        seconds = await connection.fetchval(
            "select extract(epoch from max(completed_at) - min(started_at))::float8 from jobd.job"
        )
        rate = JOBS / float(seconds)
        self.figures.append(Figure(name, "jobs/s", rate, must, aim, is_at_most=False))

    async def _drained(self, connection: asyncpg.Connection) -> None:
        with anyio.fail_after(PATIENCE_SECONDS):
            # Asked seldom, so that the asking is not measured too.
            while await connection.fetchval(UNFINISHED):  # noqa: ASYNC110
                await anyio.sleep(0.1)

    async def _pickup(self, connection: asyncpg.Connection) -> None:
        jobs = []
        for _ in range(PICKUPS):
            job = await connection.fetchval(
                "insert into jobd.job (job_type, handler) values ('processing', 'clock') returning id"
            )
            jobs.append((job, time.time()))
            await anyio.sleep(PICKUP_PAUSE_SECONDS)
        await self._drained(connection)
        rows = await connection.fetch(
            "select id, (result ->> 'started_at')::float8 as at from jobd.job where id = any($1)",
            [job for job, _ in jobs],
        )
        claimed = {row["id"]: row["at"] for row in rows}
        waits = sorted(max(0.0, claimed[job] - submitted) * 1e3 for job, submitted in jobs)
        for name, share, must, aim in (("p50", 0.5, 3, 1.5), ("p99", 0.99, 8, 5)):
            value = waits[int(len(waits) * share)]
            self.figures.append(Figure(f"pickup {name}", "ms", value, must, aim, is_at_most=True))

    async def _idle(self, connection: asyncpg.Connection) -> None:
        await anyio.sleep(2)
        await connection.execute("create extension if not exists pg_stat_statements")
        before = await connection.fetchval("select sum(calls) from pg_stat_statements")
        await anyio.sleep(IDLE_SECONDS)
        after = await connection.fetchval("select sum(calls) from pg_stat_statements")
        rate = (float(after) - float(before) - 1) / IDLE_SECONDS
        self.figures.append(Figure("idle: statements", "1/s", rate, 2, 1, is_at_most=True))
