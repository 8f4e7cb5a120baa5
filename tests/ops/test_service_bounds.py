"""What the daemon may and may not do as a service, tried by a job that runs in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.daemons import get, job_row, submit, wait_for_status

if TYPE_CHECKING:
    from tests.ops.service import Service
    from tests.support.database import Database


async def test_it_writes_to_its_own_places_and_reaches_its_own_host_and_nothing_else(
    daemon: Service, database: Database
) -> None:
    daemon.configure(database.url)
    daemon.systemctl("start")
    job_id = await submit(database, "trespass")
    await wait_for_status(database, job_id, "completed", within=60)
    became = json.loads((await job_row(database, job_id))["result"])
    allowed = {"state", "temporary", "loopback"}
    assert {name for name, outcome in became.items() if outcome == "done"} == allowed
    for name in ("etc", "program", "import root"):
        assert became[name] == "Read-only file system", name
    for name in ("elsewhere", "priority", "executable memory"):
        assert became[name] in {"Operation not permitted", "Permission denied"}, name


async def test_its_secret_is_seen_by_itself_alone_and_stands_in_no_environment(
    daemon: Service, database: Database
) -> None:
    daemon.configure(database.url.replace("postgres@", "postgres:pass-word-of-mine@"))
    daemon.systemctl("start")
    process = daemon.property("MainPID")
    place = f"/run/credentials/{daemon.unit}"
    listed = daemon.box.run("nsenter", "-t", process, "-m", "stat", "-c", "%a %n", f"{place}/database-url")
    assert listed.split()[0] in {"400", "440"}
    other = daemon.box.tried("setpriv", "--reuid=nobody", "--clear-groups", "cat", f"{place}/database-url")
    assert other.returncode != 0
    for view in ("environ", "cmdline"):
        assert "pass-word" not in daemon.box.run("cat", f"/proc/{process}/{view}")
    assert "pass-word" not in daemon.box.run("systemctl", "show", daemon.unit)
    assert "pass-word" not in daemon.box.run("journalctl", "-o", "json", "--all", "-u", daemon.unit)


async def test_files_of_every_kind_are_imported_within_its_bounds(daemon: Service, database: Database) -> None:
    workbook = (
        "import xlsxwriter\n"
        "with xlsxwriter.Workbook('/srv/in/people.xlsx') as book:\n"
        "    sheet = book.add_worksheet()\n"
        "    for number, row in enumerate([['id', 'name'], [2, 'Grace']]): sheet.write_row(number, 0, row)\n"
    )
    daemon.box.run("/opt/jobd/bin/python", "-c", workbook)
    daemon.box.write("/srv/in/people.csv", "id,name\n1,Ada\n")
    daemon.box.write("/srv/in/people.jsonl", '{"id": 3, "name": "Edsger"}\n')
    await database.execute("create table public.people (id int primary key, name text)")
    daemon.configure(database.url)
    daemon.systemctl("start")
    for kind in ("csv", "xlsx", "jsonl"):
        schema = {"schema": {"type": "object", "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}}}}
        job_id = await database.fetchval(
            "insert into jobd.job (source, target, options) values ($1, 'public.people', $2) returning id",
            f"/srv/in/people.{kind}",
            json.dumps(schema),
        )
        status = await wait_for_status(database, job_id, "completed", "failed", within=60)
        assert status == "completed", (await job_row(database, job_id))["error_message"]
    rows = await database.fetch("select * from public.people order by id")
    assert [tuple(row) for row in rows] == [(1, "Ada"), (2, "Grace"), (3, "Edsger")]


async def test_the_journal_can_be_asked_for_one_job(daemon: Service, database: Database) -> None:
    daemon.configure(database.url)
    daemon.systemctl("start")
    job_id = await submit(database, "slow", metadata={}, max_retries=0)
    await wait_for_status(database, job_id, "failed", within=60)
    (entry,) = daemon.box.journal(daemon.unit, f"JOBD_JOB_ID={job_id}")
    assert (entry["JOBD_EVENT"], entry["JOBD_OUTCOME"], entry["PRIORITY"]) == ("attempt ended", "failed", "4")
    assert json.loads(entry["JOBD_ERROR"])["class"] == "KeyError"
    assert entry["SYSLOG_IDENTIFIER"] == "jobd"


async def test_the_metrics_of_the_process_are_there(daemon: Service, database: Database) -> None:
    daemon.configure(database.url)
    daemon.systemctl("start")
    (entry,) = daemon.box.journal(daemon.unit, "JOBD_EVENT=metrics and health")
    status, page = await get(int(entry["JOBD_PORT"]), "/metrics")
    assert status == 200
    assert "process_start_time_seconds" in page


def test_the_installed_units_are_sound_by_systemds_own_measure(daemon: Service) -> None:
    units = ["jobd@main.service", "jobd.target", "jobd.slice"]
    verified = daemon.box.tried("systemd-analyze", "verify", *units)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
