"""What systemd does for a service with FileDescriptorStoreMax: keeps its sockets, and passes them on."""

from __future__ import annotations

import array
import os
import socket
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Puts the sockets where a process expects them, and names itself as the one that they are for.
LAUNCHER = """
import os, sys
descriptors, *arguments = sys.argv[1:]
for number, descriptor in enumerate(map(int, descriptors.split(",")), start=3):
    os.dup2(descriptor, number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(number - 2))
os.execv(sys.executable, [sys.executable, *arguments])
"""


class KeptSockets:
    """The socket that the daemon tells things, and the descriptors that came along."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptors: list[int] = []
        self.said: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def hear(self) -> None:
        """Take in what was said since the last look."""
        size = array.array("i").itemsize
        while True:
            try:
                text, passed, _, _ = self._socket.recvmsg(10_000, socket.CMSG_SPACE(4 * size))
            except BlockingIOError:
                return
            self.said.append(text.decode())
            if text.startswith(b"FDSTOREREMOVE=1"):
                self.let_go()
            for _, _, data in passed:
                self.descriptors += array.array("i", data[: len(data) - len(data) % size])

    def command(self, *arguments: str) -> list[str]:
        """The command of a process that is to have what is kept, if it is started with that in ``pass_fds``."""
        self.hear()
        if not self.descriptors:
            return [sys.executable, *arguments]
        return [sys.executable, "-c", LAUNCHER, ",".join(map(str, self.descriptors)), *arguments]

    def let_go(self) -> None:
        """Close what is kept."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors.clear()

    def close(self) -> None:
        """Forget everything."""
        self.let_go()
        self._socket.close()
