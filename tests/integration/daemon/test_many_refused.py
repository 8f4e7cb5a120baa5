"""However many records of a batch are refused, each is kept with its own reasons."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.daemons import daemon_within, wait_for_status
from tests.support.imports import submit_import

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database


@pytest.mark.parametrize("count", [1009, 1010, 1024], ids=["prime", "of few divisors", "of many"])
async def test_each_of_many_refused_records_keeps_its_reasons(
    database: Database, tmp_path: Path, count: int
) -> None:
    await database.execute("create table public.t (id int primary key, day date)")
    path = tmp_path / "t.csv"
    bad = [f"x{number},never" if number % 3 else f"{number}" for number in range(2, count + 2)]
    path.write_text("\n".join(["id,day", "1,2024-01-01", *bad, ""]))
    async with daemon_within(database, import_roots=tmp_path):
        job_id = await submit_import(database, path, "public.t", {"batch_size": 5000})
        await wait_for_status(database, job_id, "completed")
    errors = await database.fetch(
        "select row_number, field, line_number, raw_data from jobd.job_error where job_id = $1 "
        "order by row_number, field desc",
        job_id,
    )
    expected: list[tuple[object, ...]] = []
    for number, record in enumerate(bad, 2):
        if number % 3:
            expected += [(number, "id", number + 1, f"x{number}"), (number, "day", number + 1, "never")]
        else:
            expected.append((number, None, number + 1, record))
    assert [tuple(row) for row in errors] == expected
    rejects = await database.fetch(
        "select row_number, record, fields from jobd.job_reject where job_id = $1 order by row_number", job_id
    )
    assert [(row[0], row[1].decode()) for row in rejects] == list(enumerate(bad, 2))
    assert [json.loads(row[2])["id"] for row in rejects] == [record.partition(",")[0] for record in bad]
    assert await database.fetchval("select sum(count) from jobd.job_error_group") == len(expected)
