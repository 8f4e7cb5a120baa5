"""Refused records by a real daemon: what the SQL reference and the command line say of mending is so."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from jobd.cli.app import app
from tests.support.daemons import daemon_within, job_row, wait_for_status
from tests.support.files import write_readings
from tests.support.imports import create_readings, submit_import
from tests.support.mending import csv_of, rows_of

if TYPE_CHECKING:
    from uuid import UUID

    from tests.support.database import Database

REFERENCE = Path(__file__).parents[3] / "sql" / "README.md"
GOOD = {"amount": "1", "level": "7", "taken_at": "2024-01-01", "station": "NORTH", "note": "mended"}


def examples() -> list[str]:
    """The statements of the reference's section on mending."""
    text = REFERENCE.read_text(encoding="utf-8")
    section = re.search(r"^## Mend and import again\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert section
    return re.findall(r"```sql\n(.*?)```", section[1], re.DOTALL)


async def ended(database: Database, job_id: UUID) -> tuple[str, int, int, str | None]:
    await wait_for_status(database, job_id, "completed", "failed")
    job = await job_row(database, job_id)
    return job["status"], job["items_added"], job["error_count"], job["error_code"]


async def test_the_records_are_submitted_again_by_the_statement_of_the_reference(
    database: Database, tmp_path: Path
) -> None:
    reading, again = examples()
    await database.execute("create table public.parent (code text primary key)")
    await database.execute("create table public.child (id int primary key, parent text references public.parent)")
    path = tmp_path / "child.csv"
    path.write_bytes(b'a title\nid;parent\n1;a\n2;"b;c"\n3;K\xf6ln\n')
    options = {"delimiter": ";", "encoding": "cp1252", "skip_rows": 1, "max_errors": 3}
    await database.execute("insert into public.parent values ('a')")
    async with daemon_within(database, import_roots=tmp_path):
        job_id = await submit_import(database, path, "public.child", options)
        assert await ended(database, job_id) == ("completed", 1, 2, None)
        await database.execute(reading.replace("'…'", f"'{job_id}'"))
        await database.execute("insert into public.parent values ('b;c'), ('K\xf6ln')")
        new_id = await database.fetchval(again.replace("'…'", f"'{job_id}'"))
        assert await ended(database, new_id) == ("completed", 2, 0, None)
    rows = await database.fetch("select id, parent from public.child order by id")
    assert [tuple(row) for row in rows] == [(1, "a"), (2, "b;c"), (3, "K\xf6ln")]


@pytest.mark.parametrize("name", ["readings.csv", "readings.jsonl"])
@pytest.mark.parametrize("flags", [("--format", "csv"), ("--excel",)], ids=["csv", "excel"])
async def test_records_of_every_kind_come_back_through_the_command_line(
    database: Database, tmp_path: Path, name: str, flags: tuple[str, ...]
) -> None:
    target = await create_readings(database, "loop")
    readings = write_readings(tmp_path / name, 3000, bad_share=0.01)
    expected = readings.expected()
    async with daemon_within(database, import_roots=tmp_path):
        job_id = await submit_import(database, readings.path, target)
        assert (await ended(database, job_id))[:3] == ("completed", expected.added, len(expected.refused))
        written = (await errors(database, job_id, *flags)).decode("utf-8-sig").replace("\r\n", "\n")
        rows = rows_of(written)
        assert {int(row["_jobd_row"]) for row in rows} == expected.refused.keys()

        path = tmp_path / "refused.csv"
        path.write_bytes(await errors(database, job_id, *flags))
        again = await submit_import(database, path, target)
        assert (await ended(database, again))[1:] == (0, len(rows), "all_rows_refused" if rows else None)
        codes = "select distinct row_number, code from jobd.job_error where job_id = $1 order by 1"
        before = [row["code"] for row in await database.fetch(codes, job_id)]
        assert [row["code"] for row in await database.fetch(codes, again)] == before

        for row in rows:
            number = row["_jobd_row"]
            row.update({**GOOD, "id": f"{number}000", "serial": f"M-{number}"})
            if row.get("_jobd_code") in {"too_many_fields", "unknown_field"}:
                row["_jobd_record"] = ""
        path.write_text(csv_of(rows))
        mended = await submit_import(database, path, target)
        assert await ended(database, mended) == ("completed", len(rows), 0, None)
    assert await database.fetchval(f"select count(*) from {target}") == expected.added + len(rows)


async def errors(database: Database, job_id: UUID, *flags: str) -> bytes:
    result = await asyncio.to_thread(
        CliRunner().invoke, app, ["errors", str(job_id), *flags], env={"JOBD_DATABASE_URL": database.url}
    )
    assert result.exit_code == 0, result.output
    return result.stdout_bytes
