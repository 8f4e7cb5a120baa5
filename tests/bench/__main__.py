"""Run the measures: ``python -m tests.bench --help``."""

from __future__ import annotations

import argparse
from pathlib import Path

import anyio

from jobd.db import migrate
from tests.bench import report
from tests.bench.imports import Imports
from tests.bench.laboratory import laboratory
from tests.bench.queue import Queue


async def _run(arguments: argparse.Namespace) -> None:
    async with laboratory() as place:
        await migrate.migrate(place.url)
        queue, imports = Queue(place), Imports(place, arguments.rows)
        if arguments.only != "imports":
            await queue.measure()
            report.show([], queue.figures)
        measures, figures = [], queue.figures
        if arguments.only != "queue":
            imports.make_files()
            for number in range(1, arguments.rounds + 1):
                print(f"round {number} of {arguments.rounds} …", flush=True)
                await imports.round()
            measures, figures = imports.measures, [*queue.figures, *imports.figures]
            report.show(measures, imports.figures)
        report.write(arguments.json, measures, figures, arguments.rows)
        print(f"written to {arguments.json}")


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("imports", "queue"))
    parser.add_argument("--json", type=Path, default=Path("bench.json"))
    anyio.run(_run, parser.parse_args())


if __name__ == "__main__":
    main()
