"""What is seen of a drill in a terminal, and how a broken promise is told."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from jobd.cli.drill_screen import Moving, proof
from jobd.drill.drill import Pace
from jobd.drill.fault import Recovery
from jobd.drill.report import Check, Report, Sum

if TYPE_CHECKING:
    import pytest

CHECKS = (
    Check("tokens only rise", "12 changes, 30 beliefs", ()),
    Check(
        "one event for each change of status",
        "12 changes, 30 beliefs",
        ("job 7: pending → running has 1 event too few",),
    ),
)


def report(*checks: Check) -> Report:
    return Report(
        seed=7,
        seconds=10,
        daemons=3,
        jobs=2,
        cancelled=0,
        batches=20,
        bundles=1,
        claims=4,
        beliefs=30,
        sums=[Sum("CSV", 2, 2, 1_200, 1_000, 100, 50, 50, 0)],
        checks=checks,
        recoveries=[
            Recovery("daemon killed", 2, 1, 1.234, 1.5, "beginning", "work elsewhere"),
            Recovery("network cut", 1, 0, None, None, "end", "work"),
        ],
        faults=(),
    )


def printed(of: Report) -> str:
    out = StringIO()
    console = Console(file=out, width=120)
    for part in proof(of):
        console.print(part)
    return out.getvalue()


def test_the_proof_names_what_does_not_hold_below_what_was_claimed() -> None:
    text = printed(report(*CHECKS))
    assert "✓ tokens only rise  (12 changes, 30 beliefs)" in text
    assert "✗ one event for each change of status" in text
    assert "      job 7: pending → running has 1 event too few" in text
    assert "1 of 2 do NOT hold: 2 jobs, 20 batches, 1 times many small files at once, 3 faults, seed 7." in text


def test_the_proof_has_the_sums_and_the_times_to_recover() -> None:
    lines = [" ".join(line.split()) for line in printed(report(CHECKS[0])).splitlines()]
    assert "CSV 2 1,200 1,000 100 50 50 0" in lines
    assert "daemon killed 2 1 1.23 s 1.50 s beginning commit under a new lease" in lines
    assert "network cut 1 0 - - end next commit" in lines


def test_a_sum_that_leaves_a_record_out_does_not_add_up() -> None:
    assert Sum("CSV", 1, 1, 10, 5, 2, 1, 1, 1).adds_up
    assert not Sum("CSV", 1, 1, 10, 5, 2, 1, 1, 0).adds_up


def test_a_terminal_shows_how_far_all_is_below_what_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")  # nothing moves on a dumb one
    out = StringIO()
    with Live(console=Console(file=out, force_terminal=True, width=120), auto_refresh=False) as live:
        shown = Moving(live)
        shown.say("fault", "daemon killed: drill-1")
        shown.show(Pace(12.5, 30, 20, 4_000, 80, 3))
        shown.close()
    assert "daemon killed: drill-1" in out.getvalue()
    assert "20 of 30 jobs, 4,000 records, 80 batches, 3 faults" in out.getvalue()
