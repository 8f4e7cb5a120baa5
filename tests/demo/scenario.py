"""The story: import five real tables, disturb the import in every way, and see that nothing came of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio

from tests.demo import screen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from uuid import UUID

    import asyncpg

    from tests.demo.playground import Playground

TABLES = ("airlines", "airports", "planes", "weather", "flights")
EXPECTED_ROWS = {"airlines": 16, "airports": 1_458, "planes": 3_322, "weather": 26_115, "flights": 336_776}
EXPECTED_REFUSED = {"SJU": 5_819, "BQN": 896, "STT": 522, "PSE": 365}
PATIENCE_SECONDS = 120

# What an application runs. Nothing but SQL is needed: the row is the interface.
SUBMIT = """
insert into jobd.job (source, target, options, after, created_by)
values ($1, $2, $3, $4, 'demo') returning id
"""

OUTCOME = """
select filename, status, processed_rows, items_added, items_unchanged, error_count,
       processed_rows / greatest(extract(epoch from completed_at - started_at), 0.001) as rows_per_second
  from jobd.job where id = any($1) order by array_position($1, id)
"""

TOTALS = """
select sum(processed_rows)::bigint as processed_rows, sum(items_added)::bigint as items_added,
       sum(items_unchanged)::bigint as items_unchanged,
       sum(error_count)::bigint as error_count,
       sum(processed_rows) / extract(epoch from max(completed_at) - min(started_at)) as rows_per_second
  from jobd.job where id = any($1)
"""

REFUSED = """
select raw_data, count(*) as records, min(row_number) as first_row, min(message) as message
  from jobd.job_error where job_id = $1 group by raw_data order by count(*) desc
