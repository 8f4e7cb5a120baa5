"""One attempt at one batch: the open transaction, the records, and what has become of them so far."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import asyncpg
import numpy as np

from jobd.errors import TargetError
from jobd.importing.codes import is_about_a_row
from jobd.importing.ways.fates import Fate, tallies_of, tally_of, unsettled
from jobd.model.tally import Tally

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from uuid import UUID

    from numpy.typing import NDArray

    from jobd.importing.fields.arrange import ArrangedBatch
    from jobd.importing.fields.mapping import FieldMapping
    from jobd.importing.fields.prefix import Leads
    from jobd.importing.refusals import Refusals
    from jobd.importing.target import Target
    from jobd.importing.ways.alone_statements import AloneStatements
    from jobd.importing.ways.change_statements import ChangeStatements
    from jobd.importing.ways.fates import Fates
    from jobd.importing.ways.row_statements import RowStatements
    from jobd.importing.ways.rules import Rules
    from jobd.importing.ways.statements import Statements

    Numbers = Sequence[int] | NDArray[np.int64]

STATEMENT_SECONDS_MAX = 600.0

# The staging table has no statistics, and the target's may be from when it was empty: without these the planner
# reads the whole target for each batch. Disabled plans cost so much that they would be compiled, hence jit.
_PROBE = (
    "set local enable_hashjoin = off; set local enable_mergejoin = off; set local enable_nestloop = on; "
    "set local enable_seqscan = on; set local jit = off"
)
# A stretch of the target's index is joined with all staged rows; again the planner must not read the whole target.
_SCAN = (
    "set local enable_hashjoin = on; set local enable_mergejoin = on; set local enable_nestloop = off; "
    "set local enable_seqscan = off; set local jit = off"
)
# Sorting a batch by its key must not need a file. A role may be set to hear less than COPY has to say.
_ROOM = "set local work_mem = '64MB'"
_HEAR = "set local client_min_messages = notice"
_HASH = "set local enable_hashjoin = on"


class Unsettled(Exception):
    """Rows get into each other's way, so that only one after the other gives the right result."""


