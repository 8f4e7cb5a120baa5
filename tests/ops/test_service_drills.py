"""Alerts whose pages speak of services, on daemons that are some: commands run on their host as they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from jobd.db.embedded import free_port
from tests.ops.flow import flow
from tests.ops.service import Service
from tests.support import programs
from tests.support.daemons import until, wait_for_status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.ops.service import BoxScene


@pytest.fixture
def other(box_scene: BoxScene) -> Iterator[Service]:
    """A second daemon of the host, jobd@b, scraped as well; not started yet."""
    scene, _ = box_scene
    assert scene.box is not None
    daemon, port = Service(scene.box, "b"), free_port()
    daemon.configure(scene.url, metrics_listen=f"127.0.0.1:{port}", sample_seconds=1)
    scene.watch(scene.port)
    scene.watch(port)
    yield daemon
    daemon.remove()
    scene.box.tried("systemctl", "disable", "jobd@main", "jobd@b")


@pytest.mark.drills("JobdInstanceDown", "JobdAbsent")
async def test_a_lost_daemon_is_missed_and_when_all_are_somebody_is_paged(
    box_scene: BoxScene, other: Service
) -> None:
    scene, daemon = box_scene
    daemon.systemctl("enable")
    other.systemctl("enable")
    daemon.box.run("systemctl", "start", "jobd.target")
    await scene.alarm.are_up(2)
    daemon.systemctl("stop")
    down = {"instance": f"127.0.0.1:{scene.port}"}
    await scene.alarm.fires("JobdInstanceDown", down)
    await scene.alarm.is_silent("JobdAbsent")
    on_host, workers = await scene.page("JobdInstanceDown").diagnose()
    assert "Active: inactive" in on_host
    assert "b@" in workers
    await scene.page("JobdInstanceDown").mitigate("systemctl start jobd@main")
    await scene.alarm.ends("JobdInstanceDown")
    daemon.systemctl("stop")
    other.systemctl("stop")
    fired = await scene.alarm.fires("JobdAbsent")
    assert fired["labels"]["severity"] == "page"
    on_host, workers = await scene.page("JobdAbsent").diagnose()
    assert "Active: inactive" in on_host
    assert "Active: active" not in on_host
    await scene.page("JobdAbsent").mitigate("systemctl start jobd.target")
    await scene.alarm.ends("JobdAbsent")


@pytest.mark.drills("JobdInstanceDown")
async def test_a_daemon_that_ends_before_it_can_be_scraped_is_down(box_scene: BoxScene, other: Service) -> None:
    scene, daemon = box_scene
    other.systemctl("start")
    daemon.set(metrics_listen=f"127.0.0.1:{scene.port}", handlers="ops_crash")
    daemon.box.tried("systemctl", "start", daemon.unit)
    await scene.alarm.fires("JobdInstanceDown", {"instance": f"127.0.0.1:{scene.port}"})
    await scene.alarm.is_silent("JobdRestartLoop")
    daemon.box.until(daemon.unit, "SubState", "failed", within=60)  # after ten starts
    on_host, _ = await scene.page("JobdInstanceDown").diagnose()
    assert "status=3" in on_host
    daemon.set(metrics_listen=f"127.0.0.1:{scene.port}")
    daemon.box.run("systemctl", "reset-failed", daemon.unit)
    await scene.page("JobdInstanceDown").mitigate("systemctl start jobd@main")
    await scene.alarm.ends("JobdInstanceDown")


# A start takes its second or two however quick everything else is.
@pytest.mark.drills("JobdRestartLoop", factor=20)
async def test_jobs_that_kill_their_worker_again_and_again_are_found_and_held(box_scene: BoxScene) -> None:
    scene, daemon = box_scene
    scene.watch(scene.port)
    place = f"127.0.0.1:{scene.port}"
    # Ten starts in five minutes are few where a minute is three seconds.
    daemon.configure(scene.url, unit="[Unit]\nStartLimitIntervalSec=0", metrics_listen=place, sample_seconds=1)
    daemon.systemctl("start")
    await scene.alarm.are_up()
    page = scene.page("JobdRestartLoop")
    async with flow(scene, "perish", 4, metadata={"seconds": 1}):  # each is failed after its fifth time
        fired = await scene.alarm.fires("JobdRestartLoop")
    assert fired["labels"]["severity"] == "page"
    on_host, deadly = await page.diagnose()
    assert "status=137" in on_host
    assert deadly[0]["lost_lease_count"] > 0
    alive = "select id from jobd.job where status in ('pending', 'running')"
    for row in await scene.database.fetch(alive):
        await page.mitigate("kills its worker", job_id=row["id"])
    await scene.alarm.ends("JobdRestartLoop")
    assert daemon.property("ActiveState") == "active"


@pytest.mark.drills("JobdDrainTooLong")
async def test_a_daemon_that_does_not_come_to_its_end_is_ended_by_a_second_signal(
    box_scene: BoxScene, other: Service
) -> None:
    scene, daemon = box_scene
    daemon.set(metrics_listen=f"127.0.0.1:{scene.port}", shutdown_grace_seconds=600)
    daemon.systemctl("start")
    await scene.alarm.are_up()
    job = await scene.submit("slow", metadata={"seconds": 600})
    await wait_for_status(scene.database, job, "running")
    other.systemctl("start")
    await scene.alarm.are_up(2)
    daemon.systemctl("stop", "--no-block")
    await scene.alarm.fires("JobdDrainTooLong", {"instance": f"127.0.0.1:{scene.port}"})
    log, running = await scene.page("JobdDrainTooLong").diagnose()
    assert "draining" in log
    assert [row["id"] for row in running] == [job]
    await scene.page("JobdDrainTooLong").mitigate("systemctl kill -s TERM")
    daemon.box.until(daemon.unit, "ActiveState", "inactive")
    assert daemon.property("Result") == "success"
    await scene.alarm.ends("JobdDrainTooLong")
    held = "select w.name from jobd.job j join jobd.worker w on w.id = j.worker_id where j.id = $1"
    await until(
        lambda: scene.database.fetchval(held, job), lambda seen: seen is not None and seen.startswith("b@")
    )


@pytest.mark.drills("JobdReloadFailed")
async def test_settings_that_a_reload_refused_are_named_until_they_are_mended(box_scene: BoxScene) -> None:
    scene, daemon = box_scene
    scene.watch(scene.port)
    daemon.systemctl("start")
    await scene.alarm.are_up()
    place = f"127.0.0.1:{scene.port}"
    daemon.set(metrics_listen=place, concurrency="many")
    daemon.systemctl("reload")
    await scene.alarm.fires("JobdReloadFailed", {"instance": place})
    (told,) = await scene.page("JobdReloadFailed").diagnose()
    assert "settings not reloaded" in told
    assert "JOBD_CONCURRENCY" in daemon.box.status(daemon.unit)
    daemon.set(metrics_listen=place, concurrency=3)
    await scene.page("JobdReloadFailed").mitigate("systemctl reload")
    await scene.alarm.ends("JobdReloadFailed")


@pytest.mark.drills("JobdEventLoopLag")
async def test_a_handler_that_computes_in_the_event_loop_is_found_and_paused(box_scene: BoxScene) -> None:
    scene, daemon = box_scene
    scene.watch(scene.port)
    daemon.systemctl("start")
    await scene.alarm.are_up()
    job = await scene.submit("compute")
    await scene.alarm.fires("JobdEventLoopLag")
    on_host, running = await scene.page("JobdEventLoopLag").diagnose()
    assert "jobd" in on_host
    assert [(row["id"], row["handler"]) for row in running] == [(job, "compute")]
    await scene.page("JobdEventLoopLag").mitigate("blocks the event loop", job_id=job)
    await scene.alarm.ends("JobdEventLoopLag")


@pytest.mark.drills("JobdClaimsFail", "JobdConstraintViolations")
async def test_rights_that_somebody_took_away_are_named_and_laid_anew(box_scene: BoxScene) -> None:
    scene, daemon = box_scene
    scene.watch(scene.port)
    daemon.systemctl("start")
    await scene.alarm.are_up()
    await scene.database.execute("revoke execute on function jobd.claim from jobd_worker")
    await scene.submit()
    await scene.alarm.fires("JobdClaimsFail")
    await scene.alarm.fires("JobdConstraintViolations", {"class": "privilege"})
    on_host, examined, locks = await scene.page("JobdClaimsFail").diagnose()
    assert "permission denied" in on_host or "42501" in on_host
    assert locks == []
    examined_again, failed, log = await scene.page("JobdConstraintViolations").diagnose()
    assert examined_again == examined
    assert failed == []
    assert "42501" in log
    assert "jobd migrate --sql" in " ".join(examined.split())
    await scene.page("JobdConstraintViolations").mitigate("jobd migrate --sql")
    for name in ("JobdClaimsFail", "JobdConstraintViolations"):
        await scene.alarm.ends(name)


@pytest.mark.drills("JobdClockSkew")
async def test_a_host_whose_clock_is_wrong_is_told_until_it_is_right(box_scene: BoxScene) -> None:
    scene, daemon = box_scene
    scene.watch(scene.port)
    library = programs.need("libfaketime")
    variables = {
        "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": "/etc/jobd/clock", "FAKETIME_CACHE_DURATION": 1,
        "FAKETIME_DONT_FAKE_MONOTONIC": 1, "DONT_FAKE_MONOTONIC": 1, "FAKETIME_FORCE_MONOTONIC_FIX": 0,
        "NO_FAKE_STAT": 1,
    }  # fmt: skip
    daemon.box.write("/etc/jobd/clock", "+0s\n")
    unit = "\n".join(f"Environment={name}={value}" for name, value in variables.items())
    daemon.configure(scene.url, unit=unit, metrics_listen=f"127.0.0.1:{scene.port}", sample_seconds=1)
    daemon.systemctl("start")
    await scene.alarm.are_up()
    daemon.box.write("/etc/jobd/clock", "-20s\n")
    await scene.alarm.fires("JobdClockSkew")
    on_host, (theirs,) = await scene.page("JobdClockSkew").diagnose()
    assert str(theirs["clock_timestamp"].year) in on_host
    daemon.box.write("/etc/jobd/clock", "+0s\n")  # the page: mend time synchronisation
    await scene.alarm.ends("JobdClockSkew")


@pytest.mark.drills("JobdSampleStale")
async def test_a_lock_that_blinds_the_alerts_on_queues_is_found_and_its_holder_ended(box_scene: BoxScene) -> None:
    scene, daemon = box_scene
    scene.watch(scene.port)
    daemon.systemctl("start")
    await scene.alarm.are_up()
    await scene.alarm.sees("max(jobd_queue_sample_timestamp_seconds) > 0")
    holder = await scene.application("jobd_owner")
    await holder.execute("begin; lock table jobd.queue in access exclusive mode")
    await scene.alarm.fires("JobdSampleStale", within=200)
    await scene.as_operator.execute("set statement_timeout = '3s'")
    hangs, sessions, _ = await scene.page("JobdSampleStale").diagnose()
    assert isinstance(hangs, asyncpg.QueryCanceledError)
    (root,) = [row["pid"] for row in sessions if not row["blocked_by"]]
    assert root == holder.get_server_pid()
    await scene.page("JobdSampleStale").mitigate("pg_terminate_backend", pid=root)
    await scene.alarm.ends("JobdSampleStale")
    assert daemon.property("NRestarts") == "0"
