"""Thousands of small documents in one zip, one job, beside the script one would write for it."""

from __future__ import annotations

import json
import time
import zipfile
from datetime import datetime
from typing import TYPE_CHECKING

from tests.bench import documents
from tests.bench.comparison import Comparison
from tests.bench.laboratory import peak_memory_bytes
from tests.bench.report import Figure, Measure

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from tests.bench.laboratory import Laboratory

TABLE = """
drop table if exists {name};
create table {name} (
    id text primary key, schema_version text not null, modified timestamptz not null, published timestamptz,
    aliases text[], summary text, details text, affected jsonb, "references" jsonb, database_specific jsonb
) with (autovacuum_enabled = off)"""
UPSERT = """
insert into by_script values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (id) do update
   set (schema_version, modified, published, aliases, summary, details, affected, "references", database_specific)
     = (excluded.schema_version, excluded.modified, excluded.published, excluded.aliases, excluded.summary,
        excluded.details, excluded.affected, excluded."references", excluded.database_specific)"""
DIFFERENT = """
select (select count(*) from by_script) as script, (select count(*) from by_jobd) as jobd,
       (select count(*) from (table by_script except table by_jobd) d) as different"""


class Archive(Comparison):
    """Documents into a table that is empty at first, then the same once more."""

    def __init__(self, laboratory: Laboratory, rows: int) -> None:
        super().__init__(laboratory, rows)
        script = "zipfile + json + executemany upsert"
        self.new = Measure("4,291 JSON files in one zip, one job", script, 3, 10)
        self.again = Measure("the same zip again, all unchanged", script, 3, 10)
        self.memory = Figure("peak memory of the daemon, .zip of JSON", "MB", 0, 150, 100, is_at_most=True)

    @property
    def measures(self) -> list[Measure]:
        return [self.new, self.again]

    @property
    def figures(self) -> list[Figure]:
        return [self.memory]

    def make_files(self) -> None:
        documents.write_zip(self.laboratory.files / "documents.zip")

    async def round(self) -> None:
        connection = await self.laboratory.connect()
        path = self.laboratory.files / "documents.zip"
        try:
            with self.laboratory.daemon() as daemon:
                # The daemon's and the connection's first time of all is not what is measured.
                for measure in (None, self.new, self.again):
                    if measure is not self.again:
                        for table in ("by_script", "by_jobd"):
                            await connection.execute(TABLE.format(name=table))
                    await connection.execute("checkpoint")
                    baseline = await _by_script(connection, path)
                    seconds = await self.by_jobd(connection, path.name)
                    if measure:
                        measure.add(seconds, baseline)
                self.memory.value = max(self.memory.value, peak_memory_bytes(daemon) / 1e6)
            found = await connection.fetchrow(DIFFERENT)
            if found is None or tuple(found) != (documents.COUNT, documents.COUNT, 0):
                raise RuntimeError(f"the script and jobd did not import the same: {found}")
        finally:
            await connection.close()


async def _by_script(connection: asyncpg.Connection, path: Path) -> float:
    started = time.perf_counter()
    with zipfile.ZipFile(path) as archive:
        rows = [_row(archive.read(name)) for name in archive.namelist()]
    await connection.executemany(UPSERT, rows)
    return time.perf_counter() - started


def _row(text: bytes) -> tuple[object, ...]:
    one = json.loads(text)
    return (
        one["id"],
        one["schema_version"],
        datetime.fromisoformat(one["modified"]),
        datetime.fromisoformat(one["published"]),
        one["aliases"],
        one["summary"],
        one["details"],
        json.dumps(one["affected"]),
        json.dumps(one["references"]),
        json.dumps(one["database_specific"]),
    )
