r"""A thousand small files, a job each, beside a psql process with a ``\copy`` for each."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import anyio

from tests.bench import data
from tests.bench.comparison import Comparison
from tests.bench.laboratory import peak_memory_bytes
from tests.bench.report import Figure, Measure
from tests.bench.tables import copy_command

if TYPE_CHECKING:
    import asyncpg

    from tests.bench.laboratory import Laboratory

FILES = 1_000
ROWS_EACH = 100
PATIENCE_SECONDS = 300
SUBMIT = """
insert into jobd.job (source, target, options)
select file, 'public.by_jobd', $2 from unnest($1::text[]) file"""
UNFINISHED = "select exists (select from jobd.job where status in ('pending', 'running'))"
# By the server's clock, so that how often the asking comes round adds nothing.
ENDED = """
select count(*) filter (where status = 'completed' and success_count = $2) as completed,
       extract(epoch from max(completed_at) - min(created_at))::float8 as seconds
  from jobd.job where source = any($1) and created_at >= $3"""


class SmallFiles(Comparison):
    """What a job costs beside its rows."""

    def __init__(self, laboratory: Laboratory, rows: int) -> None:
        super().__init__(laboratory, rows)
        self.measure = Measure("1,000 files of 100 rows, a job each", r"a psql \copy for each", 5, 10)
        self.memory = Figure("peak memory of the daemon, 1,000 files", "MB", 0, 150, 100, is_at_most=True)

    @property
    def measures(self) -> list[Measure]:
        return [self.measure]

    @property
    def figures(self) -> list[Figure]:
        return [self.memory]

    def make_files(self) -> None:
        files = self.laboratory.files
        data.write_csv(files / "small.csv", 100)
        (files / "many").mkdir(exist_ok=True)
        self.files = data.write_csv_files(files / "many", FILES, ROWS_EACH)

    async def round(self) -> None:
        connection = await self.laboratory.connect()
        try:
            await self.fresh(connection, "by_copy")
            started = time.perf_counter()
            for file in self.files:
                self.laboratory.psql(copy_command(file, "by_copy"))
            baseline = time.perf_counter() - started
            with self.laboratory.daemon() as daemon:
                await self.by_jobd(connection, "small.csv", fresh=True)
                self.measure.add(await self._jobs(connection), baseline)
                self.memory.value = max(self.memory.value, peak_memory_bytes(daemon) / 1e6)
            for table in ("by_copy", "by_jobd"):
                count = await connection.fetchval(f"select count(*) from {table}")
                if count != FILES * ROWS_EACH:
                    raise RuntimeError(f"{table} has {count} rows instead of {FILES * ROWS_EACH}")
        finally:
            await connection.close()

    async def _jobs(self, connection: asyncpg.Connection) -> float:
        await self.fresh(connection, "by_jobd")
        submitted_at = await connection.fetchval("select clock_timestamp()")
        sources = list(map(str, self.files))
        await connection.execute(SUBMIT, sources, json.dumps({"force": True}))
        with anyio.fail_after(PATIENCE_SECONDS):
            # Asked seldom, so that the asking is not measured too.
            while await connection.fetchval(UNFINISHED):  # noqa: ASYNC110
                await anyio.sleep(0.1)
        ended = await connection.fetchrow(ENDED, sources, ROWS_EACH, submitted_at)
        if ended is None or ended["completed"] != FILES:
            raise RuntimeError(f"not every one of {FILES} jobs completed: {ended}")
        return float(ended["seconds"])
