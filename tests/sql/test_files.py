"""What a batch says of its files, however many the job has."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.sql.roles import submit
from tests.support.daemons import until
from tests.support.worker import SimulatedWorker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.database import Database

FILES = """
insert into jobd.job_file (job_id, position, file, submitted_role_oid)
select $1, n, 'f' || n, 10 from generate_series(1, $2) n"""


def entries(positions: Sequence[int], status: str = "completed", added: int = 1) -> str:
    none = dict.fromkeys(("updated", "unchanged", "skipped", "refused"), 0)
    return json.dumps([{"position": at, "status": status, "added": added, **none} for at in positions])


async def test_counts_are_added_to_the_files_that_a_batch_names_and_to_no_others(database: Database) -> None:
    connection, job_id = await database.connect(), uuid4()
    await connection.execute(FILES, job_id, 9)
    record = "select jobd.record_files($1, $2)"
    assert await connection.fetchval(record, job_id, entries([3], "running", 5)) == 0
    assert await connection.fetchval(record, job_id, entries([7, 3, 4], added=2)) == 3
    assert await connection.fetchval(record, uuid4(), entries([1])) == 0
    rows = await connection.fetch(
        "select position, status, items_added, processed_rows from jobd.job_file where job_id = $1"
        " and (status <> 'pending' or processed_rows > 0) order by position",
        job_id,
    )
    assert [tuple(row) for row in rows] == [
        (3, "completed", 7, 7),
        (4, "completed", 2, 2),
        (7, "completed", 2, 2),
    ]


@pytest.mark.contrib("auto_explain")
@pytest.mark.parametrize("joins", ["on", "off"])
async def test_a_batch_of_many_files_reads_each_of_its_files_once_however_its_rows_were_merged(
    database: Database, joins: str
) -> None:
    """A table just filled has no statistics yet: guessing few files, a plan went through all for each of them."""
    connection, job_id = await database.connect(), uuid4()
    await connection.execute("alter table jobd.job_file set (autovacuum_enabled = off)")
    for _ in range(3):
        await connection.execute(FILES, uuid4(), 2_000)
    await connection.execute("analyze jobd.job_file")
    await connection.execute(FILES, job_id, 4_000)
    plans: list[str] = []
    connection.add_log_listener(lambda _, message: plans.append(str(message)))
    await connection.execute(
        "load 'auto_explain'; set auto_explain.log_min_duration = 0; set auto_explain.log_level = notice;"
        "set auto_explain.log_analyze = on;"
        "set auto_explain.log_nested_statements = on; set client_min_messages = notice;"
        f"set enable_hashjoin = {joins}; set enable_mergejoin = {joins}"
    )
    if connection.get_server_version() >= (16,):
        await connection.execute("set auto_explain.log_parameter_max_length = 0")
    named = range(1_001, 2_001)
    assert await connection.fetchval("select jobd.record_files($1, $2)", job_id, entries(named)) == len(named)
    plan = next(text for text in plans if "Update on job_file" in text)
    read = re.findall(
        r"Scan (?:using \w+ )?on (?:job_file|jsonb_to_recordset|r).*rows=(\d+)\S* loops=(\d+)\)", plan
    )
    assert len(read) >= 2, plan
    assert sum(int(rows) * int(loops) for rows, loops in read) <= 6 * len(named), plan


async def test_hashes_that_become_known_while_a_batch_is_committed_do_not_lock_it_out(database: Database) -> None:
    """A batch locks its files, then its job; whoever locks them the other way round meets it in a deadlock."""
    worker = SimulatedWorker(database)
    await worker.register()
    job_id = await submit(await database.connect())
    await worker.claim()
    await database.execute(FILES, job_id, 1)
    batch, hashing = await database.connect(), await database.connect()
    async with batch.transaction():
        assert await batch.fetchval("select jobd.record_files($1, $2)", job_id, entries([1])) == 1
        begun = asyncio.create_task(
            hashing.execute(
                "select jobd.begin($1, $2, null, p_file_hashes => array['h'])", job_id, worker.tokens[job_id]
            )
        )
        waits = "select count(*) from pg_locks where pid = $1 and not granted"
        await until(lambda: database.fetchval(waits, hashing.get_server_pid()))
        await batch.execute("set local lock_timeout = '500ms'; select from jobd.job for no key update")
    await begun
    assert await database.fetchval("select file_hash from jobd.job_file") == "h"
