"""Which rows an import changed, and how, kept with its batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobd.importing.ways.course import Course
from tests.support.importing import import_file, write
from tests.support.tracked import changes_of, import_tracked

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database

PEOPLE = (
    "create table people (id int primary key, name text not null, pay numeric, born date, tags text[], more jsonb)"
)
SIZES = pytest.mark.parametrize("size", [1, 3, 1000])


@SIZES
async def test_each_added_and_updated_row_is_kept_in_file_order(
    database: Database, tmp_path: Path, size: int
) -> None:
    await database.execute(PEOPLE)
    await database.execute(
        "insert into people values (1, 'ann', 1, '2000-01-01', '{a}', '{}'), (2, 'bob', 2.50, null, null, null)"
    )
    records = [
        "1,ann,1,2000-01-01",
        "2,bob,3,",
        "3,cid,,",
        "x,bad,,",
        "3,cid,7,",
        "2,bob,3.0,",
        "2,BOB,3.00,2001-02-03",
    ]
    path = write(tmp_path / "people.csv", ["id,name,pay,born", *records])
    job_id, imported = await import_tracked(database, path, "public.people", {"batch_size": size})
    assert imported.failure is None
    assert imported.counts == (1, 3, 2, 0, 1)
    expected: list[tuple[Any, ...]] = [
        ({"id": 2}, "updated", {"pay": 2.5}, {"pay": 3}),
        ({"id": 3}, "added", None, {"id": 3, "name": "cid", "pay": None, "born": None}),
        ({"id": 3}, "updated", {"pay": None}, {"pay": 7}),
        (
            {"id": 2},
            "updated",
            {"name": "bob", "pay": 3, "born": None},
            {"name": "BOB", "pay": 3.0, "born": "2001-02-03"},
        ),
    ]
    assert await changes_of(database, job_id) == expected


@pytest.mark.parametrize(
    "course",
    [
        Course(may_go_direct=False, are_mostly_new=True),
        Course(may_go_direct=False, are_mostly_new=False),
        Course(may_go_direct=False, are_mostly_new=False, careful_for=1),
    ],
)
async def test_every_way_keeps_the_same(
    database: Database, tmp_path: Path, course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Course, "at_start", lambda *_a, **_b: course)
    await database.execute(PEOPLE + "; insert into people select g, 'old' from generate_series(1, 700) g")
    path = write(
        tmp_path / "people.csv", ["id,name,tags,more", *(f'{g},"n, {g}","{{{g}}}",{g}' for g in range(400, 1400))]
    )
    job_id, imported = await import_tracked(database, path, "public.people")
    assert imported.counts == (699, 301, 0, 0, 0)
    changes = await changes_of(database, job_id)
    assert len(changes) == 1000
    assert changes[0] == (
        {"id": 400},
        "updated",
        {"name": "old", "tags": None, "more": None},
        {"name": "n, 400", "tags": "{400}", "more": "400"},
    )
    assert changes[-1] == (
        {"id": 1399},
        "added",
        None,
        {"id": 1399, "name": "n, 1399", "tags": "{1399}", "more": "1399"},
    )


@SIZES
async def test_what_triggers_made_of_a_row_is_what_was_left(database: Database, tmp_path: Path, size: int) -> None:
    await database.execute(PEOPLE)
    await database.execute("insert into people (id, name) values (1, 'old'), (2, 'b')")
    await database.execute(
        """create function shout() returns trigger language plpgsql as $$
        begin
            if new.name = 'ghost' then return null; end if;
            if tg_op = 'INSERT' and new.id < 100 then new.id := new.id + 100; end if;
            new.name := upper(new.name);
            return new;
        end $$;
        create trigger shout before insert or update on people for each row execute function shout()"""
    )
    path = write(tmp_path / "people.csv", ["id,name", "1,new", "5,five", "6,ghost", "2,ghost", "200,two"])
    job_id, imported = await import_tracked(database, path, "public.people", {"batch_size": size})
    assert imported.counts == (2, 1, 0, 2, 0)
    assert await changes_of(database, job_id) == [
        ({"id": 1}, "updated", {"name": "old"}, {"name": "NEW"}),
        ({"id": 105}, "added", None, {"id": 105, "name": "FIVE"}),
        ({"id": 200}, "added", None, {"id": 200, "name": "TWO"}),
    ]


async def test_provenance_and_update_columns_are_kept_as_they_were(database: Database, tmp_path: Path) -> None:
    await database.execute(PEOPLE + "; insert into people values (1, 'ann', 1)")
    await database.execute("alter table people add row bigint; update people set row = 77")
    path = write(tmp_path / "people.csv", ["id,name,pay", "1,ANN,2"])
    job_id, _ = await import_tracked(
        database, path, "public.people", {"update_columns": ["pay"], "provenance": {"row_number": "row"}}
    )
    assert await changes_of(database, job_id) == [
        ({"id": 1}, "updated", {"pay": 1, "row": 77}, {"pay": 2, "row": 1})
    ]


async def test_many_columns_fit(database: Database, tmp_path: Path) -> None:
    names = [f"c{place}" for place in range(150)]
    await database.execute(
        "create table wide (id int primary key, " + ", ".join(f"{name} int" for name in names) + ")"
    )
    path = write(tmp_path / "wide.csv", [",".join(["id", *names]), ",".join(map(str, range(151)))])
    job_id, imported = await import_tracked(database, path, "public.wide")
    assert imported.failure is None
    ((_, _, _, after),) = await changes_of(database, job_id)
    assert after == {"id": 0, **{name: place + 1 for place, name in enumerate(names)}}


async def test_changes_go_with_their_batch(database: Database, tmp_path: Path) -> None:
    """The fence refuses them as it refuses the batch."""
    await database.execute(PEOPLE)
    path = write(tmp_path / "people.csv", ["id,name", "1,ann"])
    connection = await database.connect(statement_cache_size=0)
    job_id = await database.fetchval("insert into jobd.job (source, target) values ('/a', 't') returning id")
    with pytest.raises(Exception, match="lease 1 of job") as raised:
        await import_file(connection, path, "public.people", {"track_changes": True}, id=job_id, lease_token=1)
    assert getattr(raised.value, "sqlstate", None) == "JB001"
    assert await database.fetchval("select count(*) from people") == 0


@pytest.mark.parametrize("header", ["name,pay", "id,name"])
async def test_without_a_key_nothing_can_be_tracked(database: Database, tmp_path: Path, header: str) -> None:
    await database.execute("create table people (id int, name text, pay numeric)")
    _, imported = await import_tracked(database, write(tmp_path / "a.csv", [header, "1,2"]), "public.people")
    assert imported.failure is not None
    assert imported.failure.error_code == "option_invalid"
    assert "needs a key" in str(imported.failure)


async def test_a_job_that_changes_too_much_fails_before_it_does(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await database.execute(PEOPLE)
    definition = await database.fetchval("select pg_get_functiondef('jobd.record_changes'::regproc)")
    await database.execute(definition.replace("> 1000000 then", "> 3 then"))
    path = write(tmp_path / "people.csv", ["id,name", *(f"{number},n" for number in range(5))])
    job_id, imported = await import_tracked(database, path, "public.people")
    assert imported.failure is not None
    assert imported.failure.error_code == "too_many_changes"
    assert await database.fetchval("select count(*) from people") == 0
    assert await changes_of(database, job_id) == []


@pytest.mark.parametrize("size", [2, 1000])
async def test_batches_of_one_transaction_keep_each_change_once(
    database: Database, tmp_path: Path, size: int
) -> None:
    await database.execute(PEOPLE)
    path = write(tmp_path / "people.csv", ["id,name", *(f"{number % 7},n{number}" for number in range(10))])
    job_id, imported = await import_tracked(database, path, "public.people", {"atomic": True, "batch_size": size})
    assert imported.failure is None
    assert imported.counts == (7, 3, 0, 0, 0)
    changes = await changes_of(database, job_id)
    assert [change for _, change, *_ in changes] == ["added"] * 7 + ["updated"] * 3


async def test_the_changes_of_one_transaction_are_limited_too(database: Database, tmp_path: Path) -> None:
    await database.execute(PEOPLE)
    definition = await database.fetchval("select pg_get_functiondef('jobd.record_changes'::regproc)")
    await database.execute(definition.replace("> 1000000 then", "> 8 then"))
    path = write(tmp_path / "people.csv", ["id,name", *(f"{number},n" for number in range(9))])
    _, imported = await import_tracked(database, path, "public.people", {"atomic": True, "batch_size": 2})
    assert imported.failure is not None
    assert imported.failure.error_code == "too_many_changes"


@pytest.mark.contrib("pg_trgm")
async def test_similar_rows_are_tracked_too(database: Database, tmp_path: Path) -> None:
    await database.execute(PEOPLE + "; create extension pg_trgm")
    options: dict[str, Any] = {"similar": {"column": "name", "threshold": 0.6}}
    path = write(tmp_path / "people.csv", ["id,name", "1,Acme Corporation", "2,Acme Corporation!", "3,Zenith"])
    job_id, imported = await import_tracked(database, path, "public.people", options)
    assert imported.counts == (2, 0, 0, 0, 1)
    assert [key for key, *_ in await changes_of(database, job_id)] == [{"id": 1}, {"id": 3}]
