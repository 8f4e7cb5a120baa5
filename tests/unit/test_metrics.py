from __future__ import annotations

from jobd.metrics import OTHER, QUEUES_MAX, Metrics


def test_children_that_are_known_begin_at_zero() -> None:
    metrics = Metrics("1", ["mail"])
    labels = {"queue": "mail", "job_type": "import", "outcome": "completed"}
    assert metrics.registry.get_sample_value("jobd_job_attempts_total", labels) == 0


def test_the_number_of_queue_labels_is_bounded() -> None:
    metrics = Metrics("1")
    labels = [metrics.queue_label(f"q{number}") for number in range(QUEUES_MAX + 5)]
    assert labels[-1] == OTHER
    assert len(set(labels)) == QUEUES_MAX + 1
    assert metrics.queue_label("q0") == "q0"
    assert metrics.registry.get_sample_value("jobd_metric_label_overflow_total", {"metric": "queue"}) == 5


def test_what_is_no_database_error_is_not_counted() -> None:
    metrics = Metrics("1")
    metrics.count_database_error(None)
    metrics.count_database_error("deadlock")
    assert metrics.registry.get_sample_value("jobd_db_errors_total", {"class": "deadlock"}) == 1


def test_two_daemons_in_one_process_have_registries_of_their_own() -> None:
    one, two = Metrics("1", ["a"]), Metrics("1", ["a"])
    one.claims.labels("a").inc()
    assert two.registry.get_sample_value("jobd_job_claims_total", {"queue": "a"}) == 0


def test_counters_have_no_series_of_their_creation_beside_them() -> None:
    text, _content_type = Metrics("1", ["mail"]).exposition()
    assert b"jobd_job_claims_total" in text
    assert b"_created" not in text
