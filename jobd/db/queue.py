"""The queue as the daemon sees it: one method per function of the schema, each a single statement."""

from __future__ import annotations

import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import asyncpg
import orjson

from jobd.db import environment, schema_text
from jobd.db.queries import query
from jobd.db.transient import Advice, advice, error_class, is_disk_full
from jobd.errors import DatabaseFull, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from asyncpg import Record

    from jobd.db.pool import Pool
    from jobd.metrics import Metrics
    from jobd.model.files import FileEntry
    from jobd.settings import Settings


class SourceLimits(NamedTuple):
    """The directories and the remote prefixes that a submitter is limited to; None: it is not."""

    import_roots: tuple[Path, ...] | None
    source_prefixes: tuple[str, ...] | None


NO_LIMITS = SourceLimits(None, None)


class Login(NamedTuple):
    """What the connections of a submitter's jobs are authenticated as, and the role they act as, quoted."""

    name: str
    quoted_role: str


class Submitter(NamedTuple):
    """Whom the jobs of a submitter write as, and from where it may import."""

    login: Login
    limits: SourceLimits


class Ending(NamedTuple):
    """How an attempt ends, as ``jobd.finish`` takes it; ``processed_rows``: where the job's row has as many."""

    job_id: UUID
    lease_token: int
    outcome: str
    error_code: str | None = None
    error_message: str | None = None
    result: str | None = None
    delay_seconds: float | None = None
    processed_rows: int | None = None


class ListedFile(NamedTuple):
    """One file of a job, as its first start listed it, and what has become of it since."""

    position: int
    name: str
    size_bytes: int | None
    modified_ns: int
    file_hash: str | None
    status: str
    detected: dict[str, Any] | None


class BegunJob(NamedTuple):
    """What is found out about a job of one small file before its first row."""

    job_id: UUID
    lease_token: int
    detected: Mapping[str, Any]
    estimated_rows: int
    total_rows: int
    file_hash: str
    file: FileEntry


class Presence(NamedTuple):
    """What other daemons can see of this one in pg_stat_activity: its listener's backend."""

    pid: int
    started_at: datetime


