"""Goal: import questions and answers, full of quotes, commas and line ends, and get each value as it was written.

A few are always there; the 817 of TruthfulQA are used too where they lie beside the checkout.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.daemons import daemon_within
from tests.support.imports import completed, submit_import

if TYPE_CHECKING:
    from tests.support.database import Database

ROOT = Path(__file__).parents[3]
EXCERPT = ROOT / "tests/data/questions.csv"
WHOLE = ROOT.parent / "shared/data/truthfulqa.csv"
FILES = [(EXCERPT, 5), *([(WHOLE, 817)] if WHOLE.exists() else [])]


@pytest.mark.parametrize(("path", "count"), FILES, ids=lambda value: value.stem if isinstance(value, Path) else "")
@pytest.mark.parametrize("batch_size", [3, 1000])
async def test_every_value_arrives_as_it_was_written(
    database: Database, path: Path, count: int, batch_size: int
) -> None:
    with path.open(newline="", encoding="utf-8-sig") as file:
        header, *records = csv.reader(file)
    assert len(records) == count
    names = {name: name.lower().replace(" ", "_") for name in header}
    await database.execute(
        f"create table public.question ({', '.join(f'{name} text' for name in names.values())})"
    )
    async with daemon_within(database, import_roots=path.parent):
        job_id = await submit_import(
            database, path, "public.question", {"columns": names, "batch_size": batch_size}
        )
        await completed(database, job_id)
    found = await database.fetch("select * from public.question")
    # An unquoted field without a character is a null.
    assert sorted([value or "" for value in row] for row in found) == sorted(records)
