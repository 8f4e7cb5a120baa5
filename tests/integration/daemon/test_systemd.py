"""What systemd hears of a daemon, from its start to its end; tests/ops has a real one listen."""

from __future__ import annotations

import asyncio
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from jobd.db import migrate
from tests.support.daemons import daemon_process, daemon_within, submit, until, wait_for_status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.database import Database


class Notified:
    """The service manager's socket, and everything it heard so far."""

    def __init__(self, path: Path) -> None:
        self.said: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._hear)

    def _hear(self) -> None:
        self.said.append(self._socket.recv(10_000).decode())

    async def hears(self, text: str) -> str:
        """Wait until something that holds the text was said, and forget what came before it."""

        async def look() -> list[str]:
            return [said for said in self.said if text in said]

        found = (await until(look))[0]
        del self.said[: self.said.index(found) + 1]
        return found

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()


@pytest.fixture
async def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Notified]:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "900000")
    systemd = Notified(tmp_path / "notify")
    yield systemd
    systemd.close()


async def test_systemd_hears_of_each_turn_of_a_daemons_life(
    empty_database: Database, tmp_path: Path, systemd: Notified
) -> None:
    env_file = tmp_path / "jobd.env"
    env_file.write_text("JOBD_CONCURRENCY=2\n")
    with daemon_process(empty_database, tmp_path, env_file=env_file, sample_seconds=0.1) as daemon:
        assert "EXTEND_TIMEOUT_USEC=" in await systemd.hears("EXTEND")
        assert "run `jobd migrate`" in await systemd.hears("no jobd schema")
        await migrate.migrate(empty_database.url)
        ready = await systemd.hears("READY=1")
        assert "running, 0 of 2 slots in use, jobs held: 0, oldest due job: 0 s" in ready

        env_file.write_text("JOBD_CONCURRENCY=3\n")
        daemon.send(signal.SIGHUP)
        await systemd.hears("RELOADING=1")
        assert "0 of 3 slots" in await systemd.hears("READY=1")
        env_file.write_text("JOBD_CONCURRENCY=none\n")
        daemon.send(signal.SIGHUP)
        await systemd.hears("RELOADING=1")
        assert "0 of 3 slots" in (refused := await systemd.hears("READY=1"))
        assert "settings not reloaded: JOBD_CONCURRENCY" in refused

        job_id = await submit(empty_database, "sleep")
        await wait_for_status(empty_database, job_id, "running")
        await systemd.hears("1 of 3 slots in use, jobs held: 1")
        await systemd.hears("WATCHDOG=1")
        daemon.send(signal.SIGTERM)
        assert "draining, jobs held: 1" in await systemd.hears("STOPPING=1")
        await systemd.hears("EXTEND_TIMEOUT_USEC=")
        assert await daemon.exit_code() == 0


async def test_the_status_says_at_once_that_notifications_are_heard(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobd.services.reporter.STATUS_SECONDS", 600)  # but for what calls it
    async with daemon_within(database) as daemon:

        async def status() -> str:
            return daemon._reporter._said

        await until(status, lambda said: said.startswith("running") and "not heard" not in said)