class RowRefusal(Exception):
    """The database refused a statement because of one of its rows."""

    def __init__(self, cause: asyncpg.PostgresError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def unaccounted(what: str) -> TargetError:
    """The failure of a batch in which records do not add up."""
    return TargetError(f"{what}, which does not add up; the batch was rolled back", code="batch_unaccounted")


@dataclass(frozen=True)
class Plan:
    """What is the same for all batches of an import."""

    target: Target
    mapping: FieldMapping
    statements: Statements
    rows: RowStatements
    alone: AloneStatements
    changes: ChangeStatements
    signature: str

    @property
    def rules(self) -> Rules:
        """What becomes of rows that exist."""
        return self.statements.rules

    @property
    def can_attribute(self) -> bool:
        """Whether the fate of each record is known, and not only how many have which.

        Without a key, nobody can tell which rows a trigger dropped; the last ones are taken for them.
        """
        return bool(self.mapping.key) or not self.target.has_before_row_triggers


@dataclass
class Work:
    """The attempt. ``fates[i]`` is what became of record i; refused ones are in ``refusals`` until ``close``."""

    connection: asyncpg.Connection
    plan: Plan
    arranged: ArrangedBatch
    refusals: Refusals
    job_id: UUID
    lease_token: int
    fates: Fates = field(init=False)
    imported_at: str | None = None  # where the target is told
    leads: Leads = b""  # what stands before each record
    staged: int = 0  # rows in the typed table
    went_direct: bool = False
    direct_failed: str | None = None
    blamed: int = 0
    was_refused: bool = False
    found_violations: bool = False

    def __post_init__(self) -> None:
        self.fates = unsettled(len(self.arranged))

    @property
    def tally(self) -> Tally:
        """The records that were taken, by their fate; how many were refused, ``refusals`` knows."""
        return replace(tally_of(self.fates), refused=0)

    def tallies_by_span(self) -> list[Tally]:
        """All records of each of the batch's files, those that the reader refused included."""
        spans = self.arranged.original.spans
        by_reader = np.diff([span.refused_stop for span in spans], prepend=0).tolist()
        tallies = tallies_of(self.fates, [span.stop for span in spans])
        if any(by_reader):
            tallies = [tally + Tally(refused=own) for tally, own in zip(tallies, by_reader, strict=True)]
        return tallies

    def settle(self, numbers: Numbers, fate: Fate) -> None:
        """Write down what became of records, once nothing can undo it but the end of the batch."""
        self.fates[numbers] = fate

    def left(self) -> NDArray[np.int64]:
        """Records that are neither settled nor refused, in file order."""
        is_left = self.fates == Fate.UNSETTLED
        is_left[list(self.refusals.numbers)] = False
        return np.flatnonzero(is_left)

    def chosen(self, numbers: Sequence[int] | None) -> Numbers:
        """The records named, or all that are left, which are those in the typed table."""
        if numbers is not None:
            return numbers
        left = self.left()
        if len(left) != self.staged:
            raise unaccounted(f"{len(left)} records should be staged, and {self.staged} are")
        return left

    def close(self) -> None:
        """Settle the refused records; each record must have one fate, or it would be lost unheard."""
        refused = list(self.refusals.numbers)
        taken = int(np.count_nonzero(self.fates[refused]))
        self.settle(refused, Fate.REFUSED)
        lost = int(np.count_nonzero(self.fates == Fate.UNSETTLED))
        if taken or lost:
            raise unaccounted(
                f"of {len(self.fates)} records {taken} were both taken and refused, and {lost} were neither"
            )

    async def execute(self, statement: str, *arguments: object) -> int:
        """Run a statement and give the number of rows it touched."""
        status = await self._guarded(self.connection.execute(statement, *arguments, timeout=STATEMENT_SECONDS_MAX))
        last = status.rpartition(" ")[2]
        return int(last) if last.isdigit() else 0

    async def fetch(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Run a statement and give its rows."""
        rows: list[asyncpg.Record] = await self._guarded(
            self.connection.fetch(statement, *arguments, timeout=STATEMENT_SECONDS_MAX)
        )
        return rows

    async def value(self, statement: str, *arguments: object) -> Any:
        """The first value of the first row."""
        rows = await self.fetch(statement, *arguments)
        return rows[0][0]

    async def numbers(self, statement: str, *arguments: object) -> list[int]:
        """The first column."""
        return [row[0] for row in await self.fetch(statement, *arguments)]

    async def probe(self) -> None:
        """Plan joins with the target through its indexes, until the transaction ends."""
        await self.connection.execute(_PROBE)

    async def scan(self) -> None:
        """Plan one join with a stretch of the target; to be followed by ``probe``."""
        await self.connection.execute(_SCAN)

    async def make_room(self, table: str) -> None:
        """Make a staging table, and let a batch be sorted in memory."""
        await self.execute(f"{_ROOM}; {table}")

    async def hash(self) -> None:
        """Let joins among staged rows be hashed again."""
        await self.connection.execute(_HASH)

    @contextlib.asynccontextmanager
    async def savepoint(self, name: str, *, hears: bool = False) -> AsyncIterator[None]:
        """Undo what was done in the block when anything goes wrong in it, unless the connection is gone.

        ``hears``: receive the messages in which COPY names the rows that it leaves out.
        """
        await self.connection.execute(f"savepoint {name}; {_HEAR}" if hears else f"savepoint {name}")
        try:
            yield
        except Exception:
            if not self.connection.is_closed():
                await self.connection.execute(f"rollback to savepoint {name}; release savepoint {name}")
            raise
        await self.connection.execute(f"release savepoint {name}")

    async def _guarded(self, call: Any) -> Any:
        try:
            return await call
        except asyncpg.PostgresError as error:
            if is_about_a_row(error, has_row_security=self.plan.target.has_row_security):
                raise RowRefusal(error) from error
            raise
