"""A validation's batches: brought in like an import's, looked at, and rolled back before their counters are kept.

Rows of earlier batches are not there any more when a later one is brought in. What would have become of a record
whose key came before in the same source is told from digests of keys and records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
import numpy as np
import orjson

from jobd.importing.seen import Seen
from jobd.importing.ways.fates import Fate
from jobd.model.option_values import OnConflict

if TYPE_CHECKING:
    from jobd.importing.reading.batches import Ready
    from jobd.importing.ways.work import Work

ROWS_SHOWN_MAX = 10
_LANDED = (Fate.ADDED, Fate.UPDATED, Fate.UNCHANGED)


class Rehearsal:
    """What a validation has seen so far: ``rows`` are the first ones as they would land."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._seen = Seen()
        self._batch: tuple[dict[int, int], list[dict[str, Any]]] = ({}, [])

    @property
    def is_partial(self) -> bool:
        """Whether there were too many keys to tell every repetition."""
        return self._seen.is_full

    def forget(self) -> None:
        """Begin again."""
        self.rows.clear()

    async def show(self, work: Work) -> None:
        """Look at the rows of a batch that is not undone before the next one."""
        self.rows += await _landed(work, ROWS_SHOWN_MAX - len(self.rows))

    async def bring_in(self, connection: asyncpg.Connection, ready: Ready, errors_before: int = 0) -> Work | None:
        """Try a batch in the open transaction, and undo it; what is learnt counts from ``committed`` on."""
        await connection.execute("savepoint jobd_rehearsal")
        work = await ready.bring_in(connection, errors_before)
        self._batch = ({}, [])
        if work is not None and len(work.arranged):
            rows = await _landed(work, ROWS_SHOWN_MAX - len(self.rows))
            last = await self._reconsider(work) if work.plan.mapping.key else {}
            self._batch = (last, rows)
        await connection.execute("rollback to savepoint jobd_rehearsal; release savepoint jobd_rehearsal")
        return work

    def committed(self) -> None:
        """The last batch's counters are kept: so is what was seen in it."""
        last, rows = self._batch
        self._seen.add(last)
        self.rows += rows

    async def _reconsider(self, work: Work) -> dict[int, int]:
        """Correct what became of records whose key came before; gives the last record of each key."""
        row = (await work.fetch(work.plan.statements.digests))[0]
        numbers, keys = row["numbers"] or [], np.array(row["keys"] or [], np.int64).view(np.uint64)
        records = np.array(row["records"] or [], np.int64).view(np.uint64).tolist()
        before = self._seen.find(keys)
        last: dict[int, int] = {}
        for place, (number, key, record) in enumerate(zip(numbers, keys.tolist(), records, strict=True)):
            if work.fates[number] not in _LANDED and work.fates[number] != Fate.SKIPPED:
                continue
            known = before.get(place)
            if known is not None:
                previous = last.get(key, known)
                if not _repeat(work, number, is_same=previous == record):
                    continue
            if known is None or work.plan.statements.rules.updates:
                last[key] = record
        return last


def _repeat(work: Work, number: int, *, is_same: bool) -> bool:
    """Say what becomes of a record whose key an earlier batch had; False where it is refused."""
    match work.plan.statements.rules.on_conflict:
        case OnConflict.SKIP:
            work.settle([number], Fate.SKIPPED)
        case OnConflict.ERROR:
            work.refusals.refuse_row(number, "exists")
            work.settle([number], Fate.REFUSED)
            return False
        case _:
            work.settle([number], Fate.UNCHANGED if is_same else Fate.UPDATED)
    return True


async def _landed(work: Work, count: int) -> list[dict[str, Any]]:
    """The first records of the batch as the target has them now."""
    numbers = np.flatnonzero(np.isin(work.fates, _LANDED))[: max(0, count)].tolist()
    statement = work.plan.statements.landed
    if not numbers or statement is None:
        return []
    try:
        async with work.savepoint("jobd_landed"):
            rows = await work.connection.fetch(statement, numbers)
    except asyncpg.PostgresError:
        return []  # without a key the rows are added once more to be seen, which a unique index may refuse
    return [orjson.loads(row["landed"]) for row in rows]
