"""Goal: lose the primary and promote its standby; daemons that know both go on there, and the totals add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fault.recovery import CREW, crew_at_work
from tests.fault.wire import UNDISTURBED
from tests.support.backends import backends
from tests.support.daemons import until
from tests.support.database import Database
from tests.support.imports import processed_rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.server_control import ServerControl

FOLLOWED = "select count(*) from pg_stat_replication"


@pytest.fixture
async def standby(control: ServerControl, own_database: Database) -> AsyncIterator[ServerControl]:
    """A standby of the server, which may be stopped for it; it is started again at the end."""
    with control.standby() as standby:
        yield standby
    if not control.is_running:
        await control.start()
    await control.configure("alter system reset all")


def url_of_both(database: Database, *controls: ServerControl) -> str:
    """The database on whichever of the servers takes writes."""
    hosts = ",".join(f"127.0.0.1:{control.server.port}" for control in controls)
    return f"postgresql://postgres@{hosts}/{database.name}?target_session_attrs=read-write"


async def test_every_daemon_works_again_within_2_s_of_a_failover_that_loses_nothing(
    control: ServerControl, standby: ServerControl, own_database: Database, tmp_path: Path
) -> None:
    successor = Database(standby.server, own_database.name)
    async with (
        control.waiting_for_standby(),
        crew_at_work(own_database, tmp_path, database_url=url_of_both(own_database, control, standby)) as crew,
    ):
        await crew.works(own_database)
        seen = {job_id: await processed_rows(own_database, job_id) for job_id in crew.jobs.values()}
        await own_database.close()
        await control.stop("immediate")
        await crew.works_again(successor, await standby.promote())
        for job_id, rows in seen.items():
            assert await processed_rows(successor, job_id) >= rows
        assert await crew.left(successor) == [UNDISTURBED] * CREW
        await successor.close()
    crew.tell("a failover")


async def test_what_a_failover_lost_is_imported_again_from_the_cursor_that_survived(
    control: ServerControl, standby: ServerControl, own_database: Database, tmp_path: Path
) -> None:
    successor = Database(standby.server, own_database.name)
    url = url_of_both(own_database, control, standby)
    async with crew_at_work(own_database, tmp_path, database_url=url) as crew:
        await standby.stop_following()
        await until(lambda: own_database.fetchval(FOLLOWED), lambda followers: followers == 0)
        await crew.works(own_database)
        believed = {job_id: await processed_rows(own_database, job_id) for job_id in crew.jobs.values()}
        await own_database.close()
        await control.stop("immediate")
        promoted_at = await standby.promote()
        for job_id, rows in believed.items():
            assert await processed_rows(successor, job_id) < rows
        await crew.works_again(successor, promoted_at)
        # The former primary may be back, as it was.
        await control.start()
        await crew.works(successor)
        assert await backends(own_database) == []
        assert [retries for retries, *_ in await crew.left(successor)] == [0] * CREW
        await successor.close()
    crew.tell("a failover that lost commits")
