"""Invariant 7, of many files: how records are divided among files and where an import breaks off is no matter."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.importing import Imported, import_file, write
from tests.support.shapes import BEFORE, HEADER, PARENTS, RECORDS, SHAPES, make_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.database import Database

# Files of a record or none give nothing to find these out from.
STATED = {"delimiter": ",", "quote": '"', "encoding": "utf-8", "skip_rows": 0}


class BrokenOffError(Exception):
    """Stands for a daemon that is killed before a batch."""


def divided(directory: Path, records: Sequence[str], cuts: Sequence[int]) -> list[int]:
    """Write files of these records, in order, cut there; gives how many stand before each file's own."""
    starts = sorted({0, *(cut for cut in cuts if cut < len(records))})
    for number, (start, end) in enumerate(itertools.pairwise([*starts, len(records)])):
        write(directory / f"{number:02}.csv", [HEADER, *records[start:end]])
    return starts


async def import_in_pieces(
    connection: asyncpg.Connection, directory: Path, options: dict[str, Any], kills: set[int]
) -> Imported:
    """Import the directory, killed before each of these batches, and going on each time."""

    async def kill(batch: int) -> None:
        if batch in kills:
            kills.remove(batch)
            raise BrokenOffError

    imported = Imported()
    while True:
        try:
            return await import_file(
                connection, directory, "public.rows", options, continued=imported, before_batch=kill
            )
        except BrokenOffError:
            continue


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    records=st.lists(RECORDS, min_size=1, max_size=14),
    before=BEFORE,
    on_conflict=st.sampled_from(["update", "skip", "error"]),
    cuts=st.lists(st.integers(0, 13), max_size=4),
    batch_size=st.sampled_from([1, 2, 3, 1000]),
    kills=st.sets(st.integers(0, 6), max_size=4),
)
async def test_files_batches_and_kills_change_nothing(  # noqa: PLR0917  hypothesis hands them on by position
    empty_database: Database,
    shape: str,
    records: list[str],
    before: list[str],
    on_conflict: str,
    cuts: list[int],
    batch_size: int,
    kills: set[int],
) -> None:
    options = {**STATED, "on_conflict": on_conflict, "batch_size": batch_size}
    connection = await asyncpg.connect(empty_database.url, statement_cache_size=0)
    try:
        await connection.execute("drop table if exists parent cascade; set client_min_messages = error;" + PARENTS)
        with tempfile.TemporaryDirectory() as place:
            path = write(Path(place) / "all.csv", [HEADER, *records])
            await make_rows(connection, shape, before)
            expected = await import_file(connection, path, "public.rows", options)
            rows = await connection.fetch("select rows::text from rows order by 1")

            files = Path(place) / "files"
            files.mkdir()
            starts = divided(files, records, cuts)
            await make_rows(connection, shape, before)
            found = await import_in_pieces(connection, files, options, set(kills))
            assert await connection.fetch("select rows::text from rows order by 1") == rows
        assert found.counts == expected.counts
        reasons = [
            (starts[int(Path(str(error.file)).stem)] + error.row_number, error.field, error.code)
            for error in found.errors
        ]
        assert reasons == expected.reasons
        assert (found.failure is None) == (expected.failure is None)
    finally:
        await connection.close()
