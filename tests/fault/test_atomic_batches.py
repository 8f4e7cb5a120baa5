"""Goal: look at a running import as often as possible, and never see a part of a batch without the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fault.relay import relay
from tests.support.files import write_readings
from tests.support.imports import assert_as_expected, create_readings, submit_import

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database

# One statement is one snapshot.
LOOK = """
select j.status, j.processed_rows,
    (j.cursor ->> 'row')::bigint as cursor_row,
    j.items_added,
    (select count(*) from torn.reading) as table_rows,
    j.error_count,
    (select count(*) from jobd.job_reject r where r.job_id = j.id) as rejects,
    (select count(distinct e.row_number) from jobd.job_error e where e.job_id = j.id) as rows_with_errors,
    (select count(*) from jobd.job_error e where e.job_id = j.id) as errors,
    (select coalesce(sum(g.count), 0) from jobd.job_error_group g where g.job_id = j.id) as errors_in_groups
from jobd.job j
where j.id = $1
"""


async def test_a_reader_never_sees_rows_without_their_counters_errors_and_cursor(
    database: Database, tmp_path: Path
) -> None:
    readings = write_readings(tmp_path / "readings.csv", 3_000, bad_share=0.1)
    target = await create_readings(database, "torn")
    seen = set()
    with relay(database, tmp_path, size=1):
        job_id = await submit_import(database, readings.path, target, {"batch_size": 20})
        status = "pending"
        while status in {"pending", "running"}:
            look = await database.fetchrow(LOOK, job_id)
            assert look is not None
            assert look["processed_rows"] == (look["cursor_row"] or 0)
            assert look["items_added"] == look["table_rows"]
            assert look["error_count"] == look["rejects"] == look["rows_with_errors"]
            assert look["errors"] == look["errors_in_groups"]
            seen.add(look["processed_rows"])
            status = look["status"]
    await assert_as_expected(database, job_id, target, readings.expected())
    assert len(seen) > 20
