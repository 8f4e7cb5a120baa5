from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import anyio
import pytest

from jobd.runner import points
from tests.support.daemons import daemon_process, daemon_within, job_row, submit, until, wait_for_status

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database

WORKER_OF = "select w.name from jobd.job j join jobd.worker w on w.id = j.worker_id where j.id = $1"
PROCESSED = "select processed_rows from jobd.job where id = $1"


async def rows_of(database: Database, job_id: UUID) -> int:
    return int(await database.fetchval("select count(*) from public.written where job_id = $1", job_id))


async def server_is_older_than(database: Database, seconds: float) -> None:
    """Just after the server's start an absent backend proves nothing, and nobody is rescued for it."""
    await until(
        lambda: database.fetchval("select now() - jobd.server_epoch() > make_interval(secs => $1)", seconds)
    )


@pytest.mark.parametrize("point", ["batch.begin", "batch.inside", "batch.commit", "batch.committed", "job.ended"])
async def test_a_daemon_killed_at_any_step_leaves_every_row_exactly_once(
    target: Database, tmp_path: Path, point: str
) -> None:
    nth = 1 if point == "job.ended" else 4
    with daemon_process(target, tmp_path, lease_seconds=3, test_point=f"{point}:{nth}") as daemon:
        job_id = await submit(target, "write_rows", metadata={"rows": 10})
        assert await daemon.exit_code() == -signal.SIGKILL
    committed = await rows_of(target, job_id)
    assert committed == await target.fetchval(PROCESSED, job_id)
    assert committed == {"batch.begin": 3, "batch.inside": 3, "batch.commit": 3, "batch.committed": 4}.get(
        point, 10
    )
    async with daemon_within(target, lease_seconds=3):
        await wait_for_status(target, job_id, "completed")
    job = await job_row(target, job_id)
    assert await rows_of(target, job_id) == 10 == job["processed_rows"] == job["items_updated"]
    assert (job["retry_count"], job["interrupt_count"]) == (0, 1)


async def test_a_killed_daemons_job_commits_again_elsewhere_within_3_seconds(
    target: Database, tmp_path: Path
) -> None:
    await server_is_older_than(target, 10)
    with ExitStack() as stack:
        daemons = {
            name: stack.enter_context(daemon_process(target, tmp_path, instance=name)) for name in ("one", "two")
        }
        for daemon in daemons.values():
            await daemon.logged("notifications")
        job_id = await submit(target, "write_rows", metadata={"rows": 100_000, "pause": 0.01})
        await until(lambda: target.fetchval(PROCESSED, job_id))
        victim = str(await target.fetchval(WORKER_OF, job_id))
        daemons[victim].process.kill()
        killed_at = time.monotonic()
        await daemons[victim].exit_code()
        before = int(await target.fetchval(PROCESSED, job_id))
        await until(lambda: target.fetchval(PROCESSED, job_id), lambda count: count > before, within=10)
        seconds = time.monotonic() - killed_at
        assert await target.fetchval(WORKER_OF, job_id) != victim
        assert await rows_of(target, job_id) >= before
    assert seconds < 3, seconds


async def test_a_worker_that_sleeps_beyond_its_lease_writes_nothing_and_holds_up_nobody(
    target: Database, tmp_path: Path
) -> None:
    with daemon_process(target, tmp_path, lease_seconds=3, instance="sleeper") as sleeper:
        job_id = await submit(target, "hold_row", metadata={"pause": 12})
        # It is in the middle of a batch, and holds the lock on the row that its successor wants to write.
        await until(lambda: target.fetchval("select count(*) from pg_locks where relation = 'written'::regclass"))
        await target.execute("update jobd.job set metadata = '{\"pause\": 0}' where id = $1", job_id)
        sleeper.send(signal.SIGSTOP)
        stopped_at = time.monotonic()
        with daemon_process(target, tmp_path, lease_seconds=3, instance="successor"):
            await wait_for_status(target, job_id, "completed", within=15)
            assert time.monotonic() - stopped_at < 10
            before = await job_row(target, job_id)
            sleeper.send(signal.SIGCONT)
            await sleeper.logged("declared dead by another daemon; registering anew")
            await until(lambda: target.fetchval("select count(*) from jobd.worker where lost_at is null"),
                        lambda count: count == 2)  # fmt: skip
            assert await job_row(target, job_id) == before
            assert await rows_of(target, job_id) == 1
            # It works again, as a new worker.
            others = [await submit(target) for _ in range(20)]
            for other in others:
                await wait_for_status(target, other, "completed")
            ended = [line for line in sleeper.log() if line["event"] == "attempt ended"]
            assert ended[0]["outcome"] == "lease_lost"


async def test_a_job_that_is_released_is_stopped_where_it_runs(target: Database) -> None:
    async with daemon_within(target, concurrency=1) as daemon:
        job_id = await submit(target, "write_rows", metadata={"rows": 100, "pause": 0.01})
        await until(lambda: target.fetchval(PROCESSED, job_id))
        assert await target.fetchval("select jobd.release($1)", job_id)
        await wait_for_status(target, job_id, "completed")
        lost = daemon.metrics.registry.get_sample_value(
            "jobd_job_attempts_total", {"queue": "default", "job_type": "processing", "outcome": "lease_lost"}
        )
    assert lost == 1
    assert await rows_of(target, job_id) == 100 == (await job_row(target, job_id))["processed_rows"]


async def test_a_worker_that_claims_a_job_again_ends_only_its_later_attempt(target: Database) -> None:
    attempts = 0
    both = anyio.Event()

    async def wait_for_both() -> None:
        """The endings of both leases are then written by one statement."""
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            await administrator.execute("select jobd.release($1)", job_id)
            await both.wait()
        else:
            both.set()

    administrator = await target.connect()
    job_id = await submit(target)
    points.register("job.ended", wait_for_both)
    async with daemon_within(target, concurrency=2) as daemon:
        await wait_for_status(target, job_id, "completed")

        async def ended() -> list[float | None]:
            labels = {"queue": "default", "job_type": "processing"}
            return [
                daemon.metrics.registry.get_sample_value("jobd_job_attempts_total", {**labels, "outcome": outcome})
                for outcome in ("completed", "lease_lost")
            ]

        await until(ended, lambda counts: sum(count or 0 for count in counts) == 2)
        assert await ended() == [1, 1]


async def test_a_file_that_kills_its_workers_is_stopped_after_five(target: Database, tmp_path: Path) -> None:
    job_id = await submit(target, "write_rows", metadata={"rows": 3})
    for _ in range(5):
        with daemon_process(
            target, tmp_path, lease_seconds=1.5, heartbeat_seconds=0.3, test_point="job.start"
        ) as daemon:
            assert await daemon.exit_code() == -signal.SIGKILL
    async with daemon_within(target, lease_seconds=1.5, heartbeat_seconds=0.3):
        await wait_for_status(target, job_id, "failed")
    job = await job_row(target, job_id)
    assert job["error_code"] == "worker_lost"
    assert job["lost_lease_count"] == 5


async def test_a_claim_whose_answer_was_lost_is_handed_back(target: Database) -> None:
    async with daemon_within(target, heartbeat_seconds=0.1, queues="default,other") as daemon:
        job_id = await submit(target, queue="elsewhere")
        # As if this worker had claimed it and never heard so.
        claimed = await target.fetch("select id from jobd.claim($1, array['elsewhere'], 1)", daemon.worker.id)
        assert [row["id"] for row in claimed] == [job_id]
        await wait_for_status(target, job_id, "pending", within=5)
    assert (await job_row(target, job_id))["interrupt_count"] == 1
