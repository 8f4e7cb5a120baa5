"""What is printed can be read: on a dark and a light terminal, on a narrow one, and where there is none."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from rich.console import Console, RenderableType
from rich.style import Style
from rich.text import Text
from typer import rich_utils

from jobd.cli import app, screen
from jobd.cli.listing import SideBySide, cut, table
from jobd.cli.progress import Pace, bars

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

CLI = Path(screen.__file__).parent
COLOURS = (screen.GOOD, screen.WARN, screen.BAD, screen.BUSY, screen.IDLE)
# What WCAG asks of text is 4.5, of what is large or bold 3.
CONTRAST_MIN = 4.0
ROWS = [
    ("01a2169d-a7c5", "✓ completed", "3,000,000", "a-rather-long-file-name-2026-11.csv", "public.customer_orders"),
    ("01a2169c-c2a6", "✗ failed", "0", "none.csv", "public.nope"),
]


def luminance(style: str) -> float:
    colour = Style.parse(style).color
    assert colour is not None
    channels = [channel / 255 for channel in colour.get_truecolor()]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return float(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])


@pytest.mark.parametrize("style", COLOURS)
def test_colours_are_told_from_black_and_from_white(style: str) -> None:
    on_black, on_white = (luminance(style) + 0.05) / 0.05, 1.05 / (luminance(style) + 0.05)
    assert min(on_black, on_white) >= CONTRAST_MIN
    assert "color(" in style, "the first sixteen are the terminal's own, whatever they look like"


def test_no_command_names_a_colour_of_the_terminals() -> None:
    colours = "black|red|green|yellow|blue|magenta|cyan|white"
    named = re.compile(rf"""["'](?:bold |dim )?(?:bright_)?(?:{colours})["']""")
    assert {path.name: named.findall(path.read_text()) for path in CLI.glob("*.py")} == {
        path.name: [] for path in CLI.glob("*.py")
    }


def test_help_is_written_in_the_same_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    styles = {name: value for name, value in vars(rich_utils).items() if name.startswith("STYLE_")}
    for name, value in styles.items():
        monkeypatch.setattr(rich_utils, name, value)
    assert app._HELP_STYLES.keys() <= styles.keys()
    app._use_own_colours()
    for name in styles:
        value = getattr(rich_utils, name)
        colour = Style.parse(value).color if isinstance(value, str) and value else None
        assert colour is None or f"color({colour.number})" in COLOURS, name


def printed(what: RenderableType, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(what)
    output = console.file.getvalue()  # type: ignore[attr-defined]
    lines = [line.rstrip() for line in output.splitlines()]
    assert all(len(line) <= width for line in lines)
    return lines


def listing() -> Table:
    rows = table("ID", "Status", "Rows", "File", "Target", right=("Rows",), flexible=("File", "Target"))
    for job_id, status, count, file, target in ROWS:
        rows.add_row(job_id, Text(status), count, cut(file), cut(target))
    return rows


def test_a_table_with_room_is_a_table() -> None:
    lines = printed(listing(), 110)
    assert lines[0].split() == ["ID", "Status", "Rows", "File", "Target"]
    assert len(lines) == 1 + len(ROWS)
    assert all(cell in lines[1] for cell in ROWS[0])


def test_columns_that_may_give_way_do_so_first() -> None:
    lines = printed(listing(), 70)
    assert len(lines) == 1 + len(ROWS)
    assert "✓ completed  3,000,000" in lines[1]
    assert "…" in lines[1]


@pytest.mark.parametrize("width", [40, 50])
def test_on_a_narrow_terminal_a_row_becomes_a_paragraph_and_nothing_is_cut_off(width: int) -> None:
    lines = printed(listing(), width)
    assert lines[0] == "01a2169d-a7c5  ✓ completed"
    text = " ".join(" ".join(lines).split())
    for row in ROWS:
        assert all(cell in text for cell in row)
    assert "rows 3,000,000" in text
    assert "…" not in text


def test_a_number_that_begins_a_row_is_named_and_a_sign_is_no_heading() -> None:
    groups = table("Refused", "Field", "Reason", "First row", right=("Refused", "First row"))
    groups.add_row("4", "age", "check_violation_of_a_long_name", "1")
    assert printed(groups, 40)[0] == "refused 4  age"
    findings = table("", "Check", "Worker", "State")
    findings.add_row("✓", "server_settings", "a-worker-of-jobd", "draining")
    assert printed(findings, 40)[0] == "✓  server_settings  a-worker-of-jobd"


def test_what_stands_side_by_side_stands_one_below_the_other_where_it_is_narrow() -> None:
    both = SideBySide(Text("left " * 4), Text("right " * 6))
    assert len(printed(both, 80)) == 1
    assert [line.split()[:1] for line in printed(both, 40)] == [["left"], [], ["right"]]


def progress() -> Iterator[Any]:
    row = {
        "id": UUID(int=1), "job_type": "import", "status": "running", "filename": "orders.csv", "progress": 42.0,
        "processed_rows": 1_234_567, "total_rows": 3_000_000, "estimated_rows": None, "error_count": 7,
        "ran_seconds": 10.0, "cancel_requested": False, "pause_requested": False, "waiting_reason": None,
        "error_code": None, "duplicate_of": None,
    }  # fmt: skip
    yield Pace().look(row, 0.0)


@pytest.mark.parametrize("width", [40, 50, 60, 80])
def test_progress_has_its_bar_and_all_its_figures_on_a_narrow_terminal(width: int) -> None:
    first, second = printed(bars(list(progress()), is_narrow=True), width)
    assert first.split("  ")[:3] == ["● orders.csv", "42 %", "1,234,567 rows"]
    assert "━━━" in second
    assert "left" in second


def test_a_pipe_gets_no_codes_and_whole_names(capsys: pytest.CaptureFixture[str]) -> None:
    screen.screen().print(listing())
    screen.screen().print(Text("x " * 150, style=screen.BAD))
    lines = capsys.readouterr().out.splitlines()
    assert not any("\x1b" in line for line in lines)
    assert all(cell in lines[1] for cell in ROWS[0])
    assert len(lines) == len(ROWS) + 2, "a sentence is not broken where nobody reads it by eye"
