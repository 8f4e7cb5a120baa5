"""The two sockets of systemd: how the daemon is (``Type=notify``), and the journal's native protocol."""

from __future__ import annotations

import os
import socket
import stat
import time
from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# systemd reads at once, unless the whole machine stands still; the event loop must not wait for it.
SEND_SECONDS_MAX = 0.5
JOURNAL = "/run/systemd/journal/socket"


class ServiceManager:
    """The other end of ``NOTIFY_SOCKET``; without one every call is without effect."""

    def __init__(self, address: str | None, watchdog_microseconds: str | None = None) -> None:
        self._address = address
        self.watchdog_seconds = int(watchdog_microseconds) / 1e6 if watchdog_microseconds else None

    def ready(self, status: str) -> None:
        """Say that the start, or the reading of the settings, is complete."""
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def status(self, status: str) -> None:
        """Say in one line what goes on; shown by ``systemctl status``."""
        self._send(f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """Say that the settings are read again; ``ready`` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str) -> None:
        """Say that the daemon has begun to stop."""
        self._send(f"STOPPING=1\nSTATUS={_line(status)}")

    def watchdog(self) -> None:
        """Say that the loops move."""
        self._send("WATCHDOG=1")

    def extend(self, seconds: float) -> None:
        """Ask for more time to start or to stop."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def keep(self, descriptor: int) -> None:
        """Have a listening socket kept while the service restarts; the next process finds it open."""
        self._send("FDSTORE=1\nFDNAME=listening", descriptor)

    def let_go(self) -> None:
        """Have the sockets that are kept closed."""
        self._send("FDSTOREREMOVE=1\nFDNAME=listening")

    def _send(self, text: str, descriptor: int | None = None) -> None:
        if self._address is None:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(SEND_SECONDS_MAX)
            try:
                passed = [] if descriptor is None else [_passing(descriptor)]
                sender.sendmsg([text.encode()], passed, 0, address)
            except OSError:
                return  # the daemon's work does not depend on it, and the next word may be heard


def _passing(descriptor: int) -> tuple[int, int, array[int]]:
    """What goes along with a message so that its reader has the descriptor, too."""
    return socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [descriptor])


def _line(text: str) -> str:
    """The text in one line: what follows a break would be another thing said."""
    return " ".join(text.split())


class Journal:
    """The journal's socket: an entry is a set of fields that can be asked for one by one."""

    def __init__(self, path: str = JOURNAL) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def send(self, fields: Mapping[str, str]) -> bool:
        """Write an entry; False when the journal did not take it: too large, too many, or nobody there."""
        try:
            self._socket.sendto(b"".join(_field(name, value) for name, value in fields.items()), self._path)
        except OSError:
            return False
        return True


def _field(name: str, value: str) -> bytes:
    text = value.encode("utf-8", "backslashreplace")
    if b"\n" not in text:
        return b"%s=%s\n" % (name.encode(), text)
    return b"%s\n%s%s\n" % (name.encode(), len(text).to_bytes(8, "little"), text)


def is_journal(stream: str | None, descriptor: int) -> bool:
    """Whether what is written there goes to the journal, as ``JOURNAL_STREAM`` says."""
    try:
        written = os.fstat(descriptor)
    except OSError:
        return False
    return stat.S_ISSOCK(written.st_mode) and stream == f"{written.st_dev}:{written.st_ino}"
