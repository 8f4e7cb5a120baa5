"""One drill, from an empty scratch database to the proof."""

from __future__ import annotations

import random
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import anyio
from anyio import to_thread

from jobd.drill import beliefs, history
from jobd.drill.daemons import DaemonFailed, daemon_settings, daemons
from jobd.drill.fault import Timed, measure, summary
from jobd.drill.ground import Ground
from jobd.drill.history import Change, Event, History, Standing
from jobd.drill.load import Rounds
from jobd.drill.menu import FAULTS, strike
from jobd.drill.proof import Proof
from jobd.drill.report import PROBLEMS_MAX, Check, Report
from jobd.drill.scratch import Scratch
from jobd.drill.settle import settle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from asyncpg import Record

    from jobd.drill.daemons import DrillDaemon
    from jobd.drill.ground import ServerControl
    from jobd.settings import Settings

# So many faults go on at once.
LANES = 2
PAUSE_SECONDS = (0.2, 2.0)
LOOK_SECONDS = 0.5
START_SECONDS_MAX = 60.0
# The next round is submitted while so many jobs of the last are left.
OPEN_MIN = 5


@dataclass(frozen=True)
class Plan:
    """What was asked for. ``directory``: an empty one for files and logs, which the daemons can read."""

    settings: Settings
    directory: Path
    seconds: float
    daemons: int
    seed: int
    rows: int
    lease_seconds: float
    server: ServerControl | None = None


class Pace(NamedTuple):
    """How far all is."""

    seconds: float
    jobs: int
    ended: int
    records: int
    batches: int
    faults: int


