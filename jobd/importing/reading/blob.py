"""Bytes that the application put into ``jobd.blob``, for those who share no disk with the daemon.

They are read as the job's submitter, whom row-level security shows its own only, into a file without a name, and
are from there on a file like any other.
"""

from __future__ import annotations

import os
import tempfile
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from anyio import to_thread

from jobd.db.queries import query
from jobd.errors import HostNotReady, SourceError
from jobd.sources.places.local import LocatedFile

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from jobd.runner.context import JobContext

PREFIX = "blob:"
SLICE_BYTES = 4 << 20


async def fetch_blob(context: JobContext) -> LocatedFile | None:
    """The blob that the job's source names, as an open file; None where it names something else."""
    source = context.job.source or ""
    if not source.startswith(PREFIX):
        return None
    try:
        blob_id = UUID(source.removeprefix(PREFIX))
    except ValueError:
        raise SourceError(f"{source} names no blob: write blob: and the id of a row of jobd.blob") from None
    return await context.read(partial(_fetched, source=source, blob_id=blob_id, spool=context.settings.spool))


async def _fetched(
    connection: asyncpg.Connection, *, source: str, blob_id: UUID, spool: Path | None
) -> LocatedFile:
    size = await connection.fetchval(query("import_blob_size"), blob_id)
    if size is None:
        raise SourceError(
            f"{source}: the submitter has no row of this id in jobd.blob; it may have been deleted",
            code="source_missing",
        )
    if size == 0:
        raise SourceError(f"{source} is empty (0 bytes)", code="source_empty")
    descriptor = await to_thread.run_sync(_unnamed_file, spool)
    try:
        for start in range(0, size, SLICE_BYTES):
            piece = await connection.fetchval(query("import_blob_slice"), blob_id, start, SLICE_BYTES)
            await to_thread.run_sync(_write, descriptor, piece, start)
    except BaseException:
        os.close(descriptor)
        raise
    return LocatedFile(name=source, descriptor=descriptor, size_bytes=size, modified_ns=0)


def _unnamed_file(directory: Path | None) -> int:
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            return os.dup(file.fileno())
    except OSError as error:
        raise _not_kept(error) from error


def _write(descriptor: int, piece: bytes, position: int) -> None:
    try:
        while piece:
            written = os.pwrite(descriptor, piece, position)
            piece, position = piece[written:], position + written
    except OSError as error:
        raise _not_kept(error) from error


def _not_kept(error: OSError) -> HostNotReady:
    """Said of whatever is wrong with the disk: left as it is, it would be taken for a lost connection."""
    return HostNotReady(f"no room for a blob in JOBD_SPOOL or the temporary directory: {error.strerror}")
