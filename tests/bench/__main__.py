"""Run the measures: ``python -m tests.bench --help``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from jobd.db import migrate
from tests.bench import report
from tests.bench.archive import Archive
from tests.bench.claims import Claims
from tests.bench.formats import Formats
from tests.bench.imports import Imports
from tests.bench.laboratory import laboratory
from tests.bench.queue import Queue
from tests.bench.small_files import SmallFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.bench.comparison import Comparison

COMPARISONS: Mapping[str, tuple[type[Comparison], ...]] = {
    "imports": (Imports,),
    "formats": (Formats,),
    "files": (Archive, SmallFiles),
}


async def _run(arguments: argparse.Namespace) -> None:
    async with laboratory() as place:
        await migrate.migrate(place.url)
        queue = Queue(place)
        if "queue" in arguments.only:
            await queue.measure()
            report.show([], queue.figures)
        claims = Claims(place)
        if "claims" in arguments.only:
            await claims.measure()
            report.show([], claims.figures)
        comparisons = [
            comparison(place, arguments.rows)
            for group, members in COMPARISONS.items()
            if group in arguments.only
            for comparison in members
        ]
        for comparison in comparisons:
            comparison.make_files()
        for number in range(1, arguments.rounds + 1) if comparisons else ():
            print(f"round {number} of {arguments.rounds} …", flush=True)
            for comparison in comparisons:
                await comparison.round()
        measures = [measure for comparison in comparisons for measure in comparison.measures]
        figures = [figure for comparison in comparisons for figure in comparison.figures]
        report.show(measures, figures)
        report.write(arguments.json, measures, [*queue.figures, *claims.figures, *figures], arguments.rows)
        print(f"written to {arguments.json}")


def main() -> None:
    """Parse the arguments and measure."""
    groups = ("queue", "claims", *COMPARISONS)
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=groups, default=groups, help="these alone; all by default")
    parser.add_argument("--json", type=Path, default=Path("bench.json"))
    anyio.run(_run, parser.parse_args())


if __name__ == "__main__":
    main()
