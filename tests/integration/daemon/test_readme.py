"""The README's own statements, as a reader would copy them, do what it says of them."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.daemons import daemon_within
from tests.support.imports import completed

if TYPE_CHECKING:
    from tests.support.database import Database

README = (Path(__file__).parents[3] / "README.md").read_text()
LOG = (
    '192.0.2.7 - - [10/Nov/2026:13:55:36 -0700] "GET /a HTTP/1.1" 200 2326\n'
    '192.0.2.8 - anna [11/Nov/2026:00:00:01 +0000] "POST /b HTTP/1.1" 404 17\n'
)
CUSTOMERS = "KdNr;Name;Umsatz;seit;Notiz\r\n 7 ;Bürgi;1.234,50;24.12.2025;egal\r\n"


def statement(source: str) -> str:
    """The README's INSERT with that source."""
    found = re.search(
        rf"^insert into jobd\.job [^;]*'{re.escape(source)}'.*?\);$", README, re.MULTILINE | re.DOTALL
    )
    assert found, source
    return found[0].removesuffix(";") + " returning id"


async def test_logs_of_a_month_are_taken_apart_and_say_where_they_came_from(
    database: Database, tmp_path: Path
) -> None:
    with gzip.open(tmp_path / "2026-11-30.gz", "wt") as log:
        log.write(LOG)
    await database.execute(
        "create schema ops; create table ops.request"
        " (client inet, at timestamptz, line text, status int, log text, log_line bigint)"
    )
    async with daemon_within(database, import_roots=tmp_path):
        job_id = await database.fetchval(statement("/srv/logs/2026-11-*.gz").replace("/srv/logs", str(tmp_path)))
        await completed(database, job_id)
    rows = await database.fetch("select * from ops.request order by log_line")
    assert [(str(row["client"]), row["line"], row["status"], row["log_line"]) for row in rows] == [
        ("192.0.2.7", "GET /a HTTP/1.1", 200, 1),
        ("192.0.2.8", "POST /b HTTP/1.1", 404, 2),
    ]
    assert [row["at"].timestamp() for row in rows] == [1_794_344_136, 1_794_355_201]
    assert {row["log"] for row in rows} == {str(tmp_path / "2026-11-30.gz")}


async def test_an_export_with_commas_and_dates_of_its_country_is_read(database: Database, tmp_path: Path) -> None:
    (tmp_path / "kunden.csv").write_text(CUSTOMERS, encoding="latin-1", newline="")
    await database.execute(
        "create schema crm; create table crm.customer (id int primary key, name text, revenue numeric, seit date)"
    )
    async with daemon_within(database, import_roots=tmp_path):
        job_id = await database.fetchval(
            statement("s3://acme-in/kunden.csv").replace("s3://acme-in", str(tmp_path))
        )
        await completed(database, job_id)
    row = await database.fetchrow("select id, name, revenue::text, seit::text from crm.customer")
    assert tuple(row or ()) == (7, "Bürgi", "1234.50", "2025-12-24")
