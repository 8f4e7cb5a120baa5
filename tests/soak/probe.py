"""One sample of everything that might grow."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from uuid import uuid4

import psutil

from jobd.db.pool import OWN_CONNECTIONS
from tests.soak.figures import Figure, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import asyncpg

    from jobd.drill.daemons import DrillDaemon
    from jobd.drill.scratch import Scratch

CONCURRENCY = 4
CLAIMS = 5
YOUNG_SECONDS = 15
MEGABYTE = 1e6
# Outlives pruning: a row for each content that was imported.
KEPT = ("import_ledger",)

STEADY = "memory, never killed"
YOUNG = "memory, others when young"
OLD = "memory, others later"
FILES = "open files, never killed"
THREADS = "threads, never killed"
CONNECTIONS = "connections of a daemon"
BACKENDS = "backends of all daemons"
BUSY = "processor, never killed"
DEAD = "dead tuples"
LIVE = "live tuples"
TABLES = "size of tables"
INDEXES = "size of indexes"
KEPT_SIZE = "size of the ledger"
CLAIM = "claim of ten"
JOBS = "jobs"
ROWS = "rows"

FIGURES = (
    Figure(STEADY, "MB", ratio=1.1),
    Figure(YOUNG, "MB"),
    Figure(OLD, "MB"),
    Figure(FILES, "", ratio=1.0, noise=8),
    Figure(THREADS, "", ratio=1.0, noise=4),
    # One more for a moment, through which a backend is ended that does not obey.
    Figure(CONNECTIONS, "", most=CONCURRENCY + OWN_CONNECTIONS + 1),
    Figure(BACKENDS, "", ratio=1.0, noise=8),
    Figure(BUSY, "%"),
    # Autovacuum comes round once a minute, and so much may have come together by then.
    Figure(DEAD, "", ratio=1.5, noise=15_000),
    Figure(LIVE, ""),
    Figure(TABLES, "MB", ratio=1.5, noise=8),
    Figure(INDEXES, "MB", ratio=1.5, noise=8),
    Figure(KEPT_SIZE, "MB"),
    Figure(CLAIM, "ms", ratio=1.2, noise=1),
    Figure(JOBS, "1/s"),
    Figure(ROWS, "1/s"),
)

RELATIONS = """
select
    c.relname as name, pg_stat_get_live_tuples(c.oid) as live, pg_stat_get_dead_tuples(c.oid) as dead,
    pg_table_size(c.oid) as table_bytes, pg_indexes_size(c.oid) as index_bytes
from pg_class c
where c.relnamespace = 'jobd'::regnamespace and c.relkind = 'r'
"""
COUNT_BACKENDS = "select count(*) from pg_stat_activity where application_name like 'jobd:%'"
# Timed by the server, for which the soak's own work is no delay.
LAY = """
create function jobd_drill.claim_seconds(p_worker_id uuid) returns float8 language plpgsql as $$
declare
    v_began_at constant timestamptz := clock_timestamp();
begin
    perform from jobd.claim(p_worker_id, array['soak'], 10);
    return extract(epoch from clock_timestamp() - v_began_at);
end
$$
"""
REGISTER = "select jobd.register_worker($1, 'soak', 'soak', 1, '0', array['soak'], 10, 3600)"
SUBMIT = """
insert into jobd.job (job_type, handler, queue, created_by)
select 'processing', 'noop', 'soak', 'jobd drill' from generate_series(1, 10)
"""
FINISH = """
select jobd.finish(array_agg(j.id), array_agg(j.lease_token), array_agg('completed'::text))
from jobd.job j where j.worker_id = $1 and j.status = 'running'
"""


class Probe:
    """Takes samples. ``daemons``: the first of them is never killed."""

    def __init__(self, scratch: Scratch, daemons: Sequence[DrillDaemon]) -> None:
        self._scratch = scratch
        self._daemons = daemons
        self._worker_id = uuid4()
        self._began_at = time.monotonic()
        self._last = (self._began_at, 0, 0)
        self._steady = psutil.Process(daemons[0].pid)
        self.samples: list[Sample] = []
        self.relation_bytes: dict[str, list[float]] = {}

    async def begin(self) -> None:
        """Register the worker whose claims are timed."""
        self._connection: asyncpg.Connection = await self._scratch.connect()
        await self._connection.execute(LAY)
        await self._connection.execute(REGISTER, self._worker_id)

    async def sample(self, jobs: int, rows: int) -> None:
        """Take one; so many jobs and rows are done by now."""
        now = time.monotonic()
        at, jobs_before, rows_before = self._last
        self._last = (now, jobs, rows)
        values = {
            **dict(self._of_processes()),
            BACKENDS: float(await self._connection.fetchval(COUNT_BACKENDS)),
            **await self._of_relations(),
            CLAIM: await self._claim_seconds() * 1e3,
            JOBS: (jobs - jobs_before) / (now - at),
            ROWS: (rows - rows_before) / (now - at),
        }
        self.samples.append(Sample(now - self._began_at, values))

    def _of_processes(self) -> Iterator[tuple[str, float]]:
        steady, *others = self._daemons
        if steady.pid is not None:
            process = self._steady
            yield STEADY, process.memory_info().rss / MEGABYTE
            yield FILES, float(process.num_fds())
            yield THREADS, float(process.num_threads())
            yield BUSY, process.cpu_percent()
        connections = [_connections(self._steady)]
        by_age: dict[str, list[float]] = {YOUNG: [], OLD: []}
        for daemon in others:
            try:
                if daemon.pid is not None:
                    process = psutil.Process(daemon.pid)
                    age = time.time() - process.create_time()
                    memory = process.memory_info().rss / MEGABYTE
                    connections.append(_connections(process))
                    by_age[YOUNG if age < YOUNG_SECONDS else OLD].append(memory)
            except psutil.NoSuchProcess:
                continue
        yield CONNECTIONS, float(max(connections))
        for name, found in by_age.items():
            if found:
                yield name, sum(found) / len(found)

    async def _of_relations(self) -> dict[str, float]:
        rows = await self._connection.fetch(RELATIONS)
        for row in rows:
            size = (row["table_bytes"] + row["index_bytes"]) / MEGABYTE
            self.relation_bytes.setdefault(row["name"], []).append(size)
        own = [row for row in rows if row["name"] not in KEPT]
        kept = [row for row in rows if row["name"] in KEPT]
        return {
            DEAD: float(sum(row["dead"] for row in own)),
            LIVE: float(sum(row["live"] for row in own)),
            TABLES: sum(row["table_bytes"] for row in own) / MEGABYTE,
            INDEXES: sum(row["index_bytes"] for row in own) / MEGABYTE,
            KEPT_SIZE: sum(row["table_bytes"] + row["index_bytes"] for row in kept) / MEGABYTE,
        }

    async def _claim_seconds(self) -> float:
        """The shortest of some claims: what else the machine does only adds to them."""
        seconds = []
        for _ in range(CLAIMS):
            await self._connection.execute(SUBMIT)
            seconds.append(
                float(await self._connection.fetchval("select jobd_drill.claim_seconds($1)", self._worker_id))
            )
            await self._connection.execute(FINISH, self._worker_id)
        return min(seconds)


def _connections(process: psutil.Process) -> int:
    """Those that it holds open, none of which is for anything but the database."""
    return sum(each.status == psutil.CONN_ESTABLISHED for each in process.net_connections("tcp"))
