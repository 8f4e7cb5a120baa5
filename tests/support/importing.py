"""Runs an import as a daemon would, batch by batch on one connection, and keeps what it was told to write down."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import asyncpg

from jobd.db.queries import query
from jobd.db.queue import NO_LIMITS, ListedFile, SourceLimits
from jobd.errors import JobFailed
from jobd.importing.pipeline import run_import
from jobd.model.cursor import Cursor
from jobd.model.job import Job
from jobd.model.status import JobStatus, JobType
from jobd.model.tally import Tally
from jobd.runner.context import BatchReceipt, BatchResult, JobContext
from jobd.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from jobd.model.row_error import RejectedRecord, RowError


@dataclass
class Imported:
    """What an import did, summed over its batches."""

    tally: Tally = field(default_factory=Tally)
    errors: list[RowError] = field(default_factory=list)
    rejects: list[RejectedRecord] = field(default_factory=list)
    cursor: dict[str, Any] | None = None
    batches: int = 0
    memory: object | None = None  # what the next import in the same slot would find
    progress: list[float] = field(default_factory=list)
    begun: dict[str, Any] = field(default_factory=dict)
    begun_times: int = 0
    files_before: dict[str, str | None] = field(default_factory=dict)
    file_statuses: dict[int, str] = field(default_factory=dict)
    file_errors: dict[int, str | None] = field(default_factory=dict)
    file_detected: dict[int, dict[str, Any] | None] = field(default_factory=dict)
    file_tallies: dict[int, Tally] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    failure: JobFailed | None = None

    @property
    def counts(self) -> tuple[int, int, int, int, int]:
        tally = self.tally
        return tally.added, tally.updated, tally.unchanged, tally.skipped, tally.refused

    @property
    def reasons(self) -> list[tuple[int, str | None, str]]:
        return [(error.row_number, error.field, error.code) for error in self.errors]


class LocalContext:
    """Stands for the runner: a transaction per batch, and the row's counters in memory."""

    def __init__(self, connection: asyncpg.Connection, job: Job, settings: Settings, imported: Imported) -> None:
        self.job = job
        self.settings = settings
        self._connection = connection
        self.imported = imported
        self.before_batch: Callable[[int], Awaitable[None]] | None = None
        self.memory: object | None = None
        self.is_pooled = False

    @property
    def last_cursor(self) -> dict[str, Any] | None:
        return self.imported.cursor

    async def source_limits(self) -> SourceLimits:
        return NO_LIMITS

    def remember(self, found: object) -> None:
        self.memory = found

    async def target_state(self) -> str | None:
        role_oid = await self._connection.fetchval("select current_user::regrole::oid")
        with contextlib.suppress(asyncpg.PostgresError):
            state: str | None = await self._connection.fetchval(
                query("daemon_target_state"), self.job.target, role_oid
            )
            return state
        return None

    async def begin(self, **found: Any) -> None:
        self.imported.begun_times += 1
        self.imported.begun |= {name: value for name, value in found.items() if value is not None}

    def raise_if_stopped(self) -> None:
        """Nobody asks for a stop."""

    async def files(self) -> list[ListedFile]:
        """As the database would have them: the list, and what the batches said of each file since."""
        kept = self.imported
        return [
            ListedFile(
                place,
                entry.name,
                entry.size_bytes,
                entry.modified_ns,
                None,
                kept.file_statuses.get(place, "pending"),
                kept.file_detected.get(place),
            )
            for place, entry in enumerate(kept.begun.get("files", ()), 1)
        ]

    async def may_repeat(self, *_of: object) -> bool:
        """Nothing was imported before."""
        return False

    async def files_before(self) -> dict[str, str | None]:
        return self.imported.files_before

    async def read(self, look: Callable[[asyncpg.Connection], Awaitable[Any]]) -> Any:
        await self._connection.execute(query("batch_begin"))
        try:
            return await look(self._connection)
        finally:
            await self._connection.execute("rollback")

    async def run_batch(self, attempt: Callable[[asyncpg.Connection], Awaitable[BatchResult]]) -> BatchReceipt:
        if self.before_batch is not None:
            await self.before_batch(self.imported.batches)
        await self._connection.execute(query("batch_begin"))
        try:
            result = await attempt(self._connection)
        except BaseException:
            if not self._connection.is_closed():
                await self._connection.execute("rollback")
            raise
        await self._connection.execute("commit")
        kept = self.imported
        kept.tally += result.tally
        kept.errors += result.errors
        kept.rejects += result.rejects
        assert kept.cursor is None or Cursor.from_json(kept.cursor).is_behind(Cursor.from_json(result.cursor))
        kept.cursor = result.cursor
        for file in result.files:
            place = file["position"]
            assert kept.file_statuses.get(place) not in {"completed", "failed", "unchanged"}
            kept.file_statuses[place] = file["status"]
            kept.file_errors[place] = file.get("error_code")
            kept.file_detected[place] = file.get("detected")
            kept.file_tallies[place] = kept.file_tallies.get(place, Tally()) + Tally(
                *(file[name] for name in ("added", "updated", "unchanged", "skipped", "refused"))
            )
        kept.batches += 1
        kept.progress.append(result.progress)
        if result.files:
            assert kept.tally == sum(kept.file_tallies.values(), Tally())
        return BatchReceipt(kept.tally.refused, kept.tally.processed_rows, False, False)


