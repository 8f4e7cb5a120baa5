"""pgloader: a program from the operating system's packages, told what to do by a file."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.bench.peers.peer import Peer
from tests.bench.tables import COLUMNS

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = """
load csv
     from '{path}' with encoding utf-8
          having fields ({columns})
     into {url}
          target table public.{table}
          target columns ({columns})
     with skip header = 1, fields optionally enclosed by '"', fields escaped by double-quote,
          fields terminated by ',';
"""


class Pgloader(Peer):
    """It adds rows; updating is not among what it does."""

    name = "pgloader"

    def missing(self) -> str | None:
        return None if shutil.which("pgloader") else "not on PATH"

    def new_rows(self, path: Path) -> list[str]:
        commands = self.place.scratch / f"{path.stem}.load"
        self.place.scratch.mkdir(exist_ok=True)
        commands.write_text(
            COMMANDS.format(path=path, columns=COLUMNS, url=self.place.url, table=self.table).lstrip()
        )
        return ["pgloader", "--quiet", "--on-error-stop", str(commands)]
