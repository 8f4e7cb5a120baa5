"""How many refused records a job bears, judged record by record, so that the batch size makes no difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobd.errors import TooManyErrors
from jobd.model.option_values import SHARE_JUDGED_FROM_ROW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.model.options import ErrorLimit

ALL_REFUSED_FROM_ROW = 1000


@dataclass(frozen=True, slots=True)
class Cut:
    """How many of a batch's records are kept, the last of them the one at which the job fails, and why."""

    record_count: int
    failure: TooManyErrors


@dataclass(frozen=True, slots=True)
class ErrorJudge:
    """Knows how many records were read and refused before the batch that it judges."""

    limit: ErrorLimit
    processed_rows: int
    error_count: int

    def judge(self, refused: Sequence[int], record_count: int) -> Cut | None:
        """Where the job must fail in a batch of so many records, if it must.

        ``refused`` are the places of the refused ones among all of them, from 1, ascending.
        """
        rows = [self.processed_rows + place for place in refused]
        last_row = self.processed_rows + record_count
        found = [each for each in (self._by_count(rows), *self._by_place(rows, last_row)) if each]
        if not found:
            return None
        row, failure = min(found, key=lambda each: each[0])
        return Cut(row - self.processed_rows, failure)

    def after(self, record_count: int, refused_count: int) -> ErrorJudge:
        """The judge of the next batch."""
        return ErrorJudge(self.limit, self.processed_rows + record_count, self.error_count + refused_count)

    def at_end(self) -> TooManyErrors | None:
        """What is wrong with a job whose last batch is done."""
        if self.processed_rows and self.error_count == self.processed_rows:
            return _all_refused(self.processed_rows)
        return None

    def _by_count(self, refused_rows: Sequence[int]) -> tuple[int, TooManyErrors] | None:
        limit = self.limit.count
        if limit is None or not refused_rows or self.error_count + len(refused_rows) <= limit:
            return None
        row = refused_rows[max(0, limit - self.error_count)]
        return row, TooManyErrors(f"record {row} is one refused record more than max_errors allows ({limit})")

    def _by_place(self, refused_rows: Sequence[int], last_row: int) -> list[tuple[int, TooManyErrors]]:
        found: list[tuple[int, TooManyErrors]] = []
        refused = self.error_count
        judged = SHARE_JUDGED_FROM_ROW
        if self.processed_rows < judged <= last_row:
            early = refused + sum(row <= judged for row in refused_rows)
            if early == ALL_REFUSED_FROM_ROW:
                found.append((judged, _all_refused(judged)))
            if self._exceeds(early, judged):
                found.append((judged, self._too_large_a_share(early, judged)))
        for row in refused_rows if self.limit.share is not None else ():
            refused += 1
            if row >= judged and self._exceeds(refused, row):
                found.append((row, self._too_large_a_share(refused, row)))
                break
        return found

    def _exceeds(self, refused: int, row: int) -> bool:
        return self.limit.share is not None and refused > self.limit.share * row

    def _too_large_a_share(self, refused: int, row: int) -> TooManyErrors:
        return TooManyErrors(
            f"{refused} of {row} records were refused, more than max_errors allows ({self.limit.share:.4%})"
        )


def _all_refused(rows: int) -> TooManyErrors:
    return TooManyErrors(
        f"every one of the {rows} records read was refused; see the job's errors for the reasons",
        code="all_rows_refused",
    )
