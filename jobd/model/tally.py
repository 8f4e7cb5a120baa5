"""The numbers of one batch; their sums are the job's counters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tally:
    """Records of one batch by what became of them."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    refused: int = 0

    @property
    def success_count(self) -> int:
        """Records that were taken, in one of the four ways."""
        return self.added + self.updated + self.unchanged + self.skipped

    @property
    def processed_rows(self) -> int:
        """All records that were looked at."""
        return self.success_count + self.refused

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.added + other.added,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.skipped + other.skipped,
            self.refused + other.refused,
        )
