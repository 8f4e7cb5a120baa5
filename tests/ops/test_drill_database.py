"""Alerts on the database and the way to it."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from jobd.db import migrate
from jobd.db.schema_text import OLDEST_SUPPORTED
from tests.ops import scene as scenes
from tests.ops.flow import flow
from tests.support.cutting_proxy import cutting_proxy
from tests.support.daemons import get, wait_for_status
from tests.support.database import Database, create_database
from tests.support.names import unique
from tests.support.pooler import pooler
from tests.support.server_control import ServerControl, controlled_server
from tests.support.small_disk import SmallDisk, small_disk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.ops.alarm import Alarm
    from tests.ops.scene import Scene


@pytest.fixture
def control() -> Iterator[ServerControl]:
    """A server of the test's own."""
    with controlled_server() as control:
        yield control


@pytest.fixture
async def own_scene(
    request: pytest.FixtureRequest, control: ServerControl, alarm: Alarm, tmp_path: Path
) -> AsyncIterator[Scene]:
    """A scene on that server."""
    database = Database(control.server, unique("drill"))
    await create_database(control.server, database.name)
    await migrate.migrate(database.url)
    scene = await scenes.scene(database, alarm, tmp_path)
    yield scene
    await database.close()
    scenes.assert_complete(request, scene)


@pytest.mark.drills("JobdDatabaseUnreachable")
async def test_a_database_that_is_down_pages_until_it_is_back_and_nothing_has_to_be_restarted(
    own_scene: Scene, control: ServerControl
) -> None:
    scene = own_scene
    with scene.start():
        await scene.alarm.are_up()
        await scene.alarm.is_silent("JobdDatabaseUnreachable")
        await control.stop("immediate")
        fired = await scene.alarm.fires("JobdDatabaseUnreachable")
        assert fired["labels"]["severity"] == "page"
        # Whatever else fires follows from it.
        await scene.alarm.fires_unsaid("JobdHeartbeatsFail")
        examined, asked = await scene.page("JobdDatabaseUnreachable").diagnose()
        assert "cannot be reached" in examined
        assert "the database is away" in asked
        assert "no response" in asked
        await control.start()
        await scene.alarm.ends("JobdDatabaseUnreachable")
        _, ready = await get(scene.port, "/readyz")
        assert '"ready"' in ready or '"degraded"' in ready


@pytest.mark.drills("JobdNotReady", "JobdHeartbeatsFail")
async def test_one_host_that_is_cut_off_is_told_and_others_are_not(scene: Scene) -> None:
    async with cutting_proxy(scene.database) as network:
        url = network.url_of(scene.url)
        with scene.start(database_url=url, instance="cut"), scene.start(port=scene.port + 1, instance="well"):
            await scene.alarm.are_up(2)
            await scene.alarm.sees("sum(jobd_ready) == 2")
            network.refuse()
            network.reset()
            cut = {"instance": f"127.0.0.1:{scene.port}"}
            await scene.alarm.fires("JobdHeartbeatsFail", cut)
            await scene.alarm.fires("JobdNotReady", cut)
            assert len(await scene.alarm.firing("JobdNotReady")) == 1
            await scene.alarm.is_silent("JobdDatabaseUnreachable")
            page = scene.page("JobdNotReady")
            page.hands.settings["JOBD_DATABASE_URL"] = url
            asked, examined = await page.diagnose()
            assert "the database is away" in asked
            assert "cannot be reached" in examined
            workers, examined = await scene.page("JobdHeartbeatsFail").diagnose()
            assert "cut" in workers
            network.accept()
            for name in ("JobdHeartbeatsFail", "JobdNotReady"):
                await scene.alarm.ends(name)


# What the migration to the oldest version made that this release works with.
TO_OLDEST = """
alter table jobd.queue drop column wait_objective_seconds;
delete from jobd.schema_version where version = (select max(version) from jobd.schema_version);
"""


