from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobd.cli import figures

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (192, "3 min 12 s"),
        (3599.6, "1 h 00 min"),
        (3725, "1 h 02 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float | None, text: str) -> None:
    assert figures.duration(seconds) == text


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (None, ""),
        (0.5, "0.5 rows/s"),
        (123.4, "123 rows/s"),
        (1_234, "1,230 rows/s"),
        (271_828, "271,800 rows/s"),
    ],
)
def test_rates_have_as_many_digits_as_mean_something(rows: float | None, text: str) -> None:
    assert figures.rate(rows) == text


@pytest.mark.parametrize(
    ("progress", "text"), [(0, "0 %"), (42.4, "42 %"), (99.7, "99 %"), (99.9999, "99 %"), (100, "100 %")]
)
def test_only_what_is_complete_is_called_100_percent(progress: float, text: str) -> None:
    assert figures.percent(progress) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.3, "now"),
        (5, "5 s ago"),
        (61, "1 min ago"),
        (150, "2 min ago"),
        (3_700, "1 h ago"),
        (90_000, "1 d ago"),
        (-30, "in 30 s"),
        (-7_300, "in 2 h"),
    ],
)
def test_ages_have_one_unit(seconds: float, text: str) -> None:
    assert figures.age(NOW - timedelta(seconds=seconds), NOW) == text


def test_what_is_unknown_is_a_dash() -> None:
    assert (figures.count(None), figures.age(None), figures.moment(None), figures.size(None)) == (
        "-",
        "-",
        "-",
        "-",
    )


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1_500, "2 kB"), (12_345_678, "12.3 MB"), (5 * 10**12, "5.0 TB")],
)
def test_sizes_are_short(number: int, text: str) -> None:
    assert figures.size(number) == text
