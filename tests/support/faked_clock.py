"""A wrong clock for daemon processes, by libfaketime: what they take for the time of day can be set any time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support import programs

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class FakedClock:
    """How far the clock is off stands in a file, which the process looks at every second."""

    file: Path

    def is_off_by(self, seconds: int) -> None:
        """From now on the clock is so far ahead, or behind."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+d}s\n")
        new.replace(self.file)  # never seen half written

    @property
    def variables(self) -> dict[str, str]:
        """For the process's environment. Only the time of day is wrong: monotonic clocks do not step."""
        return {
            "LD_PRELOAD": str(programs.need("libfaketime")),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            # Else it takes the interpreter's waits with a time-out for waits by the time of day.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "NO_FAKE_STAT": "1",
        }
