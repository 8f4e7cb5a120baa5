"""Invariant 7: what an import does depends neither on the size of its batches nor on the way they take."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jobd.importing.ways.course import Course
from jobd.importing.ways.row_statements import RowStatements
from jobd.importing.ways.statements import Statements
from tests.support.importing import import_file, write
from tests.support.shapes import BEFORE, HEADER, PARENTS, RECORDS, SHAPES, make_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobd.importing.ways.work import Plan, Work
    from tests.support.database import Database
    from tests.support.importing import Imported

_options = st.fixed_dictionaries(
    {"on_conflict": st.sampled_from(["update", "update", "skip", "error"])},
    optional={
        "update_columns": st.sampled_from([["name"], ["amount", "nick"], ["day", "parent"], []]),
        "blank": st.sampled_from(["set", "keep", "keep"]),
        "provenance": st.sampled_from([{"file": "origin"}, {"row_number": "place"}]),
    },
)


@dataclass(frozen=True)
class Way:
    """How batches are taken: by a course that learns or one that stays as it is, with a server's abilities."""

    batch_size: int
    course: Course | None = None
    as_on: int = 18

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        with contextlib.ExitStack() as patches:
            if self.as_on < 17:
                patches.enter_context(mock.patch.object(Statements, "skips_bad_values", new=False))
            if self.as_on < 16:
                patches.enter_context(mock.patch.object(RowStatements, "explains_softly", new=False))
            if self.course is not None:
                patches.enter_context(self._fixed())
            yield

    @contextlib.contextmanager
    def _fixed(self) -> Iterator[None]:
        at_start = Course.at_start

        def fixed(plan: Plan, *, is_target_empty: bool) -> Course:
            assert self.course is not None
            # Some targets can never be filled directly.
            may = at_start(plan, is_target_empty=is_target_empty).may_go_direct
            return replace(self.course, may_go_direct=self.course.may_go_direct and may)

        with (
            mock.patch.object(Course, "at_start", fixed),
            mock.patch.object(Course, "after", _unlearning),
        ):
            yield


def _unlearning(course: Course, _work: Work) -> Course:
    return course


def _staged(**learnt: Any) -> Course:
    return Course(**{"may_go_direct": False, "are_mostly_new": False, **learnt})


WAYS = [
    Way(1),
    Way(7),
    Way(1000),
    Way(1000, Course(may_go_direct=True, are_mostly_new=True)),
    Way(5, Course(may_go_direct=True, are_mostly_new=True)),
    Way(1000, _staged()),
    Way(1000, _staged(are_mostly_new=True)),
    Way(1000, _staged(careful_for=1)),
    Way(1000, as_on=16),
    Way(1000, as_on=15),
]


async def _imported(  # noqa: PLR0917  what is varied, in the order of the test
    connection: asyncpg.Connection, shape: str, before: list[str], path: Path, options: dict[str, Any], way: Way
) -> tuple[Imported, Any]:
    await make_rows(connection, shape, before)
    with way.taken():
        imported = await import_file(connection, path, "public.rows", {**options, "batch_size": way.batch_size})
    rows = await connection.fetch("select rows::text from rows order by rows::text")
    return imported, [row[0] for row in rows]


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
    options=_options,
)
@example(
    records=["7,ann,1,,,", "7,ann,1,2020-01-01,z,p"], before=[], options={"on_conflict": "skip"}
)  # no partition, then FK
@example(  # dropped by a trigger although it exists
    records=["1,ann,1,2020-01-01,a,p", "1,ann,1,,,", "1,ann,1,2020-01-01,a,q"],
    before=[],
    options={"on_conflict": "error"},
)
async def test_batch_size_and_way_change_nothing(
    empty_database: Database, shape: str, records: list[str], before: list[str], options: dict[str, Any]
) -> None:
    if shape == "no key":
        options = {name: value for name, value in options.items() if name != "update_columns"}
    connection = await asyncpg.connect(empty_database.url, statement_cache_size=0)
    try:
        await connection.execute("drop table if exists parent cascade; set client_min_messages = error;" + PARENTS)
        with tempfile.TemporaryDirectory() as directory:
            path = write(Path(directory) / "rows.csv", f"{HEADER}\n" + "".join(f"{each}\n" for each in records))
            expected, expected_rows = await _imported(connection, shape, before, path, options, WAYS[0])
            for way in WAYS[1:]:
                found, rows = await _imported(connection, shape, before, path, options, way)
                assert rows == expected_rows, way
                assert found.counts == expected.counts, way
                assert found.errors == expected.errors, way
                assert found.rejects == expected.rejects, way
                assert str(found.failure) == str(expected.failure), way
    finally:
        await connection.close()
