"""The bounds of a soak: what grew, what only trembles, and what was never measured."""

from __future__ import annotations

import pytest

from tests.soak.figures import Figure, Line, Sample, judge

GROWTH = Figure("memory", "MB", ratio=1.1, noise=2)
LIMIT = Figure("connections", "", most=7)
TOLD = Figure("rate", "1/s")


def samples(values: list[float], name: str = "memory") -> list[Sample]:
    """One a second."""
    return [Sample(float(at), {name: value}) for at, value in enumerate(values)]


def line(values: list[float], figure: Figure = GROWTH) -> Line:
    return judge(samples(values, figure.name), [figure])[0]


def test_what_grows_while_warming_up_has_not_grown() -> None:
    found = line([*range(25), *[100.0] * 76])
    assert (found.first, found.last, found.ratio, found.holds) == (100, 100, 1, True)


@pytest.mark.parametrize(("last", "holds"), [(112.0, True), (112.1, False)])
def test_what_grew_beyond_ratio_and_noise_is_broken(last: float, holds: bool) -> None:
    assert line([*[100.0] * 60, *[last] * 41]).holds is holds


def test_single_samples_do_not_break_a_ratio_but_are_told() -> None:
    found = line([*[100.0] * 90, 500.0, *[100.0] * 10])
    assert (found.holds, found.worst) == (True, 500)


def test_a_single_sample_breaks_a_limit_even_while_warming_up() -> None:
    assert line([7.0] * 101, LIMIT).holds
    assert not line([8.0, *[3.0] * 100], LIMIT).holds


def test_what_was_never_measured_is_broken_where_it_has_a_bound() -> None:
    assert [one.holds for one in judge(samples([1.0] * 9, "another"), [GROWTH, LIMIT, TOLD])] == [
        False,
        False,
        True,
    ]
