"""How long it took until work went on: which change counts, from when, and which faults are not measured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from jobd.drill.fault import Fault, Timed, measure, summary
from jobd.drill.history import Change

JOB, OTHER = UUID(int=1), UUID(int=2)
START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def batch(seconds: float, token: int, job: UUID = JOB) -> Timed:
    return Timed(at(seconds), Change(1, job, "running", "running", token, token, 0, 10, 1, None))


def step(seconds: float, old: str, new: str, job: UUID = JOB) -> Timed:
    return Timed(at(seconds), Change(1, job, old, new, 1, 1, 0, 0, 1, None))


def fault(began: float, ended: float | None = None, **how: Any) -> Fault:
    known = {"kind": "daemon killed", "where": "drill-1", "jobs": [JOB]} | how
    return Fault(began_at=at(began), ended_at=None if ended is None else at(ended), **known)


@pytest.mark.parametrize(
    ("struck", "trail", "seconds"),
    [
        pytest.param(fault(1), [batch(0.5, 1), batch(3, 1), batch(4, 1)], 2, id="the next batch"),
        pytest.param(
            fault(1, sought="work elsewhere"), [batch(0, 1), batch(1.1, 1), batch(4, 2)], 3, id="elsewhere"
        ),
        pytest.param(fault(1, 3, from_end=True), [batch(2, 1), batch(3.5, 1)], 0.5, id="from its end"),
        pytest.param(fault(1), [step(2, "running", "completed")], 1, id="the job's end"),
        pytest.param(fault(1), [step(2, "running", "paused"), batch(5, 2)], None, id="paused by somebody"),
        pytest.param(fault(1), [], None, id="never"),
        pytest.param(fault(1, 4, sought="paused"), [step(2, "running", "paused")], 1, id="paused as asked"),
        pytest.param(fault(1, 2, sought="paused"), [step(3, "running", "paused")], None, id="resumed before"),
        pytest.param(fault(1, sought="ended"), [batch(2, 1), step(3, "running", "cancelled")], 2, id="cancelled"),
        pytest.param(fault(1, jobs=[OTHER, JOB]), [batch(5, 1, OTHER), batch(3, 1)], 2, id="its first job"),
    ],
)
def test_the_time_to_recover_is_that_to_the_first_change_that_shows_it(
    struck: Fault, trail: list[Timed], seconds: float | None
) -> None:
    measure([struck], trail)
    assert struck.recovered_seconds == seconds


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(fault(2, kind="job paused", where="job 1"), id="of the same job"),
        pytest.param(fault(2, kind="network reset", jobs=[]), id="of the same daemon"),
        pytest.param(fault(0, 2, kind="server restarted", where="", jobs=[], hits_all=True), id="of the server"),
    ],
)
def test_a_fault_that_another_fell_into_is_not_measured(other: Fault) -> None:
    struck = fault(1)
    measure([struck, other], [batch(3, 1)])
    assert struck.recovered_seconds is None


def test_the_summary_has_median_and_worst_of_each_kind() -> None:
    faults = [fault(0), fault(10), fault(20), fault(30, kind="network cut", from_end=True)]
    measure(faults, [batch(1, 1), batch(12, 1), batch(26, 1)])
    killed, cut = summary(faults)
    assert (killed.faults, killed.measured, killed.median_seconds, killed.worst_seconds) == (3, 3, 2, 6)
    assert (cut.kind, cut.faults, cut.measured, cut.median_seconds, cut.counted_from) == (
        "network cut",
        1,
        0,
        None,
        "end",
    )
