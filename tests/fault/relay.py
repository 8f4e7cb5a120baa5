"""Daemons that succeed one another: whoever holds the job is killed, and somebody else stands by."""

from __future__ import annotations

import contextlib
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.daemons import DaemonProcess, daemon_process, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database

# Quick to notice a death; long enough that a loaded machine does not lose a lease that nobody meant to take.
QUICK = {"heartbeat_seconds": 0.2, "lease_seconds": 5, "poll_seconds": 1}

HOLDER = """
select w.pid
from jobd.job j
join jobd.worker w on w.id = j.worker_id
where j.id = $1 and j.status = 'running'
"""


@dataclass
class Relay:
    """Running daemon processes."""

    database: Database
    directory: Path
    settings: dict[str, Any]
    _stack: contextlib.ExitStack
    daemons: list[DaemonProcess] = field(default_factory=list)

    def start(self, **settings: Any) -> DaemonProcess:
        """One more daemon."""
        daemon = self._stack.enter_context(
            daemon_process(self.database, self.directory, **(self.settings | settings))
        )
        self.daemons.append(daemon)
        return daemon

    async def holder(self, job_id: UUID) -> DaemonProcess:
        """Wait until a daemon that lives holds the job; gives it."""

        async def look() -> DaemonProcess | None:
            pid = await self.database.fetchval(HOLDER, job_id)
            alive = (daemon for daemon in self.daemons if daemon.process.poll() is None)
            return next((daemon for daemon in alive if daemon.pid == pid), None)

        holder = await until(look, within=30)
        assert holder is not None
        return holder

    async def kill_holder(self, job_id: UUID) -> None:
        """SIGKILL whoever holds the job, and start another daemon in its stead."""
        holder = await self.holder(job_id)
        holder.send(signal.SIGKILL)
        holder.process.wait()
        self.start()


@contextlib.contextmanager
def relay(database: Database, directory: Path, size: int = 2, **settings: Any) -> Iterator[Relay]:
    """So many daemons that may import from ``directory``; all gone at the end."""
    with contextlib.ExitStack() as stack:
        own = {**QUICK, "import_roots": directory, **settings}
        found = Relay(database, directory, own, stack)
        for _ in range(size):
            found.start()
        yield found


async def died(daemon: DaemonProcess, within: float = 30.0) -> None:
    """Wait until the daemon has killed itself."""
    assert await daemon.exit_code(within) == -signal.SIGKILL, daemon.log_path.read_text()


async def is_frozen(daemon: DaemonProcess, within: float = 30.0) -> None:
    """Wait until the daemon is stopped by a signal, as the kernel says."""

    async def look() -> bool:
        with open(f"/proc/{daemon.pid}/stat") as stat:  # noqa: ASYNC230, PTH123  no disk behind it
            return stat.read().rpartition(")")[2].split()[0] == "T"

    await until(look, within=within)
