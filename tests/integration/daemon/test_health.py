from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from tests.support.daemons import daemon_within, get, submit, until, wait_for_status

if TYPE_CHECKING:
    from tests.support.database import Database

# What dashboards may rely on, with its labels.
PROMISED = {
    "jobd_job_claims_total": {"queue"},
    "jobd_job_attempts_total": {"queue", "job_type", "outcome"},
    "jobd_job_wait_seconds_count": {"queue"},
    "jobd_job_duration_seconds_count": {"queue", "job_type"},
    "jobd_rows_total": {"queue", "job_type", "result"},
    "jobd_read_bytes_total": {"queue", "job_type"},
    "jobd_queue_jobs": {"queue", "status"},
    "jobd_queue_oldest_due_age_seconds": {"queue"},
    "jobd_worker_slots": set(),
    "jobd_worker_slots_used": set(),
    "jobd_listener_up": set(),
    "jobd_leases_lost_total": {"reason"},
    "jobd_leases_rescued_total": {"queue"},
    "jobd_db_up": set(),
    "jobd_db_pool_connections": {"state"},
    "jobd_db_errors_total": {"class"},
    "jobd_build_info": {"version", "python"},
    "process_resident_memory_bytes": set(),
}

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(port: int | None) -> Samples:
    assert port is not None
    status, text = await get(port, "/metrics")
    assert status == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


async def test_the_promised_metrics_are_there_from_the_start_at_zero(database: Database) -> None:
    async with daemon_within(database) as daemon:
        samples = await scrape(daemon.health.port)
    labels = {name: {label for label, _ in pairs} for name, pairs in samples}
    assert {name: labels.get(name) for name in PROMISED} == PROMISED
    assert value(samples, "jobd_job_attempts_total", queue="default", job_type="import", outcome="timeout") == 0
    assert value(samples, "jobd_db_errors_total", **{"class": "deadlock"}) == 0
    assert value(samples, "jobd_worker_slots") == 4


async def test_jobs_and_rows_are_counted(target: Database) -> None:
    async with daemon_within(target, sample_seconds=0.1) as daemon:
        await wait_for_status(target, await submit(target, "write_rows", metadata={"rows": 7}), "completed")
        await wait_for_status(target, await submit(target, "fail", max_retries=0), "failed")
        await submit(target, queue="elsewhere")

        async def look() -> Samples:
            return await scrape(daemon.health.port)

        queued = ("jobd_queue_jobs", frozenset({("queue", "elsewhere"), ("status", "pending")}))
        samples = await until(look, lambda seen: seen.get(queued) == 1)
    default = {"queue": "default", "job_type": "processing"}
    assert value(samples, "jobd_job_claims_total", queue="default") == 2
    assert value(samples, "jobd_job_attempts_total", outcome="completed", **default) == 1
    assert value(samples, "jobd_job_attempts_total", outcome="failed", **default) == 1
    assert value(samples, "jobd_rows_total", result="updated", **default) == 7
    assert value(samples, "jobd_job_duration_seconds_count", **default) == 2
    assert value(samples, "jobd_job_wait_seconds_count", queue="default") == 2
    assert value(samples, "jobd_db_up") == 1
    assert value(samples, "jobd_listener_up") == 1


async def test_a_job_that_runs_tells_how_much_longer_it_will(target: Database) -> None:
    async with daemon_within(target) as daemon:
        job = await submit(target, "write_rows", metadata={"rows": 4, "pause": 0.3})

        async def look() -> Samples:
            return await scrape(daemon.health.port)

        remaining = ("jobd_job_remaining_seconds", frozenset({("queue", "default")}))
        samples = await until(look, lambda seen: seen.get(remaining, 0) > 0)
        assert samples[remaining] < 60
        await wait_for_status(target, job, "completed")
        await until(look, lambda seen: seen[remaining] == 0)


async def test_a_daemon_that_works_is_healthy_and_ready(database: Database) -> None:
    async with daemon_within(database) as daemon:
        port = daemon.health.port
        assert port is not None

        async def readiness() -> dict[str, object]:
            status, body = await get(port, "/readyz")
            return {"code": status, **json.loads(body)}

        await until(readiness, lambda seen: seen == {"code": 200, "status": "ready", "reasons": []})
        assert json.loads((await get(port, "/healthz"))[1]) == {"status": "ok", "loops": []}
        assert (await get(port, "/nowhere"))[0] == 404
        daemon.pulse.due_at["pruner"] = 0.0  # as if it had not come round for a minute
        status, body = await get(port, "/healthz")
        assert status == 503
        assert json.loads(body)["loops"] == ["pruner"]


async def test_a_daemon_that_only_polls_is_ready_and_says_degraded(database: Database) -> None:
    async with daemon_within(database, notify="off") as daemon:
        assert daemon.health.port is not None
        status, body = await get(daemon.health.port, "/readyz")
    assert (status, json.loads(body)["status"]) == (200, "degraded")


async def test_queues_beyond_the_bound_are_counted_together(database: Database) -> None:
    queues = ",".join(f"q{number}" for number in range(60))
    async with daemon_within(database, queues=queues) as daemon:
        await wait_for_status(database, await submit(database, queue="q59"), "completed")
        samples = await scrape(daemon.health.port)
    assert value(samples, "jobd_job_claims_total", queue="__other__") == 1
    assert len({dict(labels)["queue"] for name, labels in samples if name == "jobd_job_claims_total"}) == 51


async def test_openmetrics_is_given_to_who_asks_for_it(database: Database) -> None:
    async with daemon_within(database) as daemon:
        body, content_type = daemon.metrics.exposition("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert re.search(rb"# EOF\s*$", body)
