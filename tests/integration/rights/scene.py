"""Where attacks are tried: one database and one daemon process for all of them, as an installation has them.

That the daemon outlives every attack, and goes on serving the others, is thereby tried as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobd.db.grants import SubmitterGrant, grant_submitter
from tests.sql.roles import Submitter, make_role
from tests.support.daemons import DaemonProcess, daemon_process, job_row, wait_for_status
from tests.support.database import Database, create_database
from tests.support.names import unique

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from uuid import UUID

    from jobd.db.embedded import EmbeddedServer
    from tests.support.servers import Servers

ENDED = ("completed", "failed", "cancelled")
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Place:
    """A server's database with a daemon at work in it."""

    server: EmbeddedServer
    database_name: str
    daemon: DaemonProcess
    root: Path


@contextlib.contextmanager
def open_place(server: EmbeddedServer, servers: Servers) -> Iterator[Place]:
    """Make the database, and let a daemon serve it until this ends."""
    name = unique("rights")
    asyncio.run(create_database(server, name, servers.template(server)))
    with tempfile.TemporaryDirectory(prefix="jobd-rights-") as directory:
        root = Path(directory).resolve() / "in"
        root.mkdir()
        database = Database(server, name)
        with daemon_process(database, Path(directory), import_roots=root, concurrency=4) as daemon:
            asyncio.run(daemon.logged("worker registered"))
            yield Place(server, name, daemon, root)
            assert daemon.process.poll() is None, daemon.log_path.read_text()


@dataclass
class Scene:
    """What a test needs of it."""

    place: Place
    database: Database
    submitters: list[Submitter] = field(default_factory=list)

    async def submitter(self, prefix: str = "clerk", **limits: Sequence[str]) -> Submitter:
        """A granted submitter that has a schema of its own, named as it is."""
        role = await make_role(self.database, prefix)
        login = await grant_submitter(await self.database.connect(), SubmitterGrant(role=role, **limits))
        await self.database.execute(f"create schema authorization {role}")
        submitter = Submitter(role, login, await self.database.connect(role))
        self.submitters.append(submitter)
        return submitter

    def file(self, lines: Sequence[str], name: str = "") -> Path:
        """A file in the daemon's root."""
        path = self.place.root / (name or f"{next(_numbers)}.csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    async def submit(
        self,
        submitter: Submitter,
        target: str,
        source: Sequence[str] | Path | str = ("id,name", "1,ann", "2,bob"),
        options: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> UUID:
        """Insert an import job as this submitter; a list of lines is put into a file first."""
        path = source if isinstance(source, str | Path) else self.file(source)
        values = {"source": str(path), "target": target, "options": json.dumps(options or {}), **columns}
        return await submitter.submit(**values)

    async def run(self, submitter: Submitter, target: str, *rest: Any, **columns: Any) -> Mapping[str, Any]:
        """The row of such a job, once it has ended."""
        return await self.end_of(await self.submit(submitter, target, *rest, **columns))

    async def end_of(self, job_id: UUID) -> Mapping[str, Any]:
        """The job's row, once it has ended."""
        await wait_for_status(self.database, job_id, *ENDED)
        return await job_row(self.database, job_id)
