"""The machine that makes each call against the database and the model, and compares them."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
from hypothesis.stateful import RuleBasedStateMachine, invariant

from tests.property import lifecycle_calls as calls
from tests.property.lifecycle_model import Model
from tests.property.lifecycle_state import ENDED, TRANSITIONS, Batch, Lease, RefusedError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    Call = Callable[[asyncpg.Connection], Awaitable[Any]]

COLUMNS = (
    "id", "status", "version", "lease_token", "worker_id", "cancel_requested", "pause_requested", "retry_count",
    "interrupt_count", "lost_lease_count", "error_code",
)  # fmt: skip


@dataclass
class Stage:
    """What all runs share: the loop, the connection of most calls, and those of batches that stay open."""

    runner: asyncio.Runner
    main: asyncpg.Connection
    others: list[asyncpg.Connection]

    def clear(self) -> None:
        for connection in (self.main, *self.others):
            self.runner.run(connection.execute("rollback" if connection.is_in_transaction() else "select"))
        self.runner.run(self.main.execute(calls.CLEAR))


@dataclass
class Seen:
    """The jobs as they were after the last step, and every token that was given out."""

    rows: dict[UUID, asyncpg.Record] = field(default_factory=dict)
    tokens: dict[UUID, int] = field(default_factory=dict)
    leases: list[Lease] = field(default_factory=list)


class Comparison(RuleBasedStateMachine):
    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self.stage.clear()
        self.model = Model()
        self.seen = Seen()
        self.ids = 0
        self.workers: list[UUID] = []
        self.open: dict[asyncpg.Connection, tuple[Lease, Batch]] = {}
        self.agrees = True

    @invariant()
    def jobs_are_as_the_model_has_them(self) -> None:
        self.agrees = False
        rows = {row["id"]: row for row in self.stage.runner.run(self.stage.main.fetch(calls.JOBS))}
        assert rows.keys() == self.model.jobs.keys()
        for job_id, row in rows.items():
            job = self.model.jobs[job_id]
            assert {name: row[name] for name in COLUMNS} == {name: getattr(job, name) for name in COLUMNS}
            assert tuple(row["counts"]) == job.counts
            assert row["processed_rows"] == sum(job.counts)
            assert row["success_count"] == row["landed"] == sum(job.counts[:4]), "rows and counters differ"
            assert row["errors"] == job.counts[4]
            assert (None if row["cursor"] is None else tuple(row["cursor"])) == job.cursor
            assert [tuple(event) for event in json.loads(row["events"])] == job.events
            if job_id in self.seen.rows:
                _require_no_way_back(self.seen.rows[job_id], row)
        running = [
            job.serial_key for job in self.model.jobs.values() if job.serial_key and job.status == "running"
        ]
        assert len(running) == len(set(running)), "two jobs of a serial_key run"
        shared = self.stage.runner.run(self.stage.main.fetch(calls.SHARED_TOKENS))
        assert not shared, "two workers committed under one token"
        self.seen.rows = rows
        self.agrees = True

    def _agree(self, call: Call, expected: Callable[[Model], Any], *, crashes: bool = False) -> None:
        self._compare(self._attempt(call, crashes=crashes), expected, crashes=crashes)

    def _attempt(self, call: Call, *, crashes: bool = False, connection: asyncpg.Connection | None = None) -> Any:
        """Make a call in a transaction of its own; on a connection other than the main one it stays open."""
        self.agrees = False
        return self.stage.runner.run(_call(connection or self.stage.main, call, crashes, connection is not None))

    def _compare(self, found: Any, expected: Callable[[Model], Any], *, crashes: bool) -> None:
        model = copy.deepcopy(self.model) if crashes else self.model
        try:
            wanted = expected(model)
        except RefusedError as refusal:
            wanted = found if found in refusal.sqlstates else refusal
        assert found == wanted
        self.agrees = True

    def _new_id(self) -> UUID:
        self.ids += 1
        return UUID(int=self.ids)

    def _living(self) -> list[UUID]:
        workers = self.model.workers
        return [key for key in workers if not workers[key].is_lost and not workers[key].is_expired]

    def _worker(self, pick: int, *, is_late: bool = False, is_busy: bool = False) -> UUID:
        """One that lives, and a busy one if there is any and that is asked for; or one of all there were."""
        living = self._living()
        holders = {job.worker_id for job in self.model.jobs.values()}
        busy = [worker_id for worker_id in living if is_busy and worker_id in holders]
        workers = self.workers if is_late or not living else busy or living
        return workers[pick % len(workers)]

    def _is_lost(self, worker_id: UUID) -> bool:
        return worker_id in self.model.workers and self.model.workers[worker_id].is_lost

    def _job(self, pick: int, statuses: tuple[str, ...]) -> UUID:
        """One of these statuses, or now and then, or where there is none, any."""
        suited = [job.id for job in self.model.jobs.values() if job.status in statuses]
        jobs = list(self.model.jobs) if pick % 8 == 7 or not suited else suited
        return jobs[pick // 8 % len(jobs)]

    def _lease(self, pick: int, *, is_late: bool) -> Lease:
        """One of the leases that hold, or, where there is none or the worker is late, one of all there were."""
        held = [
            lease
            for lease in self.seen.leases
            if (job := self.model.jobs[lease.job_id]).lease_token == lease.token and job.status == "running"
        ]
        leases = self.seen.leases if is_late or not held else held
        return leases[pick % len(leases)]

    def _different(self, picks: list[int], *, is_late: bool) -> list[Lease]:
        """Leases of different jobs; the first one may be late."""
        leases: dict[UUID, Lease] = {}
        for number, pick in enumerate(picks):
            lease = self._lease(pick, is_late=is_late and number == 0)
            leases.setdefault(lease.job_id, lease)
        return list(leases.values())

    def _batch(self, lease: Lease, counts: Any, step: tuple[int, int] | None) -> Batch:
        file, row = self.model.jobs[lease.job_id].cursor or (1, 0)
        if step is None:
            return Batch(counts, None)
        files, rows = step
        return Batch(counts, (file + files, 0 if files else max(0, row + rows)))


async def _call(connection: asyncpg.Connection, call: Call, crashes: bool, stays_open: bool) -> Any:
    await connection.execute("begin")
    try:
        answer = await call(connection)
    except asyncpg.PostgresError as refusal:
        await connection.execute("rollback")
        return refusal.sqlstate
    if not stays_open:
        await connection.execute("rollback" if crashes else "commit")
    return answer


def _require_no_way_back(before: asyncpg.Record, after: asyncpg.Record) -> None:
    """Whatever the model says: what only ever rises did, and a job that has ended is what it was until a retry."""
    for name in ("version", "lease_token", "interrupt_count", "processed_rows"):
        assert after[name] >= before[name], name
    assert all(old <= new for old, new in zip(before["counts"], after["counts"], strict=True))
    assert (before["cursor"] or []) <= (after["cursor"] or []), "the cursor went back"
    if before["status"] != after["status"]:
        assert (before["status"], after["status"]) in TRANSITIONS
    elif before["status"] in ENDED and after["version"] == before["version"]:
        assert before["everything"] == after["everything"], "a job that has ended was changed"
