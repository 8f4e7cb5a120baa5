"""dlt: a Python library; a short script drives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.peers.peer import Peer

if TYPE_CHECKING:
    from pathlib import Path


class Dlt(Peer):
    """It lays its tables itself, with two columns of its own more, in a schema of its own."""

    name = "dlt"
    table = "by_dlt.rows"
    can_upsert = True

    def missing(self) -> str | None:
        found = any(self.place.programs.parent.glob("lib/*/site-packages/dlt"))
        return None if found else "not installed"

    def new_rows(self, path: Path) -> list[str]:
        return self._command(path, "append")

    def upsert(self, path: Path) -> list[str]:
        return self._command(path, "merge")

    def environment(self) -> dict[str, str]:
        return {"RUNTIME__DLTHUB_TELEMETRY": "false", "DLT_DATA_DIR": str(self.place.scratch / "dlt")}

    def _command(self, path: Path, disposition: str) -> list[str]:
        python, script = self.place.programs / "python", self.place.scripts / "run_dlt.py"
        return [str(python), str(script), str(path), self.place.url, disposition]
