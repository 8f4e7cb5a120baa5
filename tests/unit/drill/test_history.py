"""The history checker: a history as it must be, and each rule broken once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from jobd.drill import beliefs
from jobd.drill.history import RULES, Belief, Change, Event, History, Standing, What, check

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JOB = UUID(int=1)
FIRST, SECOND = UUID(int=11), UUID(int=12)
TRANSITIONS = {("pending", "running"), ("running", "pending"), ("running", "completed")}

SHARED, RISING, RANGES, LEGAL, EVENTS, ACKNOWLEDGED, BEGUN, LOSS = RULES

# One worker commits 100 records and freezes; another takes over and ends the job.
TRAIL = [
    Change(1, JOB, None, "pending", 0, 0, 0, 0, 1, None),
    Change(2, JOB, "pending", "running", 0, 1, 0, 0, 2, FIRST),
    Change(3, JOB, "running", "running", 1, 1, 0, 100, 2, FIRST),
    Change(4, JOB, "running", "pending", 1, 2, 100, 100, 3, None),
    Change(5, JOB, "pending", "running", 2, 3, 100, 100, 4, SECOND),
    Change(6, JOB, "running", "running", 3, 3, 100, 150, 4, SECOND),
    Change(7, JOB, "running", "completed", 3, 3, 150, 150, 5, None),
]
EVENTS_OF_IT = [
    Event(JOB, change.old_status, change.new_status, change.version)
    for change in TRAIL
    if change.old_status != change.new_status
]
BELIEFS = [
    Belief("a", 1, What.CLAIMED, JOB, 1),
    Belief("a", 2, What.BEGUN, JOB, 1, 0),
    Belief("a", 3, What.COMMITTED, JOB, 1, 0, 100),
    Belief("a", 4, What.BEGUN, JOB, 1, 100),
    Belief("a", 5, What.LOST, JOB, 1),
    Belief("a", 6, What.ENDED, JOB, 1, outcome="lease_lost"),
    Belief("b", 1, What.CLAIMED, JOB, 3),
    Belief("b", 2, What.BEGUN, JOB, 3, 100),
    Belief("b", 3, What.COMMITTED, JOB, 3, 100, 150),
    Belief("b", 4, What.ENDED, JOB, 3, outcome="completed"),
]


def history(**parts: Any) -> History:
    known: dict[str, Any] = {
        "beliefs": BELIEFS,
        "trail": TRAIL,
        "events": EVENTS_OF_IT,
        "jobs": [Standing(JOB, "completed", 3, 150, 150)],
        "transitions": TRANSITIONS,
    }
    return History(**(known | parts))


def changed(index: int, **values: Any) -> History:
    trail = list(TRAIL)
    trail[index] = trail[index]._replace(**values)
    return history(trail=trail)


def believed(*more: Belief) -> History:
    return history(beliefs=[*BELIEFS, *more])


def broken(seen: History) -> set[str]:
    return {violation.rule for violation in check(seen)}


def test_a_history_as_it_must_be_has_no_violation() -> None:
    assert check(history()) == []


BROKEN: dict[str, tuple[str, Callable[[], History]]] = {
    "two daemons claimed one token": (SHARED, lambda: believed(Belief("c", 1, What.CLAIMED, JOB, 3))),
    "two daemons began a batch under one token": (
        SHARED,
        lambda: believed(Belief("c", 1, What.BEGUN, JOB, 3, 150)),
    ),
    "the row named two workers under one token": (SHARED, lambda: changed(5, worker_id=FIRST)),
    "a rescue left the token": (RISING, lambda: changed(3, new_token=0)),
    "a claim left the token": (RISING, lambda: changed(4, new_token=2)),
    "a daemon claimed a token a second time": (RISING, lambda: believed(Belief("b", 9, What.CLAIMED, JOB, 3))),
    "a batch was committed twice": (
        RANGES,
        lambda: history(trail=[*TRAIL[:3], TRAIL[2]._replace(id=3), *TRAIL[3:]]),
    ),
    "a batch left records out": (RANGES, lambda: changed(5, old_rows=110)),
    "a batch went back": (RANGES, lambda: changed(5, new_rows=90)),
    "the row counts more than the batches": (
        RANGES,
        lambda: history(jobs=[Standing(JOB, "completed", 3, 151, None)]),
    ),
    "the cursor is not where the counters are": (
        RANGES,
        lambda: history(jobs=[Standing(JOB, "completed", 3, 150, 140)]),
    ),
    "a job left a status for another that may not follow": (LEGAL, lambda: changed(6, new_status="failed")),
    "a change of status is missing in the trail": (LEGAL, lambda: history(trail=[*TRAIL[:4], *TRAIL[5:]])),
    "the row has a status that nothing led to": (
        LEGAL,
        lambda: history(jobs=[Standing(JOB, "cancelled", 3, 150, 150)]),
    ),
    "an event was removed": (EVENTS, lambda: history(events=EVENTS_OF_IT[:-1])),
    "an event came twice": (EVENTS, lambda: history(events=[*EVENTS_OF_IT, EVENTS_OF_IT[-1]])),
    "an acknowledged batch is gone": (
        ACKNOWLEDGED,
        lambda: believed(Belief("b", 9, What.COMMITTED, JOB, 3, 150, 160)),
    ),
    "an acknowledged batch has another range": (ACKNOWLEDGED, lambda: changed(5, new_rows=149)),
    "an acknowledged ending is gone": (
        ACKNOWLEDGED,
        lambda: believed(Belief("b", 9, What.ENDED, JOB, 3, outcome="failed")),
    ),
    "a batch was begun by nobody": (BEGUN, lambda: history(beliefs=[one for one in BELIEFS if one.number != 2])),
    "a batch was committed after the rescue": (
        LOSS,
        lambda: history(trail=[*TRAIL[:4], TRAIL[2]._replace(id=4, old_status="pending"), *TRAIL[4:]]),
    ),
    "a daemon began a batch after it had lost the lease": (
        LOSS,
        lambda: believed(Belief("a", 9, What.BEGUN, JOB, 1, 100)),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_history_that_breaks_a_rule_is_found(name: str) -> None:
    rule, made = BROKEN[name]
    assert rule in broken(made())


def test_each_rule_is_broken_by_one_of_these() -> None:
    assert {rule for rule, _ in BROKEN.values()} == set(RULES)


def test_a_batch_without_records_needs_no_trace() -> None:
    assert (
        check(believed(Belief("b", 9, What.BEGUN, JOB, 3, 150), Belief("b", 10, What.COMMITTED, JOB, 3, 150, 150)))
        == []
    )


def test_beliefs_are_read_from_a_log_whose_last_line_is_torn(tmp_path: Path) -> None:
    (tmp_path / "drill-1.log").write_text(
        '{"event": "worker registered"}\n'
        f'{{"event": "job claimed", "job_id": "{JOB}", "lease_token": 7}}\n'
        "Traceback (most recent call last):\n"
        f'{{"event": "batch committed", "job_id": "{JOB}", "lease_token": 7, "from_row": 0, "to_row": 20}}\n'
        f'{{"event": "batch committed", "job_id": "{JOB}", "lea'
    )
    assert beliefs.read(tmp_path) == [
        Belief("drill-1", 2, What.CLAIMED, JOB, 7),
        Belief("drill-1", 4, What.COMMITTED, JOB, 7, 0, 20),
    ]
