"""Each alert has a page, each page is found, and what a page tells to run can be run."""

from __future__ import annotations

import asyncio
import re
import shlex
from typing import TYPE_CHECKING

import asyncpg
import pytest
from typer.testing import CliRunner

from jobd.cli.app import app
from jobd.db.schema_text import OLDEST_SUPPORTED
from tests.prometheus.case import ROOT, alerts
from tests.sql.roles import make_role, make_submitter, submit
from tests.support.database import Database, create_database, drop_database
from tests.support.names import unique
from tests.support.worker import SimulatedWorker

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "deploy" / "runbooks"
PAGES = {path.stem: path for path in sorted(FOLDER.glob("*.md")) if path.stem != "README"}
TASKS = {name for name in PAGES if not name.startswith("Jobd")}
BLOCK = re.compile(r"^```(sql|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FINDINGS = {0, 1}  # jobd doctor, and jobd migrate --check, may have something to say


def test_each_alert_has_a_page_and_each_page_an_alert_or_a_place_among_the_ordinary_tasks() -> None:
    index = (FOLDER / "README.md").read_text()
    assert set(PAGES) - TASKS == set(alerts())
    assert set(re.findall(r"\]\(([\w-]+)\.md\)", index)) == set(PAGES)
    severities = dict(re.findall(r"^\| \[(\w+)\]\(\w+\.md\) \| (\w+) \|", index, re.MULTILINE))
    assert severities == {name: alert["labels"]["severity"] for name, alert in alerts().items()}


@pytest.mark.parametrize("name", [*PAGES, "README", "../prometheus/README"])
def test_every_link_of_a_page_leads_to_a_file(name: str) -> None:
    page = FOLDER / f"{name}.md"
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("name", sorted(set(PAGES) - TASKS))
def test_each_page_of_an_alert_has_the_four_parts(name: str) -> None:
    parts = re.findall(r"^## (\w+)$", PAGES[name].read_text(), re.MULTILINE)
    assert parts == ["Meaning", "Impact", "Diagnosis", "Mitigation"]


async def test_every_statement_of_the_runbooks_does_what_it_is_there_for(database: Database) -> None:
    """As the login that the index asks for; each on a job of its own, undone afterwards."""
    operator = await make_role(database, "operator")
    await database.execute(f"grant jobd_admin, pg_monitor, pg_signal_backend to {operator}")
    worker = SimulatedWorker(database)
    await worker.register()
    await submit(await database.connect())
    (running,) = await worker.claim()
    refused = {}
    for name, path in PAGES.items():
        for language, block in BLOCK.findall(path.read_text()):
            if language == "sql":
                connection, victim = await database.connect(operator), await database.connect(operator)
                pid = victim.get_server_pid()
                statement = _filled(block, running, pid)
                assert not re.search(r"\b[A-Z]{3,}(_[A-Z]+)?\b", statement), f"{name}: something is left to put in"
                transaction = connection.transaction()
                await transaction.start()
                try:
                    await connection.execute(statement)
                except asyncpg.PostgresError as error:
                    refused[name, block] = str(error)
                await transaction.rollback()
                connection.terminate()
                victim.terminate()
    assert refused == {}


async def test_every_command_of_the_runbooks_runs(database: Database) -> None:
    operator = await make_role(database, "operator")
    await database.execute(f"grant jobd_admin to {operator}")
    failed = await _failed_job(database)
    lines = {
        line
        for path in PAGES.values()
        for language, block in BLOCK.findall(path.read_text())
        if language == "sh"
        for line in block.splitlines()
    }
    assert {"jobd workers", "jobd doctor", "jobd retry JOB_ID"} <= lines
    refused = {}
    for line in sorted(lines):
        program, *arguments = shlex.split(_filled(line, failed, 0))
        assert program == "jobd", line
        role = "postgres" if arguments[0] == "migrate" else operator
        settings = {
            "JOBD_DATABASE_URL": database.url_of(role), "JOBD_LOG_LEVEL": None, "JOBD_ENVIRONMENT": "production",
        }  # fmt: skip
        result = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=settings)
        if result.exit_code not in (FINDINGS if arguments[0] == "doctor" else {0}):
            refused[line] = result.output
    assert refused == {}


