"""Records into the typed staging table, each with its number; what cannot be read as its types is refused."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import asyncpg
import numpy as np

from jobd.db.copy import copy_in
from jobd.importing.beside import beside
from jobd.importing.codes import is_about_a_row
from jobd.importing.ways.explain import copy_texts, explain, explain_texts

if TYPE_CHECKING:
    from jobd.importing.ways.work import Work


async def stage(work: Work) -> None:
    """Fill the typed table with every record that can be."""
    await work.make_room(work.plan.statements.create_typed)
    sent = work.arranged.complete
    missing = await _copy_typed(work) if len(sent) else []
    if missing is None:
        await _by_texts(work)
        return
    explained = await _explained(work, [*missing, *np.flatnonzero(work.arranged.lacking).tolist()])
    unexplained = set(missing) - explained
    if unexplained:
        # COPY left them out and yet each of their values is fine by itself: ask again, the slow way.
        await _by_texts(work, sorted(unexplained))


async def _explained(work: Work, numbers: list[int]) -> set[int]:
    """Ask why records are refused, and write them down meanwhile where there are many."""
    records = work.refusals.records
    if not records.are_many(numbers):
        return await explain(work, numbers)
    _, explained = await beside(partial(records.write, numbers), partial(explain, work, numbers))
    return explained


async def _copy_typed(work: Work) -> list[int] | None:
    """The records that COPY passed over; None when it took none, because one broke it off."""
    statement = work.plan.statements.copy_typed(
        work.arranged.batch.dialect, null=work.arranged.null.word, forces_null=work.arranged.null.forces_null
    )
    sent = work.arranged.complete
    try:
        async with work.savepoint("jobd_typed"):
            copied = await copy_in(work.connection, statement, work.arranged.numbered(work.leads))
    except asyncpg.PostgresError as error:
        if not is_about_a_row(error, has_row_security=False):
            raise
        return None
    work.staged = copied
    if copied == len(sent):
        return []
    absent = set(await work.value(work.plan.statements.missing_numbers, len(work.arranged)))
    return sorted(absent.intersection(sent.tolist()))


async def _by_texts(work: Work, numbers: list[int] | None = None) -> None:
    """By way of the text table: bad values are found there, the others are converted inside the server."""
    everything = list(range(len(work.arranged))) if numbers is None else numbers
    await work.execute(work.plan.statements.create_texts)
    await work.execute(work.plan.statements.clear_texts)
    bad = await copy_texts(work, everything)
    bad |= await explain_texts(work, [number for number in everything if number not in bad])
    work.staged += await work.execute(work.plan.statements.convert_texts, sorted(bad))
