"""Goal: fill up every disk that a job needs; it waits, says so, uses no retry, and goes on once there is room."""

from __future__ import annotations

import contextlib
import json
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from jobd.db import embedded, migrate
from jobd.errors import DatabaseUnavailable
from jobd.runner import outcome
from tests.fault.relay import QUICK, relay
from tests.support import command
from tests.support.daemons import DaemonProcess, daemon_within, get, until
from tests.support.database import Database, create_database, drop_database
from tests.support.files import write_plain
from tests.support.imports import completed, create_plain, processed_rows, submit_import, wait_for_rows
from tests.support.servers import SETTINGS
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.workbooks import xlsx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from uuid import UUID

ROWS = 100_000
REFUSED = 6_000
WAL_ROWS = 30_000
FULL = """
create function public.no_room() returns trigger language plpgsql as $$
begin
    raise disk_full using message = 'could not extend file "base/1/2": No space left on device';
end
$$;
create trigger no_room before insert on {target} for each row when (new.id = {row})
execute function public.no_room();
"""
DISK = "select retry_count, interrupt_count, lost_lease_count from jobd.job where id = $1"


@pytest.fixture
def soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that waits is tried again after half a second."""
    monkeypatch.setattr(outcome, "WAITING_SECONDS", 0.5)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the server's user can reach."""
    with tempfile.TemporaryDirectory(prefix="jobd-disk-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture
async def tablespace(database: Database, place: Path) -> AsyncIterator[SmallDisk]:
    """A small disk of the server's, as the tablespace ``small``."""
    with small_disk(place / "disk", 8, database.server.system_user) as disk:
        await database.execute(f"create tablespace small location '{disk.path}'")
        yield disk
        await database.close()
        await drop_database(database.server, database.name)
        connection = await asyncpg.connect(database.server.url())
        await connection.execute("drop tablespace small")
        await connection.close()


async def reason(database: Database, job_id: UUID) -> str:
    """Wait until the job waits; gives what for."""

    async def look() -> str | None:
        text: str | None = await database.fetchval("select waiting_reason from jobd.job where id = $1", job_id)
        return text

    found = await until(look, within=30)
    assert found is not None
    return found


async def assert_nothing_used(database: Database, job_id: UUID) -> None:
    assert tuple(await database.fetchrow(DISK, job_id) or ()) == (0, 0, 0)


async def assert_imported(database: Database, job_id: UUID, target: str, rows: int) -> None:
    job = await database.fetchrow(
        "select items_added, processed_rows, error_count from jobd.job where id = $1", job_id
    )
    assert tuple(job or ()) == (rows, rows, 0)
    counts = await database.fetchrow(f"select count(*), count(distinct id) from {target}")
    assert tuple(counts or ()) == (rows, rows)


@pytest.mark.usefixtures("soon_again")
async def test_an_import_waits_for_room_and_says_so_wherever_a_person_looks(
    database: Database, tmp_path: Path
) -> None:
    path = write_plain(tmp_path / "plain.csv", 100)
    target = await create_plain(database)
    await database.execute(FULL.format(target=target, row=55))
    async with daemon_within(database, import_roots=tmp_path, **QUICK) as daemon:
        job_id = await submit_import(database, path, target, {"batch_size": 10}, max_retries=0)
        assert "disk is full: could not extend file" in await reason(database, job_id)
        assert daemon.health.port is not None
        status, body = await get(daemon.health.port, "/readyz")
        assert (status, json.loads(body)["reasons"]) == (200, ["the database's disk is full: jobs wait for room"])
        _, metrics = await get(daemon.health.port, "/metrics")
        assert "jobd_db_disk_full 1.0" in metrics
        assert 'jobd_db_errors_total{class="disk_full"} 0.0' not in metrics

        async def shown() -> str:
            show = await command.start("show", str(job_id), cwd=tmp_path, JOBD_DATABASE_URL=database.url)
            return " ".join((await show.communicate())[0].decode().split())

        # It is tried again so soon that it may just be running.
        await until(shown, lambda text: "disk is full" in text)
        await database.execute(f"drop trigger no_room on {target}")
        await completed(database, job_id)
    await assert_nothing_used(database, job_id)
    await assert_imported(database, job_id, target, 100)


@pytest.mark.usefixtures("soon_again")
async def test_an_import_into_a_full_tablespace_goes_on_by_itself_when_there_is_room_and_others_run_meanwhile(
    database: Database, tablespace: SmallDisk, tmp_path: Path
) -> None:
    path = write_plain(tmp_path / "plain.csv", ROWS, width=100)
    target = await create_plain(database)
    await database.execute(f"alter table {target} set tablespace small")
    async with daemon_within(database, import_roots=tmp_path, concurrency=1, **QUICK):
        job_id = await submit_import(database, path, target, {"batch_size": 5_000}, max_retries=0)
        assert "No space left on device" in await reason(database, job_id)
        assert await database.fetchval(f"select count(*) from {target}") > 0
        # The only slot is free for what has room.
        elsewhere = await create_plain(database, "public.elsewhere")
        await completed(database, await submit_import(database, path, elsewhere, {"force": True}))
        assert await database.fetchval("select status from jobd.job where id = $1", job_id) != "completed"
        tablespace.grow(64)
        await completed(database, job_id)
    await assert_nothing_used(database, job_id)
    await assert_imported(database, job_id, target, ROWS)


@pytest.mark.usefixtures("soon_again")
async def test_where_jobds_own_tables_have_no_room_jobs_wait_and_go_on_when_there_is(
    database: Database, tablespace: SmallDisk, tmp_path: Path
) -> None:
    path = tmp_path / "refused.csv"
    dice = random.Random(1)  # noqa: S311  values that compression leaves as long as they are
    path.write_text(
        "id,note\n" + "".join(f"x{row},{dice.randbytes(900).hex()}\n{row},good\n" for row in range(REFUSED))
    )
    target = await create_plain(database)
    for relation in ("job", "job_error", "job_reject", "job_event"):
        await database.execute(f"alter table jobd.{relation} set tablespace small")
    async with daemon_within(database, import_roots=tmp_path, **QUICK) as daemon:
        job_id = await submit_import(database, path, target, {"batch_size": 500}, max_retries=0)

        async def is_told() -> tuple[str, ...]:
            return daemon.readiness().degraded if daemon.metrics.database.is_disk_full else ()

        assert "disk is full" in (await until(is_told, within=30))[0]
        assert await processed_rows(database, job_id) < 2 * REFUSED
        tablespace.grow(64)
        await completed(database, job_id)
    await assert_nothing_used(database, job_id)
    found = await database.fetchrow(
        "select items_added, error_count, (select count(*) from jobd.job_reject r where r.job_id = j.id),"
        f" (select count(*) from {target}) from jobd.job j where id = $1",
        job_id,
    )
    assert tuple(found or ()) == (REFUSED,) * 4


async def test_imports_outlive_a_full_disk_of_the_write_ahead_log_which_stops_the_server(
    place: Path, tmp_path: Path
) -> None:
    settings = {**SETTINGS, "min_wal_size": "2MB", "max_wal_size": "16MB", "wal_recycle": "off"}
    path = write_plain(tmp_path / "plain.csv", WAL_ROWS, width=300)
    with small_disk(place / "wal", 80, embedded.unprivileged_user()) as disk:
        server = embedded.create(place / "server", initdb=(f"--waldir={disk.path}", "--wal-segsize=1"))
        server.start(settings)
        try:
            await create_database(server, "full")
            database = Database(server, "full")
            await migrate.migrate(database.url)
            target = await create_plain(database)
            with relay(database, tmp_path, size=1, **QUICK) as daemons:
                job_id = await submit_import(database, path, target, {"batch_size": 500}, max_retries=0)
                await wait_for_rows(database, job_id, 1)
                disk.fill()
                await until_gone(daemons.daemons[0])
                await database.close()
                with contextlib.suppress(DatabaseUnavailable):  # most often it has given up by itself
                    server.stop("immediate")
                disk.make_room()
                server.start(settings)
                await completed(database, job_id)
            assert await database.fetchval("select retry_count from jobd.job where id = $1", job_id) == 0
            await assert_imported(database, job_id, target, WAL_ROWS)
            await database.close()
        finally:
            with contextlib.suppress(DatabaseUnavailable):
                server.stop("immediate")


async def until_gone(daemon: DaemonProcess) -> None:
    """Wait until the daemon says that the database is away."""
    port = await daemon.port()

    async def status() -> int:
        return (await get(port, "/readyz"))[0]

    await until(status, lambda seen: seen == 503, within=30)


@pytest.mark.usefixtures("soon_again")
async def test_jobs_wait_for_room_where_the_daemon_keeps_what_it_has_to_copy(
    database: Database, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [[number, "x" * 20] for number in range(2_000)]
    book = tmp_path / "book.xlsx"
    book.write_bytes(xlsx({"readings": [["id", "note"], *rows]}))
    text = "id,note\n" + "".join(f"{number},{note}\n" for number, note in rows)
    blob_id = await database.fetchval("insert into jobd.blob (data) values ($1) returning id", text.encode())
    with small_disk(place / "spool", 1) as disk:
        disk.fill()
        monkeypatch.setattr(tempfile, "tempdir", str(disk.path))
        async with daemon_within(database, import_roots=tmp_path, spool=disk.path, **QUICK):
            jobs = {}
            for name, source in (("book", book), ("blob", f"blob:{blob_id}")):
                target = await create_plain(database, f"public.of_{name}")
                jobs[target] = await submit_import(database, Path(source), target, max_retries=0)
            for job_id in jobs.values():
                assert "No space left on device" in await reason(database, job_id)
            disk.make_room()
            for target, job_id in jobs.items():
                await completed(database, job_id)
                await assert_nothing_used(database, job_id)
                await assert_imported(database, job_id, target, len(rows))


@pytest.mark.usefixtures("soon_again")
async def test_a_blob_waits_while_the_spool_is_gone(database: Database, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    blob_id = await database.fetchval("insert into jobd.blob (data) values ('id,note\n1,a\n') returning id")
    target = await create_plain(database)
    async with daemon_within(database, spool=spool, **QUICK):
        job_id = await submit_import(database, Path(f"blob:{blob_id}"), target, max_retries=0)
        assert "No such file or directory" in await reason(database, job_id)
        spool.mkdir()
        await completed(database, job_id)
    await assert_nothing_used(database, job_id)
