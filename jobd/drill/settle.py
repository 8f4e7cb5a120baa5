"""The end of the faults: whatever is left is done, or it is stuck."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from jobd.drill.report import PROBLEMS_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.drill.daemons import DrillDaemon
    from jobd.drill.scratch import Scratch

LOOK_SECONDS = 0.25
# A job that does not get on for so long has been lost.
STUCK_SECONDS = 60.0


async def settle(scratch: Scratch, daemons: Sequence[DrillDaemon]) -> list[str]:
    """Let every job end and stop the daemons; gives what does not get on, and why."""
    stuck = await _stuck(scratch, daemons)
    for daemon in daemons:
        daemon.see_whether_it_lives()
        await daemon.stop()
    return stuck


async def _stuck(scratch: Scratch, daemons: Sequence[DrillDaemon]) -> list[str]:
    moved_at, last = time.monotonic(), None
    while left := await scratch.fetch("drill_open", scratch.batch_id):
        for row in left:
            if row["status"] == "paused":
                await scratch.fetch("drill_resume", row["id"])
        for daemon in daemons:
            daemon.see_whether_it_lives()
        now = tuple((await scratch.fetch("drill_done", scratch.batch_id))[0])
        if now != last:
            moved_at, last = time.monotonic(), now
        elif time.monotonic() - moved_at > STUCK_SECONDS:
            return [
                f"job {row['id']} is {row['status']}: {await scratch.value('drill_explain', row['id'])}"
                for row in left[:PROBLEMS_MAX]
            ]
        await anyio.sleep(LOOK_SECONDS)
    return []
