"""duckdb: reads CSV, and writes by its PostgreSQL extension."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.peers.peer import Peer

if TYPE_CHECKING:
    from pathlib import Path


class Duckdb(Peer):
    """It adds rows, all or none of them; tables of PostgreSQL it cannot merge into."""

    name = "duckdb"

    def missing(self) -> str | None:
        found = any(self.place.programs.parent.glob("lib/*/site-packages/duckdb_extension_postgres_scanner"))
        return None if found else "no wheel with its PostgreSQL extension for this machine"

    def new_rows(self, path: Path) -> list[str]:
        python, script = self.place.programs / "python", self.place.scripts / "run_duckdb.py"
        return [str(python), str(script), str(path), self.place.url, self.table]
