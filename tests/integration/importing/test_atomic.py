"""option atomic: all of the source or nothing, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.importing import import_file, write

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

SIZES = [2, 20_000]


@pytest.fixture
async def target(connection: asyncpg.Connection) -> asyncpg.Connection:
    await connection.execute("create table t (id int primary key, n int check (n < 100), parent int references t)")
    return connection


async def count(connection: asyncpg.Connection) -> int:
    return int(await connection.fetchval("select count(*) from t"))


@pytest.mark.parametrize("size", SIZES)
async def test_all_of_the_file_is_one_commit(target: asyncpg.Connection, tmp_path: Path, size: int) -> None:
    path = write(tmp_path / "t.csv", ["id,n", *(f"{row},{row % 7}" for row in range(50)), "0,1"])
    imported = await import_file(target, path, "t", {"atomic": True}, batch_size=size)
    assert imported.failure is None
    assert imported.counts == (50, 1, 0, 0, 0)
    assert (imported.batches, await count(target)) == (1, 50)
    assert imported.file_statuses == {1: "completed"}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bad", [0, 5, 49])
async def test_the_first_refused_record_undoes_everything_and_is_kept(
    target: asyncpg.Connection, tmp_path: Path, size: int, bad: int
) -> None:
    lines = [f"{row},{'x' if row == bad else row % 7}" for row in range(50)]
    imported = await import_file(
        target, write(tmp_path / "t.csv", ["id,n", *lines]), "t", {"atomic": True}, batch_size=size
    )
    assert imported.failure is not None
    assert imported.failure.error_code == "too_many_errors"
    assert imported.counts == (0, 0, 0, 0, 1)
    assert [(error.row_number, error.raw_data) for error in imported.errors] == [(bad + 1, "x")]
    assert [reject.row_number for reject in imported.rejects] == [bad + 1]
    assert await count(target) == 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("limit", "is_borne"), [(3, True), (2, False)])
async def test_max_errors_says_how_many_are_borne(
    target: asyncpg.Connection, tmp_path: Path, size: int, limit: int, *, is_borne: bool
) -> None:
    lines = [f"{row},{200 if row % 20 == 5 else 1}" for row in range(50)]
    imported = await import_file(
        target, write(tmp_path / "t.csv", ["id,n", *lines]), "t", {"atomic": True, "max_errors": limit},
        batch_size=size,
    )  # fmt: skip
    assert (imported.failure is None) == is_borne
    assert imported.counts == ((47, 0, 0, 0, 3) if is_borne else (0, 0, 0, 0, 3))
    assert await count(target) == (47 if is_borne else 0)


@pytest.mark.parametrize("size", SIZES)
async def test_what_was_refused_is_counted_once_more_when_the_mended_file_is_retried(
    target: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    path = write(tmp_path / "t.csv", ["id,n", "1,1", "2,x", "3,3"])
    options: dict[str, Any] = {"atomic": True}
    failed = await import_file(target, path, "t", options, batch_size=size)
    assert failed.failure is not None
    assert failed.cursor is not None
    await target.execute("alter table t add column late int")
    again = await import_file(target, path, "t", options, batch_size=size, continued=failed)
    assert again.failure is not None
    assert again.counts == (0, 0, 0, 0, 2)
    assert await count(target) == 0


@pytest.mark.parametrize("size", SIZES)
async def test_many_files_are_one_commit_too(target: asyncpg.Connection, tmp_path: Path, size: int) -> None:
    write(tmp_path / "a.csv", "id,n\n1,1\n2,2\n")
    write(tmp_path / "b.csv", "n,id\n3,3\n")
    imported = await import_file(target, tmp_path, "t", {"atomic": True}, batch_size=size)
    assert (imported.batches, imported.counts) == (1, (3, 0, 0, 0, 0))
    assert [imported.file_tallies[place].added for place in (1, 2)] == [2, 1]
    write(tmp_path / "c.csv", "id,n\n4,4\n5,x\n")
    await target.execute("truncate t")
    broken = await import_file(target, tmp_path, "t", {"atomic": True}, batch_size=size)
    assert broken.failure is not None
    assert await count(target) == 0


async def test_it_ends_when_it_takes_longer_than_is_allowed(target: asyncpg.Connection, tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", ["id,n", *(f"{row},1" for row in range(50))])
    imported = await import_file(
        target, path, "t", {"atomic": True}, batch_size=5, settings={"atomic_seconds_max": 1e-9}
    )
    assert imported.failure is not None
    assert imported.failure.error_code == "atomic_too_long"
    assert await count(target) == 0
