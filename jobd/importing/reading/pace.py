"""How large batches are: as many records as are committed in about half a second."""

from __future__ import annotations

BATCH_BYTES_MAX = 4 * 1024 * 1024
COMMIT_SECONDS_MAX = 0.5
ROWS_MIN = 100


class Pace:
    """``rows`` and ``bytes`` bound the next batch; neither ever exceeds what was asked for."""

    def __init__(self, rows_max: int) -> None:
        self._rows_max = rows_max
        self.rows = rows_max
        self.bytes = BATCH_BYTES_MAX

    def learn(self, rows: int, seconds: float) -> None:
        """Shrink after a batch that took long, grow back after short ones."""
        if seconds > COMMIT_SECONDS_MAX:
            fitting = int(rows * COMMIT_SECONDS_MAX / seconds)
            self.rows = min(self._rows_max, max(ROWS_MIN, fitting))
        elif seconds < COMMIT_SECONDS_MAX / 2:
            self.rows = min(self._rows_max, max(self.rows, self.rows * 3 // 2, rows))
