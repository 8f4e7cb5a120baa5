"""The guarantees of a job's life, whatever is called in whatever order, by whom and how late: as a model has them.

Every call is made against the database and against the model: both refuse it with the same SQLSTATE, or give the
same answer and leave the same jobs and events behind. Calls crash (are rolled back), batches stay open while
others act, workers fall silent and go on as if nothing had happened.
"""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from tests.fuzz.rounds import SECONDS
from tests.property import lifecycle_calls as calls
from tests.property.lifecycle_machine import Comparison, Stage
from tests.property.lifecycle_model import Model
from tests.property.lifecycle_state import ENDED, OUTCOMES, TRANSITIONS, Batch, Lease

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.database import Database

SHARE = 0.2  # of the time of make fuzz
PICKS = st.integers(0, 50)
CRASHES = st.sampled_from([False] * 7 + [True])
COUNTS = st.tuples(*[st.integers(0, 2)] * 5)
# How far a batch goes: files, and rows.
STEPS = st.sampled_from([(0, 1), (0, 1), (0, 2), (0, 5), (0, 0), (0, -1), (1, 0), None])
# The jobs to which a call may do something; others are called upon less often.
STATUSES = {
    "cancel": ("running",),
    "pause": ("running", "pending"),
    "resume": ("paused", "running"),
    "retry": ("failed", "cancelled"),
}
COLUMNS = st.fixed_dictionaries(
    {
        "idempotency_key": st.sampled_from([None, None, "k"]),
        "serial_key": st.sampled_from(["s", None]),
        "priority": st.sampled_from(["normal", "high"]),
        "max_retries": st.integers(0, 2),
    }
)


