"""Tables for people: calm where there is room, paragraphs where there is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from jobd.cli.screen import QUIET, indented

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

FLEXIBLE_WIDTH_MIN = 8
_UNBOUNDED = 10_000
_GAP = 6
_INDENT = 2
_BETWEEN = Text("  ")


def table(*columns: str, right: Collection[str] = (), flexible: Collection[str] = ()) -> Table:
    """A calm table: no borders, numbers to the right; flexible columns alone give way when room is short.

    Where there is not even room for the others, each row becomes a few lines.
    """
    result = Listing(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=QUIET)
    for column in columns:
        is_flexible = column in flexible
        result.add_column(
            column,
            justify="right" if column in right else "left",
            no_wrap=not is_flexible,
            overflow="fold" if is_flexible else "ellipsis",
            min_width=4,
        )
    return result


class Listing(Table):
    """A table that is written as paragraphs where its columns would be cut off."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As Table, or a paragraph for each row."""
        if self._least_width(console, options) <= options.max_width:
            yield from super().__rich_console__(console, options)
            return
        for cells in zip(*(column.cells for column in self.columns), strict=True):
            yield from self._paragraph([_plain(cell) for cell in cells], options.max_width)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """As Table; what is narrower gets all the room there is, for paragraphs."""
        measured = super().__rich_measure__(console, options)
        if self._least_width(console, options) <= options.max_width:
            return measured
        return Measurement(options.max_width, options.max_width)

    def _least_width(self, console: Console, options: ConsoleOptions) -> int:
        """What no column can do without."""
        widths = []
        for column in self.columns:
            cells = (column.header, *column.cells)
            natural = max(Measurement.get(console, options.update(width=_UNBOUNDED), one).maximum for one in cells)
            widths.append(natural if column.no_wrap else min(natural, FLEXIBLE_WIDTH_MIN))
        return sum(widths) + 2 * (len(widths) - 1)

    def _paragraph(self, cells: Sequence[Text], width: int) -> Iterator[RenderableType]:
        """What the row is about in the first line, then what is said of it, each with its column's name."""
        names = [str(column.header).lower() for column in self.columns]
        heading = 2 if names[0] else 3  # a sign alone is none
        told = [
            # A number says nothing by itself.
            cell if column.justify == "left" and place < heading else Text.assemble((f"{name} ", QUIET), cell)
            for place, (column, name, cell) in enumerate(zip(self.columns, names, cells, strict=True))
        ]
        yield _BETWEEN.join(part for part, cell in zip(told[:heading], cells, strict=False) if cell.plain)
        line = Text()
        for part, cell in zip(told[heading:], cells[heading:], strict=True):
            if cell.plain and line.plain and line.cell_len + len(_BETWEEN) + part.cell_len > width - _INDENT:
                yield indented(line)
                line = Text()
            if cell.plain:
                line = _BETWEEN.join([line, part]) if line.plain else part
        if line.plain:
            yield indented(line)


class SideBySide:
    """Two things beside one another, or one below the other where the lines are too short."""

    def __init__(self, left: RenderableType, right: RenderableType) -> None:
        self._both = (left, right)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Whichever fits."""
        wide = options.update(width=_UNBOUNDED)
        widths = [Measurement.get(console, wide, one).maximum for one in self._both]
        if sum(widths) + _GAP <= options.max_width:
            columns = Table.grid(padding=(0, _GAP, 0, 0))
            columns.add_row(*self._both)
            yield columns
        else:
            yield self._both[0]
            yield Text()
            yield self._both[1]


def _plain(cell: RenderableType) -> Text:
    """A cell as text that may be broken into lines."""
    text = cell.copy() if isinstance(cell, Text) else Text(str(cell))
    text.no_wrap, text.overflow = False, "fold"
    return text


def cut(text: str, style: str = "") -> Text:
    """What goes into a flexible column: cut off with an ellipsis rather than broken into lines."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
