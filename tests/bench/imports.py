"""Imports of one large file, beside what psql does with it."""

from __future__ import annotations

import gzip
import shutil
from typing import TYPE_CHECKING

from tests.bench import data
from tests.bench.laboratory import peak_memory_bytes
from tests.bench.report import Figure, Measure

if TYPE_CHECKING:
    import asyncpg

    from tests.bench.laboratory import Laboratory

COLUMNS = "id, uid, name, city, quantity, amount, day, seen_at, is_active, note"
TABLE = """
drop table if exists {name};
create table {name} (
    id bigint primary key, uid uuid not null, name text not null, city text, quantity integer,
    amount numeric(12,2), day date, seen_at timestamptz, is_active boolean, note text
) with (autovacuum_enabled = off)"""
STAGING = """
drop table if exists staging;
create unlogged table staging (
    id text, uid text, name text, city text, quantity text, amount text, day text, seen_at text,
    is_active text, note text
)"""
UPSERT = """
insert into {name} as t
select id::bigint, uid::uuid, name, city, quantity::integer, amount::numeric, day::date, seen_at::timestamptz,
       is_active::boolean, note
  from staging
on conflict (id) do update
   set (uid, name, city, quantity, amount, day, seen_at, is_active, note)
     = (excluded.uid, excluded.name, excluded.city, excluded.quantity, excluded.amount, excluded.day,
        excluded.seen_at, excluded.is_active, excluded.note)
 where (t.uid, t.name, t.city, t.quantity, t.amount, t.day, t.seen_at, t.is_active, t.note)
       is distinct from
       (excluded.uid, excluded.name, excluded.city, excluded.quantity, excluded.amount, excluded.day,
        excluded.seen_at, excluded.is_active, excluded.note)"""


