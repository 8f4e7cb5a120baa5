"""A fault that struck, and how long it took until work went on: pure functions over the trail."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from jobd.drill.history import Change

Sought = Literal["work", "work elsewhere", "paused", "ended"]
TERMINAL = frozenset({"completed", "failed", "cancelled"})


@dataclass
class Fault:
    """One fault. Times are the database's.

    ``jobs``: those that it struck. ``sought``: what shows that one has recovered; counted from when the fault
    began, or from when it was over, where nothing can go on before. ``hits_all``: jobs that it met later as well.
    """

    kind: str
    where: str
    jobs: Sequence[UUID]
    began_at: datetime
    ended_at: datetime | None = None
    sought: Sought = "work"
    from_end: bool = False
    hits_all: bool = False
    recovered_seconds: float | None = field(default=None)

    @property
    def counts_from(self) -> datetime:
        """The moment from which the time to recover is counted."""
        return self.ended_at if self.from_end and self.ended_at is not None else self.began_at

    @property
    def over_at(self) -> datetime:
        """When it was undone."""
        return self.ended_at or self.began_at


class Timed(NamedTuple):
    """A change of a job, and when."""

    at: datetime
    change: Change


class Recovery(NamedTuple):
    """The faults of a kind. Times are of those alone that no other fault fell into."""

    kind: str
    faults: int
    measured: int
    median_seconds: float | None
    worst_seconds: float | None
    counted_from: str
    sought: Sought


def measure(faults: Sequence[Fault], trail: Sequence[Timed]) -> None:
    """Find for each fault how long it took until the first of the jobs that it struck got on."""
    by_job: dict[UUID, list[Timed]] = defaultdict(list)
    for timed in trail:
        by_job[timed.change.job_id].append(timed)
    for fault in faults:
        times = [_seconds(fault, job, by_job[job], faults) for job in fault.jobs]
        fault.recovered_seconds = min((each for each in times if each is not None), default=None)


def summary(faults: Sequence[Fault]) -> list[Recovery]:
    """A line for each kind."""
    by_kind: Mapping[str, list[Fault]] = defaultdict(list)
    for fault in faults:
        by_kind[fault.kind].append(fault)
    found = []
    for kind, some in sorted(by_kind.items()):
        times = [fault.recovered_seconds for fault in some if fault.recovered_seconds is not None]
        found.append(
            Recovery(
                kind,
                len(some),
                len(times),
                median(times) if times else None,
                max(times, default=None),
                "end" if some[0].from_end else "beginning",
                some[0].sought,
            )
        )
    return found


def _seconds(fault: Fault, job: UUID, trail: Sequence[Timed], faults: Sequence[Fault]) -> float | None:
    """None where the job did not get on by itself, or another fault struck it in between."""
    since = fault.counts_from
    token = max((timed.change.new_token for timed in trail if timed.at <= fault.began_at), default=0)
    for at, change in trail:
        if at <= since:
            continue
        if fault.sought == "paused" and at > fault.over_at:
            return None  # it was resumed before it had stopped
        if _is_recovered(fault, change, token):
            return None if _is_disturbed(fault, job, at, faults) else (at - since).total_seconds()
        if change.new_status in TERMINAL or change.new_status == "paused":
            return None
    return None


def _is_recovered(fault: Fault, change: Change, token: int) -> bool:
    is_over = change.new_status in TERMINAL
    if fault.sought == "paused":
        return change.new_status == "paused" and change.old_status != "paused"
    if fault.sought == "ended":
        return is_over
    is_work = change.is_batch or (change.new_status == "completed" and change.old_status == "running")
    return is_work and (fault.sought == "work" or change.new_token > token)


def _is_disturbed(fault: Fault, job: UUID, recovered_at: datetime, faults: Sequence[Fault]) -> bool:
    return any(
        other is not fault
        and (other.hits_all or job in other.jobs or other.where == fault.where)
        and other.began_at < recovered_at
        and other.over_at > fault.began_at
        for other in faults
    )
