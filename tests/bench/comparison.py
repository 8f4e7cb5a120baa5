"""What every comparison of imports needs: a fresh table on each side, and the seconds each side takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.tables import STAGING, TABLE, UPSERT, copy_command

if TYPE_CHECKING:
    import asyncpg

    from tests.bench.laboratory import Laboratory
    from tests.bench.report import Figure, Measure


class Comparison:
    """Some works, each measured by every round beside what it is compared with."""

    def __init__(self, laboratory: Laboratory, rows: int) -> None:
        self.laboratory = laboratory
        self.rows = rows

    @property
    def measures(self) -> list[Measure]:
        """In the order they are reported."""
        raise NotImplementedError

    @property
    def figures(self) -> list[Figure]:
        """Numbers without a baseline."""
        return []

    def make_files(self) -> None:
        """Write the files once; they are the same in every run."""
        raise NotImplementedError

    async def round(self) -> None:
        """Measure everything once, each work next to what it is compared with."""
        raise NotImplementedError

    async def by_jobd(self, connection: asyncpg.Connection, file: str, *, fresh: bool = False) -> float:
        """Seconds that our import of the file takes."""
        if fresh:
            await self.fresh(connection, "by_jobd")
        await connection.execute("checkpoint")
        row = await self.laboratory.import_file(connection, file, "public.by_jobd")
        return float(row["seconds"])

    async def by_copy(self, connection: asyncpg.Connection, file: str) -> float:
        r"""Seconds that psql's ``\copy`` into a fresh table takes."""
        await self.fresh(connection, "by_copy")
        return self.laboratory.psql(copy_command(self.laboratory.files / file, "by_copy"))

    async def by_upsert(self, connection: asyncpg.Connection, file: str) -> float:
        r"""Seconds that psql takes for ``\copy`` into a staging table and one upsert from it."""
        await connection.execute(STAGING)
        await connection.execute("checkpoint")
        copy = copy_command(self.laboratory.files / file, "staging")
        return self.laboratory.psql(copy, UPSERT.format(name="by_copy"))

    async def fresh(self, connection: asyncpg.Connection, table: str) -> None:
        """Lay the table anew, empty."""
        await connection.execute(TABLE.format(name=table))
        await connection.execute("checkpoint")
