from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from jobd.db import migrate
from tests.support.daemons import daemon_process, submit, until, wait_for_status
from tests.support.files import write_plain
from tests.support.imports import completed, create_plain, submit_import
from tests.support.names import unique

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database


async def test_logs_hold_neither_the_url_nor_row_data(target: Database, tmp_path: Path) -> None:
    await target.execute("create table public.people (name text primary key, age int check (age < 150))")
    await target.execute("insert into public.people values ('Confidential Person', 1)")
    url = target.url.replace("postgres@", "postgres:pass-word-of-mine@")
    with daemon_process(target, tmp_path, database_url=url, log_level="debug") as daemon:
        failing = [
            await submit(
                target, "bad_sql", max_retries=0, metadata={"sql": f"insert into public.people values {row}"}
            )
            for row in ("('Confidential Person', 2)", "('Other', 987654321)", "('Confidential Person', 'x')")
        ]
        for job_id in failing:
            await wait_for_status(target, job_id, "failed")
        await target.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'jobd:%'"
        )
        await wait_for_status(target, await submit(target), "completed")
        daemon.send(signal.SIGTERM)
        assert await daemon.exit_code() == 0
        text = daemon.log_path.read_text()
        ended = [line for line in daemon.log() if line["event"] == "attempt ended" and line["outcome"] == "failed"]
    for secret in ("pass-word-of-mine", "Confidential", "Other", "insert into", "987654321"):
        assert secret not in text
    assert {line["error"]["sqlstate"] for line in ended} == {"23505", "23514", "22P02"}
    assert {line["error"].get("constraint_name") for line in ended} == {"people_pkey", "people_age_check", None}
    assert all(line["job_id"] and line["worker_id"] and line["error"]["frames"] for line in ended)


async def test_at_debug_a_daemon_tells_what_it_claimed_committed_and_ended(
    database: Database, tmp_path: Path
) -> None:
    path = write_plain(tmp_path / "plain.csv", 300)
    with daemon_process(database, tmp_path, import_roots=tmp_path, log_level="debug") as daemon:
        job_id = await submit_import(database, path, await create_plain(database), {"batch_size": 100})
        await completed(database, job_id)
        ended = await daemon.logged("attempt ended")
        told = [line for line in daemon.log() if line.get("job_id") == str(job_id)]
    assert (ended["outcome"], ended["lease_token"]) == ("completed", 1)
    assert {line["lease_token"] for line in told if line["event"] == "job claimed"} == {1}
    begun = [line["from_row"] for line in told if line["event"] == "batch begun"]
    committed = [
        (line["lease_token"], line["from_row"], line["to_row"])
        for line in told
        if line["event"] == "batch committed" and line["to_row"] > line["from_row"]
    ]
    assert begun[:3] == [0, 100, 200]
    assert committed == [(1, 0, 100), (1, 100, 200), (1, 200, 300)]


async def test_a_wrong_password_or_a_missing_database_is_said_and_waited_out(
    target: Database, tmp_path: Path
) -> None:
    url = target.url.replace(target.name, "no_such_database")
    with daemon_process(target, tmp_path, database_url=url) as daemon:
        line = await daemon.logged("no database yet")
        assert line["error"]["sqlstate"] == "3D000"
        daemon.send(signal.SIGTERM)
        assert await daemon.exit_code() == 0


async def test_an_invalid_setting_is_one_clear_line_and_exit_code_78(target: Database, tmp_path: Path) -> None:
    for settings, said in (
        ({"concurrency": "many"}, "JOBD_CONCURRENCY"),
        ({"quueues": "a"}, "JOBD_QUEUES"),
        ({"handlers": "no_such_module"}, "no_such_module"),
        ({"database_url": "postgres//nonsense pass-word-of-mine"}, "JOBD_DATABASE_URL"),
    ):
        with daemon_process(target, tmp_path, **settings) as daemon:
            assert await daemon.exit_code() == 78, settings
            text = daemon.log_path.read_text()
        assert said in text
        assert "Traceback" not in text
        assert "pass-word-of-mine" not in text
        assert len([line for line in text.splitlines() if not line.startswith("{")]) == 1


async def test_an_address_that_is_taken_is_said_and_exit_code_78(target: Database, tmp_path: Path) -> None:
    with daemon_process(target, tmp_path) as first:
        address = f"127.0.0.1:{await first.port()}"
        with daemon_process(target, tmp_path, metrics_listen=address) as second:
            assert await second.exit_code() == 78
            assert f"JOBD_METRICS_LISTEN: cannot listen on {address}" in second.log_path.read_text()


async def test_a_daemon_waits_for_a_schema_and_begins_once_it_is_laid(
    empty_database: Database, tmp_path: Path
) -> None:
    with daemon_process(empty_database, tmp_path) as daemon:
        line = await daemon.logged("not ready")
        assert "run `jobd migrate`" in line["reason"]
        await migrate.migrate(empty_database.url)
        await daemon.logged("worker registered")


async def test_a_daemon_works_beside_functions_of_a_neighbouring_release_and_says_so(
    target: Database, tmp_path: Path
) -> None:
    await target.execute("update jobd.schema_text set sha256 = 'of another release'")
    job_id = await submit(target)
    with daemon_process(target, tmp_path) as daemon:
        await wait_for_status(target, job_id, "completed")
        assert (await daemon.logged("functions of another release"))["remedy"] == "jobd migrate"


async def test_a_daemon_waits_until_it_is_granted_the_right_to_work(target: Database, tmp_path: Path) -> None:
    role = unique("daemon")
    await target.execute(f"create role {role} login")
    job_id = await submit(target)
    with daemon_process(target, tmp_path, database_url=target.url_of(role)) as daemon:
        line = await daemon.logged("not ready")
        assert f"grant jobd_worker to {role}" in line["reason"]
        await target.execute(f"grant jobd_worker to {role}")
        await until(lambda: target.fetchval("select count(*) from jobd.worker"))
        await wait_for_status(target, job_id, "completed")
