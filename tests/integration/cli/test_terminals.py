"""Commands on a terminal of their own: a real one, as wide as a test says."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

from tests.support.environment import without_settings

if TYPE_CHECKING:
    from jobd.client import Client
    from tests.support.database import Database

FILE = "orders-of-november-2026-with-a-long-name.csv"
COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7])[;0-9]*m")
CODE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


async def on_terminal(url: str, *arguments: str, columns: int = 50, **variables: str) -> str:
    """What a command writes to a terminal of this width, with its codes."""

    def run() -> str:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        unset = {"COLUMNS", "NO_COLOR", "FORCE_COLOR", "TERM", "COLORTERM"}
        inherited = {name: value for name, value in without_settings().items() if name not in unset}
        with subprocess.Popen(
            [sys.executable, "-m", "jobd", *arguments],
            env={**inherited, "TERM": "xterm-256color", "JOBD_DATABASE_URL": url, **variables},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        ):
            os.close(theirs)
            written = bytearray()
            while True:
                try:
                    piece = os.read(ours, 65536)
                except OSError:  # nobody has the terminal open any more
                    break
                if not piece:
                    break
                written += piece
        os.close(ours)
        return written.decode()

    return await asyncio.to_thread(run)


async def test_a_narrow_terminal_shows_all_of_a_list_within_its_width(client: Client, database: Database) -> None:
    job = await client.submit(f"/srv/in/{FILE}", "public.customer_orders")
    for command in (("list",), ("show", str(job.id)), ("queues",)):
        shown = CODE.sub("", await on_terminal(database.url, *command))
        assert all(len(line.rstrip()) <= 50 for line in shown.splitlines()), command
        assert command[0] == "queues" or FILE in shown
        assert "…" not in shown
    assert "oldest due" in CODE.sub("", await on_terminal(database.url, "queues", columns=40))


async def test_no_color_takes_colours_away_and_nothing_else(client: Client, database: Database) -> None:
    job = await client.submit(f"/srv/in/{FILE}", "public.customer_orders")
    coloured = await on_terminal(database.url, "list")
    plain = await on_terminal(database.url, "list", NO_COLOR="1")
    assert COLOUR.search(coloured)
    assert not COLOUR.search(plain)
    assert CODE.sub("", coloured).split("submitted")[0] == CODE.sub("", plain).split("submitted")[0]
    refused = await on_terminal(database.url, "show", f"{str(job.id)[:8]}ffff", NO_COLOR="1")
    assert "error: " in CODE.sub("", refused)
    assert not COLOUR.search(refused)
