"""Ratios of one sitting, printed and written."""

from __future__ import annotations

import json
import platform
import statistics
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from pathlib import Path

LINE_CELLS = 126


@dataclass
class Measure:
    """One work, measured beside what it is compared with; ratio 2 means twice as fast as that."""

    name: str
    compared_with: str
    must: float
    aim: float
    seconds: list[float] = field(default_factory=list)
    baseline_seconds: list[float] = field(default_factory=list)

    def add(self, seconds: float, baseline_seconds: float) -> None:
        """The figures of one round."""
        self.seconds.append(seconds)
        self.baseline_seconds.append(baseline_seconds)

    @property
    def ratios(self) -> list[float]:
        """Speed compared with the baseline of the same round."""
        return [base / mine for mine, base in zip(self.seconds, self.baseline_seconds, strict=True)]

    @property
    def ratio(self) -> float:
        """The median round."""
        return statistics.median(self.ratios)


@dataclass
class Figure:
    """A number by itself, with what it must be at least or at most."""

    name: str
    unit: str
    value: float
    must: float
    aim: float
    is_at_most: bool

    @property
    def is_reached(self) -> bool:
        """Whether the must is met."""
        return self.value <= self.must if self.is_at_most else self.value >= self.must


def show(measures: list[Measure], figures: list[Figure]) -> None:
    """Print both tables."""
    # Wide enough for a line a measure, also where the output goes to a file.
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=LINE_CELLS)
    if measures:
        table = Table(title="Imports: speed as a ratio of the same round", title_justify="left")
        for name in ("work", "compared with"):
            table.add_column(name)
        for name in ("ratio", "rounds", "must", "aim", "seconds", "baseline"):
            table.add_column(name, justify="right")
        for measure in measures:
            table.add_row(
                measure.name,
                measure.compared_with,
                _coloured(f"{measure.ratio:.2f}", measure.ratio >= measure.must),
                f"{min(measure.ratios):.2f}-{max(measure.ratios):.2f}",
                f"{measure.must:.2f}",
                f"{measure.aim:.2f}",
                f"{statistics.median(measure.seconds):.2f}",
                f"{statistics.median(measure.baseline_seconds):.2f}",
            )
        console.print(table)
    if figures:
        table = Table(title="Figures", title_justify="left")
        table.add_column("measure")
        for name in ("value", "must", "aim"):
            table.add_column(name, justify="right")
        table.add_column("unit")
        for figure in figures:
            bound = "≤" if figure.is_at_most else "≥"
            table.add_row(
                figure.name,
                _coloured(f"{figure.value:,.2f}", figure.is_reached),
                f"{bound} {figure.must:,g}",
                f"{bound} {figure.aim:,g}",
                figure.unit,
            )
        console.print(table)


def write(path: Path, measures: list[Measure], figures: list[Figure], rows: int) -> None:
    """Write everything, with what is needed to judge it, as JSON."""
    path.write_text(
        json.dumps(
            {
                "machine": {"python": platform.python_version(), "platform": platform.platform()},
                "rows": rows,
                "measures": [{**asdict(measure), "ratio": measure.ratio} for measure in measures],
                "figures": [asdict(figure) for figure in figures],
            },
            indent=2,
        )
        + "\n"
    )


def _coloured(text: str, is_good: bool) -> str:
    return f"[green]{text}[/]" if is_good else f"[red]{text}[/]"
