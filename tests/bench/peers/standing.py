"""Who was how fast at one work, as ratios to the baseline of the same round."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class Standing:
    """One work; ratio 0.5 means half as fast as the baseline."""

    work: str
    baseline: str
    baseline_seconds: list[float] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def add_baseline(self, seconds: float) -> None:
        """The baseline's time in a new round."""
        self.baseline_seconds.append(seconds)

    def add(self, name: str, seconds: float) -> None:
        """Somebody's time in the round that the last baseline began."""
        self.seconds.setdefault(name, []).append(seconds)

    def ratios(self, name: str) -> Sequence[float]:
        """Speed compared with the baseline, round by round."""
        return [base / mine for base, mine in zip(self.baseline_seconds, self.seconds[name], strict=True)]

    def table(self, rows: int) -> Table:
        """A line for each, the fastest first."""
        table = Table(title=self.work, title_justify="left")
        table.add_column("by")
        for name in ("ratio", "rounds", "seconds", "rows/s"):
            table.add_column(name, justify="right")
        by = {self.baseline: (self.baseline_seconds, [1.0])}
        by |= {name: (seconds, list(self.ratios(name))) for name, seconds in self.seconds.items()}
        for name, (seconds, ratios) in sorted(by.items(), key=lambda item: -statistics.median(item[1][1])):
            table.add_row(
                name,
                f"{statistics.median(ratios):.2f}",
                f"{min(ratios):.2f}-{max(ratios):.2f}",
                f"{statistics.median(seconds):.2f}",
                f"{rows / statistics.median(seconds):,.0f}",
            )
        return table

    def as_written(self) -> dict[str, Any]:
        """For the JSON file."""
        return {
            "work": self.work,
            "baseline": self.baseline,
            "baseline_seconds": self.baseline_seconds,
            "by": {
                name: {"seconds": seconds, "ratio": statistics.median(self.ratios(name))}
                for name, seconds in self.seconds.items()
            },
        }