@pytest.mark.drills("JobdSchemaMismatch")
async def test_a_daemon_that_was_upgraded_before_its_schema_pages_until_it_is_migrated(scene: Scene) -> None:
    await migrate.migrate_down(scene.database.url, OLDEST_SUPPORTED)
    await scene.database.execute(TO_OLDEST)
    with scene.start():
        fired = await scene.alarm.fires("JobdSchemaMismatch")
        assert fired["labels"]["severity"] == "page"
        # No heartbeat was answered either; but that is not what somebody has to be woken for.
        await scene.alarm.fires_unsaid("JobdDatabaseUnreachable")
        versions, checked = await scene.page("JobdSchemaMismatch").diagnose()
        assert f"version {versions[0]['version']}" in checked
        await scene.page("JobdSchemaMismatch").mitigate("jobd migrate")
        await wait_for_status(scene.database, await scene.submit(), "completed")
        await scene.alarm.ends("JobdSchemaMismatch")
        assert [
            each for each in scene.alarm.notices if each.labels["alertname"] == "JobdDatabaseUnreachable"
        ] == []


@pytest.mark.drills("JobdListenerDeaf")
async def test_a_daemon_behind_a_pooler_is_deaf_until_it_is_given_a_direct_url(scene: Scene) -> None:
    with pooler(scene.database, [scene.login]) as between:
        url = between.url(scene.database, scene.login)
        with scene.start(database_url=url):
            await scene.alarm.fires("JobdListenerDeaf")
            page = scene.page("JobdListenerDeaf")
            page.hands.settings["JOBD_DATABASE_URL"] = url
            (examined,) = await page.diagnose()
            assert "JOBD_NOTIFY_DATABASE_URL" in examined
        with scene.start(database_url=url, notify_database_url=scene.url):
            await scene.alarm.ends("JobdListenerDeaf")


@pytest.mark.drills("JobdTooManyConnections")
async def test_connections_that_others_took_are_found_and_ended(own_scene: Scene) -> None:
    scene = own_scene
    await scene.table()
    with scene.start():
        await scene.alarm.sees("sum(jobd_ready) == 1")
        taken = []
        with contextlib.suppress(asyncpg.TooManyConnectionsError):
            while True:
                taken.append(await scene.application("jobd_monitor"))
        async with flow(scene, "write_rows", 1, scene.as_daemon, metadata={"rows": 1}):
            await scene.alarm.fires("JobdTooManyConnections")
            takers, limits = await scene.page("JobdTooManyConnections").diagnose()
            assert {row["name"] for row in limits} == {"max_connections", "superuser_reserved_connections"}
            assert len([row for row in takers if row["usename"].startswith("app")]) > 10
            for session in taken[:10]:
                page = scene.page("JobdTooManyConnections")
                await page.mitigate("pg_terminate_backend", pid=session.get_server_pid())
            await scene.alarm.ends("JobdTooManyConnections")


@pytest.fixture
def disk(control: ServerControl) -> Iterator[SmallDisk]:
    """A volume of that server's, of 8 MB."""
    with tempfile.TemporaryDirectory(prefix="jobd-disk-") as place:
        Path(place).chmod(0o755)
        with small_disk(Path(place) / "disk", 8, control.server.system_user) as disk:
            yield disk


@pytest.mark.drills("JobdDiskFull")
async def test_a_full_disk_pages_until_there_is_room(disk: SmallDisk, own_scene: Scene) -> None:
    scene = own_scene
    await scene.database.execute(f"create tablespace small location '{disk.path}'")
    await scene.database.execute(f"grant create on tablespace small to {scene.login}")
    await scene.table()
    await scene.as_daemon.execute("alter table written set tablespace small")
    disk.fill()
    with scene.start():
        job = await scene.submit("write_rows", metadata={"rows": 3})
        fired = await scene.alarm.fires("JobdDiskFull")
        assert fired["labels"]["severity"] == "page"
        tables, slots = await scene.page("JobdDiskFull").diagnose()
        assert "job" in {row["relname"] for row in tables}
        assert slots == []
        disk.grow(64)  # the page: enlarge the volume
        await wait_for_status(scene.database, job, "completed", within=60)
        await scene.alarm.ends("JobdDiskFull")
