"""What faults act on: the daemons, the database, the jobs there are, and the list of what has struck so far."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from jobd.drill.fault import Fault

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from jobd.drill.daemons import DrillDaemon
    from jobd.drill.scratch import Scratch

ServerAction = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class ServerControl:
    """How the server is stopped and started."""

    stop: ServerAction
    start: ServerAction


@dataclass
class Ground:
    """One drill's."""

    scratch: Scratch
    daemons: Sequence[DrillDaemon]
    lease_seconds: float
    server: ServerControl | None
    say: Callable[[str, str], None]
    faults: list[Fault] = field(default_factory=list)

    async def now(self) -> datetime:
        """The database's time."""
        now: datetime = await self.scratch.value("drill_now")
        return now

    async def running(self) -> dict[UUID, tuple[str, str]]:
        """Jobs that are at work: by whom, and into which table."""
        rows = await self.scratch.fetch("drill_running", self.scratch.batch_id)
        return {row["id"]: (row["worker"], row["target"]) for row in rows}

    async def jobs_of(self, *names: str) -> list[UUID]:
        """Those that these daemons have."""
        return [job for job, (worker, _) in (await self.running()).items() if worker in names]

    @asynccontextmanager
    async def one_daemon(self, dice: random.Random) -> AsyncIterator[DrillDaemon]:
        """A daemon that no other fault strikes meanwhile, one that has jobs if there is any."""
        busy = {worker for worker, _ in (await self.running()).values()}
        daemon = dice.choice([one for one in self.daemons if one.name in busy] or self.daemons)
        async with daemon.turn:
            yield daemon

    async def struck(self, kind: str, where: str, jobs: Iterable[UUID], **how: Any) -> Fault:
        """Write a fault down that has just struck."""
        fault = Fault(kind, where, tuple(jobs), began_at=await self.now(), **how)
        self.faults.append(fault)
        self.say("fault", f"{kind}: {where}")
        return fault

    async def last(self, fault: Fault, seconds: float) -> None:
        """Let it go on for a while."""
        await anyio.sleep(seconds)
        self.say("end", f"{fault.kind} ends after {seconds:.1f} s: {fault.where}")

    async def over(self, fault: Fault) -> None:
        """Write down that it was undone."""
        fault.ended_at = await self.now()
