"""Imports under test: a target, a job, and everything that came of it in a form that can be compared."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.daemons import until, wait_for_status
from tests.support.files import TABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database
    from tests.support.files import Expected

COUNTERS = (
    "status", "processed_rows", "success_count", "error_count", "items_added", "items_updated", "items_unchanged",
    "items_skipped", "items_removed", "errors_not_stored", "total_rows", "progress", "retry_count", "error_code",
    "cursor",
)  # fmt: skip
ERROR_COLUMNS = (
    "row_number, line_number, file, field, error_type, code, message, sqlstate, constraint_name, raw_data"
)


@dataclass(frozen=True)
class Outcome:
    """What an import left behind: two are equal where nobody can tell the imports apart."""

    rows: Sequence[str]
    counters: Mapping[str, Any]
    errors: Sequence[tuple[Any, ...]]
    groups: Sequence[tuple[Any, ...]]
    rejects: Sequence[tuple[Any, ...]]


async def create_readings(database: Database, schema: str, existing: Sequence[int] = ()) -> str:
    """Make the target of `tests.support.files.write_readings`, holding these ids already; gives its name."""
    await database.execute(f"create schema if not exists {schema}")
    await database.execute(TABLE.format(schema=schema))
    await database.execute(
        f"insert into {schema}.reading "
        "select id, 'NORTH', null, 0, 'epoch', null, 'old' from unnest($1::bigint[]) id",
        list(existing),
    )
    return f"{schema}.reading"


async def create_plain(database: Database, name: str = "public.plain") -> str:
    """Make the target of `tests.support.files.write_plain`."""
    await database.execute(f"create table {name} (id bigint primary key, note text)")
    return name


async def submit_import(
    database: Database, path: Path, target: str, options: Mapping[str, Any] | None = None, **columns: Any
) -> UUID:
    """Insert an import job, by plain SQL as an application does."""
    values = {
        "source": str(path),
        "target": target,
        "options": json.dumps({"encoding": "utf-8", **(options or {})}),
        **columns,
    }
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    job_id: UUID = await database.fetchval(
        f"insert into jobd.job ({', '.join(values)}) values ({places}) returning id", *values.values()
    )
    return job_id


async def outcome_of(database: Database, job_id: UUID, target: str) -> Outcome:
    """Everything that a job left behind, save times and names of its own."""
    # One statement, one snapshot for each relation; the job has ended, so they belong together.
    job = await database.fetchrow(f"select {', '.join(COUNTERS)} from jobd.job where id = $1", job_id)
    assert job is not None
    # The position; beside it the cursor keeps what the source is known by, which depends on what was read at once.
    cursor = {
        name: value for name, value in json.loads(job["cursor"] or "{}").items() if name in {"byte", "row", "line"}
    }
    return Outcome(
        rows=[
            row[0] for row in await database.fetch(f'select t::text from {target} t order by t::text collate "C"')
        ],
        counters={**dict(job), "cursor": cursor},
        errors=await _tuples(
            database,
            f"select {ERROR_COLUMNS} from jobd.job_error where job_id = $1 order by row_number, id",
            job_id,
        ),
        groups=await _tuples(
            database,
            "select file, field, code, count, first_row from jobd.job_error_group "
            "where job_id = $1 order by 1, 2, 3",
            job_id,
        ),
        rejects=await _tuples(
            database,
            "select file, row_number, record from jobd.job_reject where job_id = $1 order by 1, 2",
            job_id,
        ),
    )


async def _tuples(database: Database, query: str, *arguments: object) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await database.fetch(query, *arguments)]


def assert_same(found: Outcome, undisturbed: Outcome) -> None:
    """Compare in an order in which the first difference says most."""
    assert found.counters == undisturbed.counters
    assert found.rows == undisturbed.rows
    assert found.groups == undisturbed.groups
    assert _without_schema(found.errors) == _without_schema(undisturbed.errors)
    assert found.rejects == undisturbed.rejects


def _without_schema(errors: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Messages may name the target, which lies in another schema for the import that is compared with."""
    return [tuple(str(value).replace("calm.", "torn.") for value in error) for error in errors]


async def assert_as_expected(database: Database, job_id: UUID, target: str, expected: Expected) -> None:
    """Hold a completed import of readings against what was worked out from the contract alone."""
    job = await database.fetchrow("select * from jobd.job where id = $1", job_id)
    assert job is not None
    assert (job["status"], job["error_message"]) == ("completed", None)
    refused = await database.fetch(
        "select row_number, array_agg(distinct code) as codes from jobd.job_error where job_id = $1 group by 1",
        job_id,
    )
    assert {row["row_number"]: row["codes"] for row in refused} == {
        row: [code] for row, code in expected.refused.items()
    }
    rejects = await database.fetch("select row_number from jobd.job_reject where job_id = $1", job_id)
    assert {row["row_number"] for row in rejects} == expected.refused.keys()
    found = (job["items_added"], job["items_updated"], job["items_unchanged"], job["error_count"])
    assert found == (expected.added, expected.updated, expected.unchanged, len(expected.refused))
    assert job["processed_rows"] == job["total_rows"] == expected.processed
    notes = await database.fetch(f"select id, note from {target}")
    assert {row["id"]: row["note"] for row in notes} == expected.notes


async def processed_rows(database: Database, job_id: UUID) -> int:
    """How many records are committed."""
    return int(await database.fetchval("select processed_rows from jobd.job where id = $1", job_id))


async def wait_for_rows(database: Database, job_id: UUID, rows: int, within: float = 60.0) -> int:
    """Wait until so many records are committed; gives how many there are then."""

    async def look() -> int:
        job = await database.fetchrow(
            "select status, processed_rows, error_code, error_message from jobd.job where id = $1", job_id
        )
        assert job is not None
        assert job["status"] in {"pending", "running", "paused"} or job["processed_rows"] >= rows, dict(job)
        return int(job["processed_rows"])

    return await until(look, lambda seen: seen >= rows, within)


async def completed(database: Database, job_id: UUID, within: float = 60.0) -> None:
    """Wait until the job is completed, and fail with its reason when it ends otherwise."""
    status = await wait_for_status(database, job_id, "completed", "failed", "cancelled", within=within)
    job = await database.fetchrow("select error_code, error_message from jobd.job where id = $1", job_id)
    assert status == "completed", dict(job or {})


async def failed(database: Database, job_id: UUID, within: float = 60.0) -> str:
    """Wait until the job has failed; gives its code."""
    status = await wait_for_status(database, job_id, "completed", "failed", "cancelled", within=within)
    assert status == "failed"
    return str(await database.fetchval("select error_code from jobd.job where id = $1", job_id))
