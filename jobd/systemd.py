"""Telling systemd how the daemon is, where it runs under systemd (``Type=notify``)."""

from __future__ import annotations

import socket


class ServiceManager:
    """The other end of ``NOTIFY_SOCKET``; without one every call is without effect."""

    def __init__(self, address: str | None, watchdog_microseconds: str | None = None) -> None:
        self._address = address
        self.watchdog_seconds = int(watchdog_microseconds) / 1e6 if watchdog_microseconds else None

    def ready(self, status: str) -> None:
        """Say that the start is complete."""
        self._send(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        """Say in one line what goes on; shown by ``systemctl status``."""
        self._send(f"STATUS={status}")

    def stopping(self, status: str) -> None:
        """Say that the daemon has begun to stop."""
        self._send(f"STOPPING=1\nSTATUS={status}")

    def watchdog(self) -> None:
        """Say that the loops move."""
        self._send("WATCHDOG=1")

    def extend(self, seconds: float) -> None:
        """Ask for more time to start or to stop."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def _send(self, text: str) -> None:
        if self._address is None:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            try:
                sender.sendto(text.encode(), address)
            except OSError:
                self._address = None  # nobody reads there; the daemon's work does not depend on it
