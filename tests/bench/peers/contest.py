"""New rows and upserts, by psql, jobd and each peer, one after the other in every round."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench import data
from tests.bench.comparison import Comparison
from tests.bench.peers.peer import PeerFailed
from tests.bench.peers.standing import Standing
from tests.bench.tables import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from tests.bench.laboratory import Laboratory
    from tests.bench.peers.peer import Peer

SMALL_ROWS = 100
DIFFERENT = f"""
select count(*)
  from (select {COLUMNS} from by_copy
        except
        select {COLUMNS.replace("uid", "uid::uuid")} from {{table}}) as different"""


class Contest(Comparison):
    """Only peers that import the small file as psql does take part."""

    def __init__(self, laboratory: Laboratory, rows: int, peers: Sequence[Peer]) -> None:
        super().__init__(laboratory, rows)
        self.peers = list(peers)
        self.added = Standing("new rows, clean file, empty table", r"psql \copy")
        self.upserted = Standing(f"upsert, all rows new but {SMALL_ROWS}", r"psql \copy to staging + upsert")

    def make_files(self) -> None:
        data.write_csv(self.laboratory.files / "small.csv", SMALL_ROWS)
        data.write_csv(self.laboratory.files / "clean.csv", self.rows)

    async def admit(self) -> None:
        """Try each peer on the small file; whoever is missing or does it wrong is left out, with a line why."""
        connection = await self.laboratory.connect()
        try:
            await self.by_copy(connection, "small.csv")
            for peer in tuple(self.peers):
                reason = peer.missing() or await self._fault(connection, peer)
                if reason:
                    print(f"{peer.name}: {reason}, left out", flush=True)
                    self.peers.remove(peer)
        finally:
            await connection.close()

    async def round(self) -> None:
        connection = await self.laboratory.connect()
        try:
            with self.laboratory.daemon():
                await self.by_jobd(connection, "small.csv", fresh=True)
                await self._add(connection)
                await self._upsert(connection)
        finally:
            await connection.close()

    async def _add(self, connection: asyncpg.Connection) -> None:
        self.added.add_baseline(await self.by_copy(connection, "clean.csv"))
        self.added.add("jobd", await self.by_jobd(connection, "clean.csv", fresh=True))
        for peer in tuple(self.peers):
            await self._lay(connection, peer)
            await self._measure(connection, peer, self.added, peer.new_rows(self.laboratory.files / "clean.csv"))

    async def _upsert(self, connection: asyncpg.Connection) -> None:
        await self.fresh(connection, "by_copy")
        await self.by_upsert(connection, "small.csv")
        self.upserted.add_baseline(await self.by_upsert(connection, "clean.csv"))
        await self.by_jobd(connection, "small.csv", fresh=True)
        self.upserted.add("jobd", await self.by_jobd(connection, "clean.csv"))
        for peer in tuple(self.peers):
            if peer.can_upsert:
                await self._lay(connection, peer)
                peer.run(peer.upsert(self.laboratory.files / "small.csv"))
                await connection.execute("checkpoint")
                await self._measure(
                    connection, peer, self.upserted, peer.upsert(self.laboratory.files / "clean.csv")
                )

    async def _measure(
        self, connection: asyncpg.Connection, peer: Peer, standing: Standing, command: Sequence[str]
    ) -> None:
        """Take the time; a peer that fails now has no ratio, and the others go on."""
        try:
            seconds = peer.run(command)
            await _count(connection, peer, self.rows)
        except PeerFailed as failed:
            print(f"{peer.name}: {' '.join(str(failed).split())}, left out", flush=True)
            self.peers.remove(peer)
            for each in (self.added, self.upserted):
                each.seconds.pop(peer.name, None)
        else:
            standing.add(peer.name, seconds)

    async def _fault(self, connection: asyncpg.Connection, peer: Peer) -> str | None:
        small = self.laboratory.files / "small.csv"
        try:
            await self._lay(connection, peer)
            peer.run(peer.new_rows(small))
            await _compare(connection, peer)
            if peer.can_upsert:
                await self._lay(connection, peer)
                for _ in ("new rows", "the same once more"):
                    peer.run(peer.upsert(small))
                    await _compare(connection, peer)
        except PeerFailed as failed:
            return f"failed on a small file ({' '.join(str(failed).split())})"
        return None

    async def _lay(self, connection: asyncpg.Connection, peer: Peer) -> None:
        peer.forget()
        await connection.execute("drop schema if exists by_dlt cascade")
        await connection.execute("drop schema if exists by_dlt_staging cascade")
        await self.fresh(connection, "by_peer")


async def _count(connection: asyncpg.Connection, peer: Peer, rows: int) -> None:
    count = await connection.fetchval(f"select count(*) from {peer.table}")
    if count != rows:
        raise PeerFailed(f"{peer.name} left {count} rows in the table instead of {rows}")


async def _compare(connection: asyncpg.Connection, peer: Peer) -> None:
    await _count(connection, peer, SMALL_ROWS)
    different = await connection.fetchval(DIFFERENT.format(table=peer.table))
    if different:
        raise PeerFailed(f"{different} of {SMALL_ROWS} rows are not as psql imports them")
