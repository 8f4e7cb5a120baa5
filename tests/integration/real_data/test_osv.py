"""Goal: import vulnerability records, a JSON document each in one archive, nested and with keys that come late.

Seven are always there; the 4,291 of the Go vulnerability database are used too where they lie beside the checkout.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.support.daemons import daemon_within, job_row, wait_for_status
from tests.support.imports import submit_import

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.database import Database

ROOT = Path(__file__).parents[3]
EXCERPT = ROOT / "tests/data/osv/osv.zip"
WHOLE = ROOT.parent / "shared/data/osv.zip"
TABLE = """
    create table public.vulnerability (
        id text primary key, schema_version text not null, modified timestamptz not null, published timestamptz,
        withdrawn timestamptz, aliases text[], related text[], summary text, details text, affected jsonb,
        "references" jsonb, credits jsonb, database_specific jsonb
    )
"""


class Archive(NamedTuple):
    """Its records, how many of them are without aliases or withdrawn, and how many the test alters."""

    path: Path
    records: int
    bare: int
    withdrawn: int
    altered: int


ARCHIVES = [Archive(EXCERPT, 7, 2, 1, 3), *([Archive(WHOLE, 4291, 14, 17, 100)] if WHOLE.exists() else [])]


async def imported(database: Database, path: Path, **options: Any) -> Mapping[str, Any]:
    job_id = await submit_import(database, path, "public.vulnerability", options)
    async with daemon_within(database, import_roots=path.parent):
        await wait_for_status(database, job_id, "completed", "failed", within=120)
    return await job_row(database, job_id)


def altered(path: Path, count: int, directory: Path) -> Path:
    """The archive with the summaries of so many records changed."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(directory / "altered.zip", "w") as new:
        for number, name in enumerate(sorted(old.namelist())):
            record = json.loads(old.read(name))
            if number < count:
                record["summary"] = "Another summary"
            new.writestr(name, json.dumps(record))
    return directory / "altered.zip"


@pytest.mark.parametrize("real", ARCHIVES, ids=lambda real: str(real.records))
async def test_every_record_of_the_archive_is_a_row_and_changes_are_updates(
    database: Database, tmp_path: Path, real: Archive
) -> None:
    path, count = real.path, real.records
    await database.execute(TABLE)
    first = await imported(database, path)
    assert (first["status"], first["items_added"], first["error_count"]) == ("completed", count, 0)
    assert (first["files_total"], first["files_done"]) == (count, count)
    for column, wanted in (("aliases", count - real.bare), ("withdrawn", real.withdrawn)):
        assert await database.fetchval(f"select count({column}) from public.vulnerability") == wanted
    with zipfile.ZipFile(path) as archive:
        records = [json.loads(archive.read(name)) for name in archive.namelist()]
    found = await database.fetch(
        'select id, aliases, affected::text, "references"::text refs from public.vulnerability'
    )
    rows = {row["id"]: row for row in found}
    for record in records:
        row = rows[record["id"]]
        assert row["aliases"] == record.get("aliases")
        assert json.loads(row["affected"]) == record["affected"]
        assert (row["refs"] and json.loads(row["refs"])) == record.get("references")

    again = await imported(database, path)
    assert (again["duplicate_of"], again["processed_rows"]) == (first["id"], 0)
    forced = await imported(database, path, force=True)
    assert (forced["items_unchanged"], forced["success_count"]) == (count, count)
    mended = await imported(database, altered(path, real.altered, tmp_path))
    assert (mended["items_updated"], mended["items_unchanged"]) == (real.altered, count - real.altered)
