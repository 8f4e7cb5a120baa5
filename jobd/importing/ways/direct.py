"""The direct way: the batch's own bytes go to the target by COPY, inside a savepoint.

Values that their type refuses are passed over by COPY itself (17 and later), which names the line; whatever else
is refused undoes the copy, and the batch takes the staged way.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import asyncpg
import numpy as np

from jobd.db.copy import copy_in
from jobd.importing.codes import is_about_a_row
from jobd.importing.ways.explain import explain
from jobd.importing.ways.fates import Fate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.importing.ways.work import Work

_END_OF_DATA = re.compile(rb"^\\\.\r?$", re.MULTILINE)
_NUMBER = re.compile(r"\d+")


class TakeStagedWay(Exception):
    """The direct way cannot bring this batch in, or its account does not add up; nothing of it is left."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def bring_in_directly(work: Work) -> None:
    """Copy all records into the target, those with bad values excepted. Raises TakeStagedWay."""
    blocks = work.arranged.direct(work.leads)
    sent = len(work.arranged.sent)
    notices: list[asyncpg.PostgresLogMessage] = []
    statement = work.plan.statements.copy_direct(
        work.arranged.batch.dialect, null=work.arranged.null.word, forces_null=work.arranged.null.forces_null
    )
    async with work.savepoint("jobd_direct", hears=True):
        try:
            copied = await copy_in(work.connection, statement, blocks, notices=notices)
        except asyncpg.PostgresError as error:
            if not is_about_a_row(error, has_row_security=False):
                raise
            raise TakeStagedWay(error.sqlstate or "") from error
        blamed = _blamed(work, notices) if notices else []
        missing = sent - len(blamed) - copied
        # A trigger may drop rows without a word; otherwise every record must be accounted for. Whether a dropped
        # row was to be added at all, or exists already, only staging can tell.
        if missing and (work.plan.mapping.key or missing < 0 or not _may_be_dropped(work)):
            raise TakeStagedWay("unaccounted")
        explained = await explain(work, [*blamed, *np.flatnonzero(work.arranged.lacking).tolist()])
        if not explained.issuperset(blamed):
            raise TakeStagedWay("unexplained")
    taken = work.left()
    work.settle(taken[:copied], Fate.ADDED)
    work.settle(taken[copied:], Fate.SKIPPED)
    work.blamed = len(blamed)


def _may_be_dropped(work: Work) -> bool:
    """Whether a trigger can have dropped rows, and nothing else can."""
    # Before PostgreSQL 18 such a line ends the data as if all were said.
    return work.plan.target.has_before_row_triggers and not _END_OF_DATA.search(work.arranged.sent.data)


def _blamed(work: Work, notices: Sequence[asyncpg.PostgresLogMessage]) -> list[int]:
    """The records that COPY passed over, by the line it names in each message."""
    lines = []
    for notice in notices:
        # Only the number is looked at, since the words are in the server's language.
        found = _NUMBER.search(notice.message or "")
        if found:
            lines.append(int(found.group()))
    last_lines = work.arranged.last_lines()
    places = np.searchsorted(last_lines, np.array(lines, np.int64), "left")
    if (places >= len(last_lines)).any():
        raise TakeStagedWay("unknown line")
    sent = work.arranged.complete
    return sorted({int(sent[place]) for place in places.tolist()})
