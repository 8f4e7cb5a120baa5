"""Alerts on what becomes of jobs."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.ops.flow import flow
from tests.support.daemons import until, wait_for_status

if TYPE_CHECKING:
    from uuid import UUID

    from tests.ops.scene import Scene


BUDGET = ("JobdErrorBudgetFastBurn", "JobdErrorBudgetSlowBurn", "JobdJobsFailed")
# Fails until somebody makes the table.
FAULTY = "do $$ begin if to_regclass('mended') is null then raise 'the service is away'; end if; end $$"


@pytest.mark.drills(*BUDGET)
async def test_a_handler_that_fails_spends_the_error_budget_until_it_is_mended(scene: Scene) -> None:
    with scene.start(concurrency=4):
        await scene.alarm.are_up()
        async with flow(scene, "bad_sql", 0.3, metadata={"sql": FAULTY}, max_retries=0):
            await scene.alarm.fires("JobdErrorBudgetFastBurn", {"queue": "default"})
            await scene.alarm.fires("JobdJobsFailed", {"code": "database_error"})
            # Whoever is paged for the queue needs no ticket about it.
            await scene.alarm.fires_unsaid("JobdErrorBudgetSlowBurn", {"queue": "default"})
            for name in ("JobdErrorBudgetFastBurn", "JobdErrorBudgetSlowBurn"):
                (group,), listed = await scene.page(name).diagnose()
                assert (group["error_code"], group["submitted_role"]) == ("database_error", scene.login)
                assert "default" in listed
            failed = await failed_jobs(scene)
            (group,), told = await scene.page("JobdJobsFailed").diagnose(job_id=failed[0])
            assert "the service is away" in group["message"] + told
            await scene.as_daemon.execute("create table mended ()")
            for job in failed[:3]:
                await scene.page("JobdJobsFailed").mitigate("jobd retry", job_id=job)
                await wait_for_status(scene.database, job, "completed")
            for name in BUDGET:
                await scene.alarm.ends(name)


@pytest.mark.drills("JobdSubmissionsFail")
async def test_a_submitter_whose_jobs_cannot_be_taken_is_found_and_costs_no_error_budget(scene: Scene) -> None:
    """They write to a table that a migration of the application's has still to make."""
    with scene.start(concurrency=4):
        await scene.alarm.are_up()
        async with flow(scene, "bad_sql", 0.3, metadata={"sql": "insert into orders values (1)"}, max_retries=0):
            await scene.alarm.fires("JobdSubmissionsFail", {"queue": "default"})
            await scene.alarm.is_silent("JobdErrorBudgetFastBurn")
            ((group,),) = await scene.page("JobdSubmissionsFail").diagnose()
            assert (group["error_code"], group["submitted_role"]) == ("target_missing", scene.login)
            await scene.as_daemon.execute("create table orders (id int)")
            failed = await failed_jobs(scene)
            await scene.page("JobdSubmissionsFail").mitigate("jobd logs", job_id=failed[0])
            for job in failed[:3]:
                await scene.page("JobdSubmissionsFail").mitigate("jobd retry", job_id=job)
                await wait_for_status(scene.database, job, "completed")
            await scene.alarm.ends("JobdSubmissionsFail")


async def failed_jobs(scene: Scene) -> list[UUID]:
    return [row["id"] for row in await scene.database.fetch("select id from jobd.job where status = 'failed'")]


@pytest.mark.drills("JobdJobNotAdvancing")
async def test_a_job_that_stands_is_seen_although_its_lease_is_fresh(scene: Scene) -> None:
    with scene.start():
        job = await scene.submit("sleep", metadata={"seconds": 600})
        await scene.alarm.fires("JobdJobNotAdvancing", {"queue": "default"})
        page = scene.page("JobdJobNotAdvancing")
        standing, explained, locks = await page.diagnose(job_id=job)
        assert [row["id"] for row in standing] == [job]
        assert explained
        assert locks == []
        await page.mitigate("jobd.pause", job_id=job)
        await wait_for_status(scene.database, job, "paused")
        await scene.alarm.ends("JobdJobNotAdvancing")


@pytest.mark.drills("JobdLeasesLost")
async def test_a_host_that_stands_still_loses_its_leases_to_another(scene: Scene) -> None:
    with scene.start(concurrency=6, lease_seconds=3, instance="stood-still") as frozen:
        jobs = [await scene.submit("sleep", metadata={"seconds": 15}) for _ in range(5)]
        for job in jobs:
            await wait_for_status(scene.database, job, "running")
        await scene.alarm.sees('jobd_job_claims_total{queue="default"} >= 5')
        frozen.send(signal.SIGSTOP)
        with scene.start(port=scene.port + 1, concurrency=6, lease_seconds=3, instance="other"):
            await until(
                lambda: scene.database.fetchval("select count(*) from jobd.job where lost_lease_count > 0"),
                lambda seen: seen == len(jobs),
            )
            frozen.send(signal.SIGCONT)
            await scene.alarm.fires("JobdLeasesLost")
            workers, lost = await scene.page("JobdLeasesLost").diagnose()
            assert "stood-still" in workers
            assert [row["name"] for row in lost] == ["stood-still"]
            for job in jobs:
                await wait_for_status(scene.database, job, "completed", within=60)
            await scene.alarm.ends("JobdLeasesLost")
