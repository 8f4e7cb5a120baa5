"""Goal: kill an import often, at any moment, and find what an undisturbed one leaves, record for record."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from tests.fault.relay import Relay, relay
from tests.fault.rounds import rounds
from tests.support.files import write_readings
from tests.support.imports import (
    assert_as_expected,
    assert_same,
    completed,
    create_readings,
    outcome_of,
    processed_rows,
    submit_import,
    wait_for_rows,
)

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database

KILLS = rounds(10)
RECORDS = 400 * KILLS
BATCH_SIZE = 20
# A batch takes some milliseconds, so this reaches any moment of it.
MOMENT_SECONDS_MAX = 0.02


async def kill_at_random(daemons: Relay, job_id: UUID, dice: random.Random) -> None:
    """Each kill comes some time after a record that was drawn, so that the import advances between two of them."""
    for number in range(KILLS):
        at = await processed_rows(daemons.database, job_id)
        stretch = (RECORDS - at) // (KILLS - number + 1)
        await wait_for_rows(daemons.database, job_id, at + dice.randint(1, stretch))
        # The one wait for time: which moment of the open batch is hit is to be chance.
        await asyncio.sleep(dice.uniform(0, MOMENT_SECONDS_MAX))
        await daemons.kill_holder(job_id)


@pytest.mark.parametrize("name", ["readings.csv", "readings.jsonl"])
async def test_many_kills_at_random_moments_leave_what_an_undisturbed_import_leaves(
    database: Database, tmp_path: Path, name: str
) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")
    readings = write_readings(tmp_path / name, RECORDS, seed=seed)
    calm, torn = await create_readings(database, "calm"), await create_readings(database, "torn")
    options = {"batch_size": BATCH_SIZE}
    with relay(database, tmp_path) as daemons:
        undisturbed = await submit_import(database, readings.path, calm, options)
        await completed(database, undisturbed)
        job_id = await submit_import(database, readings.path, torn, options, max_retries=0)
        await kill_at_random(daemons, job_id, random.Random(seed))  # noqa: S311  to be repeated
        await completed(database, job_id)

    assert_same(await outcome_of(database, job_id, torn), await outcome_of(database, undisturbed, calm))
    await assert_as_expected(database, job_id, torn, readings.expected())
    # At least one for each kill; a loaded machine may lose a lease besides, which is no failure either.
    job = await database.fetchrow("select interrupt_count, retry_count from jobd.job where id = $1", job_id)
    assert job is not None
    assert (job["interrupt_count"] >= KILLS, job["retry_count"]) == (True, 0)
