"""Where the command line prints, and how its words look."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import orjson
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from jobd.model.status import JobStatus

if TYPE_CHECKING:
    from collections.abc import Collection

WIDTH_WITHOUT_TERMINAL = 100

# A sign beside each colour, for those who see none.
STATUS_SIGNS = {
    JobStatus.PENDING: ("○", "blue"),
    JobStatus.RUNNING: ("●", "bold cyan"),
    JobStatus.PAUSED: ("‖", "yellow"),
    JobStatus.COMPLETED: ("✓", "green"),
    JobStatus.FAILED: ("✗", "bold red"),
    JobStatus.CANCELLED: ("⊘", "bright_black"),
}


class Screen(Console):
    """Breaks lines between words on a terminal, and text not at all where a program may read it."""

    def __init__(self, *, stderr: bool = False) -> None:
        stream = sys.stderr if stderr else sys.stdout
        width = None if stream.isatty() else WIDTH_WITHOUT_TERMINAL
        super().__init__(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, as in Console."""
        is_text = all(isinstance(one, str | Text) for one in objects)
        options.setdefault("soft_wrap", is_text and not self.is_terminal)
        super().print(*objects, **options)


def screen() -> Console:
    """Standard output. Without a terminal it is wide enough for every table and has no colours."""
    return Screen()


def complaints() -> Console:
    """Standard error."""
    return Screen(stderr=True)


def status_text(status: JobStatus) -> Text:
    """A status with its sign and colour."""
    sign, style = STATUS_SIGNS[status]
    return Text(f"{sign} {status.value}", style=style)


def table(*columns: str, right: Collection[str] = (), flexible: Collection[str] = ()) -> Table:
    """A calm table: no borders, numbers to the right; flexible columns alone give way when room is short."""
    result = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bright_black")
    for column in columns:
        result.add_column(
            column, justify="right" if column in right else "left", no_wrap=column not in flexible, min_width=4
        )
    return result


def cut(text: str, style: str = "") -> Text:
    """What goes into a flexible column: cut off with an ellipsis rather than broken into lines."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def indented(what: RenderableType) -> Padding:
    """Two blanks in front of each line."""
    return Padding(what, (0, 0, 0, 2), expand=False)


def print_json(value: Any) -> None:
    """One JSON value on standard output, for programs."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode() + "\n")


def print_json_line(value: Any) -> None:
    """One JSON value on one line, for streams."""
    sys.stdout.write(orjson.dumps(value, default=str).decode() + "\n")
    sys.stdout.flush()
