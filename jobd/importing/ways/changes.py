"""Which rows a batch changed, and how, for jobs that track it: noted by each way, recorded at the batch's end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.importing.ways.work import Unsettled, unaccounted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.importing.ways.work import Work

RECORDED_AT_ONCE = 500


async def begin_changes(work: Work) -> None:
    """Make room for the changes of a batch."""
    if work.plan.rules.tracks:
        await work.execute(work.plan.changes.create)
        # Batches may share a transaction, and so the table.
        await work.execute(work.plan.changes.clear)


async def note_added(work: Work, numbers: Sequence[int] | None, count: int) -> None:
    """Note the rows that a statement has just added."""
    if not work.plan.rules.tracks:
        return
    arguments = () if numbers is None else (numbers,)
    noted = await work.execute(work.plan.changes.note_added(is_part=numbers is not None), *arguments)
    if noted != count:
        raise Unsettled("a trigger gives rows other keys, or a policy hides them")


async def note_before(work: Work, numbers: Sequence[int]) -> None:
    """Lock rows that are to be updated, and note what they are; some may be gone by now."""
    if work.plan.rules.tracks:
        await work.execute(work.plan.changes.note_before, numbers)


async def note_after(work: Work, numbers: Sequence[int]) -> None:
    """Note what became of rows that were updated."""
    if work.plan.rules.tracks and await work.execute(work.plan.changes.note_after, numbers) != len(numbers):
        raise Unsettled("a trigger gives rows other keys, or a policy hides them")


async def record_changes(work: Work) -> None:
    """Keep what was noted with the job: as many changes as rows were added or updated."""
    if not work.plan.rules.tracks:
        return
    recorded = 0
    for first in range(0, len(work.fates), RECORDED_AT_ONCE):
        rows = await work.fetch(
            work.plan.changes.record, work.job_id, work.lease_token, first, first + RECORDED_AT_ONCE
        )
        recorded += rows[0][0] if rows else 0
    tally = work.tally
    if recorded != tally.added + tally.updated:
        raise unaccounted(f"{tally.added + tally.updated} rows were changed and {recorded} changes noted")
