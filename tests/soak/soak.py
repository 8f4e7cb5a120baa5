"""The work of a soak, without an end: what has ended is proved, and then pruned."""

from __future__ import annotations

import random
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from jobd.drill.daemons import DaemonFailed, daemon_settings, daemons
from jobd.drill.ground import Ground
from jobd.drill.load import Rounds
from jobd.drill.menu import strike
from jobd.drill.proof import Claim, Proof
from jobd.drill.report import Check
from jobd.drill.scratch import Scratch
from jobd.drill.settle import settle
from tests.soak.probe import CONCURRENCY, Probe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from jobd.drill.daemons import DrillDaemon
    from jobd.drill.load import DrillJob
    from jobd.settings import Settings

DAEMONS = 3
LEASE_SECONDS = 5.0
# Without those that leave connections behind that only the server's keepalive ends.
FAULTS = (
    "daemon killed",
    "daemon frozen",
    "daemon stopped",
    "backends ended",
    "network reset",
    "network cut",
    "target locked",
    "job's row locked",
    "job paused",
    "job cancelled",
)
PAUSE_SECONDS = (1.0, 6.0)
LOOK_SECONDS = 0.5
START_SECONDS_MAX = 60.0
# Records of a round, and how often; each has some hundreds of jobs, of ten records most of them.
SIZES = {2_000: 6, 10_000: 3, 40_000: 1}
BATCH_SIZE = 2_000
NOOPS = 100
# The next round comes while so many jobs at most are not proved yet.
UNPROVED_MAX = 300
# A cancelled job may be taken up again shortly after.
RESTED_SECONDS = 5.0

RESTED = """
select j.id, j.status, j.retry_count from jobd.job j
where j.id = any($1) and j.completed_at < clock_timestamp() - $2 * interval '1 second'
"""
SUBMIT_NOOPS = """
insert into jobd.job (job_type, handler, queue, batch_id, created_by)
select 'processing', 'noop', 'jobd_drill', $1, 'jobd drill' from generate_series(1, $2::int)
returning id
"""
PRUNE = "select jobd.prune(clock_timestamp() - $1::timestamptz, false)"


@dataclass
class Soak:
    """What there is while one goes on."""

    scratch: Scratch
    daemons: Sequence[DrillDaemon]
    probe: Probe
    ground: Ground
    rounds: Rounds
    proof: Proof
    dice: random.Random
    unproved: dict[UUID, tuple[datetime, DrillJob | None]] = field(default_factory=dict)
    noops: Claim = field(default_factory=lambda: Claim("every no-op completed or was cancelled", "no-ops"))
    noop_count: int = 0
    pruned: int = 0

    async def run(self, seconds: float, sample_seconds: float) -> list[Check]:
        """Work for so long, then settle everything; gives what must hold."""
        until = time.monotonic() + seconds
        async with anyio.create_task_group() as group:
            group.start_soon(self._feed, until)
            group.start_soon(self._prove, until)
            group.start_soon(self._sample, until, sample_seconds)
            group.start_soon(strike, self.ground, self.dice, FAULTS, PAUSE_SECONDS, until)
        stuck = await settle(self.scratch, self.daemons)
        await self._take(0)
        bad = [problem for daemon in self.daemons for problem in daemon.ended_badly]
        return [
            *await self.proof.checks(),
            self.noops.check(),
            Check("every job gets on", f"{self.jobs:,} jobs", stuck),
            Check("no daemon ended by itself", f"{len(self.daemons)} daemons", bad),
        ]

    @property
    def jobs(self) -> int:
        """How many were proved."""
        return self.noop_count + sum(each.jobs for each in self.proof.sums())

    @property
    def rows(self) -> int:
        """How many records these were of."""
        return sum(each.records for each in self.proof.sums())

    async def _feed(self, until: float) -> None:
        connection = await self.scratch.connect()
        while time.monotonic() < until:
            if len(self.unproved) > UNPROVED_MAX:
                await anyio.sleep(LOOK_SECONDS)
                continue
            [self.rounds.records] = self.dice.choices(list(SIZES), list(SIZES.values()))
            small, large = await to_thread.run_sync(self.rounds.next)
            now = await self.scratch.value("drill_now")
            self.unproved |= {job.id: (now, job) for job in (*small, *large)}
            await self.scratch.submit(small)
            await self.scratch.submit(large)
            noops = await connection.fetch(SUBMIT_NOOPS, self.scratch.batch_id, NOOPS)
            self.unproved |= {row["id"]: (now, None) for row in noops}

    async def _prove(self, until: float) -> None:
        while time.monotonic() < until:
            await self._take(RESTED_SECONDS)
            await anyio.sleep(LOOK_SECONDS)

    async def _take(self, rested_seconds: float) -> None:
        """Prove what has ended, and prune what ended before anything began that is not proved yet."""
        connection = await self.scratch.connect()
        try:
            rows = await connection.fetch(RESTED, list(self.unproved), rested_seconds)
            taken = {row["id"]: self.unproved[row["id"]][1] for row in rows}
            jobs = [job for job in taken.values() if job is not None]
            await self.proof.take(jobs)
            for job in jobs:
                for file in job.files:
                    file.path.unlink()
            noops = [row for row in rows if taken[row["id"]] is None]
            self.noop_count += len(noops)
            self.noops.add(
                len(noops),
                [f"no-op {row['id']} is {row['status']}" for row in noops if not _is_in_order(row["status"])],
            )
            for job_id in taken:
                del self.unproved[job_id]
            if self.unproved:
                oldest = min(submitted_at for submitted_at, _ in self.unproved.values())
                self.pruned += await connection.fetchval(PRUNE, oldest)
        finally:
            await connection.close()

    async def _sample(self, until: float, every_seconds: float) -> None:
        while time.monotonic() < until:
            await self.probe.sample(self.jobs, self.rows)
            await anyio.sleep(every_seconds)


@asynccontextmanager
async def soak(settings: Settings, directory: Path, seed: int) -> AsyncIterator[Soak]:
    """Lay everything and start the daemons; none is left."""
    files, logs = directory / "files", directory / "logs"
    for place in (files, logs):
        place.mkdir()
    scratch = Scratch(settings)
    await scratch.lay()
    own = {
        **daemon_settings(files, LEASE_SECONDS),
        "log_level": "info",
        "concurrency": f"{CONCURRENCY}",
        "handlers": "tests.bench.noop",
    }
    async with daemons(DAEMONS, scratch.url, logs, own) as started:
        await _wait_for(scratch, len(started))
        probe = Probe(scratch, started)
        await probe.begin()
        proof = Proof(scratch)
        await proof.begin()
        # The first one is never killed; what strikes connections and jobs strikes its own as well.
        ground = Ground(scratch, started[1:], LEASE_SECONDS, None, lambda _kind, _text: None)
        rounds = Rounds(files, 0, seed, BATCH_SIZE)
        yield Soak(scratch, started, probe, ground, rounds, proof, random.Random(seed))  # noqa: S311  to be repeated
        scratch.close()


async def _wait_for(scratch: Scratch, count: int) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while len(await scratch.fetch("drill_live_workers")) < count:
        if time.monotonic() > deadline:
            raise DaemonFailed(f"the daemons did not start within {START_SECONDS_MAX:.0f} s")
        await anyio.sleep(LOOK_SECONDS / 5)


def _is_in_order(status: str) -> bool:
    return status in {"completed", "cancelled"}
