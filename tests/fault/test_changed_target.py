"""Goal: change the target under a running import; the job says so, and goes on once that is undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.daemons import daemon_within
from tests.support.files import TABLE, Readings, write_readings
from tests.support.imports import (
    assert_as_expected,
    completed,
    create_readings,
    failed,
    processed_rows,
    submit_import,
    wait_for_rows,
)

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database

RECORDS = 3_000
OPTIONS = {"batch_size": 10}


@dataclass(frozen=True)
class Change:
    """What somebody does to the target, and what undoes it."""

    by: str
    undone_by: str


CHANGES = {
    "a mapped column has another type": Change(
        "alter table torn.reading alter column note type text",
        "alter table torn.reading alter column note type varchar(40)",
    ),
    "a mapped column is gone by that name": Change(
        "alter table torn.reading rename column note to remark",
        "alter table torn.reading rename column remark to note",
    ),
    "the table is renamed": Change(
        "alter table torn.reading rename to old", "alter table torn.old rename to reading"
    ),
    "the table is in another schema": Change(
        "create schema attic; alter table torn.reading set schema attic",
        "alter table attic.reading set schema torn",
    ),
    "another table has its name": Change(
        "alter table torn.reading rename to old; create table torn.reading (like torn.old including all)",
        "drop table torn.reading; alter table torn.old rename to reading",
    ),
}


async def begun(database: Database, tmp_path: Path) -> tuple[Readings, str, UUID]:
    """A running import, somewhere in its first half."""
    readings = write_readings(tmp_path / "readings.csv", RECORDS)
    target = await create_readings(database, "torn")
    job_id = await submit_import(database, readings.path, target, OPTIONS)
    await wait_for_rows(database, job_id, 100)
    return readings, target, job_id


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_a_target_changed_in_the_middle_fails_the_job_until_that_is_undone(
    database: Database, tmp_path: Path, change: Change
) -> None:
    async with daemon_within(database, import_roots=tmp_path):
        readings, target, job_id = await begun(database, tmp_path)
        await database.execute(change.by)
        assert await failed(database, job_id) == "target_changed"
        done = await processed_rows(database, job_id)
        assert 100 <= done < RECORDS
        # As long as it is not undone, a retry changes nothing.
        await database.execute("select jobd.retry($1)", job_id)
        assert await failed(database, job_id) == "target_changed"
        assert await processed_rows(database, job_id) == done
        await database.execute(change.undone_by)
        await database.execute("select jobd.retry($1)", job_id)
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected())


async def test_a_target_dropped_in_the_middle_is_never_replaced_by_another_of_its_name(
    database: Database, tmp_path: Path
) -> None:
    async with daemon_within(database, import_roots=tmp_path):
        _, target, job_id = await begun(database, tmp_path)
        # The table first: a batch locks it before the table that it refers to.
        await database.execute("drop table torn.reading")
        await database.execute("drop schema torn cascade")
        assert await failed(database, job_id) == "target_changed"
        await database.execute("create schema torn")
        await database.execute(TABLE.format(schema="torn"))
        await database.execute("select jobd.retry($1)", job_id)
        assert await failed(database, job_id) == "target_changed"
    # The first half of the file would be missing in it, and nobody would have heard.
    assert await database.fetchval(f"select count(*) from {target}") == 0


async def test_a_column_added_in_the_middle_is_ignored(database: Database, tmp_path: Path) -> None:
    async with daemon_within(database, import_roots=tmp_path):
        readings, target, job_id = await begun(database, tmp_path)
        await database.execute("alter table torn.reading add column added text default 'new'")
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected())
