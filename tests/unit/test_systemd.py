from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

import anyio
import pytest

from jobd.services.loop import Pulse
from jobd.services.reporter import Reporter
from jobd.settings import service_manager_address
from jobd.systemd import Journal, ServiceManager, is_journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Systemd:
    """The other end of the socket."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)

    def heard(self) -> list[str]:
        """What was said since the last look."""
        self._socket.setblocking(False)
        said = []
        while True:
            try:
                said.append(self._socket.recv(100_000).decode())
            except BlockingIOError:
                return said

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    systemd = Systemd(str(tmp_path / "notify"))
    yield systemd
    systemd.close()


def test_systemd_is_told_how_it_goes(systemd: Systemd) -> None:
    manager = ServiceManager(systemd.path, "30000000")
    manager.ready("running")
    manager.status("fine")
    manager.watchdog()
    manager.extend(1.5)
    before = time.monotonic_ns() // 1000
    manager.reloading()
    manager.stopping("draining")
    said = systemd.heard()
    reloading, _, at = said.pop(4).partition("\nMONOTONIC_USEC=")
    assert reloading == "RELOADING=1"
    assert before <= int(at) <= time.monotonic_ns() // 1000
    assert said == [
        "READY=1\nSTATUS=running",
        "STATUS=fine",
        "WATCHDOG=1",
        "EXTEND_TIMEOUT_USEC=1500000",
        "STOPPING=1\nSTATUS=draining",
    ]
    assert manager.watchdog_seconds == 30


def test_a_status_of_several_lines_says_nothing_else_to_systemd(systemd: Systemd) -> None:
    ServiceManager(systemd.path).status("waiting\nREADY=1")
    assert systemd.heard() == ["STATUS=waiting READY=1"]


def test_without_systemd_nothing_happens(tmp_path: Path) -> None:
    ServiceManager(None).ready("running")
    gone = ServiceManager(str(tmp_path / "nobody"))
    gone.ready("running")
    gone.watchdog()


def test_systemd_is_told_again_after_it_was_not_there_for_a_moment(tmp_path: Path) -> None:
    manager = ServiceManager(str(tmp_path / "notify"))
    manager.watchdog()
    systemd = Systemd(str(tmp_path / "notify"))
    manager.watchdog()
    assert systemd.heard() == ["WATCHDOG=1"]
    systemd.close()


def test_a_watchdog_of_another_process_is_not_fed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert service_manager_address() == ("/run/notify", None)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert service_manager_address() == ("/run/notify", "1000000")


async def test_the_watchdog_is_fed_while_the_vital_loops_move_and_only_then(systemd: Systemd) -> None:
    pulse = Pulse()
    reporter = Reporter(ServiceManager(systemd.path, "30000000"), pulse, lambda: "fine")

    async def fed() -> list[str]:
        with anyio.move_on_after(0.05):
            await reporter.run()
        return systemd.heard()

    assert await fed() == ["WATCHDOG=1", "STATUS=fine"]
    pulse.due_at["pruner"] = 0.0  # late, but no reason to end the jobs that run
    assert await fed() == ["WATCHDOG=1"]
    for loop in ("claimer", "heartbeat"):
        pulse.due_at[loop] = 0.0
        assert await fed() == []
        pulse.beat(loop, 1.0)
    assert await fed() == ["WATCHDOG=1"]


def test_reading_the_settings_again_makes_no_daemon_ready_that_was_not(systemd: Systemd) -> None:
    reporter = Reporter(ServiceManager(systemd.path), Pulse(), lambda: "how it goes")
    with reporter.reloading():
        pass
    assert systemd.heard() == []
    reporter.ready()
    with reporter.reloading():
        assert [said.split("=")[0] for said in systemd.heard()] == ["READY", "RELOADING"]
    assert systemd.heard() == ["READY=1\nSTATUS=how it goes"]
    reporter.stopping()
    with reporter.reloading():
        pass
    assert systemd.heard() == ["STOPPING=1\nSTATUS=how it goes"]


def test_entries_of_the_journal_hold_what_they_are_given(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path)
        journal = Journal(path)
        assert journal.send({"MESSAGE": "hello", "JOBD_X": "two\nlines"})
        assert receiver.recv(1000) == b"MESSAGE=hello\nJOBD_X\n\x09\0\0\0\0\0\0\0two\nlines\n"
        assert not journal.send({"MESSAGE": "x" * 10_000_000})
    assert not Journal(str(tmp_path / "nobody")).send({"MESSAGE": "hello"})


def test_only_the_socket_that_the_variable_names_is_the_journal(tmp_path: Path) -> None:
    one, other = socket.socketpair()
    with one, other, (tmp_path / "file").open("w") as file:
        named = os.fstat(one.fileno())
        stream = f"{named.st_dev}:{named.st_ino}"
        assert is_journal(stream, one.fileno())
        assert not is_journal(stream, other.fileno())
        assert not is_journal(None, one.fileno())
        of_file = os.fstat(file.fileno())
        assert not is_journal(f"{of_file.st_dev}:{of_file.st_ino}", file.fileno())
