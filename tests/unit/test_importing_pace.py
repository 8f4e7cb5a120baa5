from __future__ import annotations

from jobd.importing.reading.pace import REFUSED_MAX, ROWS_MIN, Pace


def test_batches_shrink_when_commits_are_slow_and_grow_back() -> None:
    pace = Pace(20_000)
    pace.learn(20_000, 2.0)
    assert pace.rows == 5000
    pace.learn(5000, 100.0)
    assert pace.rows == ROWS_MIN
    pace.learn(100, 0.4)
    assert pace.rows == ROWS_MIN
    for _ in range(20):
        pace.learn(pace.rows, 0.01)
    assert pace.rows == 20_000


def test_the_size_asked_for_is_never_exceeded() -> None:
    pace = Pace(7)
    pace.learn(7, 10.0)
    assert pace.rows == 7
    pace.learn(7, 0.01)
    assert pace.rows == 7


def test_batches_of_refused_records_are_smaller_as_long_as_they_are_many() -> None:
    pace = Pace(20_000)
    pace.learn(20_000, 0.1, refused=2 * REFUSED_MAX)
    assert pace.rows == 10_000
    pace.learn(10_000, 0.1, refused=REFUSED_MAX)
    assert pace.rows == 10_000
    pace.learn(10_000, 0.1, refused=10)
    assert pace.rows == 15_000