class Lifecycle(Comparison):
    @initialize(
        has_watched=st.booleans(), jobs=st.lists(st.tuples(COLUMNS, st.booleans()), min_size=1, max_size=3)
    )
    def start_with_workers_and_jobs(self, has_watched: bool, jobs: list[Any]) -> None:
        self.register(has_watched=True)
        self.register(has_watched=has_watched)
        for columns, holds in jobs:
            self.submit(columns, False, False, holds, False)

    @precondition(lambda self: len(self.model.jobs) < 7)
    @rule(
        columns=COLUMNS,
        is_plain=st.booleans(),
        is_paused=st.sampled_from([False, False, False, True]),
        holds=st.booleans(),
        crashes=CRASHES,
    )
    def submit(self, columns: dict[str, Any], is_plain: bool, is_paused: bool, holds: bool, crashes: bool) -> None:
        job_id = self._new_id()
        options = json.dumps({"hold_on_failure": True} if holds else {})
        self._agree(
            lambda c: calls.submit(
                c, is_plain=is_plain, id=job_id, options=options, pause_requested=is_paused, **columns
            ),
            lambda m: m.submit(job_id, is_plain=is_plain, is_paused=is_paused, holds_on_failure=holds, **columns),
            crashes=crashes,
        )

    @rule(pick=PICKS, is_late=CRASHES, limit=st.integers(1, 3), is_swept=st.booleans(), crashes=CRASHES)
    def claim(self, pick: int, is_late: bool, limit: int, is_swept: bool, crashes: bool) -> None:
        worker_id = self._worker(pick, is_late=is_late)
        if is_swept:
            self._agree(calls.sweep, lambda _: None)
        found = self._attempt(lambda c: calls.claim(c, worker_id, limit), crashes=crashes)
        known = None if is_swept or isinstance(found, str) else [job_id for job_id, _ in found]
        self._compare(found, lambda m: m.claim(worker_id, limit, known), crashes=crashes)
        if crashes or isinstance(found, str):
            return
        for job_id, token in found:
            assert token > self.seen.tokens.get(job_id, 0), "a token was given out twice"
            self.seen.tokens[job_id] = token
            self.seen.leases.append(Lease(job_id, token, worker_id))

    @precondition(lambda self: self._may_work())
    @rule(
        pick=PICKS,
        is_late=CRASHES,
        batches=st.lists(st.tuples(COUNTS, STEPS, CRASHES), min_size=1, max_size=3),
    )
    def commit_batches(self, pick: int, is_late: bool, batches: list[Any]) -> None:
        self._work()
        lease = self._lease(pick, is_late=is_late)
        for counts, step, crashes in batches:
            batch = self._batch(lease, counts, step)
            self._agree(
                partial(calls.commit, lease=lease, batch=batch),
                partial(Model.commit_batch, lease=lease, batch=batch),
                crashes=crashes,
            )

    @precondition(lambda self: len(self.open) < len(self.stage.others) and self._may_work())
    @rule(pick=PICKS, is_late=CRASHES, counts=COUNTS, step=STEPS)
    def leave_batch_open(self, pick: int, is_late: bool, counts: Any, step: Any) -> None:
        self._work()
        lease = self._lease(pick, is_late=is_late)
        batch = self._batch(lease, counts, step)
        connection = next(other for other in self.stage.others if other not in self.open)
        found = self._attempt(lambda c: calls.commit(c, lease, batch), connection=connection)
        self._compare(found, lambda m: m.commit_batch(lease, batch), crashes=True)
        if not isinstance(found, str):
            self.open[connection] = lease, batch
            self.model.locked.add(lease.job_id)

    @precondition(lambda self: self.open)
    @rule(pick=PICKS, crashes=st.booleans())
    def close_batch(self, pick: int, crashes: bool) -> None:
        connection = list(self.open)[pick % len(self.open)]
        lease, batch = self.open.pop(connection)
        self.stage.runner.run(connection.execute("rollback" if crashes else "commit"))
        self.model.locked.remove(lease.job_id)
        if not crashes:
            self.model.commit_batch(lease, batch)

    @precondition(lambda self: self._may_work())
    @rule(
        picks=st.lists(PICKS, min_size=1, max_size=3),
        is_late=CRASHES,
        counts=COUNTS,
        begins=st.booleans(),
        crashes=CRASHES,
    )
    def commit_bundle(self, picks: list[int], is_late: bool, counts: Any, begins: bool, crashes: bool) -> None:
        self._work(is_fresh=True)
        leases = self._different(picks, is_late=is_late)
        batch = Batch((*counts[:4], 0), (1, sum(counts[:4])))
        if begins:
            self._agree(
                lambda c: calls.begin_bundle(c, leases),
                lambda m: m.begin_bundle(leases),
                crashes=crashes,
            )
        self._agree(
            lambda c: calls.commit_bundle(c, leases, batch),
            lambda m: m.commit_bundle(leases, batch),
            crashes=crashes,
        )

    @precondition(lambda self: self._may_work())
    @rule(
        picks=st.lists(PICKS, min_size=1, max_size=3),
        is_late=CRASHES,
        outcome=st.sampled_from([*OUTCOMES, "retry", "failed", "completed"]),
        is_delayed=st.booleans(),
        crashes=CRASHES,
    )
    def finish(self, picks: list[int], is_late: bool, outcome: str, is_delayed: bool, crashes: bool) -> None:
        self._work()
        leases = self._different(picks, is_late=is_late)
        self._agree(
            lambda c: calls.finish(c, leases, outcome, is_delayed=is_delayed),
            lambda m: m.finish(leases, outcome, is_delayed=is_delayed),
            crashes=crashes,
        )

    @precondition(lambda self: self._may_work())
    @rule(name=st.sampled_from(["cancel", "pause"]), pick=PICKS, outcome=st.sampled_from(OUTCOMES))
    def finish_what_was_asked_to_stop(self, name: str, pick: int, outcome: str) -> None:
        self._work()
        self.control(name, pick - pick % 8, None, crashes=False)
        self.finish([pick // 8], False, outcome, False, False)

    @precondition(lambda self: self._may_work())
    @rule(times=st.integers(1, 6), how=st.sampled_from(["expire", "vanish"]), commits=st.booleans())
    def lose_workers(self, times: int, how: str, commits: bool) -> None:
        """One after the other, with all they hold; the last may have got somewhere."""
        self.register(has_watched=True)
        for _ in range(times):
            self._work()
            self.fall_silent(0, how)
            self.register(has_watched=True)
            self.rescue(len(self._living()) - 1, False, 100, crashes=False)
            self.jobs_are_as_the_model_has_them()
        if commits:
            self.commit_batches(0, False, [((1, 0, 0, 0, 0), (0, 1), False)])

    @precondition(lambda self: self.model.jobs)
    @rule(
        name=st.sampled_from(["cancel", "pause", "resume", "retry"]),
        pick=PICKS,
        behind=st.sampled_from([None, None, 0, 1]),
        crashes=CRASHES,
    )
    def control(self, name: str, pick: int, behind: int | None, crashes: bool) -> None:
        job_id = self._job(pick, STATUSES[name])
        version = None if behind is None else self.model.jobs[job_id].version - behind
        self._agree(
            lambda c: calls.control(c, name, job_id, version),
            lambda m: getattr(m, name)(job_id, version),
            crashes=crashes,
        )

    @precondition(lambda self: self.model.jobs)
    @rule(name=st.sampled_from(["cancel", "pause"]), value=st.booleans(), pick=PICKS, crashes=CRASHES)
    def set_flag(self, name: str, value: bool, pick: int, crashes: bool) -> None:
        job_id = self._job(pick, ("paused", "running"))
        self._agree(
            lambda c: calls.set_flag(c, f"{name}_requested", job_id, value=value),
            lambda m: m.set_flag(name, job_id, value=value),
            crashes=crashes,
        )

    @precondition(lambda self: self.model.jobs)
    @rule(pick=PICKS, crashes=CRASHES)
    def release(self, pick: int, crashes: bool) -> None:
        job_id = self._job(pick, ("running",))
        self._agree(lambda c: calls.release(c, job_id), lambda m: m.release(job_id), crashes=crashes)

    @precondition(lambda self: any(job.due is None for job in self.model.jobs.values()))
    @rule()
    def let_time_pass(self) -> None:
        self._agree(calls.let_time_pass, lambda m: m.let_time_pass())

    @precondition(lambda self: len(self._living()) < 3)
    @rule(has_watched=st.booleans(), pick=PICKS, is_late=CRASHES)
    def register(self, has_watched: bool, pick: int = 0, is_late: bool = False) -> None:
        """A new worker, or one that was lost and does not know it."""
        lost = [worker_id for worker_id in self.workers if self._is_lost(worker_id)]
        if is_late and lost:
            worker_id = lost[pick % len(lost)]
        else:
            worker_id = self._new_id()
            self.workers.append(worker_id)
        self._agree(
            lambda c: calls.register(c, worker_id, has_watched=has_watched),
            lambda m: m.register(worker_id, has_watched=has_watched),
        )

    @precondition(lambda self: len(self._living()) > 1)
    @rule(pick=PICKS, crashes=CRASHES)
    def deregister(self, pick: int, crashes: bool) -> None:
        worker_id = self._worker(pick)
        self._agree(lambda c: calls.deregister(c, worker_id), lambda m: m.deregister(worker_id), crashes=crashes)

    @rule(pick=PICKS, is_late=st.booleans(), crashes=CRASHES)
    def beat(self, pick: int, is_late: bool, crashes: bool) -> None:
        worker_id = self._worker(pick, is_late=is_late)
        self._agree(lambda c: calls.beat(c, worker_id), lambda m: m.beat(worker_id), crashes=crashes)

    @precondition(lambda self: self._living() and self._may_work())
    @rule(pick=PICKS, how=st.sampled_from(["expire", "vanish", "miss a beat"]))
    def fall_silent(self, pick: int, how: str) -> None:
        self._work()
        worker_id = self._worker(pick, is_busy=True)
        if how == "expire":
            self._agree(lambda c: calls.expire(c, worker_id), lambda m: m.expire(worker_id))
        else:
            self._agree(
                lambda c: calls.miss_a_beat(c, worker_id, has_listener=how != "vanish"),
                lambda m: m.miss_a_beat(worker_id, has_listener=how != "vanish"),
            )

    @rule(pick=PICKS, is_late=CRASHES, limit=st.sampled_from([100, 1]), crashes=CRASHES)
    def rescue(self, pick: int, is_late: bool, limit: int, crashes: bool) -> None:
        worker_id = self._worker(pick, is_late=is_late)
        self._agree(
            lambda c: calls.rescue(c, worker_id, limit), lambda m: m.rescue(worker_id, limit), crashes=crashes
        )

    def _may_work(self) -> bool:
        return bool(self.seen.leases or self.model.claimable())

    def _work(self, *, is_fresh: bool = False) -> None:
        """Let there be jobs that run, where some may; otherwise most calls would find nothing to do."""
        is_running = any(job.status == "running" for job in self.model.jobs.values())
        if self.model.claimable() and (is_fresh or not is_running):
            if not self._living():
                self.register(has_watched=True)
            self.claim(self.ids, False, 3, True, False)
            self.jobs_are_as_the_model_has_them()

    def teardown(self) -> None:
        """Nothing is lost: a worker that comes later brings every job to an end that nobody else holds up."""
        if not self.agrees:
            return
        while self.open:
            self.close_batch(0, crashes=False)
        for worker_id in self._living():
            self._agree(partial(calls.expire, worker_id=worker_id), partial(Model.expire, worker_id=worker_id))
        self.register(has_watched=True)  # the only one that lives
        self.rescue(0, False, 100, crashes=False)
        self.let_time_pass()
        while any(job.status == "paused" for job in self.model.jobs.values()):
            self.control("resume", 0, None, crashes=False)
        self.jobs_are_as_the_model_has_them()
        while self.model.claimable():
            self.claim(0, False, 100, is_swept=True, crashes=False)
            self.jobs_are_as_the_model_has_them()
            self.finish(list(range(len(self.model.jobs))), False, "completed", False, crashes=False)
            self.jobs_are_as_the_model_has_them()
        self.claim(0, False, 100, is_swept=True, crashes=False)
        for job in self.model.jobs.values():
            assert job.status in ENDED or (job.status == "pending" and self.model.is_held(job)), job


@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    with asyncio.Runner() as runner:
        connections = [
            runner.run(asyncpg.connect(database.url, server_settings={"lock_timeout": "20ms"})) for _ in range(3)
        ]
        runner.run(connections[0].execute(calls.PREPARE))
        yield Stage(runner, connections[0], connections[1:])
        for connection in connections:
            connection.terminate()


@pytest.mark.slow
@pytest.mark.timeout(600)  # to make a failing example small may take minutes
def test_whatever_is_called_jobs_live_as_the_contract_has_it(stage: Stage) -> None:
    table = stage.runner.run(stage.main.fetch("select old_status, new_status from jobd.transition"))
    assert {tuple(row) for row in table} == TRANSITIONS
    shape = settings(
        max_examples=100 if SECONDS else 40,
        stateful_step_count=50,
        deadline=None,
        derandomize=not SECONDS,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    machine = type("Lifecycle", (Lifecycle,), {"stage": stage})
    ends_at = time.monotonic() + SHARE * SECONDS
    while True:
        run_state_machine_as_test(machine, settings=shape)
        if time.monotonic() >= ends_at:
            return
