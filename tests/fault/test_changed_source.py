"""Goal: change a file between two attempts; the job says so, keeps what it has, and goes on once it is mended.

Each daemon kills itself right after its second batch, so the cursor stands at a known row.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from jobd.sources.stream import READ_BYTES
from tests.fault.relay import QUICK, died, relay
from tests.support.daemons import daemon_within
from tests.support.files import write_plain, write_readings
from tests.support.imports import (
    assert_as_expected,
    completed,
    create_plain,
    create_readings,
    failed,
    processed_rows,
    submit_import,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database

RECORDS = 60
BATCH_SIZE = 10
COMMITTED = 2 * BATCH_SIZE


async def begun(database: Database, tmp_path: Path, path: Path, target: str) -> UUID:
    """A job of which two batches are committed and whose daemon is dead."""
    job_id = await submit_import(database, path, target, {"batch_size": BATCH_SIZE})
    with relay(database, tmp_path, size=0) as daemons:
        await died(daemons.start(test_point="batch.committed:2"))
    assert await processed_rows(database, job_id) == COMMITTED
    return job_id


def longer(data: bytes) -> bytes:
    return data + data[data.rindex(b"\n", 0, -1) + 1 :]


def shorter(data: bytes) -> bytes:
    return data[:-1]


def other_first_record(data: bytes) -> bytes:
    """As long as before; what differs is committed already."""
    return data.replace(b"1,", b"9,", 1) if data.startswith(b"1,") else data.replace(b"S-1", b"S-9", 1)


def other_header(data: bytes) -> bytes:
    """As long as before: two columns have changed places by name."""
    return data.replace(b"serial", b"\0").replace(b"amount", b"serial").replace(b"\0", b"amount")


@pytest.mark.parametrize("change", [longer, shorter, other_first_record, other_header])
@pytest.mark.parametrize("name", ["readings.csv", "readings.jsonl"])
async def test_a_file_that_changed_between_attempts_fails_the_job_until_it_is_put_back(
    database: Database, tmp_path: Path, name: str, change: Callable[[bytes], bytes]
) -> None:
    readings = write_readings(tmp_path / name, RECORDS, bad_share=0.1)
    target = await create_readings(database, "torn")
    job_id = await begun(database, tmp_path, readings.path, target)
    original = readings.path.read_bytes()
    readings.path.write_bytes(change(original))
    assert readings.path.read_bytes() != original
    async with daemon_within(database, import_roots=tmp_path, **QUICK):
        assert await failed(database, job_id) == "source_changed"
        assert await processed_rows(database, job_id) == COMMITTED
        readings.path.write_bytes(original)
        await database.execute("select jobd.retry($1)", job_id)
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected())


async def test_what_a_source_is_known_by_reaches_back_beyond_what_was_read_at_once(
    database: Database, tmp_path: Path
) -> None:
    path = write_plain(tmp_path / "plain.csv", 60_000)
    # The cursor stands a few records behind the first stretch that the reader takes at once.
    stretch = path.read_bytes()[:READ_BYTES].count(b"\n") - 1
    target = await create_plain(database)
    job_id = await submit_import(database, path, target, {"batch_size": stretch + 2})
    with relay(database, tmp_path, size=0) as daemons:
        await died(daemons.start(test_point="batch.committed:1"))
    at = await database.fetchval("select (cursor ->> 'byte')::int from jobd.job where id = $1", job_id)
    content = bytearray(path.read_bytes())
    place = content.index(b"x", at - 10_000)
    content[place] = ord("y")
    path.write_bytes(content)
    async with daemon_within(database, import_roots=tmp_path, **QUICK):
        assert await failed(database, job_id) == "source_changed"


async def test_a_file_that_was_removed_between_attempts_fails_the_job_until_it_is_put_back(
    database: Database, tmp_path: Path
) -> None:
    readings = write_readings(tmp_path / "readings.csv", RECORDS, bad_share=0.1)
    target = await create_readings(database, "torn")
    job_id = await begun(database, tmp_path, readings.path, target)
    readings.path.rename(tmp_path / "elsewhere")
    async with daemon_within(database, import_roots=tmp_path, **QUICK):
        assert await failed(database, job_id) == "source_missing"
        (tmp_path / "elsewhere").rename(readings.path)
        await database.execute("select jobd.retry($1)", job_id)
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected())


async def test_a_file_that_was_written_again_with_the_same_content_is_the_same_file(
    database: Database, tmp_path: Path
) -> None:
    readings = write_readings(tmp_path / "readings.csv", RECORDS, bad_share=0.1)
    target = await create_readings(database, "torn")
    job_id = await begun(database, tmp_path, readings.path, target)
    content = readings.path.read_bytes()
    readings.path.unlink()
    readings.path.write_bytes(content)
    async with daemon_within(database, import_roots=tmp_path, **QUICK):
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected())


async def test_a_gzip_file_goes_on_at_the_exact_record(database: Database, tmp_path: Path) -> None:
    readings = write_readings(tmp_path / "readings.csv", RECORDS, bad_share=0.1)
    packed = tmp_path / "packed.csv.gz"
    packed.write_bytes(gzip.compress(readings.path.read_bytes()))
    target = await create_readings(database, "torn")
    job_id = await begun(database, tmp_path, packed, target)
    async with daemon_within(database, import_roots=tmp_path, **QUICK):
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected())


async def test_a_truncated_gzip_file_fails_the_job_and_keeps_what_was_committed(
    database: Database, tmp_path: Path
) -> None:
    rows = 50_000
    whole = write_plain(tmp_path / "plain.csv", rows)
    packed = gzip.compress(whole.read_bytes())
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(packed[: len(packed) // 2])
    target = await create_plain(database)
    async with daemon_within(database, import_roots=tmp_path):
        job_id = await submit_import(database, cut, target, {"batch_size": 1_000})
        assert await failed(database, job_id) == "source_truncated"
        kept = await processed_rows(database, job_id)
        assert 0 < kept < rows
        # A second look at the same stump adds nothing and loses nothing.
        await database.execute("select jobd.retry($1)", job_id)
        assert await failed(database, job_id) == "source_truncated"
    assert await processed_rows(database, job_id) == kept
    counts = await database.fetchrow(f"select count(*), min(id), max(id) from {target}")
    assert tuple(counts or ()) == (kept, 1, kept)
    assert await database.fetchval("select retry_count from jobd.job where id = $1", job_id) == 0