class Drill:
    """Its steps, in order: prepare, disturb, settle, prove; and clear, unless the traces are to be kept."""

    def __init__(
        self, plan: Plan, say: Callable[[str, str], None], show: Callable[[Pace], None] = lambda _pace: None
    ) -> None:
        self.plan = plan
        self.scratch = Scratch(plan.settings)
        self._say = say
        self._show = show
        self._stack = AsyncExitStack()
        self._files = plan.directory / "files"
        self._logs = plan.directory / "logs"
        self._rounds = Rounds(self._files, plan.rows, plan.seed)
        self._daemons: list[DrillDaemon] = []
        self._stuck: list[str] = []
        self._began_at = time.monotonic()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        self.scratch.close()

    async def prepare(self) -> None:
        """Lay everything, submit the first round, and start the daemons."""
        await self.scratch.require_unused()
        await self.scratch.lay("drill_lay_trail")
        for place in (self._files, self._logs):
            place.mkdir()
        settings = daemon_settings(self._files, self.plan.lease_seconds)
        url = self.scratch.url
        self._daemons = await self._stack.enter_async_context(
            daemons(self.plan.daemons, url, self._logs, settings)
        )
        self._ground = Ground(self.scratch, self._daemons, self.plan.lease_seconds, self.plan.server, self._say)
        await self._submit()
        await self._started()

    async def disturb(self) -> None:
        """Let faults strike for the given time, and see to it that there is work for as long."""
        self._began_at = time.monotonic()
        await self._watched(self._feed_and_strike)

    async def settle(self) -> None:
        """Let everything end, then stop the daemons."""
        self._say("step", "the faults are over; what is left is done now")
        await self._watched(self._settled)

    async def prove(self) -> Report:
        """Hold everything against everything."""
        self._say("step", "the proof")
        proof = Proof(self.scratch)
        await proof.begin()
        rows = await proof.take(self._rounds.jobs)
        checks = await proof.checks()
        trail, seen = await self._history(rows)
        faults = self._ground.faults
        measure(faults, trail)
        found = history.check(seen)
        checks += [_rule(rule, seen, found) for rule in history.RULES]
        bad = [problem for daemon in self._daemons for problem in daemon.ended_badly]
        ends = f"{len(self._daemons)} daemons"
        checks.append(Check("every daemon ended when it was asked to, and none by itself", ends, bad))
        if self._stuck:
            checks.append(Check("every job gets on", f"{len(seen.jobs)} jobs", self._stuck))
        return Report(
            seed=self.plan.seed,
            seconds=self.plan.seconds,
            daemons=self.plan.daemons,
            jobs=len(seen.jobs),
            cancelled=sum(job.status == "cancelled" for job in seen.jobs),
            batches=sum(change.is_batch for change in seen.trail),
            bundles=await self.scratch.value("drill_bundles"),
            claims=sum(change.new_status == "running" != change.old_status for change in seen.trail),
            beliefs=len(seen.beliefs),
            sums=proof.sums(),
            checks=checks,
            recoveries=summary(faults),
            faults=sorted(faults, key=lambda fault: fault.began_at),
        )

    async def clear(self) -> None:
        """Leave nothing in the database but jobd's schema."""
        await self.scratch.clear()

    async def _started(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if len(await self.scratch.fetch("drill_live_workers")) == len(self._daemons):
                return
            await anyio.sleep(LOOK_SECONDS / 5)
        raise DaemonFailed(
            f"the daemons did not start within {START_SECONDS_MAX:.0f} s\nTheir logs are in {self._logs}."
        )

    async def _submit(self) -> None:
        small, large = await to_thread.run_sync(self._rounds.next)
        await self.scratch.submit(small)
        await self.scratch.submit(large)
        jobs = [*small, *large]
        records = sum(job.records for job in jobs)
        self._say("work", f"{len(jobs)} jobs submitted, {records:,} records")

    async def _watched(self, work: Callable[[], Awaitable[None]]) -> None:
        """Show how far all is while something goes on; raises what that raises, by itself."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._watch)
                await work()
                group.cancel_scope.cancel()
        except BaseExceptionGroup as several:
            error: BaseException = several
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            raise error from None

    async def _feed_and_strike(self) -> None:
        until = self._began_at + self.plan.seconds
        async with anyio.create_task_group() as group:
            group.start_soon(self._feed, until)
            names = [name for name in FAULTS if name != "server restarted" or self.plan.server is not None]
            for lane in range(LANES):
                dice = random.Random(f"{self.plan.seed} {lane}")  # noqa: S311  to be repeated
                group.start_soon(strike, self._ground, dice, names, PAUSE_SECONDS, until)

    async def _feed(self, until: float) -> None:
        while time.monotonic() < until:
            if len(await self.scratch.fetch("drill_open", self.scratch.batch_id)) <= OPEN_MIN:
                await self._submit()
            await anyio.sleep(LOOK_SECONDS)

    async def _settled(self) -> None:
        self._stuck = await settle(self.scratch, self._daemons)

    async def _watch(self) -> None:
        while True:
            row = (await self.scratch.fetch("drill_done", self.scratch.batch_id))[0]
            self._show(
                Pace(
                    time.monotonic() - self._began_at,
                    row["jobs"],
                    row["ended"],
                    row["processed_rows"],
                    await self.scratch.value("drill_batches"),
                    len(self._ground.faults),
                )
            )
            await anyio.sleep(LOOK_SECONDS)

    async def _history(self, rows: Sequence[Record]) -> tuple[Sequence[Timed], History]:
        """What daemons believed, and what the database wrote down."""
        batch_id, fetch = self.scratch.batch_id, self.scratch.fetch
        trail = [Timed(row["at"], Change(*tuple(row)[:-1])) for row in await fetch("drill_trail", batch_id)]
        events = [Event(*row) for row in await fetch("drill_events", batch_id)]
        jobs = [
            Standing(row["id"], row["status"], row["lease_token"], row["processed_rows"], row["cursor_rows"])
            for row in rows
        ]
        transitions = {(row["old_status"], row["new_status"]) for row in await fetch("drill_transitions")}
        believed = await to_thread.run_sync(beliefs.read, self._logs)
        return trail, History(believed, [timed.change for timed in trail], events, jobs, transitions)


def _rule(rule: str, seen: History, found: Sequence[history.Violation]) -> Check:
    problems = [f"job {each.job_id}: {each.detail}" for each in found if each.rule == rule]
    more = len(problems) - PROBLEMS_MAX
    if more > 0:
        problems[PROBLEMS_MAX:] = [f"and {more} more"]
    return Check(rule, f"{len(seen.trail):,} changes, {len(seen.beliefs):,} beliefs", tuple(problems))
