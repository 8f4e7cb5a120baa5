"""Daemons for tests: real `jobd run` processes to be killed, and daemons within the test that can be awaited."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from jobd.daemon import Daemon
from jobd.handlers import registry
from jobd.settings import Settings
from tests.support.environment import without_settings

if TYPE_CHECKING:
    import signal
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
    from uuid import UUID

    from tests.support.database import Database
    from tests.support.kept_sockets import KeptSockets

T = TypeVar("T")

ROUTINES = "tests.support.routines"
LOOK_SECONDS = 0.005


async def until(look: Callable[[], Awaitable[T]], is_fact: Callable[[T], bool] = bool, within: float = 20.0) -> T:
    """Wait for a fact: look again until it is so, and fail the test with the last thing seen when it never is."""
    deadline = time.monotonic() + within
    while True:
        seen = await look()
        if is_fact(seen):
            return seen
        assert time.monotonic() < deadline, f"not a fact within {within} s; last seen: {seen!r}"
        await asyncio.sleep(LOOK_SECONDS)


async def submit(database: Database, handler: str = "nothing", **columns: Any) -> UUID:
    """Insert a processing job, by plain SQL as an application does."""
    columns = {"job_type": "processing", "handler": handler, **columns}
    values = [json.dumps(value) if isinstance(value, dict) else value for value in columns.values()]
    names = ", ".join(columns)
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    job_id: UUID = await database.fetchval(
        f"insert into jobd.job ({names}) values ({places}) returning id", *values
    )
    return job_id


async def wait_for_status(database: Database, job_id: UUID, *statuses: str, within: float = 20.0) -> str:
    """Wait until the job's status is one of these."""

    async def status() -> str:
        return str(await database.fetchval("select status from jobd.job where id = $1", job_id))

    return await until(status, lambda seen: seen in statuses, within)


async def job_row(database: Database, job_id: UUID) -> Mapping[str, Any]:
    """The job's row."""
    row = await database.fetchrow("select * from jobd.job where id = $1", job_id)
    assert row is not None
    return dict(row)


def environment(database: Database, **settings: Any) -> dict[str, str]:
    """A daemon's environment: quick to notice, loopback only."""
    values = {
        "database_url": database.url,
        "metrics_listen": "127.0.0.1:0",
        "handlers": ROUTINES,
        "shutdown_grace_seconds": 5,
        **settings,
    }
    own = {f"JOBD_{name.upper()}": str(value) for name, value in values.items()}
    return {**without_settings(), "PYTHONPATH": str(Path(__file__).parents[2]), **own}


@contextlib.asynccontextmanager
async def daemon_within(database: Database, **settings: Any) -> AsyncIterator[Daemon]:
    """A daemon in the test's own event loop, working when this begins and gone when it ends."""
    own = {name: value for name, value in environment(database, **settings).items() if name.startswith("JOBD_")}
    daemon = Daemon(Settings.load(environment=own))
    registry.load((ROUTINES,))
    async with anyio.create_task_group() as group:
        group.start_soon(daemon.run)
        with anyio.fail_after(20):
            await daemon.is_registered.wait()
        try:
            yield daemon
        finally:
            daemon.stop()


@dataclass
class DaemonProcess:
    """A `jobd run` of its own. Its log is kept, and is checked by whoever wants to."""

    process: subprocess.Popen[bytes]
    log_path: Path
    stopped: bool = field(default=False)

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> list[dict[str, Any]]:
        """What it logged so far."""
        lines = self.log_path.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    async def logged(self, event: str, within: float = 20.0) -> dict[str, Any]:
        """Wait for a line of its log."""

        async def look() -> dict[str, Any] | None:
            assert self.process.poll() is None or self._has(event), self.log_path.read_text()
            return next((line for line in self.log() if line["event"] == event), None)

        line = await until(look, within=within)
        assert line is not None
        return line

    def _has(self, event: str) -> bool:
        return any(line["event"] == event for line in self.log())

    async def worker_id(self) -> str:
        """Under which id it registered last."""
        await self.logged("worker registered")
        return str([line["worker_id"] for line in self.log() if line["event"] == "worker registered"][-1])

    async def port(self) -> int:
        return int((await self.logged("metrics and health"))["port"])

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def exit_code(self, within: float = 30.0) -> int:
        """Wait until it has ended."""

        async def look() -> int | None:
            return self.process.poll()

        code = await until(look, lambda seen: seen is not None, within)
        assert code is not None
        return code


@contextlib.contextmanager
def daemon_process(database: Database, directory: Path, **settings: Any) -> Iterator[DaemonProcess]:
    """A `jobd run` process; killed at the end if it is still there.

    ``variables``: others' than jobd's; ``kept``: what keeps its sockets over a restart, as systemd does.
    """
    variables = settings.pop("variables", {})
    kept: KeptSockets | None = settings.pop("kept", None)
    command = [sys.executable, "-m", "jobd", "run"]
    if kept is not None:
        variables = {**variables, "NOTIFY_SOCKET": str(kept.path)}
        command = kept.command(*command[1:])
    log_path = directory / f"daemon-{time.monotonic_ns()}.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**environment(database, **settings), **variables},
            pass_fds=kept.descriptors if kept is not None else (),
            stdout=log,
            stderr=log,
        )
    daemon = DaemonProcess(process, log_path)
    try:
        yield daemon
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


async def get(port: int, path: str, within: float = 5) -> tuple[int, str]:
    """GET a page of the health server: status and body."""

    def fetch() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=within) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    return await anyio.to_thread.run_sync(fetch)
