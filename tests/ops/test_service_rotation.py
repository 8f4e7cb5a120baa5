"""The database's password is changed while a service works, as the page says; no job fails, nothing restarts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import anyio
import pytest

from jobd.db import migrate
from tests.ops.runbook import PAGES
from tests.support.backends import terminate
from tests.support.daemons import get, submit, until
from tests.support.database import Database
from tests.support.server_control import controlled_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.ops.service import Service

RULES = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
LOGIN = "jobd_daemon"
ROTATION = "[Service]\nEnvironment=JOBD_DATABASE_URL_FILE=/etc/jobd/credentials/database-url\n"
ENDED = (
    "select count(*) filter (where status = 'completed') as completed, max(retry_count) as retries, "
    "count(*) filter (where status = 'failed') as failed, count(*) as all from jobd.job"
)


@pytest.fixture
async def guarded() -> AsyncIterator[Database]:
    """A database into which the daemon's login comes by its password only."""
    with controlled_server() as control:
        await migrate.migrate(control.server.url())
        (control.server.data / "pg_hba.conf").write_text(RULES)
        database = Database(control.server, "postgres")
        await database.execute("select pg_reload_conf()")
        await database.execute(f"create role {LOGIN} login password 'former'; grant jobd_worker to {LOGIN}")
        yield database
        await database.close()


def url(database: Database, password: str) -> str:
    return database.url_of(LOGIN).replace(f"{LOGIN}@", f"{LOGIN}:{password}@")


def commands(words: str) -> list[str]:
    """The lines of the block of the page that holds these words."""
    page = (PAGES / "rotate-credentials.md").read_text()
    (block,) = [text for text in re.findall(r"^```\n(.*?)^```$", page, re.MULTILINE | re.DOTALL) if words in text]
    return [line.partition("#")[0].strip() for line in block.splitlines()]


async def test_a_password_is_changed_while_jobs_run_and_none_of_them_notices(
    daemon: Service, guarded: Database
) -> None:
    daemon.configure(url(guarded, "former"), metrics_listen="127.0.0.1:0")
    daemon.box.write("/etc/systemd/system/jobd@.service.d/25-rotation.conf", ROTATION)
    daemon.box.run("systemctl", "daemon-reload")
    for line in commands("chgrp"):
        daemon.box.run("bash", "-c", line)
    try:
        daemon.systemctl("start")
        await rotate(daemon, guarded)
    finally:
        daemon.box.run("rm", "/etc/systemd/system/jobd@.service.d/25-rotation.conf")
        daemon.box.run("chmod", "0700", "/etc/jobd/credentials")


async def rotate(daemon: Service, database: Database) -> None:
    process = daemon.property("MainPID")
    port = int(daemon.box.journal(daemon.unit, "JOBD_EVENT=metrics and health")[-1]["JOBD_PORT"])
    submitter = await database.connect()
    await submitter.execute(f"set session authorization {LOGIN}")
    as_daemon = Database(database.server, database.name, _main=submitter)

    async def keep_coming() -> None:
        while True:
            await submit(as_daemon, "slow", metadata={"seconds": 0.2}, max_retries=0)
            await anyio.sleep(0.1)

    async with anyio.create_task_group() as group:
        group.start_soon(keep_coming)
        await until(lambda: completed(database), lambda seen: seen > 5)
        await database.execute(f"alter role {LOGIN} password 'latter'")
        changed_at = await database.fetchval("select clock_timestamp()")
        await terminate(database, "state = 'idle'")  # who comes anew is refused
        await until(lambda: is_refused(port))
        install, move = commands("install -m 0640")
        daemon.box.run("bash", "-c", install, stdin=url(database, "latter"))
        daemon.box.run("bash", "-c", move)
        reload, look = commands("systemctl reload")
        daemon.box.run("bash", "-c", reload.replace("jobd@main", daemon.unit))
        assert "the former connection is kept" not in daemon.box.run(
            "bash", "-c", look.replace("jobd@main", daemon.unit)
        )
        before = await completed(database)
        await until(lambda: completed(database), lambda seen: seen > before + 5)
        group.cancel_scope.cancel()
    await until(
        lambda: database.fetchrow(ENDED), lambda seen: seen is not None and seen["completed"] == seen["all"]
    )
    ended = await database.fetchrow(ENDED)
    assert ended is not None
    assert (ended["failed"], ended["retries"]) == (0, 0)
    former = "select count(*) from pg_stat_activity where application_name like 'jobd%' and backend_start < $1"
    await until(lambda: database.fetchval(former, changed_at), lambda seen: seen == 0)
    assert (daemon.property("MainPID"), daemon.property("NRestarts")) == (process, "0")


async def is_refused(port: int) -> bool:
    _, page = await get(port, "/metrics")
    return 'jobd_db_errors_total{class="privilege"} 0.0' not in page


async def completed(database: Database) -> int:
    return int(await database.fetchval("select count(*) from jobd.job where status = 'completed'"))
