from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from jobd.systemd import ServiceManager

if TYPE_CHECKING:
    from pathlib import Path


def test_systemd_is_told_how_it_goes(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path)
        manager = ServiceManager(path, "30000000")
        manager.ready("running")
        manager.status("fine")
        manager.watchdog()
        manager.extend(1.5)
        manager.stopping("draining")
        said = [receiver.recv(1000).decode() for _ in range(5)]
    assert said == [
        "READY=1\nSTATUS=running",
        "STATUS=fine",
        "WATCHDOG=1",
        "EXTEND_TIMEOUT_USEC=1500000",
        "STOPPING=1\nSTATUS=draining",
    ]
    assert manager.watchdog_seconds == 30


def test_without_systemd_nothing_happens(tmp_path: Path) -> None:
    ServiceManager(None).ready("running")
    gone = ServiceManager(str(tmp_path / "nobody"))
    gone.ready("running")
    gone.watchdog()
