"""Goal: with the settings a daemon has by itself, a killed daemon's import commits again elsewhere within 3 s."""

from __future__ import annotations

import signal
import statistics
import time
from typing import TYPE_CHECKING

from tests.fault.relay import relay
from tests.fault.rounds import rounds
from tests.support.daemons import until
from tests.support.files import write_plain
from tests.support.imports import create_plain, submit_import, wait_for_rows

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database

KILLS = rounds(3)
# More than are imported between one kill and the next.
RECORDS_PER_KILL = 40_000
DEFAULTS = {"heartbeat_seconds": 1, "lease_seconds": 10, "poll_seconds": 10}
SERVER_AGE = "select extract(epoch from clock_timestamp() - pg_postmaster_start_time())::float8"
# The rows that whoever holds the job now found when it claimed it are not its own.
COMMITTED_BY_ANOTHER = """
select processed_rows from jobd.job j join jobd.worker w on w.id = j.worker_id where j.id = $1 and w.pid <> $2
"""


async def commits_again(database: Database, job_id: UUID, dead_pid: int) -> None:
    """Wait until another worker has committed a batch."""

    async def look() -> int | None:
        rows: int | None = await database.fetchval(COMMITTED_BY_ANOTHER, job_id, dead_pid)
        return rows

    found = await until(look, lambda seen: seen is not None)
    assert found is not None
    await until(look, lambda seen: seen is not None and seen > found)


async def test_a_killed_daemons_import_commits_again_elsewhere_within_3_s(
    database: Database, tmp_path: Path
) -> None:
    path = write_plain(tmp_path / "plain.csv", RECORDS_PER_KILL * KILLS)
    target = await create_plain(database)
    # On a server that came up just now, daemons that do not listen yet are no dead ones: only their lease decides.
    await until(lambda: database.fetchval(SERVER_AGE), lambda age: age > DEFAULTS["lease_seconds"] + 1)
    seconds = []
    with relay(database, tmp_path, **DEFAULTS) as daemons:
        for daemon in daemons.daemons:
            await daemon.logged("listening")
        job_id = await submit_import(database, path, target, {"batch_size": 20})
        at = 0
        for _ in range(KILLS):
            at = await wait_for_rows(database, job_id, at + 20)
            holder = await daemons.holder(job_id)
            holder.send(signal.SIGKILL)
            killed_at = time.monotonic()
            await commits_again(database, job_id, holder.pid)
            seconds.append(time.monotonic() - killed_at)
            await daemons.start().logged("listening")
        await database.execute("select jobd.cancel($1)", job_id)
    print(f"median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s")
    assert statistics.median(seconds) <= 3
    assert max(seconds) <= 5
