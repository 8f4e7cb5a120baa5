"""PgBouncer in front of the server, in transaction mode: every transaction on whichever connection is free."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from jobd.db.embedded import free_port, unprivileged_user
from tests.support import programs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.database import Database

ADMIN = "pooler_admin"
CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
admin_users = {admin}
pool_mode = transaction
default_pool_size = {size}
server_round_robin = 1
logfile = {log}
"""


@dataclass(frozen=True)
class Pooler:
    """A running pooler."""

    port: int

    def url(self, database: Database, user: str = "postgres") -> str:
        """The URL of a database through the pooler."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database.name}"

    async def order(self, command: str) -> None:
        """A command of its console: PAUSE, RESUME, RECONNECT, KILL …"""
        connection = await asyncpg.connect(
            f"postgresql://{ADMIN}@127.0.0.1:{self.port}/pgbouncer", statement_cache_size=0, timeout=10
        )
        # The console speaks the simple protocol only, and knows nothing of what the driver sends when it leaves.
        try:
            await connection.execute(command)
        finally:
            connection.terminate()


@contextlib.contextmanager
def pooler(database: Database, users: Sequence[str] = (), size: int = 6) -> Iterator[Pooler]:
    """A pooler for ``postgres`` and these roles, which come in without a password."""
    program = programs.need("pgbouncer")
    user = unprivileged_user()
    with tempfile.TemporaryDirectory(prefix="jobd-pooler-") as directory:
        place, port = Path(directory), free_port()
        place.chmod(0o755)
        (place / "users").write_text("".join(f'"{name}" ""\n' for name in ("postgres", ADMIN, *users)))
        (place / "pooler.ini").write_text(
            CONFIGURATION.format(
                server_port=database.server.port,
                port=port,
                users=place / "users",
                admin=ADMIN,
                size=size,
                log=place / "log",
            )
        )
        if user is not None:
            shutil.chown(place, user)
        process = subprocess.Popen(
            [program, "-q", place / "pooler.ini"], user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for(port, place / "log")
            yield Pooler(port)
        finally:
            process.kill()
            process.wait()


def _wait_for(port: int, log: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert time.monotonic() < deadline, log.read_text() if log.exists() else "the pooler did not start"
        time.sleep(0.02)
