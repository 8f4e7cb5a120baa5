"""Goal: several daemons want the same jobs at once, and each job is run, or rescued, by exactly one of them."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

from tests.fault.relay import died, relay
from tests.support.daemons import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database

IMPORTS = 200
ROWS_EACH = 10

RACED = """
select count(*) filter (where status = 'completed') as completed,
    count(*) filter (where lease_token <> 1) as claimed_twice,
    sum(processed_rows) as processed_rows
from jobd.job
"""
# A claim, a rescue and another claim: each raises the token once.
TAKEN_OVER = "select count(*) from jobd.job where lease_token = 3 and worker_id is not null"
LOST_AT = "select lost_at from jobd.worker where lost_at is not null"
LOOKED_SINCE = "select count(*) from jobd.worker where heartbeat_at > $1::timestamptz + interval '1 s'"
RUNNERS = """
select count(distinct data ->> 'worker_id') as workers, count(*) as starts, count(distinct job_id) as jobs
from jobd.job_event
where new_status = 'running' and event_type = 'status_changed'
"""


async def all_ended(database: Database) -> None:
    async def look() -> int:
        return int(await database.fetchval("select count(*) from jobd.job where completed_at is null"))

    await until(look, lambda left: left == 0, within=120)


async def ran_once(database: Database, jobs: int, rows: int) -> None:
    """Each job was claimed once, and both daemons had their share."""
    assert tuple(await database.fetchrow(RACED) or ()) == (jobs, 0, rows)
    assert tuple(await database.fetchrow(RUNNERS) or ()) == (2, jobs, jobs)


async def test_two_daemons_racing_for_200_imports_import_each_once(database: Database, tmp_path: Path) -> None:
    await database.execute("create table public.item (file int, number int)")
    for file in range(IMPORTS):
        lines = "".join(f"{file},{number}\n" for number in range(ROWS_EACH))
        (tmp_path / f"{file}.csv").write_text(f"file,number\n{lines}")
    with relay(database, tmp_path, concurrency=4) as daemons:
        for daemon in daemons.daemons:
            await daemon.logged("listening")
        await database.execute(
            "insert into jobd.job (source, target, options) "
            "select $1 || '/' || n || '.csv', 'public.item', $2::text::jsonb "
            "from generate_series(0, $3::int - 1) n",
            str(tmp_path),
            json.dumps({"batch_size": 4}),
            IMPORTS,
        )
        await all_ended(database)
    rows = await database.fetchrow("select count(*), count(distinct (file, number)) from public.item")
    assert tuple(rows or ()) == (IMPORTS * ROWS_EACH, IMPORTS * ROWS_EACH)
    await ran_once(database, IMPORTS, IMPORTS * ROWS_EACH)


async def test_three_rescuers_take_each_job_of_a_dead_worker_once(database: Database, tmp_path: Path) -> None:
    jobs = 12
    with relay(database, tmp_path, size=0) as daemons:
        doomed = daemons.start(concurrency=jobs)
        await doomed.logged("listening")
        await database.execute(
            "insert into jobd.job (job_type, handler, metadata) "
            "select 'processing', 'sleep', '{\"seconds\": 600}' from generate_series(1, $1::int)",
            jobs,
        )

        async def running() -> int:
            return int(await database.fetchval("select count(*) from jobd.job where status = 'running'"))

        await until(running, lambda seen: seen == jobs)
        rescuers = [daemons.start(concurrency=jobs) for _ in range(3)]
        for rescuer in rescuers:
            await rescuer.logged("listening")
        # Somebody holds the rows until all three have come for them, so that they really meet.
        holder = await database.connect()
        async with holder.transaction():
            await holder.execute("select from jobd.job for update")
            doomed.send(signal.SIGKILL)
            await died(doomed)
            lost_at = await until(lambda: database.fetchval(LOST_AT))
            await until(lambda: database.fetchval(LOOKED_SINCE, lost_at), lambda seen: seen == len(rescuers))

        async def runs_elsewhere() -> int:
            return int(await database.fetchval(TAKEN_OVER))

        await until(runs_elsewhere, lambda seen: seen == jobs)

        async def rescued() -> list[str]:
            return [line["job_id"] for each in rescuers for line in each.log() if line["event"] == "job rescued"]

        named = await until(rescued, lambda seen: len(seen) >= jobs)
    assert len(named) == len(set(named)) == jobs
    assert await database.fetchval("select count(*) from jobd.job where interrupt_count = 1") == jobs
