"""Imports of small files of a kind, as one batch; see jobd.runner.bundle.

Only files that are read whole without a refused record take part, and only as long as no record of theirs is
refused by the target: whatever needs to be told is told by the usual way.
"""

from __future__ import annotations

import stat
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from jobd.db.queue import BegunJob
from jobd.errors import HostNotReady, JobFailed, SourceUnavailable
from jobd.importing.memory import is_memorable, recall
from jobd.importing.prepare import freeze
from jobd.importing.reading.inputs import limits_of, reading_of
from jobd.importing.reading.repeats import ledger_settings
from jobd.model.options import ImportOptions
from jobd.runner.bundle import NotTogether, Share
from jobd.runner.context import BatchResult
from jobd.sources import Feed, FeedOptions, FileEntry, Places, open_files
from jobd.sources.records import joined
from jobd.sources.source import sha256

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    import asyncpg

    from jobd.importing.fields.arrange import ArrangedBatch
    from jobd.importing.importer import Importer
    from jobd.importing.importers import Importers
    from jobd.importing.ways.work import Work
    from jobd.model.job import Job
    from jobd.model.tally import Tally
    from jobd.runner.bundle import Bundle
    from jobd.sources.records import RecordBatch

SMALL_BYTES = 64 << 10
# What a small file may unpack to, and all files of a bundle together.
UNPACKED_BYTES_MAX = 256 << 10
BUNDLE_BYTES_MAX = 4 << 20
ROWS_MAX = 1 << 20


def bundle_key(job: Job) -> object | None:
    """What imports must have in common to be done together; None for one that goes by itself.

    One that was tried before goes by itself, so that a file that breaks its worker breaks no other's job.
    """
    has_begun = job.detected is not None or job.processed_rows or job.lost_lease_count or job.retry_count
    is_local = job.source is not None and job.source.startswith("/")
    if has_begun or not is_local or job.file_hash is not None:
        return None
    return job.submitted_role_oid, job.target, job.source_type, job.options


@dataclass(frozen=True, slots=True)
class SmallFile:
    """A job's file, read whole."""

    job: Job
    entry: FileEntry
    detected: Mapping[str, Any]
    file_hash: str
    batch: RecordBatch


@dataclass(frozen=True, slots=True)
class _Readied:
    """Files of one layout, ready to be sent as one batch."""

    importer: Importer
    files: Sequence[SmallFile]
    arranged: ArrangedBatch


async def import_bundle(bundle: Bundle) -> None:
    """Import as many of the jobs' files as can be done together; raises where it turns out that they cannot."""
    try:
        options = ImportOptions.parse(bundle.job.options)
    except JobFailed:
        return
    importers = await recall(bundle, options) if _is_simple(options) else None
    if importers is None or not importers.can_attribute:
        return
    limits = limits_of(bundle.settings)
    granted = await bundle.source_limits()
    places = Places(roots=bundle.settings.readable_roots, root_limits=granted.import_roots)
    feed_options = FeedOptions(reading=reading_of(bundle.job.source_type, options, limits), detected={})
    for files in await to_thread.run_sync(_read_all, bundle.jobs, places, feed_options, importers):
        new = files if options.force else await _without_repeats(bundle, importers, files)
        if new:
            importer = importers.of(files[0].batch.layout)
            await _bring_in(bundle, await to_thread.run_sync(_readied, importer, new))


def _is_simple(options: ImportOptions) -> bool:
    """Whether a bundle leads to what each job by itself would, as nothing asked for is of one job alone."""
    is_of_job = options.atomic or options.changed_only or options.track_changes or options.provenance
    return is_memorable(options) and not is_of_job and options.batch_size is None


def _read_all(
    jobs: Sequence[Job], places: Places, options: FeedOptions, importers: Importers
) -> list[list[SmallFile]]:
    """The files that may take part, those of one layout together."""
    by_layout: defaultdict[object, list[SmallFile]] = defaultdict(list)
    size = 0
    for job in jobs:
        try:
            file = _read(job, places, options, importers)
        except (JobFailed, HostNotReady, SourceUnavailable, OSError):
            continue  # met again, and told, in the usual way
        if file is not None:
            by_layout[file.batch.layout].append(file)
            size += len(file.batch.data)
            if size > BUNDLE_BYTES_MAX:
                break
    return [files for files in by_layout.values() if len(files) > 1]


