"""A target whose rows wait while the test holds its gate: how a batch is kept open for as long as a test needs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.support.daemons import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from tests.support.database import Database

GATE = 4711
TRIGGER = """
create function public.wait_at_gate() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared({gate});
    return new;
end
$$;
create trigger gate before insert on {target} for each row when (new.id = {row})
execute function public.wait_at_gate();
"""

# What a daemon's job sessions do just now. A frozen worker's waits for its client in the middle of a COPY.
WAITING = """
select count(*) from pg_stat_activity
where datname = current_database() and application_name like 'jobd:%' and wait_event = $1 and query ilike $2
"""
AT_GATE = "select pid from pg_locks where locktype = 'advisory' and objid = $1 and not granted"


async def build_gate(database: Database, target: str, row: int) -> None:
    """From now on the row with this id waits at the gate."""
    await database.execute(TRIGGER.format(gate=GATE, target=target, row=row))


@contextlib.asynccontextmanager
async def gate_closed(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """The gate is held during the block."""
    keeper = await database.connect()
    await keeper.execute("select pg_advisory_lock($1)", GATE)
    try:
        yield keeper
    finally:
        await keeper.execute("select pg_advisory_unlock_all()")


async def wait_for_backend(database: Database, wait_event: str, query: str = "%", within: float = 30.0) -> None:
    """Wait until a backend of a daemon's waits for this."""

    async def look() -> int:
        return int(await database.fetchval(WAITING, wait_event, query))

    await until(look, within=within)


async def waiting_backends(database: Database) -> list[int]:
    """Who of the daemons' backends waits at the gate."""
    return [row["pid"] for row in await database.fetch(AT_GATE, GATE)]


async def someone_waits_at_gate(database: Database) -> None:
    """Wait until a batch has come to the gate."""
    await wait_for_backend(database, "advisory")
