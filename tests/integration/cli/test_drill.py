"""``jobd drill``: that it proves what holds, tells what does not, and lets alone what is not its own."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from jobd.cli import drill as drill_command
from jobd.drill.drill import Drill, Plan
from jobd.errors import JobdError
from jobd.settings import Settings
from tests.support.command import start
from tests.support.daemons import until
from tests.support.worker import SimulatedWorker

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database

SMALL = ("--rows", 2_000, "--lease", 2, "--seed", 7)

# Each with a claim of the proof that it breaks.
SABOTAGES = {
    "a row twice": (
        "every row of jobd_drill.entry is there once",
        "insert into jobd_drill.entry select * from jobd_drill.entry limit 1",
    ),
    "a row with another value": (
        "every row of jobd_drill.reading is there once",
        "update jobd_drill.reading set amount = amount + 1 where id = (select min(id) from jobd_drill.reading)",
    ),
    "a row too few": (
        "every row of jobd_drill.small is there once",
        "delete from jobd_drill.small where id = (select min(id) from jobd_drill.small)",
    ),
    "a row of nobody's": (
        "every key of jobd_drill.stock is there once",
        "update jobd_drill.stock set number = -1 where sku = (select min(sku) from jobd_drill.stock)",
    ),
    "a counter": (
        "every counter of every job is what its records make",
        (
            "update jobd.job set items_added = items_added - 1, items_updated = items_updated + 1"
            " where source like '%readings.csv'"
        ),
    ),
    "a counter of a file": (
        "every counter of every file is what its records make",
        (
            "update jobd.job_file set items_added = items_added - 1, items_unchanged = items_unchanged + 1"
            " where file like '%readings.csv'"
        ),
    ),
    "a record counted twice": (
        "records in the files = added",
        (
            "update jobd.job set items_added = items_added + 1, success_count = success_count + 1,"
            " processed_rows = processed_rows + 1 where source like '%entries.csv'"
        ),
    ),
    "an error removed": (
        "every refused record is there once",
        "delete from jobd.job_error where id = (select min(id) from jobd.job_error)",
    ),
    "a refused record removed": (
        "every refused record is there once",
        "delete from jobd.job_reject where ctid = (select min(ctid) from jobd.job_reject)",
    ),
    "a job failed": (
        "every job completed or was cancelled",
        "update jobd.job set status = 'failed', progress = 99 where source like '%entries.csv'",
    ),
    "an event removed": (
        "one event for each change of status",
        "delete from jobd.job_event where id = (select min(id) from jobd.job_event)",
    ),
    "a batch twice": (
        "each range of records is committed once",
        (
            "insert into jobd_drill.trail"
            " (job_id, old_status, new_status, old_token, new_token, old_rows, new_rows, version)"
            " select job_id, old_status, new_status, old_token, new_token, old_rows, new_rows, version"
            " from jobd_drill.trail where new_rows <> old_rows order by id limit 1"
        ),
    ),
    "a batch under another's token": (
        "what was acknowledged is in the database",
        (
            "update jobd_drill.trail set old_token = 9, new_token = 9"
            " where id = (select min(id) from jobd_drill.trail where new_rows <> old_rows)"
        ),
    ),
    "a token that fell": (
        "tokens only rise",
        "update jobd_drill.trail set new_token = -1 where new_status = 'running' and old_status = 'pending'",
    ),
}  # fmt: skip


async def drilled(database: Database, directory: Path, *arguments: object, exit_code: int = 0) -> tuple[str, str]:
    """Run a drill to its end: what it printed, on both."""
    command = await start(
        "drill", *arguments, cwd=directory, JOBD_DATABASE_URL=database.url, TMPDIR=str(directory)
    )
    printed, complaint = await command.communicate()
    assert command.returncode == exit_code, (printed + complaint).decode()
    return printed.decode(), complaint.decode()


async def test_a_drill_in_an_empty_database_proves_that_nothing_is_lost_and_leaves_nothing_behind(
    empty_database: Database, tmp_path: Path
) -> None:
    text, _ = await drilled(empty_database, tmp_path, "--seconds", 6, *SMALL)
    assert "seed 7: 6 s of faults, 3 daemons" in text
    assert "Time to recover" in text
    assert "✓ every row of jobd_drill.entry is there once, with its values" in text
    assert "✓ nothing is written after the lease is lost" in text
    assert "✗" not in text
    assert "Everything holds: " in text
    assert await empty_database.fetchval("select to_regnamespace('jobd_drill')") is None
    for relation in ("job", "job_event", "job_file", "job_error", "job_reject", "import_ledger"):
        assert await empty_database.fetchval(f"select count(*) from jobd.{relation}") == 0, relation
    triggers = "select count(*) from pg_trigger where tgname like 'jobd_drill%'"
    assert await empty_database.fetchval(triggers) == 0


async def test_a_row_put_in_by_somebody_else_fails_the_drill_which_names_it(
    empty_database: Database, tmp_path: Path
) -> None:
    running = asyncio.create_task(drilled(empty_database, tmp_path, "--seconds", 1, "--json", *SMALL, exit_code=1))
    await until(lambda: empty_database.fetchval("select to_regclass('jobd_drill.trail')"))
    await empty_database.execute("insert into jobd_drill.entry values ('nobody', 1, 'not of any file')")
    printed, complaint = await running
    report = json.loads(printed)
    broken = {check["claim"]: check["problems"] for check in report["checks"] if not check["holds"]}
    assert broken == {
        "every row of jobd_drill.entry is there once, with its values": ['too much: (nobody,1,"not of any file")']
    }
    assert (report["holds"], report["seed"]) == (False, 7)
    assert "Kept: tables in the schema jobd_drill, files and logs in " in complaint
    await drilled(empty_database, tmp_path, "--seconds", 1, *SMALL)  # which clears up before it begins


async def test_a_drill_refuses_a_database_that_holds_other_jobs(database: Database, tmp_path: Path) -> None:
    job_id = await database.fetchval(
        "insert into jobd.job (source, target) values ('/srv/in/flights.csv', 'public.flights') returning id"
    )
    _, complaint = await drilled(database, tmp_path, exit_code=78)
    assert f"this database holds 1 jobs that are not a drill's (the newest: {job_id}, flights.csv" in complaint
    assert "give it a database of its own" in complaint
    assert await database.fetchval("select count(*) from jobd.job") == 1
    assert await database.fetchval("select to_regnamespace('jobd_drill')") is None


async def test_a_drill_refuses_a_database_in_which_a_daemon_works(database: Database, tmp_path: Path) -> None:
    await SimulatedWorker(database).register("busy")
    _, complaint = await drilled(database, tmp_path, exit_code=78)
    assert "daemon busy (process " in complaint


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--stop-server", "true"), "go together"),
        (("--dev", "--keep"), "brings its own server"),
    ],
)
async def test_options_that_do_not_go_together_are_refused(
    database: Database, tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    assert complaint in (await drilled(database, tmp_path, *arguments, exit_code=2))[1]


async def test_a_command_for_the_server_that_fails_is_said() -> None:
    control = drill_command._commands("true", "echo no such server >&2; exit 3")
    assert control is not None
    await control.stop()
    with pytest.raises(JobdError, match="ended with exit code 3\nno such server"):
        await control.start()


async def broken_claims(drill: Drill) -> dict[str, Any]:
    report = await drill.prove()
    return {check.claim: check.problems for check in report.checks if not check.holds}


async def test_whatever_is_wrong_afterwards_is_found(empty_database: Database, tmp_path: Path) -> None:
    settings = Settings.load(environment={"JOBD_DATABASE_URL": empty_database.url})
    plan = Plan(settings, tmp_path, seconds=1, daemons=2, seed=3, rows=1_000, lease_seconds=2)
    async with Drill(plan, lambda _kind, _text: None) as drill:
        await drill.prepare()
        await drill.settle()
        assert await broken_claims(drill) == {}
        connection = await drill.scratch.connection()
        for name, (claim, sabotage) in SABOTAGES.items():
            await connection.execute("begin; set local session_replication_role = replica")
            assert await connection.execute(sabotage) not in {"UPDATE 0", "DELETE 0", "INSERT 0 0"}, name
            broken = await broken_claims(drill)
            await connection.execute("rollback")
            assert [one for one in broken if one.startswith(claim)], (name, broken)
        assert await broken_claims(drill) == {}
