"""The staged way: a typed table in between, then rows in as large sets as the refused ones among them allow.

The result is that of handling the records one after the other in file order. Rows whose refusal can be foreseen by
a query over all of them are taken out first; what is refused by anything else is found by halving, and small sets
are taken row by row inside the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.importing.ways.fates import Fate
from jobd.importing.ways.merge import Repeated, merge
from jobd.importing.ways.staging import stage
from jobd.importing.ways.work import RowRefusal, Unsettled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.importing.ways.work import Work

ALONE_MAX = 256
COMPARED_MAX = 100
ROUNDS_MAX = 8
PASSES_MAX = 32


async def bring_in_staged(work: Work, *, are_mostly_new: bool, is_careful: bool) -> None:
    """Bring in all records. ``is_careful``: look for rows that constraints refuse before trying."""
    await stage(work)
    if work.plan.rules.similar:
        # Every row is compared with those before it. In parts, for a comparison without an index takes its time.
        numbers = work.left().tolist()
        for first in range(0, len(numbers), COMPARED_MAX):
            await _one_by_one(work, numbers[first : first + COMPARED_MAX])
        return
    orphans_left = await _refuse_dangling(work)
    if is_careful:
        await _refuse_violations(work)
    if orphans_left:
        if not is_careful:
            await _refuse_violations(work)
        await _one_by_one(work, work.left().tolist())
        return
    await _whole(work, are_mostly_new=are_mostly_new, is_careful=is_careful)


async def _whole(work: Work, *, are_mostly_new: bool, is_careful: bool) -> None:
    trouble: Exception
    try:
        await merge(work, None, are_mostly_new=are_mostly_new, may_repeat=True)
    except (Repeated, Unsettled) as found:
        trouble = found
    except RowRefusal as found:
        trouble = found
        work.was_refused = True
    else:
        return
    # Always before rows are taken in parts, so that of several reasons the same one is told whatever the way.
    if not is_careful and await _refuse_violations(work):
        await _whole(work, are_mostly_new=are_mostly_new, is_careful=True)
    elif isinstance(trouble, Unsettled):
        await _one_by_one(work, work.left().tolist())
    elif isinstance(trouble, Repeated) or (
        work.plan.mapping.key and await work.value(work.plan.statements.has_repeats(is_part=False))
    ):
        await _rounds(work)
    else:
        await _in_halves(work, work.left().tolist())


async def _rounds(work: Work) -> None:
    """Rows of one key in their order: the first of each key in a first set, the second ones in the next."""
    everything = work.left().tolist()
    if _is_entangled(work):
        await _one_by_one(work, everything)
        return
    later: dict[int, list[int]] = {}
    for row in await work.fetch(work.plan.statements.repeats(is_part=False)):
        later.setdefault(min(row["before"], ROUNDS_MAX), []).append(row["number"])
    repeated = {number for numbers in later.values() for number in numbers}
    await _settle(work, [number for number in everything if number not in repeated])
    for before in sorted(later):
        numbers = later[before]
        if not work.plan.rules.overwrites and await _refuse_violations(work, numbers):
            # Where the first row of a key was refused, the next one is the first.
            numbers = [number for number in numbers if number not in work.refusals]
        await (_one_by_one(work, numbers) if before == ROUNDS_MAX else _settle(work, numbers))


def _is_entangled(work: Work) -> bool:
    """Whether rows of different keys can get into each other's way, so that rounds would change their order."""
    mapped = {column.name for column in work.plan.mapping.columns}
    return bool(work.plan.rows.self_references) or any(
        index.name != work.plan.mapping.key_index and not (index.columns and mapped.isdisjoint(index.columns))
        for index in work.plan.target.indexes
    )


async def _settle(work: Work, numbers: Sequence[int]) -> None:
    """Bring in rows whose keys differ from each other."""
    if not numbers:
        return
    try:
        await merge(work, numbers, are_mostly_new=False, may_repeat=False)
    except Unsettled:
        await _one_by_one(work, numbers)
    except RowRefusal:
        work.was_refused = True
        await _in_halves(work, numbers)


async def _in_halves(work: Work, numbers: Sequence[int]) -> None:
    if len(numbers) <= ALONE_MAX:
        await _one_by_one(work, numbers)
        return
    middle = len(numbers) // 2
    await _settle(work, numbers[:middle])
    await _settle(work, numbers[middle:])


async def _one_by_one(work: Work, numbers: Sequence[int]) -> None:
    """In file order, inside the server, each row in a block of its own."""
    if not numbers:
        return
    await work.execute(work.plan.alone.create_outcomes)
    await work.execute(work.plan.alone.one_by_one(numbers))
    for row in await work.fetch(work.plan.alone.take_outcomes):
        if row["number"] is None:
            for fate in (Fate.ADDED, Fate.UPDATED, Fate.UNCHANGED, Fate.SKIPPED):
                work.settle(row[fate.name.lower()], fate)
        else:
            work.refusals.refuse_row(
                row["number"], row["sqlstate"], row["message"], row["constraint_name"], row["column_name"]
            )


async def _refuse_violations(work: Work, numbers: Sequence[int] | None = None) -> bool:
    """Refuse rows, all or of those named, that a constraint refuses for certain, and say whether there were any.

    Where a trigger may still change a row, nothing can be foreseen; where a row may have no partition to go to,
    that is told before any constraint.
    """
    statement = work.plan.rows.violations(is_part=numbers is not None)
    target = work.plan.target
    if statement is None or target.has_before_row_triggers or target.may_lack_partition:
        return False
    await work.probe()
    try:
        async with work.savepoint("jobd_violations"):
            found = await work.fetch(statement, *(() if numbers is None else (numbers,)))
    except RowRefusal:
        return False  # a rule that raises instead of saying no: each row must be tried
    # Of several rules the first counts, as it does for PostgreSQL itself.
    first: dict[int, int] = {}
    for row in found:
        first.setdefault(row["number"], row["rule"])
    if first and work.plan.mapping.key and not work.plan.rules.overwrites:
        for number in await work.numbers(work.plan.rows.preceded, list(first)):
            del first[number]
    for number, rule in first.items():
        sqlstate, constraint_name, column_name = work.plan.rows.refusing[rule]
        work.refusals.refuse_row(number, sqlstate, None, constraint_name, column_name)
    await _remove(work, list(first))
    work.found_violations = bool(first)
    return bool(first)


async def _refuse_dangling(work: Work) -> bool:
    """Refuse rows that refer to rows of the target which come later or never; True when that has no end.

    A refused row may be what another one refers to, hence the passes.
    """
    keys = work.plan.rows.self_references
    if not keys:
        return False
    cannot_foresee = work.plan.target.has_before_row_triggers or work.plan.rules.updates_parts
    if cannot_foresee or any(key not in work.plan.rows.foreign_keys for key in keys):
        return True
    await work.hash()
    for _pass in range(PASSES_MAX):
        found = {
            number: key.name
            for key in reversed(keys)
            for number in await work.numbers(work.plan.rows.dangling(key))
        }
        if not found:
            return False
        for number, name in found.items():
            work.refusals.refuse_row(number, "23503", None, name)
        await _remove(work, list(found))
    return True


async def _remove(work: Work, numbers: list[int]) -> None:
    if numbers:
        work.staged -= await work.execute(work.plan.statements.remove, numbers)
