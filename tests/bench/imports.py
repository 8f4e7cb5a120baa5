"""Imports of one large file, beside what psql does with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench import data
from tests.bench.comparison import Comparison
from tests.bench.laboratory import peak_memory_bytes
from tests.bench.report import Figure, Measure

if TYPE_CHECKING:
    import asyncpg

    from tests.bench.laboratory import Laboratory


class Imports(Comparison):
    """New rows and existing ones, good and bad."""

    def __init__(self, laboratory: Laboratory, rows: int) -> None:
        super().__init__(laboratory, rows)
        self.direct = Measure("new rows, clean file", r"psql \copy", 0.80, 1.0)
        self.bad = Measure("1 % of rows bad, every one explained", r"psql \copy of the clean file", 0.55, 0.75)
        self.staged = Measure("all rows new, table not empty", r"psql \copy + upsert", 1.0, 1.3)
        self.unchanged = Measure("the same file again, all unchanged", r"psql \copy + upsert", 1.2, 1.5)
        self.changed = Measure("10 % of rows changed", r"psql \copy + upsert", 1.2, 1.5)
        self.half_bad = Measure("half of the rows bad", "our own clean import", 0.25, 0.5)
        self.memory = Figure("peak memory of the daemon, one large CSV file", "MB", 0, 150, 100, is_at_most=True)
        self.wal = Figure("WAL for 100,000 unchanged rows", "MB", 0, 1, 0.1, is_at_most=True)

    @property
    def measures(self) -> list[Measure]:
        return [self.direct, self.bad, self.staged, self.unchanged, self.changed, self.half_bad]

    @property
    def figures(self) -> list[Figure]:
        return [self.memory, self.wal]

    def make_files(self) -> None:
        files = self.laboratory.files
        data.write_csv(files / "small.csv", 100)
        data.write_csv(files / "clean.csv", self.rows)
        data.write_csv(files / "bad.csv", self.rows, bad_share=0.01)
        data.write_csv(files / "half.csv", self.rows // 4, bad_share=0.5)
        data.write_csv(files / "quarter.csv", self.rows // 4)
        data.write_csv(files / "changed.csv", self.rows, changed_share=0.10)

    async def round(self) -> None:
        connection = await self.laboratory.connect()
        try:
            with self.laboratory.daemon() as daemon:
                # A daemon lives long: its first import ever, which loads the import path, is not what is measured.
                await self.by_jobd(connection, "small.csv", fresh=True)
                await self._new_rows(connection)
                await self._existing_rows(connection)
                self.memory.value = max(self.memory.value, peak_memory_bytes(daemon) / 1e6)
        finally:
            await connection.close()

    async def _new_rows(self, connection: asyncpg.Connection) -> None:
        copy = await self.by_copy(connection, "clean.csv")
        self.direct.add(await self.by_jobd(connection, "clean.csv", fresh=True), copy)
        self.bad.add(await self.by_jobd(connection, "bad.csv", fresh=True), copy)
        quarter = await self.by_jobd(connection, "quarter.csv", fresh=True)
        self.half_bad.add(await self.by_jobd(connection, "half.csv", fresh=True), quarter)

    async def _existing_rows(self, connection: asyncpg.Connection) -> None:
        await self.fresh(connection, "by_copy")
        await self.fresh(connection, "by_jobd")
        for table in ("by_copy", "by_jobd"):
            # One row that the file does not hold: neither side may take the table for empty.
            await connection.execute(
                f"insert into {table} (id, uid, name) values (-1, gen_random_uuid(), 'already here')"
            )
        baseline = await self.by_upsert(connection, "clean.csv")
        self.staged.add(await self.by_jobd(connection, "clean.csv"), baseline)
        await self._settle(connection)
        before = await connection.fetchval("select pg_current_wal_insert_lsn()")
        mine = await self.by_jobd(connection, "clean.csv")
        written = await connection.fetchval("select pg_current_wal_insert_lsn() - $1::pg_lsn", before)
        self.wal.value = float(written) / 1e6 / self.rows * 100_000
        self.unchanged.add(mine, await self.by_upsert(connection, "clean.csv"))
        await self._settle(connection)
        baseline = await self.by_upsert(connection, "changed.csv")
        self.changed.add(await self.by_jobd(connection, "changed.csv"), baseline)

    async def _settle(self, connection: asyncpg.Connection) -> None:
        for table in ("by_copy", "by_jobd"):
            await connection.execute(f"vacuum analyze {table}")
        await connection.execute("checkpoint")
