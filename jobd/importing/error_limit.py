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
    """The record at which the job fails, and why; what is before it, and its own error, are kept."""

    row: int
    failure: TooManyErrors


@dataclass(frozen=True, slots=True)
class ErrorJudge:
    """Knows how many records were read and refused before the batch that it judges."""

    limit: ErrorLimit
    processed_rows: int
    error_count: int

    def judge(self, refused_rows: Sequence[int], last_row: int) -> Cut | None:
        """The first record of the batch at which the job must fail. ``refused_rows`` ascend."""
        cuts = [cut for cut in (self._by_count(refused_rows), *self._by_place(refused_rows, last_row)) if cut]
        return min(cuts, key=lambda cut: cut.row) if cuts else None

    def at_end(self) -> TooManyErrors | None:
        """What is wrong with a job whose last batch is done."""
        if self.processed_rows and self.error_count == self.processed_rows:
            return _all_refused(self.processed_rows)
        return None

    def _by_count(self, refused_rows: Sequence[int]) -> Cut | None:
        limit = self.limit.count
        if limit is None or self.error_count + len(refused_rows) <= limit:
            return None
        row = refused_rows[max(0, limit - self.error_count)] if refused_rows else None
        if row is None:
            return None
        return Cut(row, TooManyErrors(f"record {row} is one refused record more than max_errors allows ({limit})"))

    def _by_place(self, refused_rows: Sequence[int], last_row: int) -> list[Cut | None]:
        cuts: list[Cut | None] = []
        refused = self.error_count
        judged = SHARE_JUDGED_FROM_ROW
        if self.processed_rows < judged <= last_row:
            early = refused + sum(row <= judged for row in refused_rows)
            if early == ALL_REFUSED_FROM_ROW:
                cuts.append(Cut(judged, _all_refused(judged)))
            if self._exceeds(early, judged):
                cuts.append(Cut(judged, self._too_large_a_share(early, judged)))
        for row in refused_rows if self.limit.share is not None else ():
            refused += 1
            if row >= judged and self._exceeds(refused, row):
                cuts.append(Cut(row, self._too_large_a_share(refused, row)))
                break
        return cuts

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
