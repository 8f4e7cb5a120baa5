"""``jobd dev``, and with it the whole way of a file: submitted, refused in part, mended, imported again."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import asyncpg
import pytest

from jobd.cli import dev as dev_command
from jobd.cli.dev import place_for
from tests.support.command import start
from tests.support.daemons import until

if TYPE_CHECKING:
    from pathlib import Path


async def output(*arguments: object, cwd: Path, url: str, exit_code: int = 0) -> str:
    command = await start(*arguments, cwd=cwd, JOBD_DATABASE_URL=url)
    printed, complaint = await command.communicate()
    assert command.returncode == exit_code, (printed + complaint).decode()
    return printed.decode()


async def test_closing_the_terminal_stops_the_daemon_and_its_server(tmp_path: Path) -> None:
    dev = await start("dev", "--temporary", cwd=tmp_path)
    assert dev.stdout is not None
    async with asyncio.timeout(60):
        while not (line := (await dev.stdout.readline()).decode().strip()).startswith("export JOBD_DATABASE_URL="):
            assert not dev.stdout.at_eof()
    url = line.partition("=")[2]
    connection = await asyncpg.connect(url)
    await until(lambda: connection.fetchval("select count(*) from jobd.worker"))
    await connection.close()
    dev.send_signal(signal.SIGHUP)
    async with asyncio.timeout(60):
        await dev.communicate()
    assert dev.returncode == 0
    with pytest.raises(ConnectionRefusedError):
        await asyncpg.connect(url)


async def test_a_file_is_imported_and_its_refused_records_are_mended(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("id,name\n1,Ada\ntwo,Grace\n3\n")
    dev = await start("dev", "--temporary", cwd=tmp_path)
    assert dev.stdout is not None
    async with asyncio.timeout(60):
        while not (line := (await dev.stdout.readline()).decode().strip()).startswith("export JOBD_DATABASE_URL="):
            assert not dev.stdout.at_eof()
    url = line.partition("=")[2]

    connection = await asyncpg.connect(url)
    await connection.execute("create table people (id int primary key, name text)")
    text = await output("submit", "people.csv", "-t", "people", "--wait", cwd=tmp_path, url=url, exit_code=3)
    assert "3 rows: 1 added, 2 refused" in text
    job_id = await connection.fetchval("select id from jobd.job")
    refused = await output("errors", job_id, "--format", "csv", cwd=tmp_path, url=url)
    assert [line.split(",")[:2] for line in refused.splitlines()] == [["id", "name"], ["two", "Grace"], ["3", ""]]

    (tmp_path / "mended.csv").write_text(refused.replace("two,", "2,").replace("3,,", "3,Edsger,"))
    text = await output("submit", "mended.csv", "-t", "people", "--wait", cwd=tmp_path, url=url)
    assert "2 rows: 2 added" in text
    assert [tuple(row) for row in await connection.fetch("select * from people order by id")] == [
        (1, "Ada"),
        (2, "Grace"),
        (3, "Edsger"),
    ]
    await connection.close()

    dev.send_signal(signal.SIGINT)
    rest, complaint = await dev.communicate()
    assert dev.returncode == 0, (rest + complaint).decode()
    assert rest.decode().endswith("stopped.\n")
    assert not (tmp_path / ".jobd-dev").exists()


def test_the_database_is_kept_where_the_server_can_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, shared = tmp_path / "closed", tmp_path / "shared"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(dev_command, "SHARED_DIRECTORY", shared)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert place_for(closed / ".jobd-dev") == closed / ".jobd-dev"
    assert (closed / ".jobd-dev" / ".gitignore").read_text() == "*\n"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert place_for(closed / ".jobd-dev").parent == shared
