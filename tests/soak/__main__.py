"""Soak: ``python -m tests.soak --help``."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import anyio
from rich.console import Console

from jobd.cli.drill_screen import records, verdict_of
from jobd.db import embedded
from jobd.settings import Settings
from tests.soak.figures import judge, table
from tests.soak.probe import FIGURES, Probe
from tests.soak.soak import soak

LINE_CELLS = 118
# Work in threads lets go of the interpreter so often: the daemons' connections pass through this process.
SWITCH_SECONDS = 0.001


async def _run(arguments: argparse.Namespace, server: embedded.EmbeddedServer, directory: Path) -> bool:
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=LINE_CELLS)
    settings = Settings.load(environment={"JOBD_DATABASE_URL": server.url()})
    console.print(f"seed {arguments.seed}: {arguments.seconds:g} s of work and faults")
    async with soak(settings, directory, arguments.seed) as running:
        checks = await running.run(arguments.seconds, arguments.sample_seconds)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([[each.seconds, each.values] for each in running.probe.samples]))
    bounds = dict(arguments.bound)
    figures = [each._replace(ratio=bounds[each.name]) if each.name in bounds else each for each in FIGURES]
    lines = judge(running.probe.samples, figures)
    console.print(table(lines))
    console.print(f"Relations that grew most after warming up: {_grown(running.probe)}")
    faults = Counter(fault.kind for fault in running.ground.faults)
    console.print(f"Faults: {', '.join(f'{kind} {count}' for kind, count in sorted(faults.items()))}")
    console.print(records(running.proof.sums()))
    for check in checks:
        for part in verdict_of(check):
            console.print(part)
    holds = all(line.holds for line in lines) and all(check.holds for check in checks)
    what = f"{running.jobs:,} jobs of {running.rows:,} records, {running.pruned:,} pruned, seed {arguments.seed}"
    console.print(f"{'[bold green]All holds[/]' if holds else '[bold red]NOT all holds[/]'}: {what}.")
    return holds


def _grown(probe: Probe) -> str:
    """The five relations that grew most, from a quarter of the time on."""
    ends = {name: (sizes[len(sizes) // 4], sizes[-1]) for name, sizes in probe.relation_bytes.items() if sizes}
    most = sorted(ends.items(), key=lambda end: end[1][0] - end[1][1])[:5]
    return ", ".join(f"{name} {first:.1f} to {last:.1f} MB" for name, (first, last) in most)


def _bound(text: str) -> tuple[str, float]:
    name, _, ratio = text.partition("=")
    if name not in {figure.name for figure in FIGURES}:
        raise argparse.ArgumentTypeError(f"no figure is called {name!r}")
    return name, float(ratio)


def main() -> int:
    """Parse the arguments, soak, and say whether all holds."""
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--sample-seconds", type=float, default=3)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))  # noqa: S311  to be repeated
    parser.add_argument(
        "--bound",
        type=_bound,
        action="append",
        default=[],
        metavar="FIGURE=RATIO",
        help="another ratio",
    )
    parser.add_argument("--json", type=Path, help="where to write the samples")
    arguments = parser.parse_args()
    sys.setswitchinterval(SWITCH_SECONDS)
    with tempfile.TemporaryDirectory(prefix="jobd-soak-") as directory, embedded.running() as server:
        return 0 if anyio.run(_run, arguments, server, Path(directory)) else 1


if __name__ == "__main__":
    sys.exit(main())
