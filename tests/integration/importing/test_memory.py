"""What an import learnt about its target is used by the next one, as long as it is still so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.importing import Imported, import_file, write

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from tests.support.database import Database

TABLE = "create table public.thing (id int primary key, name text)"


@pytest.fixture
async def jobd_connection(database: Database) -> asyncpg.Connection:
    """A connection to a database with jobd in it, whose functions are asked for the target's state."""
    return await database.connect()


async def import_twice(
    jobd_connection: asyncpg.Connection, tmp_path: Path, between: str, **options: Any
) -> tuple[Imported, Imported]:
    await jobd_connection.execute(TABLE)
    paths = [write(tmp_path / f"{number}.csv", ["id,name", f"{number},a"]) for number in range(2)]
    first = await import_file(jobd_connection, paths[0], "public.thing", options)
    await jobd_connection.execute(between)
    second = await import_file(jobd_connection, paths[1], "public.thing", options, memory=first.memory)
    assert (first.tally.added, second.tally.added) == (1, 1)
    return first, second


async def test_the_next_import_need_not_look_again(jobd_connection: asyncpg.Connection, tmp_path: Path) -> None:
    first, second = await import_twice(jobd_connection, tmp_path, "analyze public.thing")
    assert first.memory is not None
    assert second.memory is first.memory


@pytest.mark.parametrize(
    "change",
    [
        "alter table public.thing add column more text",
        "alter table public.thing add check (id < 100)",
        "alter table public.thing alter column id type bigint",
        "drop table public.thing; " + TABLE,
    ],
)
async def test_it_looks_again_where_the_target_was_changed(
    jobd_connection: asyncpg.Connection, tmp_path: Path, change: str
) -> None:
    first, second = await import_twice(jobd_connection, tmp_path, change)
    assert second.memory is not None
    assert second.memory is not first.memory


async def test_it_looks_again_for_other_options(jobd_connection: asyncpg.Connection, tmp_path: Path) -> None:
    first, _ = await import_twice(jobd_connection, tmp_path, "select 1")
    path = write(tmp_path / "again.csv", ["id,name", "1,b"])
    third = await import_file(jobd_connection, path, "public.thing", {"on_conflict": "skip"}, memory=first.memory)
    assert third.tally.skipped == 1
    assert third.memory is not first.memory


@pytest.mark.parametrize("options", [{"provenance": {"file": "name"}, "ignore_unknown": True}])
async def test_nothing_is_kept_where_a_job_s_own_is_checked(
    jobd_connection: asyncpg.Connection, tmp_path: Path, options: dict[str, Any]
) -> None:
    await jobd_connection.execute(TABLE)
    path = write(tmp_path / "one.csv", ["id", "1"])
    imported = await import_file(jobd_connection, path, "public.thing", options)
    assert imported.tally.added == 1
    assert imported.memory is None