class Queue:
    """Calls on jobd's own connections. What the database cannot do just now is raised as DatabaseUnavailable."""

    def __init__(self, pool: Pool, metrics: Metrics, timeout_seconds: float) -> None:
        self._pool = pool
        self._metrics = metrics
        self._timeout_seconds = timeout_seconds

    async def fetch(self, name: str, *arguments: object) -> Sequence[Record]:
        """Run the named query."""
        try:
            with anyio.fail_after(self._timeout_seconds):
                async with self._pool.acquire() as connection:
                    began_at = time.monotonic()
                    rows = await connection.fetch(query(name), *arguments)
                    self._metrics.database.count_statement(name, time.monotonic() - began_at)
                    return rows
        except Exception as error:
            self._metrics.database.count_error(error_class(error))
            if advice(error) is Advice.FAIL:
                raise
            if is_disk_full(error):
                raise DatabaseFull(str(error)) from error
            raise DatabaseUnavailable(f"{name}: {type(error).__name__}") from error

    async def _value(self, name: str, *arguments: object) -> Any:
        return (await self.fetch(name, *arguments))[0][0]

    async def require_own_database(self, name: str | None) -> None:
        """Raise ForeignDatabase where daemons of that environment start and send nothing."""
        with anyio.fail_after(self._timeout_seconds):
            async with self._pool.acquire() as connection:
                await environment.require_own(connection, name)

    async def identity(self) -> Record:
        """Who this daemon is for the database."""
        return (await self.fetch("daemon_identity"))[0]

    async def register(self, worker_id: UUID, settings: Settings, version: str) -> None:
        """Enter this process as a worker, with a fresh lease."""
        worker = (
            worker_id,
            settings.instance,
            platform.node(),
            os.getpid(),
            version,
            list(settings.queues),
            settings.concurrency,
            settings.lease_seconds,
            settings.heartbeat_seconds,
        )
        if await self._value("daemon_schema_is_noted"):
            await self.fetch("daemon_register", *worker, schema_text.load(settings.role_prefix).version)
        else:
            await self.fetch("daemon_register_without_schema", *worker)

    async def deregister(self, worker_id: UUID) -> None:
        """Strike the worker off; it must hold no job."""
        await self.fetch("daemon_deregister", worker_id)

    async def claim(
        self, worker_id: UUID, queues: Sequence[str], limit: int, job_types: Sequence[str] | None = None
    ) -> Sequence[Record]:
        """Take waiting jobs under new leases."""
        types = None if job_types is None else list(job_types)
        return await self.fetch("daemon_claim", worker_id, list(queues), limit, types)

    async def seconds_to_next_due(self, queues: Sequence[str]) -> float | None:
        """How long until a job becomes due or a queue goes on by itself; None: nothing is planned."""
        seconds: float | None = await self._value("daemon_next_due", list(queues))
        return seconds

    async def begin(
        self,
        job_id: UUID,
        lease_token: int,
        *,
        detected: dict[str, Any] | None,
        estimated_rows: int | None,
        total_rows: int | None,
        file_hash: str | None,
        files_total: int | None,
        current_file: str | None,
        files: Sequence[FileEntry] | None,
        file_hashes: Sequence[str | None] | None,
    ) -> None:
        """Write down what was found out about the job's source; None leaves as it is."""
        text = None if detected is None else orjson.dumps(detected).decode()
        found = (text, estimated_rows, total_rows, file_hash, files_total, current_file)
        names, sizes, times = zip(*files, strict=True) if files else (None, None, None)
        modified = None if times is None else [_time(nanoseconds) for nanoseconds in times]
        hashes = None if file_hashes is None else list(file_hashes)
        await self.fetch("daemon_begin", job_id, lease_token, *found, names, sizes, modified, hashes)

    async def begin_bundle(self, begun: Sequence[BegunJob]) -> None:
        """Write down what was found out about jobs of one small file each."""
        ids, tokens, detected, *columns, files = zip(*sorted(begun), strict=True)  # in the order that all lock in
        texts = [orjson.dumps(each).decode() for each in detected]
        names, sizes, times = zip(*files, strict=True)
        modified = [_time(nanoseconds) for nanoseconds in times]
        await self.fetch("daemon_begin_bundle", ids, tokens, texts, *columns, names, sizes, modified)

    async def target_state(self, target: str, role_oid: int) -> str | None:
        """A digest of what an import looks up about its target; equal as long as that is. None: not to be had."""
        try:
            state: str | None = await self._value("daemon_target_state", target, role_oid)
        except asyncpg.InvalidParameterValueError:  # no name of anything, which the import will tell
            return None
        return state

    async def may_repeat(self, role_oid: int, target: str, settings: Mapping[str, Any], size_bytes: int) -> bool:
        """Whether content of this size was imported into the target in the same way."""
        arguments = (role_oid, target, orjson.dumps(settings).decode(), size_bytes)
        return bool(await self._value("daemon_may_repeat", *arguments))

    async def hashes_imported(
        self, role_oid: int, target: str, settings: Mapping[str, Any], hashes: Sequence[str]
    ) -> set[str]:
        """Those of the hashes that content had which was imported into the target in the same way."""
        arguments = (role_oid, target, orjson.dumps(settings).decode(), list(hashes))
        return {row[0] for row in await self.fetch("daemon_hashes_imported", *arguments)}

    async def repeats(
        self, role_oid: int, target: str, settings: Mapping[str, Any], file_hash: str
    ) -> UUID | None:
        """The last job that imported this very content into the target in the same way."""
        rows = await self.fetch("daemon_repeats", role_oid, target, orjson.dumps(settings).decode(), file_hash)
        return rows[0]["job_id"] if rows else None

    async def files_before(self, role_oid: int, source: str, target: str, job_id: UUID) -> dict[str, str | None]:
        """The hashes of the files of a source when it was last imported into this target."""
        rows = await self.fetch("daemon_files_before", role_oid, source, target, job_id)
        return {row["file"]: row["file_hash"] for row in rows}

    async def files(self, job_id: UUID) -> list[ListedFile]:
        """The job's files, in the order of their names."""
        return [
            ListedFile(
                row["position"],
                row["file"],
                row["size_bytes"],
                (row["modified_us"] or 0) * 1000,
                row["file_hash"],
                row["status"],
                None if row["detected"] is None else orjson.loads(row["detected"]),
            )
            for row in await self.fetch("daemon_files", job_id)
        ]

    async def finish(self, endings: Sequence[Ending]) -> dict[UUID, str]:
        """End many attempts in one statement; gives the new statuses of those whose lease still held."""
        rows = await self.fetch("daemon_finish", *map(list, zip(*endings, strict=True)))
        return {row["job_id"]: row["status"] for row in rows}

    async def hand_back(self, leases: Sequence[tuple[UUID, int]], outcome: str) -> None:
        """End attempts that nobody here knows of."""
        await self.finish([Ending(job_id, lease_token, outcome) for job_id, lease_token in leases])

    async def log(self, job_id: UUID, level: str, event: str, values: dict[str, Any]) -> None:
        """Append to the job's log."""
        await self.fetch("daemon_log", job_id, level, event, orjson.dumps(values, default=str).decode())

    async def job_states(self, job_ids: Sequence[UUID]) -> dict[UUID, Record]:
        """The rows of these jobs as they are now."""
        return {row["id"]: row for row in await self.fetch("daemon_job_state", list(job_ids))}

    async def submitter(self, role_oid: int) -> Submitter | None:
        """What `jobd grant` set up for a role."""
        rows = await self.fetch("daemon_submitter", role_oid)
        if not rows:
            return None
        roots, prefixes = rows[0]["import_roots"], rows[0]["source_prefixes"]
        limits = SourceLimits(
            None if roots is None else tuple(Path(root) for root in roots),
            None if prefixes is None else tuple(prefixes),
        )
        return Submitter(Login(rows[0]["login_name"], rows[0]["quoted_role"]), limits)

    async def echo(self, channel: str, payload: str) -> None:
        """Send a notification to the own listener."""
        await self.fetch("daemon_echo", channel, payload)


def _time(nanoseconds: int) -> datetime | None:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC) if nanoseconds else None
