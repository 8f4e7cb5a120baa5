"""The history checker: what every worker believed, held against what the database wrote down.

Pure functions over records. ``trail``: each change of a job's status, lease token or processed rows, written by a
trigger of the drill's under the row's lock, so in the order in which they were committed. ``events``: jobd's own
account of the same. ``beliefs``: what daemons said in their logs, each line before they went on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from uuid import UUID


class What(Enum):
    """What a daemon said of a job."""

    CLAIMED = "job claimed"
    BEGUN = "batch begun"
    COMMITTED = "batch committed"
    LOST = "lease lost"
    ENDED = "attempt ended"


class Belief(NamedTuple):
    """One thing that a daemon believed. ``process``: the file of its log, in which this is line ``number``."""

    process: str
    number: int
    what: What
    job_id: UUID
    lease_token: int
    from_row: int = 0
    to_row: int = 0
    outcome: str | None = None


class Change(NamedTuple):
    """What one statement did to a job. Of an inserted one ``old_status`` is None."""

    id: int
    job_id: UUID
    old_status: str | None
    new_status: str
    old_token: int
    new_token: int
    old_rows: int
    new_rows: int
    version: int
    worker_id: UUID | None

    @property
    def is_batch(self) -> bool:
        """Whether records were committed by it."""
        return self.new_rows != self.old_rows


class Event(NamedTuple):
    """A row of ``jobd.job_event`` that says what became of a job."""

    job_id: UUID
    old_status: str | None
    new_status: str | None
    version: int


class Standing(NamedTuple):
    """A job as its row is in the end. ``cursor_rows``: how many records lie before the cursor, if it says so."""

    job_id: UUID
    status: str
    lease_token: int
    processed_rows: int
    cursor_rows: int | None = None


@dataclass(frozen=True)
class History:
    """Everything that is known of some jobs."""

    beliefs: Sequence[Belief]
    trail: Sequence[Change]
    events: Sequence[Event]
    jobs: Sequence[Standing]
    transitions: AbstractSet[tuple[str, str]]

    def trail_of_jobs(self) -> Mapping[UUID, Sequence[Change]]:
        """The trail by job, in its order."""
        by_job: dict[UUID, list[Change]] = defaultdict(list)
        for change in sorted(self.trail, key=lambda change: change.id):
            by_job[change.job_id].append(change)
        return by_job


class Violation(NamedTuple):
    """A rule that does not hold, and where."""

    rule: str
    job_id: UUID
    detail: str


Found = tuple["UUID", str]
_Step = tuple["UUID", str | None, str | None, int]


def check(history: History) -> list[Violation]:
    """Every place where a rule does not hold."""
    return [Violation(rule, job_id, detail) for rule, find in RULES.items() for job_id, detail in find(history)]


def _shared_tokens(history: History) -> Iterator[Found]:
    processes: dict[tuple[UUID, int], set[str]] = defaultdict(set)
    workers: dict[tuple[UUID, int], set[UUID]] = defaultdict(set)
    for belief in history.beliefs:
        if belief.what in {What.CLAIMED, What.BEGUN, What.COMMITTED}:
            processes[belief.job_id, belief.lease_token].add(belief.process)
    for change in history.trail:
        if change.worker_id is not None:
            workers[change.job_id, change.new_token].add(change.worker_id)
    for holders in (processes, workers):
        for (job_id, token), names in holders.items():
            if len(names) > 1:
                yield job_id, f"token {token} was held by {', '.join(sorted(map(str, names)))}"


def _tokens_that_fall(history: History) -> Iterator[Found]:
    for job_id, trail in history.trail_of_jobs().items():
        for change in trail:
            is_claim = change.new_status == "running" and change.old_status != "running"
            if change.new_token < change.old_token or (is_claim and change.new_token == change.old_token):
                yield job_id, f"token {change.old_token} was followed by {change.new_token}"
    claimed: dict[tuple[str, UUID], int] = {}
    for belief in _in_order(history.beliefs):
        if belief.what is What.CLAIMED:
            last = claimed.get((belief.process, belief.job_id), -1)
            if belief.lease_token <= last:
                yield belief.job_id, f"{belief.process} claimed token {belief.lease_token} after {last}"
            claimed[belief.process, belief.job_id] = belief.lease_token


def _torn_ranges(history: History) -> Iterator[Found]:
    trails = history.trail_of_jobs()
    for job in history.jobs:
        at = 0
        for change in trails.get(job.job_id, ()):
            if change.is_batch and change.old_rows != at:
                yield job.job_id, f"records {change.old_rows} to {change.new_rows} were committed after {at}"
            if change.new_rows < change.old_rows:
                yield job.job_id, f"its records fell from {change.old_rows} to {change.new_rows}"
            at = change.new_rows
        if at != job.processed_rows:
            yield job.job_id, f"its batches end at record {at}, its row says {job.processed_rows}"
        if job.cursor_rows is not None and job.cursor_rows != job.processed_rows:
            yield job.job_id, f"its cursor is behind record {job.cursor_rows} of {job.processed_rows}"


def _illegal_transitions(history: History) -> Iterator[Found]:
    trails = history.trail_of_jobs()
    for job_id, trail in trails.items():
        status: str | None = None
        token = 0
        for change in trail:
            if (change.old_status, change.old_token) != (status, token):
                yield job_id, f"it was {status} under token {token}, and then {change.old_status} under another"
            is_change = change.old_status is not None and change.old_status != change.new_status
            if is_change and (change.old_status, change.new_status) not in history.transitions:
                yield job_id, f"{change.old_status} became {change.new_status}"
            status, token = change.new_status, change.new_token
    for job in history.jobs:
        trail = trails.get(job.job_id, ())
        last = (trail[-1].new_status, trail[-1].new_token) if trail else None
        if last != (job.status, job.lease_token):
            yield job.job_id, f"it is {job.status}, which no change led to"


def _changes_without_event(history: History) -> Iterator[Found]:
    changes: Counter[_Step] = Counter(
        (change.job_id, change.old_status, change.new_status, change.version)
        for change in history.trail
        if change.old_status != change.new_status
    )
    events: Counter[_Step] = Counter(
        (event.job_id, event.old_status, event.new_status, event.version) for event in history.events
    )
    for (job_id, old, new, version), times in (changes - events).items():
        yield job_id, f"{_step(old, new)} (version {version}) has {times} event too few"
    for (job_id, old, new, version), times in (events - changes).items():
        yield job_id, f"{_step(old, new)} (version {version}) has {times} event too many"


def _lost_acknowledgements(history: History) -> Iterator[Found]:
    batches = {
        (change.job_id, change.new_token, change.old_rows, change.new_rows)
        for change in history.trail
        if change.is_batch
    }
    endings = {
        (change.job_id, change.old_token, change.new_status)
        for change in history.trail
        if change.old_status == "running"
    }
    for belief in history.beliefs:
        job_id, token = belief.job_id, belief.lease_token
        if belief.what is What.COMMITTED and belief.to_row != belief.from_row:
            if (job_id, token, belief.from_row, belief.to_row) not in batches:
                yield job_id, f"{_said(belief)}, and the database has no such batch"
        elif (
            belief.what is What.ENDED
            and belief.outcome in {"completed", "failed", "cancelled", "paused"}
            and (job_id, token, belief.outcome) not in endings
        ):
            yield job_id, f"{_said(belief)}, and the database has no such ending"


def _batches_of_nobody(history: History) -> Iterator[Found]:
    begun = {
        (belief.job_id, belief.lease_token, belief.from_row)
        for belief in history.beliefs
        if belief.what is What.BEGUN
    }
    for change in history.trail:
        if change.is_batch and (change.job_id, change.new_token, change.old_rows) not in begun:
            yield (
                change.job_id,
                f"no worker began records {change.old_rows} to {change.new_rows} under token {change.new_token}",
            )


def _writes_after_loss(history: History) -> Iterator[Found]:
    for job_id, trail in history.trail_of_jobs().items():
        for change in trail:
            is_held = change.old_status == change.new_status == "running" and change.old_token == change.new_token
            if change.is_batch and not is_held:
                yield job_id, f"records {change.old_rows} to {change.new_rows} were committed without a lease"
    lost: dict[tuple[str, UUID, int], Belief] = {}
    for belief in _in_order(history.beliefs):
        held = (belief.process, belief.job_id, belief.lease_token)
        if belief.what is What.LOST or belief.outcome == "lease_lost":
            lost.setdefault(held, belief)
        elif belief.what is What.BEGUN and held in lost:
            yield belief.job_id, f"{_said(belief)}, after it had lost the lease"


RULES: Mapping[str, Callable[[History], Iterator[Found]]] = {
    "no two workers act under one token": _shared_tokens,
    "tokens only rise": _tokens_that_fall,
    "each range of records is committed once, the next where the last one ended": _torn_ranges,
    "no change of status outside the transition table": _illegal_transitions,
    "one event for each change of status": _changes_without_event,
    "what was acknowledged is in the database": _lost_acknowledgements,
    "each batch was begun by the worker that held the lease": _batches_of_nobody,
    "nothing is written after the lease is lost": _writes_after_loss,
}


def _in_order(beliefs: Sequence[Belief]) -> Sequence[Belief]:
    return sorted(beliefs, key=lambda belief: (belief.process, belief.number))


def _said(belief: Belief) -> str:
    about = f" {belief.outcome}" if belief.outcome else f" from {belief.from_row} to {belief.to_row}"
    if belief.what is What.BEGUN:
        about = f" at {belief.from_row}"
    return f"{belief.process} line {belief.number}: {belief.what.value}{about} under token {belief.lease_token}"


def _step(old: str | None, new: str | None) -> str:
    return f"submitted as {new}" if old is None else f"{old} → {new}"
