"""``migrate``, ``grant``, and how every command answers when something is wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from jobd.cli.app import app
from jobd.db import schema_text
from tests.support.command import start
from tests.support.names import unique
from tests.support.schema import later_schema

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cli.conftest import Jobd
    from tests.support.database import Database


async def run(*arguments: str, **environment: str | None) -> tuple[int, str, str]:
    result = await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=environment)
    assert "Traceback" not in result.stderr
    return result.exit_code, result.stdout, result.stderr


async def test_the_schema_is_laid_once(empty_database: Database) -> None:
    url = empty_database.url
    exit_code, text, _ = await run("migrate", "--check", JOBD_DATABASE_URL=url)
    assert exit_code == 78
    assert "jobd migrate" in text
    assert "Next: jobd run" in (await run("migrate", JOBD_DATABASE_URL=url))[1]
    assert "nothing to do" in (await run("migrate", JOBD_DATABASE_URL=url))[1]
    assert (await run("migrate", "--check", JOBD_DATABASE_URL=url))[0] == 0


async def test_functions_of_another_release_are_brought_up_to_date(database: Database) -> None:
    await database.execute("update jobd.schema_text set sha256 = 'older'")
    exit_code, text, _ = await run("migrate", "--check", JOBD_DATABASE_URL=database.url)
    assert (exit_code, "jobd migrate" in text) == (78, True)
    assert "up to date again" in (await run("migrate", JOBD_DATABASE_URL=database.url))[1]


async def test_what_the_last_release_migrated_is_taken_back_and_applied_again(database: Database) -> None:
    oldest, url = str(schema_text.OLDEST_SUPPORTED), database.url
    _, text, _ = await run("migrate", "--down-to", oldest, JOBD_DATABASE_URL=url)
    assert f"version {oldest} again" in text
    assert text.count(": Lost: ") == schema_text.load().version - schema_text.OLDEST_SUPPORTED
    assert "nothing to do" in (await run("migrate", "--down-to", oldest, JOBD_DATABASE_URL=url))[1]
    exit_code, text, _ = await run("migrate", "--check", JOBD_DATABASE_URL=url)
    assert (exit_code, "works with both" in text) == (78, True)
    assert f"version {oldest} became" in (await run("migrate", JOBD_DATABASE_URL=url))[1]
    exit_code, _, complaint = await run("migrate", "--down-to", "3", JOBD_DATABASE_URL=url)
    assert (exit_code, "no way down to version 3" in complaint) == (78, True)
    assert (await run("migrate", "--check", "--down-to", "3", JOBD_DATABASE_URL=url))[0] == 2


async def test_on_a_later_schema_that_admits_it_there_is_nothing_to_migrate(database: Database) -> None:
    await later_schema(database, compatible_from=schema_text.load().version)
    exit_code, text, _ = await run("migrate", "--check", JOBD_DATABASE_URL=database.url)
    assert (exit_code, "of a later release" in text) == (0, True)
    exit_code, text, _ = await run("migrate", JOBD_DATABASE_URL=database.url)
    assert (exit_code, "nothing to do" in text) == (0, True)


async def test_the_daemon_does_not_start_with_a_setting_that_is_wrong(database: Database, tmp_path: Path) -> None:
    daemon = await start("run", cwd=tmp_path, JOBD_DATABASE_URL=database.url, JOBD_LEASE_SECONDS="1")
    _, complaint = await daemon.communicate()
    assert daemon.returncode == 78
    assert complaint.startswith(b"error: JOBD_LEASE_SECONDS")
    assert len(complaint.splitlines()) == 1


async def test_the_daemon_runs_until_it_is_told_to_stop(database: Database, tmp_path: Path) -> None:
    (tmp_path / "env").write_text(f"JOBD_DATABASE_URL={database.url}\nJOBD_METRICS_LISTEN=127.0.0.1:0\n")
    connection = await database.connect()
    arrived = asyncio.Event()
    await connection.execute(
        "create function tell() returns trigger language plpgsql as 'begin notify arrived; return null; end'"
    )
    await connection.execute("create trigger tell after insert on jobd.worker execute function tell()")
    await connection.add_listener("arrived", lambda *_: arrived.set())
    daemon = await start("run", "--env-file", "env", cwd=tmp_path)
    async with asyncio.timeout(60):
        await arrived.wait()
    daemon.send_signal(signal.SIGTERM)
    await daemon.communicate()
    assert daemon.returncode == 0
    assert await database.fetchval("select count(*) from jobd.worker") == 0


async def test_the_schema_is_printed_instead(empty_database: Database) -> None:
    exit_code, text, _ = await run("migrate", "--sql", "--database-url", empty_database.url)
    assert exit_code == 0
    assert "create table jobd.job " in text
    assert await empty_database.fetchval("select to_regnamespace('jobd')") is None


async def test_the_roles_are_printed_without_a_database() -> None:
    exit_code, text, _ = await run("migrate", "--sql", "--roles", JOBD_DATABASE_URL="postgresql://127.0.0.1:1/x")
    assert exit_code == 0
    assert "jobd_submitter" in text
    assert (await run("migrate", "--roles"))[0] == 2


async def test_a_role_is_granted_shown_and_revoked(jobd: Jobd, database: Database) -> None:
    role = unique("clerk")
    await database.execute(f"create role {role} login")
    assert f"grant {role} to" in (await jobd("grant", role, "--sql")).stdout
    assert await database.fetchval("select count(*) from jobd.submitter") == 0
    text = (await jobd("grant", role, "--import-root", "/srv/in")).stdout
    assert f"{role} may submit jobs" in text
    assert "JOBD_SUBMITTER_SECRET" in text
    assert await database.fetchval("select import_roots from jobd.submitter where role_name = $1", role) == [
        "/srv/in"
    ]
    assert "no longer" in (await jobd("grant", role, "--revoke")).stdout


async def test_a_role_that_is_not_there_is_named(jobd: Jobd) -> None:
    result = await jobd("grant", "nobody_here", exit_code=1)
    assert "role nobody_here does not exist" in result.stderr
    assert "create role" in result.stderr


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("command", [["list"], ["queues"], ["migrate"], ["submit", "s3://b/a.csv", "-t", "t"]])
async def test_a_database_that_is_away_is_exit_code_69(command: list[str]) -> None:
    exit_code, _, complaint = await run(*command, "--database-url", f"postgresql://x@127.0.0.1:{closed_port()}/x")
    assert exit_code == 69
    assert complaint.startswith("error: the database cannot be reached")
    assert len(complaint.splitlines()) == 2


async def test_a_database_that_does_not_exist_is_exit_code_78(database: Database) -> None:
    exit_code, _, complaint = await run("list", "--database-url", database.server.url("nowhere"))
    assert (exit_code, 'database "nowhere" does not exist' in complaint) == (78, True)


async def test_a_database_without_the_schema_says_what_to_run(empty_database: Database) -> None:
    exit_code, _, complaint = await run("list", "--database-url", empty_database.url)
    assert exit_code == 78
    assert "jobd migrate" in complaint


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [("JOBD_QUEUE", "x", "JOBD_QUEUES"), ("JOBD_CONCURRENCY", "many", "JOBD_CONCURRENCY")],
)
async def test_a_setting_that_is_wrong_is_exit_code_78(name: str, value: str, complaint: str) -> None:
    exit_code, _, text = await run("list", **{name: value})
    assert exit_code == 78
    assert complaint in text


async def test_a_url_that_is_none_is_not_repeated_with_its_password() -> None:
    exit_code, _, complaint = await run("list", "--database-url", "postgres://u:geheim@[/x")
    assert exit_code == 78
    assert "geheim" not in complaint


async def test_a_bug_is_one_line_unless_debugging(monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oh\nno")

    monkeypatch.setattr("jobd.cli.operation.with_database", broken)
    exit_code, _, complaint = await run("queues", JOBD_DATABASE_URL=database.url)
    assert exit_code == 1
    assert complaint.startswith("error: ZeroDivisionError: oh no\n")
    result = await asyncio.to_thread(CliRunner().invoke, app, ["queues"], env={"JOBD_LOG_LEVEL": "debug"})
    assert "Traceback" in result.stderr


async def test_help_names_every_command_and_every_setting() -> None:
    text = (await run("--help"))[1]
    for command in ("submit", "watch", "errors", "revert", "migrate", "doctor", "dev", "drill", "install"):
        assert command in text
    for command in ("schedule", "serve", "apikey"):
        assert f" {command} " not in text
    assert "JOBD_IMPORT_ROOTS" in (await run("run", "--help"))[1]
    assert (await run("--version"))[1].startswith("jobd ")


async def test_a_pipe_that_ends_early_is_no_traceback(database: Database, tmp_path: Path) -> None:
    await database.execute("insert into jobd.job (source, target) select '/a', 't' from generate_series(1, 5000)")
    reading, writing = os.pipe()
    listing = await start(
        "list", "--json", "-n", "5000", cwd=tmp_path, stdout=writing, JOBD_DATABASE_URL=database.url
    )
    os.close(writing)
    assert await asyncio.to_thread(os.read, reading, 10)
    os.close(reading)
    assert listing.stderr is not None
    assert b"Traceback" not in await listing.stderr.read()
    await listing.wait()


async def test_ctrl_c_ends_the_watching_and_not_the_job(database: Database, tmp_path: Path) -> None:
    job_id = await database.fetchval("insert into jobd.job (source, target) values ('/a.csv', 't') returning id")
    watching = await start("watch", str(job_id), cwd=tmp_path, JOBD_DATABASE_URL=database.url)
    assert watching.stdout is not None
    assert watching.stderr is not None
    assert b"pending" in await watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    assert await watching.wait() == 130
    assert b"still at work" in await watching.stderr.read()
    assert await database.fetchval("select status from jobd.job") == "pending"
