from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from tests.support.daemons import (
    daemon_process,
    daemon_within,
    get,
    job_row,
    submit,
    until,
    wait_for_status,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database


async def rows(database: Database) -> int:
    return int(await database.fetchval("select count(*) from public.written"))


async def test_sigterm_hands_the_job_back_without_a_retry_and_another_daemon_continues_it(
    target: Database, tmp_path: Path
) -> None:
    with daemon_process(target, tmp_path) as daemon:
        job_id = await submit(target, "write_rows", metadata={"rows": 100, "pause": 0.01})
        await until(lambda: rows(target))
        daemon.send(signal.SIGTERM)
        assert await daemon.exit_code() == 0
    job = await job_row(target, job_id)
    assert (job["status"], job["retry_count"], job["interrupt_count"]) == ("pending", 0, 1)
    assert 0 < job["processed_rows"] == await rows(target) < 100
    assert await target.fetchval("select count(*) from jobd.worker") == 0
    async with daemon_within(target):
        await wait_for_status(target, job_id, "completed")
    assert await rows(target) == 100 == (await job_row(target, job_id))["processed_rows"]


async def test_a_batch_that_does_not_end_within_the_grace_is_rolled_back(target: Database, tmp_path: Path) -> None:
    with daemon_process(target, tmp_path, shutdown_grace_seconds=0.5) as daemon:
        job_id = await submit(target, "hold_row")
        await until(lambda: target.fetchval("select count(*) from pg_locks where relation = 'written'::regclass"))
        daemon.send(signal.SIGTERM)
        assert await daemon.exit_code(within=5) == 0
    job = await job_row(target, job_id)
    assert (job["status"], job["retry_count"], await rows(target)) == ("pending", 0, 0)


async def test_a_second_sigterm_rolls_back_and_leaves_at_once(target: Database, tmp_path: Path) -> None:
    with daemon_process(target, tmp_path, shutdown_grace_seconds=60) as daemon:
        job_id = await submit(target, "hold_row")
        await until(lambda: target.fetchval("select count(*) from pg_locks where relation = 'written'::regclass"))
        daemon.send(signal.SIGTERM)
        await daemon.logged("draining")
        port = await daemon.port()
        assert (await get(port, "/readyz"))[0] == 503
        assert (await get(port, "/healthz"))[0] == 200
        daemon.send(signal.SIGTERM)
        asked_at = time.monotonic()
        assert await daemon.exit_code() == 0
        assert time.monotonic() - asked_at < 3
    job = await job_row(target, job_id)
    assert (job["status"], job["retry_count"], await rows(target)) == ("pending", 0, 0)


async def test_a_short_job_is_allowed_to_end_during_the_grace(target: Database, tmp_path: Path) -> None:
    with daemon_process(target, tmp_path) as daemon:
        job_id = await submit(target, "sleep", metadata={"seconds": 1})
        await wait_for_status(target, job_id, "running")
        daemon.send(signal.SIGINT)
        assert await daemon.exit_code() == 0
    assert (await job_row(target, job_id))["status"] == "completed"


async def test_a_daemon_with_a_job_that_ignores_everything_still_leaves(target: Database, tmp_path: Path) -> None:
    with daemon_process(target, tmp_path, shutdown_grace_seconds=0.2, stop_timeout_seconds=0.5) as daemon:
        job_id = await submit(target, "disobey", metadata={"seconds": 300})
        await until(lambda: target.fetchval("select count(*) from pg_locks where relation = 'written'::regclass"))
        daemon.send(signal.SIGTERM)
        assert await daemon.exit_code(within=10) == 0
    job = await job_row(target, job_id)
    assert (job["status"], job["retry_count"], await rows(target)) == ("pending", 0, 0)


async def test_jobs_claimed_ahead_are_handed_back_on_sigterm(target: Database, tmp_path: Path) -> None:
    with daemon_process(target, tmp_path) as daemon:
        await daemon.logged("worker registered")
        await target.execute(
            "insert into jobd.job (job_type, handler)"
            " select 'processing', 'nothing' from generate_series(1, 20000)"
        )
        await until(lambda: target.fetchval("select count(*) from jobd.job where status = 'completed'"))
        daemon.send(signal.SIGTERM)
        assert await daemon.exit_code() == 0
    counts = await target.fetch("select status, max(retry_count) from jobd.job group by status order by status")
    assert [tuple(row) for row in counts] == [("completed", 0), ("pending", 0)]


async def test_sighup_takes_over_what_can_be_changed(target: Database, tmp_path: Path) -> None:
    env_file = tmp_path / "jobd.env"
    env_file.write_text("JOBD_CONCURRENCY=1\n")
    with daemon_process(target, tmp_path, env_file=env_file) as daemon:
        await daemon.logged("listening")
        env_file.write_text("JOBD_CONCURRENCY=3\nJOBD_QUEUES=default,other\n")
        daemon.send(signal.SIGHUP)
        line = await daemon.logged("settings read again")
        assert (line["taken_over"], line["needs_restart"]) == (["concurrency"], ["queues"])
        for _ in range(3):
            await submit(target, "sleep")
        running = "select count(*) from jobd.job where status = 'running'"
        await until(lambda: target.fetchval(running), lambda count: count == 3)
        env_file.write_text("JOBD_CONCURENCY=3\n")
        daemon.send(signal.SIGHUP)
        line = await daemon.logged("settings not reloaded")
        assert "JOBD_CONCURRENCY" in line["reason"]


async def test_a_daemon_told_to_stop_before_it_had_a_database_just_leaves(
    empty_database: Database, tmp_path: Path
) -> None:
    with daemon_process(empty_database, tmp_path) as daemon:
        line = await daemon.logged("not ready")
        assert "jobd migrate" in line["reason"]
        assert (await get(await daemon.port(), "/readyz"))[0] == 503
        daemon.send(signal.SIGTERM)
        assert await daemon.exit_code() == 0
