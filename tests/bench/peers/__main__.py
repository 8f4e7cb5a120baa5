"""Run the contest: ``python -m tests.bench.peers --help``."""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

import anyio
from rich.console import Console

from jobd.db import migrate
from tests.bench.laboratory import laboratory
from tests.bench.peers.by_dlt import Dlt
from tests.bench.peers.by_duckdb import Duckdb
from tests.bench.peers.by_pgloader import Pgloader
from tests.bench.peers.by_sling import Sling
from tests.bench.peers.contest import Contest
from tests.bench.peers.peer import Place
from tests.bench.report import LINE_CELLS

PEERS = (Duckdb, Sling, Pgloader, Dlt)


async def _run(arguments: argparse.Namespace) -> None:
    async with laboratory() as place:
        await migrate.migrate(place.url)
        programs = arguments.programs.absolute()
        found = Place(programs, Path(__file__).parent / "scripts", place.files.parent / "peers", place.url)
        contest = Contest(place, arguments.rows, [peer(found) for peer in PEERS])
        contest.make_files()
        await contest.admit()
        for number in range(1, arguments.rounds + 1):
            print(f"round {number} of {arguments.rounds} …", flush=True)
            await contest.round()
    standings = (contest.added, contest.upserted)
    for standing in standings:
        Console(highlight=False, width=LINE_CELLS).print(standing.table(arguments.rows))
    arguments.json.write_text(
        json.dumps(
            {
                "machine": {"python": platform.python_version(), "platform": platform.platform()},
                "rows": arguments.rows,
                "standings": [standing.as_written() for standing in standings],
            },
            indent=2,
        )
        + "\n"
    )
    print(f"written to {arguments.json}")


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(prog="make bench-peers")
    parser.add_argument("--programs", type=Path, required=True, help="the peers' environment: its directory bin")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path("bench-peers.json"))
    anyio.run(_run, parser.parse_args())


if __name__ == "__main__":
    main()
