"""Why records cannot be read as the columns' types: every bad field of each, in the server's own words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from jobd.db.copy import copy_in
from jobd.importing.codes import is_about_a_row
from jobd.importing.ways.work import RowRefusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.importing.ways.work import Work


async def explain(work: Work, numbers: Sequence[int]) -> set[int]:
    """Refuse those of the records that have a bad field, and say which they are."""
    if not numbers:
        return set()
    await work.execute(work.plan.statements.create_texts)
    unreadable = await copy_texts(work, sorted(numbers))
    return unreadable | await explain_texts(work, [number for number in numbers if number not in unreadable])


async def explain_texts(work: Work, numbers: Sequence[int]) -> set[int]:
    """Refuse the records in the text table, which are these, that have a bad field, and say which they are."""
    return work.refusals.refuse_values(await _bad_fields(work), numbers)


async def _bad_fields(work: Work) -> list[asyncpg.Record]:
    statement = work.plan.rows.explain(is_soft=True)
    if statement is None:
        return []
    if work.plan.rows.explains_softly:
        try:
            async with work.savepoint("jobd_soft"):
                return await work.fetch(statement)
        except RowRefusal:
            pass  # a type whose input function cannot but raise
    await work.execute(work.plan.rows.create_input_error)
    statement = work.plan.rows.explain(is_soft=False)
    assert statement is not None  # noqa: S101  the same columns as above
    return await work.fetch(statement)


async def copy_texts(work: Work, numbers: Sequence[int]) -> set[int]:
    r"""Put records into the text table; those that the server cannot even read as text are refused.

    The reader has found what is no text in the file's encoding; what is left are characters that the database's
    own encoding lacks, and the like. They are found by halving. So are records that hold a line of ``\.`` alone,
    at which COPY ends before PostgreSQL 18 as if all were said; those go in as parameters.
    """
    refused: set[int] = set()
    waiting = [list(numbers)]
    while waiting:
        part = waiting.pop()
        try:
            is_complete = await _copy_part(work, part)
        except asyncpg.PostgresError as error:
            if not is_about_a_row(error, has_row_security=False):
                raise
            if len(part) == 1:
                refused.add(part[0])
                work.refusals.refuse_row(part[0], error.sqlstate or "22000", str(error))
                continue
            is_complete = False
        if is_complete:
            continue
        if len(part) == 1:
            await work.execute(work.plan.statements.insert_texts, part[0], *_values(work, part[0]))
        else:
            middle = len(part) // 2
            waiting += [part[middle:], part[:middle]]
    return refused


class _Incomplete(Exception):
    pass


async def _copy_part(work: Work, part: Sequence[int]) -> bool:
    """Whether COPY took all of the records; if not, it has taken none."""
    null = work.arranged.null
    statement = work.plan.statements.copy_texts(
        work.arranged.batch.dialect, null=null.word, forces_null=null.forces_null
    )
    try:
        async with work.savepoint("jobd_texts"):
            if await copy_in(work.connection, statement, work.arranged.numbered(work.leads, part)) != len(part):
                raise _Incomplete  # noqa: TRY301  to leave the savepoint is the point
    except _Incomplete:
        return False
    return True


def _values(work: Work, number: int) -> list[str | None]:
    """A record's values as COPY would read them."""
    null = work.arranged.null
    values = work.arranged.prefix.texts(number, work.imported_at)
    for each, value in zip(work.plan.mapping.fields, work.arranged.batch.fields(number), strict=True):
        is_word = value.text == null.word
        is_null = is_word and (not value.was_quoted or (null.forces_null and not each.column.is_text))
        values.append(None if is_null else value.text)
    return values
