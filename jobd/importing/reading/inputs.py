"""What an import reads: the job's files, listed once for all at its first start, and how to go through them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from anyio import to_thread

from jobd.errors import SourceError
from jobd.importing.reading.blob import fetch_blob
from jobd.model.options import OnFileError
from jobd.sources import Feed, FeedOptions, FileEntry, Limits, Places, ReadOptions, open_files
from jobd.sources.places.access import RemoteAccess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.db.queue import ListedFile
    from jobd.model.cursor import Cursor
    from jobd.model.options import ImportOptions
    from jobd.runner.context import JobContext
    from jobd.settings import Settings
    from jobd.sources import Files

ENDED = frozenset({"completed", "failed", "unchanged"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The job's files, open; ``listed`` is what an earlier start wrote down of them, empty at the first."""

    files: Files
    listed: Sequence[ListedFile]
    options: FeedOptions

    def feed(self, cursor: Cursor | None) -> Feed:
        """Their records from the cursor on."""
        return Feed(self.files, self.options, cursor)

    def from_start(self) -> Inputs:
        """The same as if no file had been read yet."""
        return replace(self, options=replace(self.options, done=frozenset()))

    @property
    def size_bytes(self) -> int | None:
        """The size of all of them together; None where one's is not known."""
        sizes = [entry.size_bytes for entry in self.files.entries]
        return None if None in sizes else sum(size or 0 for size in sizes)


async def open_inputs(context: JobContext, options: ImportOptions) -> Inputs:
    """Find the job's files; raises SourceError where there are none, they may not be read, or are others now."""
    job = context.job
    if not job.source:
        raise SourceError("the job names no source", code="source_missing")
    limits = limits_of(context.settings)
    listed = await context.files() if job.files_total is not None else []
    granted = await context.source_limits()
    places = Places(
        roots=context.settings.readable_roots,
        root_limits=granted.import_roots,
        remote=remote_access_of(context.settings),
        prefix_limits=granted.source_prefixes,
    )
    entries = [FileEntry(file.name, file.size_bytes, file.modified_ns) for file in listed] or None
    stored = await fetch_blob(context)
    files = await to_thread.run_sync(partial(open_files, job.source, places, limits, entries, stored))
    detected = {file.position: file.detected for file in listed if file.detected is not None}
    first = (job.detected or {}).get("source")
    if first is not None:
        detected[first.get("file", 1)] = first
    return Inputs(
        files=files,
        listed=listed,
        options=FeedOptions(
            reading=reading_of(job.source_type, options, limits),
            detected=detected,
            done=frozenset(file.position for file in listed if file.status in ENDED),
            skips_broken=options.on_file_error is OnFileError.SKIP,
        ),
    )


def reading_of(source_type: str | None, options: ImportOptions, limits: Limits) -> ReadOptions:
    """What the reader is told of a job's options."""
    return ReadOptions(
        source_type=source_type,
        delimiter=options.delimiter,
        quote=options.quote,
        escape=options.escape,
        encoding=options.encoding,
        header=options.header,
        comment=options.comment,
        skip_rows=options.skip_rows or 0,
        ragged=options.ragged.value,
        collects_rest=options.rest is not None,
        records_path=options.records_path,
        pattern=options.pattern,
        separator=options.separator,
        ignore_unknown=options.ignore_unknown,
        limits=limits,
    )


def remote_access_of(settings: Settings) -> RemoteAccess:
    """The remote places that the daemon may read."""
    return RemoteAccess(
        allowed=settings.remote_allow,
        private_allowed=settings.remote_private,
        copy_bytes_max=settings.remote_copy_bytes_max,
    )


def limits_of(settings: Settings) -> Limits:
    """The bounds that the daemon is set to."""
    return Limits(
        record_bytes=settings.record_bytes_max,
        columns=settings.columns_max,
        nesting_depth=settings.nesting_depth_max,
        expansion_ratio=settings.expansion_ratio_max,
        expanded_bytes=settings.expanded_bytes_max,
        files=settings.files_max,
        workbook_bytes=settings.workbook_bytes_max,
    )
