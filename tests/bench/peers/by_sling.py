"""sling: a program of its own, in a wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.peers.peer import Peer

if TYPE_CHECKING:
    from pathlib import Path


class Sling(Peer):
    """New rows by its mode ``truncate``, which keeps the table as it is; upserts by ``incremental``."""

    name = "sling"
    can_upsert = True

    def _program(self) -> Path | None:
        found = self.place.programs.parent.glob("lib/*/site-packages/sling_linux_amd64/bin/sling-linux-amd64")
        return next(iter(found), None)

    def missing(self) -> str | None:
        return None if self._program() else "no wheel with its program for this machine"

    def new_rows(self, path: Path) -> list[str]:
        return self._command(path, "--mode", "truncate")

    def upsert(self, path: Path) -> list[str]:
        return self._command(path, "--mode", "incremental", "--primary-key", "id")

    def environment(self) -> dict[str, str]:
        return {"SLING_DISABLE_TELEMETRY": "true", "SLING_HOME_DIR": str(self.place.scratch)}

    def _command(self, path: Path, *mode: str) -> list[str]:
        target = ("--tgt-conn", f"{self.place.url}?sslmode=disable", "--tgt-object", f"public.{self.table}")
        return [str(self._program()), "run", "--src-stream", f"file://{path}", *target, *mode]
