"""What must not grow: the first quarter of a soak after its warming up beside the last."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Of the time: caches fill, autovacuum comes round for the first time, the history reaches its length.
WARM_UP_SHARE = 0.25
NOT_MEASURED = "-"


class Sample(NamedTuple):
    """The figures by name, so long after the beginning."""

    seconds: float
    values: Mapping[str, float]


class Figure(NamedTuple):
    """Something measured, and what bounds it.

    ``ratio``: of the last quarter's median to the first's; what grows by less than ``noise`` does not grow.
    ``most``: what no sample may exceed. With neither it is told only.
    """

    name: str
    unit: str
    ratio: float | None = None
    noise: float = 0.0
    most: float | None = None

    @property
    def bound(self) -> str:
        """For people."""
        if self.most is not None:
            return f"≤ {self.most:g} {self.unit}".rstrip()
        if self.ratio is None:
            return ""
        return f"x {self.ratio:g} + {self.noise:g}"


class Line(NamedTuple):
    """A figure's two quarters and its worst sample; None where there were no samples."""

    figure: Figure
    first: float | None
    last: float | None
    worst: float | None

    @property
    def ratio(self) -> float | None:
        """Last to first."""
        return self.last / self.first if self.first and self.last is not None else None

    @property
    def holds(self) -> bool:
        """Whether it is within its bound; what has a bound and was not measured is not."""
        figure = self.figure
        if figure.most is None and figure.ratio is None:
            return True
        if self.first is None or self.last is None or self.worst is None:
            return False
        if figure.most is not None and self.worst > figure.most:
            return False
        return figure.ratio is None or self.last <= self.first * figure.ratio + figure.noise


def judge(samples: Sequence[Sample], figures: Sequence[Figure]) -> list[Line]:
    """A line for each figure."""
    end = samples[-1].seconds if samples else 0.0
    begin = end * WARM_UP_SHARE
    quarter = (end - begin) / 4
    lines = []
    for figure in figures:
        seen = [(sample.seconds, sample.values[figure.name]) for sample in samples if figure.name in sample.values]
        first = [value for at, value in seen if begin <= at <= begin + quarter]
        last = [value for at, value in seen if at >= end - quarter]
        worst = [value for at, value in seen if at >= begin or figure.most is not None]
        lines.append(Line(figure, _median(first), _median(last), max(worst, default=None)))
    return lines


def table(lines: Sequence[Line]) -> Table:
    """For people."""
    found = Table(title="After warming up: medians of the first and the last quarter", title_justify="left")
    found.add_column("figure", no_wrap=True)
    for name in ("first", "last", "ratio", "worst", "bound", ""):
        found.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        is_bound = line.figure.bound != ""
        verdict = ("[green]✓[/]" if line.holds else "[bold red]✗[/]") if is_bound else ""
        ratio = NOT_MEASURED if line.ratio is None else f"{line.ratio:.2f}"
        name = f"{line.figure.name}, {line.figure.unit}" if line.figure.unit else line.figure.name
        numbers = [_number(value) for value in (line.first, line.last)]
        found.add_row(name, *numbers, ratio, _number(line.worst), line.figure.bound, verdict)
    return found


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _number(value: float | None) -> str:
    if value is None:
        return NOT_MEASURED
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:,.1f}"
