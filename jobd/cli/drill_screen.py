"""What is seen of a drill: what strikes, how far all is, and the proof."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.live import Live
from rich.text import Text

from jobd.cli.figures import clock, count, duration
from jobd.cli.listing import table
from jobd.cli.screen import BAD, BUSY, GOOD, QUIET, WARN, complaints, indented, screen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, RenderableType

    from jobd.drill.drill import Pace
    from jobd.drill.report import Check, Report, Sum

_STYLES = {"fault": BAD, "end": WARN, "work": BUSY, "step": "bold"}
_SOUGHT = {
    "work": "next commit",
    "work elsewhere": "commit under a new lease",
    "paused": "job paused",
    "ended": "job ended",
}


class Display(Protocol):
    """Where a drill says what it does."""

    def say(self, kind: str, text: str) -> None:
        """One line."""
        ...

    def show(self, pace: Pace) -> None:
        """How far all is."""
        ...

    def close(self) -> None:
        """No more of it."""
        ...


class Lines:
    """A line for everything that happens."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, kind: str, text: str) -> None:
        """See Display."""
        self._console.print(Text.assemble((f"{clock()}  ", QUIET), (text, _STYLES.get(kind, ""))))

    def show(self, pace: Pace) -> None:
        """What moves is for terminals."""

    def close(self) -> None:
        """See Display."""


class Moving(Lines):
    """The same above a line that moves."""

    def __init__(self, live: Live) -> None:
        super().__init__(live.console)
        self._live = live

    def show(self, pace: Pace) -> None:
        """See Display."""
        text = (
            f"{duration(pace.seconds)}  {pace.ended} of {pace.jobs} jobs, {count(pace.records)} records, "
            f"{count(pace.batches)} batches, {pace.faults} faults"
        )
        self._live.update(Text(text, style=f"bold {BUSY}"), refresh=True)

    def close(self) -> None:
        """See Display."""
        self._live.update(Text(""))
        self._live.stop()


@contextmanager
def display(*, as_json: bool) -> Iterator[Display]:
    """What suits where the output goes; beside JSON it goes to standard error."""
    console = complaints() if as_json else screen()
    if not console.is_terminal:
        yield Lines(console)
    else:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield Moving(live)


def proof(report: Report) -> Iterator[RenderableType]:
    """The proof, from the numbers to the verdict."""
    yield Text("\nRecords", style="bold")
    yield indented(records(report.sums))
    yield Text("\nTime to recover", style="bold")
    yield indented(_recoveries(report))
    yield Text("\nProof", style="bold")
    for check in report.checks:
        yield from verdict_of(check)
    yield _verdict(report)


def records(sums: Sequence[Sum]) -> RenderableType:
    """What became of the records of each kind of files."""
    figures = ("Jobs", "Records", "Added", "Updated", "Unchanged", "Refused", "Not read")
    listing = table("Files", *figures, right=figures)
    for each in sums:
        numbers = (each.jobs, each.records, each.added, each.updated, each.unchanged, each.refused, each.not_read)
        listing.add_row(each.kind, *map(count, numbers))
    return listing


def _recoveries(report: Report) -> RenderableType:
    figures = ("Faults", "Measured", "Median", "Worst")
    listing = table("Fault", *figures, "From its", "until", right=figures)
    for each in report.recoveries:
        listing.add_row(
            each.kind,
            count(each.faults),
            count(each.measured),
            _seconds(each.median_seconds),
            _seconds(each.worst_seconds),
            each.counted_from,
            _SOUGHT[each.sought],
        )
    return listing


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f} s"


def verdict_of(check: Check) -> Iterator[RenderableType]:
    """Whether a claim holds, and where it does not."""
    sign = ("✓ ", GOOD) if check.holds else ("✗ ", f"bold {BAD}")
    yield Text.assemble("  ", sign, check.claim, (f"  ({check.looked_at})", QUIET))
    for problem in check.problems:
        yield Text(f"      {problem}", style=BAD)


def _verdict(report: Report) -> Text:
    faults = sum(each.faults for each in report.recoveries)
    bundles = f"{count(report.bundles)} times many small files at once"
    what = (
        f"{count(report.jobs)} jobs, {count(report.batches)} batches, {bundles}, {count(faults)} faults, "
        f"seed {report.seed}"
    )
    if report.holds:
        return Text.assemble("\n", ("Everything holds", f"bold {GOOD}"), f": {what}.")
    broken = sum(not check.holds for check in report.checks)
    return Text.assemble("\n", (f"{broken} of {len(report.checks)} do NOT hold", f"bold {BAD}"), f": {what}.")
