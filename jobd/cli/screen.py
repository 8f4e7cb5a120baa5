"""Where the command line prints, and how its words look."""

from __future__ import annotations

import sys
from typing import Any

import orjson
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from jobd.model.status import JobStatus

WIDTH_WITHOUT_TERMINAL = 100

# Colours that are told from a black background and from a white one alike. Those that terminals name are not:
# their yellow vanishes on white, their blue on black. What is quiet is the terminal's own colour, dimmed.
QUIET = "dim"
GOOD = "color(28)"
WARN = "color(130)"
BAD = "color(161)"
BUSY = "color(30)"
IDLE = "color(63)"

# A sign beside each colour, for those who see none.
STATUS_SIGNS = {
    JobStatus.PENDING: ("○", IDLE),
    JobStatus.RUNNING: ("●", f"bold {BUSY}"),
    JobStatus.PAUSED: ("‖", WARN),
    JobStatus.COMPLETED: ("✓", GOOD),
    JobStatus.FAILED: ("✗", f"bold {BAD}"),
    JobStatus.CANCELLED: ("⊘", QUIET),
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
