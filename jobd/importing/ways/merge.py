"""The set-based merge: staged rows with different keys are compared with the target, and added, updated or left.

Where rows are mostly new they are inserted at once, and only if some key existed after all is everything looked
up; where they mostly exist they are looked up first, and rows that are unchanged are not written at all. Neither
form uses MERGE, which races with concurrent inserts, nor ``xmax``, which partitioned tables do not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jobd.importing.ways.changes import note_added, note_after, note_before
from jobd.importing.ways.fates import Fate
from jobd.importing.ways.work import Unsettled
from jobd.model.options import OnConflict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.importing.ways.work import Work

LOOKS_MAX = 3
# From where reading all rows between the least and the greatest key is cheaper than looking each key up.
DENSE_ROWS_MIN = 1000
DENSE_SPAN_MAX = 2


class Repeated(Exception):
    """Several of the rows have the same key."""


@dataclass(frozen=True, slots=True)
class Classified:
    """Rows by what the target has of them. ``found`` differ from their row, or exist at all (skip, error)."""

    new: list[int]
    found: list[int]


@dataclass(frozen=True, slots=True)
class KeySpan:
    """Between which keys the staged rows lie."""

    least: int
    greatest: int
    has_repeats: bool

    def is_dense(self, rows: int) -> bool:
        """Whether they lie so close together that few other rows can be there."""
        return self.greatest - self.least < DENSE_SPAN_MAX * rows


async def merge(work: Work, numbers: Sequence[int] | None, *, are_mostly_new: bool, may_repeat: bool) -> None:
    """Bring in staged rows, all of them or those named, as a set.

    Raises RowRefusal when the database refuses one of them, Repeated when several are of one key, Unsettled when
    they cannot be taken as a set. Nothing is done then.
    """
    if not work.plan.mapping.key:
        await _add_all(work, numbers)
        return
    if are_mostly_new and await _add_if_new(work, numbers):
        return
    async with work.savepoint("jobd_merge"):
        seen: int | None = None
        for _look in range(LOOKS_MAX):
            span = await _key_span(work) if numbers is None else None
            classified = await classify(work, numbers, span)
            if (classified.new or classified.found) and seen is None:
                if may_repeat and await _has_repeats(work, numbers, span):
                    raise Repeated
                await _require_independent(work, numbers, classified)
            is_settled = len(classified.new) == seen
            seen = len(classified.new)
            dropped = await _write(work, classified, expects_gaps=is_settled)
            if dropped is not None:
                break
        else:
            raise Unsettled("other sessions keep changing the same rows")
    _settle(work, numbers, classified, dropped)


def _settle(work: Work, numbers: Sequence[int] | None, classified: Classified, dropped: Sequence[int]) -> None:
    mode = work.plan.rules.on_conflict
    others = np.zeros(len(work.fates), np.bool_)
    others[work.chosen(numbers)] = True
    others[classified.new] = False
    others[classified.found] = False
    work.settle(np.flatnonzero(others), Fate.UNCHANGED)
    work.settle(classified.new, Fate.ADDED)
    work.settle(dropped, Fate.SKIPPED)
    if mode is OnConflict.ERROR:
        for number in classified.found:
            work.refusals.refuse_row(number, "exists")
    else:
        work.settle(classified.found, Fate.SKIPPED if mode is OnConflict.SKIP else Fate.UPDATED)


async def _has_repeats(work: Work, numbers: Sequence[int] | None, span: KeySpan | None) -> bool:
    """Whether any key occurs twice; asked only where it is not known with the span."""
    if span is not None:
        return span.has_repeats
    arguments = () if numbers is None else (numbers,)
    return bool(await work.value(work.plan.statements.has_repeats(is_part=numbers is not None), *arguments))


async def _require_independent(work: Work, numbers: Sequence[int] | None, classified: Classified) -> None:
    """Raise where the order of rows decides what becomes of them."""
    part = numbers is not None
    arguments = () if numbers is None else (numbers,)
    rules = work.plan.rules
    if not classified.found or not rules.updates:
        return
    # Inserts that collide raise by themselves; an update may collide with what another row is about to give up.
    written = {column.name for column in rules.written}
    staged = {column.name for column in (*rules.compared, *work.plan.mapping.key)}
    for index in work.plan.target.indexes:
        if index.name == work.plan.mapping.key_index or (index.columns and written.isdisjoint(index.columns)):
            continue
        is_mixed = len(index.columns) > 1 and not rules.kept.isdisjoint(index.columns)
        if not index.is_plain or not staged.issuperset(index.columns) or is_mixed:
            raise Unsettled(f"{index.name} may make rows depend on each other")
        if await work.value(work.plan.rows.collides(index, is_part=part), *arguments):
            raise Unsettled(f"rows collide in {index.name}")


async def classify(work: Work, numbers: Sequence[int] | None, span: KeySpan | None = None) -> Classified:
    """Look the keys up in the target: one by one, or where they lie close together, all between them at once."""
    statements = work.plan.statements
    if span is None or not span.is_dense(work.staged):
        await work.probe()
        arguments = () if numbers is None else (numbers,)
        row = (await work.fetch(statements.classify(is_part=numbers is not None), *arguments))[0]
    else:
        await work.scan()
        statement = statements.classify(is_part=False, is_span=True)
        row = (await work.fetch(statement, span.least, span.greatest))[0]
        await work.probe()
    return Classified(row["new_rows"], row["found_rows"])


async def _key_span(work: Work) -> KeySpan | None:
    """Between which keys the staged rows lie, where that may matter."""
    if not work.plan.statements.has_number_key or work.staged < DENSE_ROWS_MIN:
        return None
    row = (await work.fetch(work.plan.statements.key_span))[0]
    return None if row["least"] is None else KeySpan(row["least"], row["greatest"], row["has_repeats"])


async def _add_all(work: Work, numbers: Sequence[int] | None) -> None:
    chosen = work.chosen(numbers)
    arguments = () if numbers is None else (numbers,)
    async with work.savepoint("jobd_merge"):
        added = await work.execute(
            work.plan.statements.insert(is_part=numbers is not None, yields=False), *arguments
        )
    work.settle(chosen[:added], Fate.ADDED)
    work.settle(chosen[added:], Fate.SKIPPED)  # a trigger may drop rows; see Plan.can_attribute


async def _add_if_new(work: Work, numbers: Sequence[int] | None) -> bool:
    """Add all rows; False, with nothing done, when not all of them were new."""
    chosen = work.chosen(numbers)
    arguments = () if numbers is None else (numbers,)
    try:
        async with work.savepoint("jobd_new"):
            added = await work.execute(
                work.plan.statements.insert(is_part=numbers is not None, yields=True), *arguments
            )
            if added != len(chosen):
                raise _NotAllNew  # noqa: TRY301  to leave the savepoint is the point
            await note_added(work, numbers, added)
    except _NotAllNew:
        return False
    work.settle(chosen, Fate.ADDED)
    return True


class _NotAllNew(Exception):
    pass


async def _write(work: Work, classified: Classified, *, expects_gaps: bool) -> list[int] | None:
    """Write what is new or differs; None, with nothing done, when the rows are no longer as they were looked up.

    ``expects_gaps``: a second look found the same, so rows that are not written are dropped by a trigger or hidden
    by a policy. Those that collide with something hidden are then refused by the insert itself; those that were
    dropped are given.
    """
    dropped: list[int] = []
    try:
        async with work.savepoint("jobd_write"):
            if classified.new:
                statement = work.plan.statements.insert(is_part=True, yields=not expects_gaps)
                added = await work.execute(statement, classified.new)
                if added != len(classified.new):
                    if not expects_gaps:
                        raise _NotAllNew  # noqa: TRY301  to leave the savepoint is the point
                    dropped = await _still_new(work, classified.new, len(classified.new) - added)
                await note_added(work, classified.new, added)
            if classified.found and work.plan.rules.updates:
                await note_before(work, classified.found)
                updated = await work.execute(work.plan.statements.update, classified.found)
                if updated != len(classified.found):
                    raise Unsettled if expects_gaps else _NotAllNew
                await note_after(work, classified.found)
    except _NotAllNew:
        return None
    return dropped


async def _still_new(work: Work, numbers: Sequence[int], count: int) -> list[int]:
    """Which of the rows are not there although they were inserted."""
    absent = (await classify(work, numbers)).new
    if len(absent) != count:
        raise Unsettled("a trigger gives rows other keys, or a policy hides them")
    return absent