"""


class DemoFailed(Exception):
    """The story did not end as it must; the message says what differs."""


async def play(place: Playground) -> None:
    """Tell the whole story."""
    connection = await place.connect()
    try:
        await place.create_tables("nyc")
        jobs = await _disturbed(place, connection)
        flights = jobs["flights"]
        screen.outcome("First import, disturbed", await connection.fetch(OUTCOME, list(jobs.values())))
        errors = await connection.fetch(REFUSED, flights)
        screen.refused(errors)
        _expect("refused destinations", {row["raw_data"]: row["records"] for row in errors}, EXPECTED_REFUSED)
        again = await _again(place, connection)
        calm = await _compare(place, connection)
        screen.summary(
            [
                (title, await connection.fetchrow(TOTALS, list(run.values())))
                for title, run in (
                    ("paused, killed, resumed", jobs),
                    ("the same once more", again),
                    ("undisturbed", calm),
                )
            ]
        )
    finally:
        await connection.close()


async def _disturbed(place: Playground, connection: asyncpg.Connection) -> dict[str, UUID]:
    screen.heading("Five files, five INSERTs into jobd.job, one daemon")
    jobs = await _submit(place, connection, "nyc", {"batch_size": 4_000})
    first = place.start_daemon()

    await screen.watch(connection, list(jobs.values()), _rows_of(connection, jobs["weather"], 4_000))
    await connection.execute("select jobd.pause($1)", jobs["weather"])
    await _until(_has_status(connection, jobs["weather"], "paused", "completed"))
    at = await connection.fetchval("select processed_rows from jobd.job where id = $1", jobs["weather"])
    screen.say(f"[yellow]select jobd.pause(…)[/]   weather.csv stands still at row {at:,}")

    await screen.watch(connection, list(jobs.values()), _rows_of(connection, jobs["flights"], 60_000))
    place.kill(first)
    at = await connection.fetchval("select processed_rows from jobd.job where id = $1", jobs["flights"])
    screen.say(f"[red]kill -9[/]                 the daemon is gone; flights.csv has {at:,} rows committed")

    place.start_daemon()
    screen.say("[green]jobd run[/]                another daemon takes over from the next row")
    await connection.execute("select jobd.resume($1)", jobs["weather"])
    screen.say("[green]select jobd.resume(…)[/]  weather.csv goes on")
    await screen.watch(connection, list(jobs.values()), _are_over(connection, jobs))
    await _expect_completed(connection, jobs)
    return jobs


async def _again(place: Playground, connection: asyncpg.Connection) -> dict[str, UUID]:
    screen.heading('The same files once more, with {"force": true}: nothing is left to change')
    jobs = await _submit(place, connection, "nyc", {"force": True})
    await screen.watch(connection, list(jobs.values()), _are_over(connection, jobs))
    await _expect_completed(connection, jobs)
    changed = await connection.fetchval(
        "select sum(items_added + items_updated) from jobd.job where id = any($1)", list(jobs.values())
    )
    _expect("rows changed by the second import", changed, 0)
    return jobs


async def _compare(place: Playground, connection: asyncpg.Connection) -> dict[str, UUID]:
    screen.heading("And into empty tables without any disturbance, to compare")
    await place.create_tables("calm")
    jobs = await _submit(place, connection, "calm", {})
    await screen.watch(connection, list(jobs.values()), _are_over(connection, jobs))
    await _expect_completed(connection, jobs)
    for table in TABLES:
        differences = await connection.fetchval(
            f"select count(*) from ((table nyc.{table} except all table calm.{table})"
            f" union all (table calm.{table} except all table nyc.{table})) as difference"
        )
        _expect(f"rows of {table} that differ from the undisturbed import", differences, 0)
    screen.say("[green]Every table is the same, row for row.[/]")
    return jobs


async def _submit(
    place: Playground, connection: asyncpg.Connection, schema: str, options: dict[str, object]
) -> dict[str, UUID]:
    """One INSERT for each file; what refers to another table waits for it."""
    jobs: dict[str, UUID] = {}
    needs = {"weather": ["airports"], "flights": ["airlines", "airports"]}
    for table in TABLES:
        jobs[table] = await connection.fetchval(
            SUBMIT,
            str(place.files / f"{table}.csv"),
            f"{schema}.{table}",
            json.dumps({"null_values": ["NA"], **options}),
            [jobs[needed] for needed in needs.get(table, [])],
        )
    return jobs


def _rows_of(connection: asyncpg.Connection, job: UUID, rows: int) -> Callable[[], Awaitable[bool]]:
    async def reached() -> bool:
        return bool(
            await connection.fetchval(
                "select processed_rows >= $2 or completed_at is not null from jobd.job where id = $1", job, rows
            )
        )

    return reached


def _has_status(connection: asyncpg.Connection, job: UUID, *statuses: str) -> Callable[[], Awaitable[bool]]:
    async def reached() -> bool:
        return await connection.fetchval("select status from jobd.job where id = $1", job) in statuses

    return reached


def _are_over(connection: asyncpg.Connection, jobs: dict[str, UUID]) -> Callable[[], Awaitable[bool]]:
    async def reached() -> bool:
        return bool(
            await connection.fetchval(
                "select bool_and(completed_at is not null) from jobd.job where id = any($1)", list(jobs.values())
            )
        )

    return reached


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(PATIENCE_SECONDS):
        while not await condition():
            with anyio.move_on_after(screen.LOOK_SECONDS):
                await anyio.sleep_forever()


async def _expect_completed(connection: asyncpg.Connection, jobs: dict[str, UUID]) -> None:
    rows: Sequence[asyncpg.Record] = await connection.fetch(
        "select id, status, processed_rows, error_message from jobd.job where id = any($1)", list(jobs.values())
    )
    by_id = {row["id"]: row for row in rows}
    for table, job in jobs.items():
        row = by_id[job]
        if row["status"] != "completed":
            raise DemoFailed(f"{table}.csv {row['status']}: {row['error_message']}")
        _expect(f"rows of {table}.csv", row["processed_rows"], EXPECTED_ROWS[table])


def _expect(what: str, actual: object, expected: object) -> None:
    if actual != expected:
        raise DemoFailed(f"{what}: expected {expected}, found {actual}")
