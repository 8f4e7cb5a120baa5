from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sql.test_prune import make_ended
from tests.support.daemons import daemon_within, submit, until, wait_for_status

if TYPE_CHECKING:
    from tests.support.database import Database


@pytest.mark.parametrize(("days", "left"), [(30, 1), (365, 10_101)])
async def test_the_daemon_deletes_jobs_that_ended_longer_ago_than_is_set_and_keeps_failed_ones(
    database: Database, days: int, left: int
) -> None:
    await make_ended(database, 10_100, age="100 days")
    await make_ended(database, 1, "failed", age="100 days")
    async with daemon_within(database, prune_after_days=days) as daemon:
        daemon._pruner._prune_at = 0.0
        daemon._pruner.wakeup.set()
        await wait_for_status(database, await submit(database), "completed")

        async def is_done() -> bool:
            return daemon._pruner._prune_at > 0

        await until(is_done)
    assert await database.fetchval("select count(*) from jobd.job where status = 'completed'") == left
    assert await database.fetchval("select count(*) from jobd.job where status = 'failed'") == 1
