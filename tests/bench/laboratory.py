"""A server with durable settings and a daemon, for the time of a measurement."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import psutil

from jobd.db import embedded
from tests.support.environment import without_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from uuid import UUID

# What the published figures of others were measured with; fsync and synchronous_commit stay on.
SERVER_SETTINGS = {
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "max_connections": "100",
    "shared_preload_libraries": "pg_stat_statements",
}
DATABASE = "bench"
DAEMON_STOP_SECONDS = 40
JOB_SECONDS_MAX = 900


class Laboratory:
    """One database on one server; daemons are started for as long as a measure needs them."""

    def __init__(self, server: embedded.EmbeddedServer, files: Path) -> None:
        self.server = server
        self.files = files
        self.url = server.url(DATABASE)

    def psql(self, *commands: str) -> float:
        """Seconds that one psql takes for these commands, start-up included."""
        arguments = [argument for command in commands for argument in ("-c", command)]
        started = time.perf_counter()
        self.server.run(
            "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.url, *arguments, timeout=JOB_SECONDS_MAX
        )
        return time.perf_counter() - started

    @contextlib.contextmanager
    def daemon(self, **settings: str) -> Iterator[psutil.Process]:
        """A daemon that is ready to claim."""
        environment = {
            **without_settings(),
            "JOBD_DATABASE_URL": self.url,
            "JOBD_IMPORT_ROOTS": str(self.files),
            "JOBD_METRICS_LISTEN": "127.0.0.1:0",
            "JOBD_LOG_LEVEL": "warning",
            "JOBD_HANDLERS": "tests.bench.noop",
            **settings,
        }
        with (self.files / "daemon.log").open("ab") as log:
            daemon = subprocess.Popen(
                [sys.executable, "-m", "jobd", "run"], env=environment, stdout=log, stderr=log
            )
        try:
            yield psutil.Process(daemon.pid)
        finally:
            daemon.terminate()
            try:
                daemon.wait(DAEMON_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    async def connect(self) -> asyncpg.Connection:
        """A connection of an application."""
        connection: asyncpg.Connection = await asyncpg.connect(self.url)
        return connection

    async def import_file(
        self, connection: asyncpg.Connection, file: str, target: str, **options: Any
    ) -> asyncpg.Record:
        """Import a file, and give its job's row with ``seconds`` from the insert to the end."""
        ended: anyio.Event = anyio.Event()

        def heard(_connection: object, _pid: int, _channel: str, payload: object) -> None:
            event = json.loads(str(payload))
            if event.get("new_status") in {"completed", "failed"}:
                ended.set()

        await connection.add_listener("jobd_event", heard)
        try:
            started = time.perf_counter()
            job: UUID = await connection.fetchval(
                "insert into jobd.job (source, target, options) values ($1, $2, $3) returning id",
                str(self.files / file),
                target,
                json.dumps({"force": True, **options}),
            )
            with anyio.fail_after(JOB_SECONDS_MAX):
                await ended.wait()
            seconds = time.perf_counter() - started
        finally:
            await connection.remove_listener("jobd_event", heard)
        row = await connection.fetchrow(
            "select *, $2::float8 as seconds from jobd.job where id = $1", job, seconds
        )
        if row is None or row["status"] != "completed":
            raise RuntimeError(f"import of {file} into {target}: {row and row['error_message']}")
        return row


def peak_memory_bytes(process: psutil.Process) -> int:
    """The most memory the process ever held, from the kernel's own account (VmHWM)."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not say VmHWM")


@contextlib.asynccontextmanager
async def laboratory() -> AsyncIterator[Laboratory]:
    """A server with jobd's schema, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="jobd-bench-") as place:
        directory = Path(place)
        files = directory / "files"
        files.mkdir()
        with embedded.running(settings=SERVER_SETTINGS) as server:
            server.run("createdb", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", DATABASE)
            yield Laboratory(server, files)
