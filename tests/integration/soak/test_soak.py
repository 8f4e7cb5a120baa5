"""``make soak``: that it works, measures and proves, and that what grows is told."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.soak.probe import CONNECTIONS, FIGURES, FILES, STEADY
from tests.support.environment import without_settings

ROOT = Path(__file__).parents[3]
SHORT = ("--seconds", "6", "--sample-seconds", "0.3", "--seed", "7")


async def test_a_short_soak_proves_its_work_prints_every_figure_and_fails_for_a_bound_that_is_broken() -> None:
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.soak", *SHORT, "--bound", f"{STEADY}=0.01"),
        cwd=ROOT,
        env=without_settings(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed = (await command.communicate())[0].decode()
    assert command.returncode == 1, printed
    names = {figure.name for figure in FIGURES}
    lines = {name: line for line in printed.splitlines() for name in names if line.startswith(f"│ {name}")}
    assert set(lines) == names, printed
    assert ["✗" in lines[name] for name in (STEADY, CONNECTIONS, FILES)] == [True, False, False], printed
    proof = [line.strip() for line in printed.splitlines() if line.startswith("  ")]
    assert len([line for line in proof if line.startswith("✓")]) == 12, printed
    assert [line for line in proof if line.startswith("✗")] == [], printed
    assert "NOT all holds: " in printed