async def test_what_the_runbook_stops_goes_on_afterwards_and_nothing_else_does(database: Database) -> None:
    connection = await database.connect()
    stopped, others = [await submit(connection) for _ in range(2)]
    await connection.execute("select jobd.pause($1, 'a person wanted it')", others)
    worker = SimulatedWorker(database)
    await worker.register()
    assert await worker.claim() == [stopped]
    stop_queues, stop_jobs, count, resume_jobs, resume_queues = (
        _filled(block, stopped, 0) for _, block in BLOCK.findall(PAGES["stop-all-imports"].read_text())
    )
    await connection.execute(stop_queues + stop_jobs)
    assert await connection.fetchval("select is_paused from jobd.queue")
    await worker.finish(stopped, "paused")
    assert await connection.fetchval(count) == 0
    await connection.execute(resume_jobs + resume_queues)
    statuses = {row["id"]: row["status"] for row in await connection.fetch("select id, status from jobd.job")}
    assert statuses == {stopped: "pending", others: "paused"}
    assert not await connection.fetchval("select is_paused from jobd.queue")


class Undone(Exception):
    """What was tried is rolled back."""


async def test_after_a_restore_into_another_cluster_jobs_belong_to_their_submitter_again(
    database: Database,
) -> None:
    clerk = await make_submitter(database)
    job = await clerk.submit()
    # As restored: every row carries the oid that the role had elsewhere.
    await database.execute("set session_replication_role = replica; update jobd.submitter set role_oid = 1")
    for relation in ("job", "job_event"):
        await database.execute(f"update jobd.{relation} set submitted_role_oid = 1")
    repairs = [block for _, block in BLOCK.findall(PAGES["restore-from-backup"].read_text()) if "format(" in block]
    assert len(repairs) == 2
    for block in repairs:
        for (statement,) in await database.fetch(block):
            await database.execute(statement)
    await database.execute("reset session_replication_role; delete from jobd.submitter")
    await database.fetchval("select jobd.grant_submitter($1)", clerk.role)
    assert [row["id"] for row in await clerk.connection.fetch("select id from jobd.job")] == [job]
    assert await clerk.connection.fetchval("select count(*) from jobd.job_event where job_id = $1", job) == 1


async def test_what_the_runbook_dumps_and_restores_is_the_same_queue(database: Database, tmp_path: Path) -> None:
    clerk = await make_submitter(database)
    await clerk.submit()
    page = PAGES["restore-from-backup"].read_text()
    commands = re.findall(r"^(?:pg_dump|createdb|pg_restore) .*$", page, re.MULTILINE)
    assert len(commands) == 3
    restored = Database(database.server, unique("restored"))
    places = {"app": database.url, "restored": restored.url, "app.dump": str(tmp_path / "app.dump")}
    await database.close()
    try:
        for command in commands:
            program, *words = shlex.split(command)
            if program == "createdb":
                await create_database(database.server, restored.name)
                continue
            parts = [word.rpartition("=") for word in words]
            arguments = [f"{option}{sign}{places.get(value, value)}" for option, sign, value in parts]
            await asyncio.to_thread(database.server.run, program, *arguments)
        for relation in ("job", "job_event", "submitter", "queue"):
            count = f"select count(*) from jobd.{relation}"
            assert await restored.fetchval(count) == await database.fetchval(count) > 0
        assert await (await restored.connect(clerk.role)).fetchval("select count(*) from jobd.job") == 1
    finally:
        await restored.close()
        await drop_database(database.server, restored.name)


def _filled(text: str, job_id: object, pid: int) -> str:
    values = {"JOB_ID": job_id, "PID": pid, "QUEUE": "default", "TARGET": "public.t", "REASON": "incident 42"}
    values["SCHEMA"] = OLDEST_SUPPORTED
    return re.sub(r"\b(?:JOB_ID|PID|QUEUE|TARGET|REASON|SCHEMA)\b", lambda found: str(values[found[0]]), text)


async def _failed_job(database: Database) -> object:
    """A job that can be retried: the one that it waited for was cancelled."""
    connection = await database.connect()
    first = await submit(connection)
    second = await submit(connection, after=[first])
    await connection.execute("select jobd.cancel($1)", first)
    worker = SimulatedWorker(database)
    await worker.register()
    await worker.claim()
    assert await connection.fetchval("select status from jobd.job where id = $1", second) == "failed"
    return second