def _read(job: Job, places: Places, options: FeedOptions, importers: Importers) -> SmallFile | None:
    """A file whose records are all well; None where it is not small, or not one file."""
    path = Path(job.source or "")
    status = path.stat()  # at first, as opening a large archive may mean to unpack it
    if not stat.S_ISREG(status.st_mode) or status.st_size > SMALL_BYTES:
        return None
    files = open_files(job.source or "", places, options.reading.limits)
    try:
        stored = files.stored
        if stored is None or len(files.entries) != 1:
            return None
        feed = Feed(files, options)
        feed.accepts = importers.accepts
        try:
            first = feed.first()
            if first is None:
                return None
            detected = dict(first.detected)
            pieces = [feed.read(ROWS_MAX, UNPACKED_BYTES_MAX), feed.read(ROWS_MAX, UNPACKED_BYTES_MAX)]
            if pieces[1] is not None:
                pieces.append(feed.read(ROWS_MAX, UNPACKED_BYTES_MAX))
        finally:
            feed.close()
        file_hash = sha256(stored)
    finally:
        files.close()
    batch, end, beyond = pieces[0], pieces[1], pieces[-1]
    # Behind the records may come a batch without any, which says that the file has ended.
    if batch is None or beyond is not None or batch.refused or batch.ended or not len(batch):
        return None
    if end is not None:
        if end.record_count:
            return None
        batch = replace(batch, cursor=end.cursor)
    return SmallFile(job, files.entries[0], detected, file_hash, batch)


def _readied(importer: Importer, files: Sequence[SmallFile]) -> _Readied:
    return _Readied(importer, files, importer.arrange(joined([file.batch for file in files])))


async def _without_repeats(
    bundle: Bundle, importers: Importers, files: Sequence[SmallFile]
) -> Sequence[SmallFile]:
    """The files whose content was not imported before, nor stands in an earlier one of them."""
    plan = importers.of(files[0].batch.layout).plan
    first = {file.file_hash: file for file in reversed(files)}
    known = await bundle.hashes_imported(plan.target.name, ledger_settings(bundle.job, plan), list(first))
    return [file for file in files if file.file_hash not in known and first[file.file_hash] is file]


async def _bring_in(bundle: Bundle, readied: _Readied) -> None:
    """Commit the files' records; where the target refuses some, those of the other files."""
    await bundle.begin([_begun(file, readied.importer) for file in readied.files])
    try:
        await _commit(bundle, readied)
    except _Refused as refused:
        left = [file for file in readied.files if file.job.id not in refused.job_ids]
        if len(left) < 2:
            raise
        again = await to_thread.run_sync(_readied, readied.importer, left)
        await _commit(bundle, again)


class _Refused(NotTogether):
    """The target refused records of these jobs."""

    def __init__(self, job_ids: set[UUID]) -> None:
        super().__init__(f"records of {len(job_ids)} of the jobs were refused")
        self.job_ids = job_ids


async def _commit(bundle: Bundle, readied: _Readied) -> None:
    done: list[Work] = []

    async def attempt(connection: asyncpg.Connection) -> Sequence[Share]:
        work = await readied.importer.bring_in(connection, readied.arranged)
        tallies = work.tallies_by_span()
        refused = {file.job.id for file, tally in zip(readied.files, tallies, strict=True) if tally.refused}
        if refused:
            raise _Refused(refused)
        done[:] = [work]
        result = {"batches": {"direct": int(work.went_direct), "staged": int(not work.went_direct)}}
        return [_share(file, tally, result) for file, tally in zip(readied.files, tallies, strict=True)]

    await bundle.commit(attempt)
    readied.importer.learn(done[0])


def _begun(file: SmallFile, importer: Importer) -> BegunJob:
    return BegunJob(
        file.job.id,
        file.job.lease_token,
        {"source": {**file.detected, "file": 1}, "target": freeze(importer)},
        len(file.batch) if file.job.estimated_rows is None else file.job.estimated_rows,
        len(file.batch),
        file.file_hash,
        file.entry,
    )


def _share(file: SmallFile, tally: Tally, result: Mapping[str, Any]) -> Share:
    batch = BatchResult(
        tally=tally,
        cursor=file.batch.cursor.to_json(),
        progress=99.99,
        read_bytes=file.batch.bytes_read,
    )
    return Share(file.job, batch, result)
