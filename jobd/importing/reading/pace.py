"""How large batches are: as many records as are committed in about half a second."""

from __future__ import annotations

BATCH_BYTES_MAX = 4 * 1024 * 1024
COMMIT_SECONDS_MAX = 0.5
ROWS_MIN = 100
# A refused record is kept as objects, of which this many take some ten megabytes.
REFUSED_MAX = 5_000
FIRST_MAX = 10_000


class Pace:
    """``rows`` and ``bytes`` bound the next batch; neither ever exceeds what was asked for."""

    def __init__(self, rows_max: int) -> None:
        self._rows_max = rows_max
        # The first one is smaller, as it may be of refused records, which take ten times the memory.
        self.rows = min(rows_max, FIRST_MAX)
        self.bytes = BATCH_BYTES_MAX

    def learn(self, rows: int, seconds: float, refused: int = 0) -> None:
        """Shrink after a batch that took long or had many refused records, grow back after others."""
        share = min(COMMIT_SECONDS_MAX / max(seconds, 1e-9), REFUSED_MAX / max(refused, 1))
        if share < 1:
            self.rows = min(self._rows_max, max(ROWS_MIN, int(rows * share)))
        elif share > 2:
            self.rows = min(self._rows_max, max(self.rows, self.rows * 3 // 2, rows))
