"""Dates and times: as ISO has them, as patterns say, and in which zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.importing import import_file, write

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from tests.support.importing import Imported

TABLE = """
create domain workday as date check (extract(isodow from value) < 6);
create table t (id int primary key, day workday, at timestamptz, seen timestamp, opens time)
"""
HEADER = "id;day;at;seen;opens"


async def _import(
    connection: asyncpg.Connection, directory: Path, lines: list[str], options: dict[str, Any], suffix: str = "csv"
) -> Imported:
    return await import_file(connection, write(directory / f"t.{suffix}", lines), "t", {**options})


async def _rows(connection: asyncpg.Connection) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await connection.fetch("select * from t order by id")]


@pytest.mark.parametrize("has_rows", [False, True])
@pytest.mark.parametrize("size", [1, 100])
async def test_dates_are_read_by_their_patterns(
    connection: asyncpg.Connection, tmp_path: Path, size: int, has_rows: bool
) -> None:
    await connection.execute(TABLE)
    if has_rows:
        await connection.execute("insert into t (id) values (1)")
    options = {
        "date_format": {
            "day": "DD.MM.YYYY | epoch",
            "at": "DD.MM.YYYY HH24:MI TZ",
            "seen": "%m/%d/%y %I:%M %p",
            "opens": "HH24.MI",
        }
    }
    lines = [
        HEADER,
        "1;01.02.2024;01.02.2024 12:00 Europe/Berlin;02/03/24 1:05 pm;8.30",
        "2;1706745600;01.07.2024 12:00 +01:00;;",
        "3;31.02.2024;2024-02-01 12:00;02/30/24 1:05 pm;25.00",
        "4;03.02.2024;01.02.2024 12:00 Nowhere/Here;;",
    ]
    imported = await _import(connection, tmp_path, lines, {**options, "batch_size": size})
    assert imported.tally.success_count == 2
    assert [(each.row_number, each.field, each.code, each.raw_data) for each in imported.errors] == [
        (3, "day", "invalid_value", "31.02.2024"),
        (3, "at", "invalid_value", "2024-02-01 12:00"),
        (3, "seen", "invalid_value", "02/30/24 1:05 pm"),
        (3, "opens", "invalid_value", "25.00"),
        (4, "day", "check_violation", "03.02.2024"),
        (4, "at", "invalid_value", "01.02.2024 12:00 Nowhere/Here"),
    ]
    assert [each.message for each in imported.errors[:2]] == [
        '"31.02.2024" is written as DD.MM.YYYY | epoch, but there is no such time: day is out of range for month',
        '"2024-02-01 12:00" is not written as DD.MM.YYYY HH24:MI TZ',
    ]
    assert await _rows(connection) == [
        (1, date(2024, 2, 1), datetime(2024, 2, 1, 11, tzinfo=UTC), datetime(2024, 2, 3, 13, 5), time(8, 30)),  # noqa: DTZ001
        (2, date(2024, 2, 1), datetime(2024, 7, 1, 11, tzinfo=UTC), None, None),
    ]


async def test_one_pattern_is_for_all_columns_that_it_fits(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(TABLE)
    lines = [HEADER, "1;01.02.2024;01.02.2024;01.02.2024;08:30"]
    imported = await _import(connection, tmp_path, lines, {"date_format": "DD.MM.YYYY"})
    assert imported.counts == (1, 0, 0, 0, 0)
    assert (await _rows(connection))[0][2] == datetime(2024, 2, 1, tzinfo=UTC)


async def test_without_a_pattern_dates_are_iso(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(TABLE)
    await connection.execute("set datestyle = 'German, DMY'; set timezone = 'Asia/Tokyo'")
    lines = [HEADER, "1;2024-02-01;2024-02-01 12:00;2024-02-01T12:00;08:30", "2;13.02.2024;;;", "3;02/01/2024;;;"]
    imported = await _import(connection, tmp_path, lines, {})
    assert imported.reasons == [(2, "day", "out_of_range"), (3, "day", "out_of_range")]
    assert (await _rows(connection))[0][1:3] == (date(2024, 2, 1), datetime(2024, 2, 1, 12, tzinfo=UTC))


async def test_moments_of_json_may_be_numbers(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(TABLE)
    lines = ['{"id": 1, "at": 1700000000123}', '{"id": 2, "at": "01.02.2024"}', '{"id": 3, "at": true}']
    imported = await _import(connection, tmp_path, lines, {"date_format": "epoch_ms | DD.MM.YYYY"}, "jsonl")
    assert imported.reasons == [(3, "at", "invalid_value")]
    assert [row[2] for row in await _rows(connection)] == [
        datetime(2023, 11, 14, 22, 13, 20, 123_000, tzinfo=UTC),
        datetime(2024, 2, 1, tzinfo=UTC),
    ]


@pytest.mark.parametrize(
    ("zone", "winter", "summer"),
    [
        ("Europe/Berlin", 11, 10),
        ("europe/berlin", 11, 10),
        ("+02:00", 10, 10),
        ("-3", 15, 15),
        ("utc", 12, 12),
        (None, 12, 12),
    ],
)
@pytest.mark.parametrize("size", [1, 100])
async def test_a_time_without_zone_is_in_the_stated_one(  # noqa: PLR0917  what is varied
    connection: asyncpg.Connection, tmp_path: Path, zone: str | None, winter: int, summer: int, size: int
) -> None:
    await connection.execute(TABLE)
    lines = [
        HEADER,
        "1;;01.02.2024 12:00:00;;",
        "2;;01.07.2024 12:00:00;;",
        "3;;01.07.2024 12:00:00+00;;",
    ]
    options = {
        "date_format": "DD.MM.YYYY HH24:MI:SS | DD.MM.YYYY HH24:MI:SSOF",
        "time_zone": zone,
        "batch_size": size,
    }
    imported = await _import(connection, tmp_path, lines, options)
    assert imported.counts == (3, 0, 0, 0, 0)
    assert [row[2].astimezone(UTC).hour for row in await _rows(connection)] == [winter, summer, 12]
    again = await _import(connection, tmp_path, lines, options)
    assert again.counts == (0, 0, 3, 0, 0)
    assert await connection.fetchval("show timezone") != "Europe/Berlin"


async def test_hours_that_a_clock_skips_or_repeats_are_read_as_postgresql_does(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table t (id int primary key, at timestamptz)")
    lines = ["id,at", "1,2024-03-31 02:30", "2,2024-10-27 02:30"]
    await _import(connection, tmp_path, lines, {"time_zone": "Europe/Berlin"})
    await connection.execute("set timezone = 'Europe/Berlin'")
    expected = await connection.fetch(
        "select * from (values (1, '2024-03-31 02:30'::timestamptz), (2, '2024-10-27 02:30')) t (id, at)"
    )
    assert await _rows(connection) == [tuple(row) for row in expected]


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("Europe/Berlim", "nearest: Europe/Berlin"),
        ("berlin", "nearest: Europe/Berlin"),
        ("UTC+2", "+02:00"),
        ("+99", "+02:00"),
    ],
)
async def test_an_unknown_zone_is_refused_before_the_first_row(
    connection: asyncpg.Connection, tmp_path: Path, zone: str, words: str
) -> None:
    await connection.execute(TABLE)
    imported = await _import(connection, tmp_path, [HEADER, "1;;;;"], {"time_zone": zone})
    assert imported.failure is not None
    assert imported.failure.error_code == "option_invalid"
    assert words in str(imported.failure)
    assert imported.batches == 0


async def test_constants_are_in_the_stated_zone_too(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute("create table t (id int primary key, at timestamptz)")
    options = {"time_zone": "+02:00", "constants": {"at": "2024-01-01 12:00"}}
    assert (await _import(connection, tmp_path, ["id", "1"], options)).counts == (1, 0, 0, 0, 0)
    assert await _rows(connection) == [(1, datetime(2024, 1, 1, 10, tzinfo=UTC))]


@pytest.mark.parametrize("kind", ["date", "timestamptz", "a_day"])
async def test_a_bad_time_that_many_records_share_is_told_of_each(
    connection: asyncpg.Connection, tmp_path: Path, kind: str
) -> None:
    await connection.execute(f"create domain a_day as date; create table t (id int primary key, at {kind})")
    lines = ["id,at", "1,unknown", "2,2024-01-02", "3,", "4,never", "5,unknown", "6,2024-01-02", "7,unknown"]
    imported = await import_file(connection, write(tmp_path / "t.csv", lines), "t")
    assert imported.counts == (3, 0, 0, 0, 4)
    errors = [(error.row_number, error.field, error.raw_data) for error in imported.errors]
    assert errors == [(1, "at", "unknown"), (4, "at", "never"), (5, "at", "unknown"), (7, "at", "unknown")]
    assert len({error.message for error in imported.errors}) == 2