async def import_file(
    connection: asyncpg.Connection,
    path: Path | str,
    target: str,
    options: dict[str, Any] | None = None,
    *,
    continued: Imported | None = None,
    before_batch: Callable[[int], Awaitable[None]] | None = None,
    batch_size: int = 20_000,
    roots: Sequence[Path] | None = None,
    keep: list[Imported] | None = None,
    keeps: bool = True,
    settings: dict[str, Any] | None = None,
    memory: object | None = None,
    **columns: Any,
) -> Imported:
    """Import a file; a failure of the job is kept in the result. ``continued``: go on where that one ended.

    ``keep`` gets the result at once, for imports that are broken off. ``keeps``: False for a validation.
    ``memory``: that of an import before this one in the same slot.
    """
    imported = continued or Imported()
    if keep is not None:
        keep.append(imported)
    imported.failure = None
    job = _job(
        source=str(path),
        target=target,
        options=options or {},
        detected=imported.begun.get("detected"),
        files_total=imported.begun.get("files_total"),
        cursor=imported.cursor,
        processed_rows=imported.tally.processed_rows,
        error_count=imported.tally.refused,
        success_count=imported.tally.success_count,
        items_added=imported.tally.added,
        items_updated=imported.tally.updated,
        items_unchanged=imported.tally.unchanged,
        items_skipped=imported.tally.skipped,
        **columns,
    )
    own = Settings(import_roots=tuple(roots or [_root(Path(path))]), batch_size=batch_size, **(settings or {}))
    context = LocalContext(connection, job, own, imported)
    context.before_batch = before_batch
    context.memory = memory
    try:
        imported.result = await run_import(cast("JobContext", context), keeps=keeps)
    except JobFailed as failure:
        imported.failure = failure
    imported.memory = context.memory
    return imported


def write(path: Path, lines: Sequence[str] | str | bytes) -> Path:
    """A file of these lines, or with exactly this text."""
    if isinstance(lines, bytes):
        path.write_bytes(lines)
    elif isinstance(lines, str):
        path.write_text(lines, encoding="utf-8", newline="")
    else:
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="")
    return path


def _root(path: Path) -> Path:
    """The directory that a file, a directory or a pattern lies in."""
    if path.is_dir():
        return path
    return next(parent for parent in path.parents if parent.is_dir())


def _job(**given: Any) -> Job:
    now = datetime.now(UTC)
    values: dict[str, Any] = dict.fromkeys(Job.__dataclass_fields__)
    values |= {
        "id": uuid.uuid4(),
        "job_type": JobType.IMPORT,
        "queue": "default",
        "priority": "normal",
        "status": JobStatus.RUNNING,
        "version": 1,
        "run_at": now,
        "metadata": {},
        "lease_token": 1,
        "submitted_role": "postgres",
        "submitted_role_oid": 10,
        "created_at": now,
        "updated_at": now,
        **given,
    }
    return Job(**values)
