"""Goal: crash the server under running imports; they go on by themselves, soon, and nobody takes them away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from tests.fault.recovery import CREW, crew_at_work
from tests.fault.relay import relay
from tests.fault.rounds import rounds
from tests.fault.wire import UNDISTURBED
from tests.support.files import write_readings
from tests.support.imports import (
    assert_as_expected,
    completed,
    create_readings,
    processed_rows,
    submit_import,
    wait_for_rows,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database
    from tests.support.server_control import ServerControl

RESTARTS = 3
RECORDS = 3_000
FILES = ("readings.csv", "readings.jsonl")


@pytest.mark.parametrize("away_seconds", [0.0, 4.0], ids=["at once", "after a while"])
async def test_every_daemon_works_again_within_2_s_of_the_return_of_a_server_that_crashed(
    own_database: Database, control: ServerControl, tmp_path: Path, away_seconds: float
) -> None:
    database = own_database
    async with crew_at_work(database, tmp_path) as crew:
        for _ in range(rounds(2)):
            await crew.works(database)
            await database.close()
            await control.stop("immediate")
            await anyio.sleep(away_seconds)  # during which daemons try again, ever more rarely
            back_at = await control.start()
            await crew.works_again(database, back_at)
        # No job failed, none used a retry, and none was taken by a daemon that merely came back first.
        assert await crew.left(database) == [UNDISTURBED] * CREW
    crew.tell(f"a crash and {away_seconds:.0f} s")


async def test_imports_outlive_crashes_of_the_server_without_a_retry_or_a_rescue(
    own_database: Database, control: ServerControl, tmp_path: Path
) -> None:
    database = own_database
    jobs = []
    with relay(database, tmp_path, heartbeat_seconds=0.5, lease_seconds=10):
        for number, name in enumerate(FILES):
            readings = write_readings(tmp_path / name, RECORDS, seed=number)
            target = await create_readings(database, f"torn_{number}", existing=range(1, RECORDS, 7))
            jobs.append(
                (await submit_import(database, readings.path, target, {"batch_size": 20}), target, readings)
            )
        for _ in range(RESTARTS):
            for job_id, _, _ in jobs:
                await wait_for_rows(database, job_id, await processed_rows(database, job_id) + 100)
            await database.close()
            await control.restart("immediate")
        for job_id, _, _ in jobs:
            await completed(database, job_id)
    for job_id, target, readings in jobs:
        await assert_as_expected(database, job_id, target, readings.expected(range(1, RECORDS, 7)))
        job = await database.fetchrow(
            "select retry_count, interrupt_count, lease_token from jobd.job where id = $1", job_id
        )
        assert tuple(job or ()) == UNDISTURBED
