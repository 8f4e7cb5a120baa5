"""The daemons of a drill: child processes, each behind a network of its own that can be made to fail."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from jobd.drill.network import Proxy, server_address
from jobd.drill.scratch import QUEUE
from jobd.errors import JobdError
from jobd.settings import PREFIX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

GRACE_SECONDS = 10
STOP_SECONDS_MAX = GRACE_SECONDS + 5
# What the drill says to its daemons by itself; everything else that is set for jobd is theirs as well.
_OWN = {"database_url_file", "notify_database_url", "notify_database_url_file", "env_file", "instance"}
_SET_PARENT_DEATH_SIGNAL = 1


class DaemonFailed(JobdError):
    """A daemon ended that nobody had ended."""


class DrillDaemon:
    """A `jobd run` of its own, by name; each process of it writes a log of its own."""

    def __init__(self, name: str, url: str, directory: Path, settings: Mapping[str, str]) -> None:
        self.name = name
        self.proxy = Proxy(server_address(url))
        self.turn = anyio.Lock()  # one fault at a time
        self.ended_badly: list[str] = []
        self._url = self.proxy.url_of(url)
        self._directory = directory
        self._settings = settings
        self._starts = 0
        self._log = directory / "none"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process, while there is one."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start a process."""
        self._starts += 1
        self._log = self._directory / f"{self.name}.{self._starts}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jobd", "run"],
                env=_environment({**self._settings, "database_url": self._url, "instance": self.name}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the drill, which then ends its daemons
                preexec_fn=_die_with_parent,  # noqa: PLW1509  one call of the kernel
            )

    def kill(self) -> None:
        """End it as a power cut would."""
        process = self._running()
        process.kill()
        process.wait()

    def freeze(self) -> None:
        """Let it stand still."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on, however long that was."""
        self._running().send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        """Have it stop in good order; what is not in order is kept."""
        process = self._running()
        process.terminate()
        try:
            await to_thread.run_sync(process.wait, STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.ended_badly.append(f"{self.name} did not stop within {STOP_SECONDS_MAX} s of SIGTERM")
            self.kill()
            return
        # One that is asked so early that Python itself has not begun yet ends by the signal.
        has_begun = self._log.stat().st_size > 0
        if process.returncode != 0 and (has_begun or process.returncode != -signal.SIGTERM):
            self.ended_badly.append(f"{self.name} ended with exit code {process.returncode} at SIGTERM")

    def see_whether_it_lives(self) -> None:
        """Notice one that ended by itself, and start it again."""
        if self._process is not None and self._process.poll() is not None:
            self.ended_badly.append(f"{self.name} ended by itself, with exit code {self._process.returncode}")
            self.start()

    def _running(self) -> subprocess.Popen[bytes]:
        self.see_whether_it_lives()
        if self._process is None:
            raise DaemonFailed(f"{self.name} was never started")
        return self._process

    async def close(self) -> None:
        """Leave nothing running."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        await self.proxy.close()


@asynccontextmanager
async def daemons(
    count: int, url: str, directory: Path, settings: Mapping[str, str]
) -> AsyncIterator[list[DrillDaemon]]:
    """So many daemons for the time of a block, started; none is left."""
    made: list[DrillDaemon] = []
    try:
        for number in range(1, count + 1):
            made.append(DrillDaemon(f"drill-{number}", url, directory, settings))
            made[-1].start()
        yield made
    finally:
        with anyio.CancelScope(shield=True):
            for daemon in made:
                await daemon.close()


def daemon_settings(files: Path, lease_seconds: float) -> dict[str, str]:
    """How the daemons of a drill are set."""
    return {
        "queues": QUEUE,
        "import_roots": str(files),
        "metrics_listen": "off",
        "lease_seconds": f"{lease_seconds}",
        "heartbeat_seconds": f"{min(0.8, lease_seconds / 6):.3f}",
        "poll_seconds": "1",
        "shutdown_grace_seconds": f"{GRACE_SECONDS}",
        "log_level": "debug",  # at which they tell what they believe
        "log_format": "json",
    }


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Ours, with these settings; where the database is, and how they are named, is said here only."""
    dropped = {f"{PREFIX}{name.upper()}" for name in _OWN}
    inherited = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**inherited, **{f"{PREFIX}{name.upper()}": value for name, value in settings.items()}}


_libc = ctypes.CDLL(None)


def _die_with_parent() -> None:
    """Should the drill itself be killed, its daemons must not stay."""
    _libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
