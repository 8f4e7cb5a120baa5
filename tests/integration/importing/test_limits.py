"""max_errors: the record that exceeds it, and no other, ends the job, whatever the size of batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.importing import import_file, write

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from tests.support.importing import Imported

SIZES = [1, 7, 333, 20_000]


async def _import(
    connection: asyncpg.Connection, directory: Path, bad: Any, rows: int, **options: Any
) -> Imported:
    await connection.execute("drop table if exists t; create table t (id int primary key, n int)")
    lines = ["id,n", *(f"{row},{'x' if bad(row) else row}" for row in range(1, rows + 1))]
    return await import_file(connection, write(directory / "t.csv", lines), "t", options)


@pytest.mark.parametrize("size", [1, 7, 20_000])
@pytest.mark.parametrize(("limit", "last"), [(0, 10), (1, 20), (3, 40)])
async def test_the_record_that_exceeds_a_count_fails_the_job(
    connection: asyncpg.Connection, tmp_path: Path, size: int, limit: int, last: int
) -> None:
    imported = await _import(
        connection, tmp_path, lambda row: row % 10 == 0, 100, max_errors=limit, batch_size=size
    )
    assert imported.failure is not None
    assert imported.failure.error_code == "too_many_errors"
    assert f"record {last} " in str(imported.failure)
    assert imported.counts == (last - limit - 1, 0, 0, 0, limit + 1)
    assert [error.row_number for error in imported.errors] == [10 * nth for nth in range(1, limit + 2)]
    assert imported.cursor is not None
    assert imported.cursor["row"] == last
    assert await connection.fetchval("select count(*) from t") == last - limit - 1


async def test_as_many_errors_as_are_allowed_are_borne(connection: asyncpg.Connection, tmp_path: Path) -> None:
    imported = await _import(connection, tmp_path, lambda row: row % 10 == 0, 100, max_errors=10)
    assert imported.failure is None
    assert imported.counts == (90, 0, 0, 0, 10)


@pytest.mark.parametrize("size", [7, 333, 20_000])
async def test_a_share_is_judged_from_row_1000_on(
    connection: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    options: dict[str, Any] = {"max_errors": "1%", "batch_size": size}
    early = await _import(connection, tmp_path, lambda row: row <= 11, 1500, **options)
    assert early.failure is not None
    assert early.tally.processed_rows == 1000
    short = await _import(connection, tmp_path, lambda row: row <= 11, 999, **options)
    assert short.failure is None
    late = await _import(connection, tmp_path, lambda row: row > 1200, 1500, **options)
    assert late.failure is not None
    assert late.tally.processed_rows == 1213
    assert late.tally.refused == 13
    assert "13 of 1213" in str(late.failure)


@pytest.mark.parametrize("size", [7, 333, 20_000])
async def test_a_job_that_refuses_everything_fails_after_1000_records(
    connection: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    long = await _import(connection, tmp_path, lambda _row: True, 1500, batch_size=size)
    assert long.failure is not None
    assert long.failure.error_code == "all_rows_refused"
    assert long.counts == (0, 0, 0, 0, 1000)
    short = await _import(connection, tmp_path, lambda _row: True, 50, batch_size=size)
    assert short.failure is not None
    assert short.failure.error_code == "all_rows_refused"
    assert short.counts == (0, 0, 0, 0, 50)
    last = await _import(connection, tmp_path, lambda row: row != 1000, 1500, batch_size=size)
    assert last.failure is None


async def test_a_job_that_is_tried_again_goes_on_behind_the_record_that_failed_it(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    first = await _import(connection, tmp_path, lambda row: row in {10, 90}, 100, max_errors=0)
    assert first.tally.processed_rows == 10
    again = await import_file(connection, tmp_path / "t.csv", "t", {"max_errors": 0}, continued=first)
    assert again.failure is not None
    assert again.counts == (88, 0, 0, 0, 2)


async def test_batch_size_is_never_exceeded(connection: asyncpg.Connection, tmp_path: Path) -> None:
    imported = await _import(connection, tmp_path, lambda row: row == 5, 100, batch_size=7)
    assert imported.batches == 15