class Imports:
    """The measures; each is filled by every round."""

    def __init__(self, laboratory: Laboratory, rows: int) -> None:
        self.laboratory = laboratory
        self.rows = rows
        self.direct = Measure("new rows, clean file", r"psql \copy", 0.80, 1.0)
        self.bad = Measure("1 % of rows bad, every one explained", r"psql \copy of the clean file", 0.55, 0.75)
        self.staged = Measure("all rows new, table not empty", r"psql \copy + upsert", 1.0, 1.3)
        self.unchanged = Measure("the same file again, all unchanged", r"psql \copy + upsert", 1.2, 1.5)
        self.changed = Measure("10 % of rows changed", r"psql \copy + upsert", 1.2, 1.5)
        self.half_bad = Measure("half of the rows bad", "our own clean import", 0.25, 0.5)
        self.jsonl = Measure("the same rows as JSON Lines", "our own CSV", 0.8, 1.0)
        self.gzip = Measure("the same, gzip", "our own plain CSV", 0.9, 1.0)
        self.memory = Figure("peak memory of the daemon", "MB", 0, 150, 100, is_at_most=True)
        self.wal = Figure("WAL for 100,000 unchanged rows", "MB", 0, 1, 0.1, is_at_most=True)

    @property
    def measures(self) -> list[Measure]:
        """In the order they are reported."""
        return [
            self.direct,
            self.bad,
            self.staged,
            self.unchanged,
            self.changed,
            self.half_bad,
            self.jsonl,
            self.gzip,
        ]

    @property
    def figures(self) -> list[Figure]:
        """Numbers without a baseline."""
        return [self.memory, self.wal]

    def make_files(self) -> None:
        """Write the files once; they are the same in every run."""
        files = self.laboratory.files
        data.write_csv(files / "small.csv", 100)
        data.write_csv(files / "clean.csv", self.rows)
        data.write_csv(files / "bad.csv", self.rows, bad_share=0.01)
        data.write_csv(files / "half.csv", self.rows // 4, bad_share=0.5)
        data.write_csv(files / "quarter.csv", self.rows // 4)
        data.write_csv(files / "changed.csv", self.rows, changed_share=0.10)
        data.write_jsonl(files / "clean.jsonl", self.rows)
        with (files / "clean.csv").open("rb") as plain, gzip.open(files / "clean.csv.gz", "wb", 5) as packed:
            shutil.copyfileobj(plain, packed)

    async def round(self) -> None:
        """Measure everything once, each work next to what it is compared with."""
        connection = await self.laboratory.connect()
        try:
            with self.laboratory.daemon() as daemon:
                # A daemon lives long: its first import ever, which loads the import path, is not what is measured.
                await self._import(connection, "small.csv", fresh=True)
                await self._new_rows(connection)
                await self._existing_rows(connection)
                await self._other_formats(connection)
                self.memory.value = max(self.memory.value, peak_memory_bytes(daemon) / 1e6)
        finally:
            await connection.close()

    async def _new_rows(self, connection: asyncpg.Connection) -> None:
        await self._fresh(connection, "by_copy")
        copy = self.laboratory.psql(self._copy("clean.csv", "by_copy"))
        self._clean = await self._import(connection, "clean.csv", fresh=True)
        self.direct.add(self._clean, copy)
        self.bad.add(await self._import(connection, "bad.csv", fresh=True), copy)
        quarter = await self._import(connection, "quarter.csv", fresh=True)
        self.half_bad.add(await self._import(connection, "half.csv", fresh=True), quarter)

    async def _existing_rows(self, connection: asyncpg.Connection) -> None:
        await self._fresh(connection, "by_copy")
        await self._fresh(connection, "by_jobd")
        for table in ("by_copy", "by_jobd"):
            # One row that the file does not hold: neither side may take the table for empty.
            await connection.execute(
                f"insert into {table} (id, uid, name) values (-1, gen_random_uuid(), 'already here')"
            )
        baseline = await self._psql_upsert(connection, "clean.csv")
        self.staged.add(await self._import(connection, "clean.csv"), baseline)
        await self._settle(connection)
        before = await connection.fetchval("select pg_current_wal_insert_lsn()")
        mine = await self._import(connection, "clean.csv")
        written = await connection.fetchval("select pg_current_wal_insert_lsn() - $1::pg_lsn", before)
        self.wal.value = float(written) / 1e6 / self.rows * 100_000
        self.unchanged.add(mine, await self._psql_upsert(connection, "clean.csv"))
        await self._settle(connection)
        baseline = await self._psql_upsert(connection, "changed.csv")
        self.changed.add(await self._import(connection, "changed.csv"), baseline)

    async def _other_formats(self, connection: asyncpg.Connection) -> None:
        clean = await self._import(connection, "clean.csv", fresh=True)
        self.jsonl.add(await self._import(connection, "clean.jsonl", fresh=True), clean)
        self.gzip.add(await self._import(connection, "clean.csv.gz", fresh=True), clean)

    async def _import(self, connection: asyncpg.Connection, file: str, *, fresh: bool = False) -> float:
        if fresh:
            await self._fresh(connection, "by_jobd")
        await connection.execute("checkpoint")
        row = await self.laboratory.import_file(connection, file, "public.by_jobd")
        return float(row["seconds"])

    async def _psql_upsert(self, connection: asyncpg.Connection, file: str) -> float:
        await connection.execute(STAGING)
        await connection.execute("checkpoint")
        return self.laboratory.psql(self._copy(file, "staging"), UPSERT.format(name="by_copy"))

    async def _fresh(self, connection: asyncpg.Connection, table: str) -> None:
        await connection.execute(TABLE.format(name=table))
        await connection.execute("checkpoint")

    async def _settle(self, connection: asyncpg.Connection) -> None:
        for table in ("by_copy", "by_jobd"):
            await connection.execute(f"vacuum analyze {table}")
        await connection.execute("checkpoint")

    def _copy(self, file: str, table: str) -> str:
        return rf"\copy {table} ({COLUMNS}) from '{self.laboratory.files / file}' with (format csv, header)"
