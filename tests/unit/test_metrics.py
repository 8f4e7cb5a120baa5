"""What is counted, under which names, and how many series that makes."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from jobd.metrics import OTHER, QUEUES_MAX, Metrics, RunningJobs
from jobd.metrics.labels import TABLES

OPEN = "application/openmetrics-text; version=1.0.0"


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def sample(queue: str, status: str = "pending", jobs: int = 0, **others: object) -> dict[str, object]:
    row = {"oldest_due_age_seconds": None, "is_paused": False, "overdue": 0, "wait_objective_seconds": 60.0}
    return {"queue": queue, "status": status, "jobs": jobs, **row, **others}


def test_children_that_are_known_begin_at_zero() -> None:
    metrics = Metrics("1", ["mail"])
    assert value(metrics, "jobd_job_attempts_total", queue="mail", job_type="import", outcome="completed") == 0
    assert value(metrics, "jobd_job_objective_total", queue="mail", verdict="bad") == 0
    assert value(metrics, "jobd_job_failures_total", code="worker_lost") == 0
    assert value(metrics, "jobd_row_errors_total", queue="mail", error_type="parse") == 0


def test_the_number_of_queue_labels_is_bounded() -> None:
    metrics = Metrics("1")
    labels = [metrics.labels.of(f"q{number}") for number in range(QUEUES_MAX + 5)]
    assert labels[-1] == OTHER
    assert len(set(labels)) == QUEUES_MAX + 1
    assert metrics.labels.of("q0") == "q0"
    assert value(metrics, "jobd_metric_label_overflow_total", metric="queue") == 5


def test_paused_jobs_are_counted_whether_or_not_their_queue_is_paused() -> None:
    metrics = Metrics("1", ["mail"])
    for is_paused in (False, True):
        statuses = {"pending": 5, "running": 2, "paused": 3}
        metrics.queues.show_queues([sample("mail", name, n, is_paused=is_paused) for name, n in statuses.items()])
        assert {
            name: value(metrics, "jobd_queue_jobs", queue="mail", status=name) for name in statuses
        } == statuses
        assert value(metrics, "jobd_queue_paused", queue="mail") == is_paused


def test_a_rescue_from_a_queue_that_others_serve_is_a_rise_from_zero() -> None:
    metrics = Metrics("1", ["mail"])
    metrics.queues.show_queues([sample("elsewhere")])
    assert value(metrics, "jobd_leases_rescued_total", queue="elsewhere") == 0


def test_ten_queues_make_at_most_a_thousand_series_whatever_happened_in_them() -> None:
    queues = [f"q{number}" for number in range(10)]
    metrics = Metrics("1", queues, ("import", "validation"))
    for queue in queues:
        metrics.jobs.count_claim(queue, 0.1)
        metrics.jobs.count_attempt(queue, "import", "completed", 0.1)
        metrics.jobs.count_ending(queue, "import", "completed", None, 0.1)
        metrics.queues.show_queues([sample(queue, status, 1) for status in ("pending", "running", "paused")])
    metrics.jobs.show_running(dict.fromkeys(queues, RunningJobs(1, 1, 1, 1)))
    metrics.queues.show_tables([{"relation": each, "live": 1, "dead": 1, "bytes": 1} for each in TABLES])
    text = metrics.exposition()[0].decode()
    assert sum(len(family.samples) for family in text_string_to_metric_families(text)) <= 1000


def test_what_is_no_database_error_is_not_counted() -> None:
    metrics = Metrics("1")
    metrics.database.count_error(None)
    metrics.database.count_error("deadlock")
    assert value(metrics, "jobd_db_errors_total", **{"class": "deadlock"}) == 1


def test_two_daemons_in_one_process_have_registries_of_their_own() -> None:
    one, two = Metrics("1", ["a"]), Metrics("1", ["a"])
    one.jobs.claims.labels("a").inc()
    assert value(two, "jobd_job_claims_total", queue="a") == 0


def test_counters_have_no_series_of_their_creation_beside_them() -> None:
    text, _content_type = Metrics("1", ["mail"]).exposition()
    assert b"jobd_job_claims_total" in text
    assert b"_created" not in text


@pytest.mark.parametrize(
    ("outcome", "code", "waited", "verdict"),
    [
        ("completed", None, 1, "good"),
        ("completed", None, 61, "bad"),
        ("failed", "source_missing", 1, "good"),  # its submitter's matter
        ("failed", "database_error", 1, "bad"),
        ("timeout", "timeout", 1, "good"),
        ("cancelled", None, 61, None),
        ("retried", "database_error", 61, None),
    ],
)
def test_a_job_that_ended_counts_against_its_queues_objective(
    outcome: str, code: str | None, waited: float, verdict: str | None
) -> None:
    metrics = Metrics("1", ["mail"])
    metrics.jobs.count_ending("mail", "import", outcome, code, waited)
    for each in ("good", "bad"):
        assert value(metrics, "jobd_job_objective_total", queue="mail", verdict=each) == (each == verdict)


def test_the_objective_is_the_databases() -> None:
    metrics = Metrics("1", ["mail"])
    metrics.queues.show_queues([sample("mail", wait_objective_seconds=5.0)])
    metrics.jobs.count_ending("mail", "import", "completed", None, 6)
    assert value(metrics, "jobd_job_objective_total", queue="mail", verdict="bad") == 1
    assert value(metrics, "jobd_queue_wait_objective_seconds", queue="mail") == 5


def test_an_unknown_code_of_failure_is_counted_as_another_one() -> None:
    metrics = Metrics("1", ["mail"])
    metrics.jobs.count_ending("mail", "processing", "failed", "a code of a handler's own", 0)
    assert value(metrics, "jobd_job_failures_total", code=OTHER) == 1


def test_a_queue_that_is_empty_now_is_zero_and_not_what_it_was() -> None:
    metrics = Metrics("1")
    metrics.queues.show_queues([sample("mail", jobs=7, oldest_due_age_seconds=90.0, overdue=3, is_paused=True)])
    assert value(metrics, "jobd_queue_jobs", queue="mail", status="pending") == 7
    assert value(metrics, "jobd_queue_overdue_jobs", queue="mail") == 3
    assert value(metrics, "jobd_queue_paused", queue="mail") == 1
    metrics.queues.show_queues([])
    assert value(metrics, "jobd_queue_jobs", queue="mail", status="pending") == 0
    assert value(metrics, "jobd_queue_oldest_due_age_seconds", queue="mail") == 0


def test_queues_beyond_the_limit_are_added_up() -> None:
    metrics = Metrics("1")
    metrics.queues.show_queues([sample(f"q{number}", jobs=2) for number in range(QUEUES_MAX + 3)])
    assert value(metrics, "jobd_queue_jobs", queue=OTHER, status="pending") == 6


def test_lines_of_the_log_are_counted_once() -> None:
    metrics = Metrics("1")
    for seen in (2, 2, 5):
        metrics.daemon.show_log({"warning": seen})
    assert value(metrics, "jobd_log_records_total", level="warning") == 5


def test_an_attempt_says_in_open_metrics_which_job_it_was() -> None:
    metrics = Metrics("1", ["mail"])
    metrics.jobs.count_attempt("mail", "import", "completed", 0.3, {"job_id": "0190"})
    assert b'# {job_id="0190"} 0.3' in metrics.exposition(OPEN)[0]
    assert b"job_id" not in metrics.exposition()[0]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on this machine")
def test_promtool_has_no_complaint_about_names_units_and_help() -> None:
    text, _ = Metrics("1", ["mail"]).exposition()
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
