"""Daemon and schema a release apart: both ways round while nothing was removed, and not a moment longer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jobd.db import migrate, schema_text
from tests.support.daemons import daemon_process, daemon_within, get, submit, until, wait_for_status
from tests.support.schema import later_schema

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database

KNOWN = schema_text.load().version


async def test_a_schema_that_does_not_say_whom_it_admits_stops_a_daemon(target: Database, tmp_path: Path) -> None:
    await target.execute("alter table jobd.schema_version drop column if exists compatible_from")
    await target.execute("insert into jobd.schema_version (version, name) values (9000, 'later')")
    with daemon_process(target, tmp_path) as daemon:
        assert await daemon.exit_code() == 78
        assert "upgrade jobd" in daemon.log_path.read_text()


async def test_a_daemon_works_on_a_newer_schema_that_admits_it(target: Database, tmp_path: Path) -> None:
    await later_schema(target, compatible_from=KNOWN)
    job_id = await submit(target)
    with daemon_process(target, tmp_path) as daemon:
        await wait_for_status(target, job_id, "completed")
        assert (await daemon.logged("a schema of a later release"))["version"] == KNOWN + 1


async def test_a_daemon_does_not_start_after_a_contract_step(target: Database, tmp_path: Path) -> None:
    await later_schema(target, compatible_from=KNOWN + 1)
    with daemon_process(target, tmp_path) as daemon:
        assert await daemon.exit_code() == 78
        text = daemon.log_path.read_text()
        assert f"needs at least {KNOWN + 1}, this jobd knows {KNOWN}: upgrade jobd" in text
        assert "Traceback" not in text


async def test_a_contract_step_under_a_running_daemon_drains_it_and_fails_no_job(
    target: Database, tmp_path: Path
) -> None:
    with daemon_process(target, tmp_path, sample_seconds=0.2) as daemon:
        await daemon.logged("worker registered")
        job_id = await submit(target, "nothing")
        await wait_for_status(target, job_id, "completed")
        await later_schema(target, compatible_from=KNOWN + 1)
        assert (await daemon.logged("the schema admits this daemon no longer"))["level"] == "error"
        assert await daemon.exit_code() == 78
    assert await target.fetchval("select count(*) from jobd.worker") == 0


async def test_a_daemon_works_on_the_schema_before_and_says_so(target: Database, tmp_path: Path) -> None:
    await migrate.migrate_down(target.url, schema_text.OLDEST_SUPPORTED)
    job_id = await submit(target)
    with daemon_process(target, tmp_path) as daemon:
        await wait_for_status(target, job_id, "completed")
        assert (await daemon.logged("a schema of the release before"))["remedy"] == "jobd migrate"


async def test_a_running_daemon_lives_through_down_and_up_and_registers_anew_on_either(target: Database) -> None:
    alive = "select id from jobd.worker where lost_at is null"
    async with daemon_within(target) as daemon:
        for change in (
            migrate.migrate_down(target.url, schema_text.OLDEST_SUPPORTED),
            migrate.migrate(target.url),
        ):
            await change
            former = daemon.worker.id
            await target.execute("update jobd.worker set lost_at = now(), lost_reason = 'a test said so'")
            assert await until(lambda: target.fetchval(alive)) != former
            await wait_for_status(target, await submit(target), "completed")
        known = "select schema_version from jobd.worker where lost_at is null"
        assert await target.fetchval(known) == KNOWN


async def test_a_daemon_waits_where_the_schema_is_older_than_that(target: Database, tmp_path: Path) -> None:
    await target.execute("delete from jobd.schema_version where version >= $1", schema_text.OLDEST_SUPPORTED)
    with daemon_process(target, tmp_path) as daemon:
        assert "run `jobd migrate`" in (await daemon.logged("not ready"))["reason"]

        async def readiness() -> list[str]:
            return list(json.loads((await get(await daemon.port(), "/readyz"))[1])["reasons"])

        await until(readiness, lambda reasons: any("run `jobd migrate`" in each for each in reasons))
