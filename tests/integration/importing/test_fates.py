"""What became of each record, by its number, whatever way its batch took; and counted by file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from jobd.importing.importer import Importer
from jobd.importing.ways.fates import Fate
from jobd.model.tally import Tally
from jobd.sources.records import FileSpan
from tests.support.importing import Imported, import_file, write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import asyncpg

    from jobd.importing.fields.arrange import ArrangedBatch
    from jobd.importing.ways.work import Work
    from jobd.sources import RecordBatch

PEOPLE = "create table people (id int primary key, name text not null, age int check (age < 200))"
DROPS = """
create function drop_ghosts() returns trigger language plpgsql as $$
begin return case when new.name = 'ghost' then null else new end; end $$;
create trigger drop_ghosts before insert on {table} for each row execute function drop_ghosts();
"""


async def works_of(
    connection: asyncpg.Connection, path: Path, options: dict[str, Any], spans: Sequence[FileSpan] = ()
) -> tuple[Imported, list[Work]]:
    """Import, and keep what was made of each batch; ``spans``: as if the batch were of these files."""
    seen: list[Work] = []
    learn, arrange = Importer.learn, Importer.arrange

    def learning(importer: Importer, work: Work) -> None:
        seen.append(work)
        learn(importer, work)

    def arranging(importer: Importer, batch: RecordBatch) -> ArrangedBatch:
        return arrange(importer, replace(batch, spans=tuple(spans) or batch.spans))

    with mock.patch.object(Importer, "learn", learning), mock.patch.object(Importer, "arrange", arranging):
        imported = await import_file(connection, path, "people", options)
    assert imported.failure is None
    return imported, seen


def fates(works: Sequence[Work]) -> list[str]:
    return [Fate(fate).name.lower() for work in works for fate in work.fates.tolist()]


@pytest.mark.parametrize("size", [1, 2, 100])
async def test_every_record_has_its_own_fate_however_it_was_brought_in(
    connection: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    await connection.execute(PEOPLE + "; insert into people values (1, 'ann', 1), (2, 'bob', 2)")
    records = ["1,ann,1", "2,bob,3", "3,cid,3", "4,,4", "5,eve,x", "6,fay,300", "3,cid,3", "3,cid,4"]
    path = write(tmp_path / "people.csv", ["id,name,age", *records])
    _, works = await works_of(connection, path, {"batch_size": size})
    assert fates(works) == [
        "unchanged", "updated", "added", "refused", "refused", "refused", "unchanged", "updated",
    ]  # fmt: skip


async def test_records_that_go_straight_to_the_target_have_fates_too(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute(PEOPLE)
    path = write(tmp_path / "people.csv", ["id,name,age", "1,ann,1", "2,bob,x", "3,,3", "4,dan,4"])
    _, works = await works_of(connection, path, {})
    # Before 17 COPY cannot pass bad values over (ON_ERROR), so that with the first one another way is taken.
    assert works[0].went_direct == (connection.get_server_version() >= (17,))
    assert fates(works) == ["added", "refused", "refused", "added"]


@pytest.mark.parametrize("mode", ["skip", "error"])
async def test_existing_rows_are_told_from_new_ones(
    connection: asyncpg.Connection, tmp_path: Path, mode: str
) -> None:
    await connection.execute(PEOPLE + "; insert into people values (2, 'bob', 2)")
    path = write(tmp_path / "people.csv", ["id,name,age", "1,ann,1", "2,bob,3", "3,cid,3"])
    _, works = await works_of(connection, path, {"on_conflict": mode})
    assert fates(works) == ["added", "skipped" if mode == "skip" else "refused", "added"]


@pytest.mark.parametrize("size", [1, 100])
async def test_rows_that_a_trigger_drops_are_known_by_their_key(
    connection: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    await connection.execute(PEOPLE + "; insert into people values (1, 'ann', 1);" + DROPS.format(table="people"))
    path = write(tmp_path / "people.csv", ["id,name,age", "2,ghost,1", "1,ann,2", "3,cid,3", "4,ghost,4"])
    _, works = await works_of(connection, path, {"batch_size": size})
    assert fates(works) == ["skipped", "updated", "added", "skipped"]
    assert all(work.plan.can_attribute for work in works)


async def test_without_a_key_the_rows_that_a_trigger_drops_are_only_counted(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table people (id int, name text, age int);" + DROPS.format(table="people"))
    path = write(tmp_path / "people.csv", ["id,name,age", "2,ghost,1", "1,ann,2", "3,cid,3"])
    imported, works = await works_of(connection, path, {})
    assert imported.counts == (2, 0, 0, 1, 0)
    assert not works[0].plan.can_attribute


async def test_a_key_that_a_trigger_changes_is_followed_row_by_row(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute(
        PEOPLE
        + """;
        create function shift() returns trigger language plpgsql as $$
        begin
            if new.name = 'ghost' then return null; end if;
            new.id := new.id + 10;
            return new;
        end $$;
        create trigger shift before insert on people for each row execute function shift()"""
    )
    path = write(tmp_path / "people.csv", ["id,name,age", "1,ghost,1", "2,bob,2"])
    _, works = await works_of(connection, path, {})
    assert fates(works) == ["skipped", "added"]


@pytest.mark.parametrize("is_target_empty", [True, False])
async def test_a_batch_of_several_files_is_counted_by_file(
    connection: asyncpg.Connection, tmp_path: Path, *, is_target_empty: bool
) -> None:
    await connection.execute(PEOPLE)
    if not is_target_empty:
        await connection.execute("insert into people values (2, 'bob', 2)")
    records = ["1,ann,1", "2,bob,x", "ragged", "3,cid,3", "1,too,many,fields", "4,dan,4", "2,bob,2", "5,,5"]
    path = write(tmp_path / "people.csv", ["id,name,age", *records])
    spans = [
        FileSpan(file=1, name="a.csv", first_row=1, record_count=3, stop=2, refused_stop=1, is_ended=True),
        FileSpan(file=2, name="b.csv", first_row=4, record_count=1, stop=3, refused_stop=1, is_ended=True),
        FileSpan(file=3, name="c.csv", first_row=5, record_count=4, stop=6, refused_stop=2, is_ended=True),
    ]
    imported, (work,) = await works_of(connection, path, {}, spans)
    third = Tally(added=2, refused=2) if is_target_empty else Tally(added=1, unchanged=1, refused=2)
    assert work.tallies_by_span() == [Tally(added=1, refused=2), Tally(added=1), third]
    assert sum(work.tallies_by_span(), Tally()) == imported.tally
