"""The same rows in other formats, beside our own import of them as plain CSV."""

from __future__ import annotations

import gzip
import shutil
import sys
from typing import TYPE_CHECKING

from tests.bench import data
from tests.bench.comparison import Comparison
from tests.bench.laboratory import peak_memory_bytes
from tests.bench.report import Figure, Measure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.laboratory import Laboratory

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE_BYTES = 1 << 20


class Formats(Comparison):
    """Each has a daemon of its own, whose peak memory is then that of the format."""

    def __init__(self, laboratory: Laboratory, rows: int) -> None:
        super().__init__(laboratory, rows)
        self._measures = {
            "jsonl": Measure("the same rows as JSON Lines", "our own CSV", 0.8, 1.0),
            "json": Measure("the same rows as one JSON array", "our own CSV", 0.8, 1.0),
            "csv.gz": Measure("the same, gzip", "our own plain CSV", 0.9, 1.0),
            "csv.zst": Measure("the same, zstd", "our own plain CSV", 0.9, 1.0),
        }
        self._memory = {
            ending: Figure(f"peak memory of the daemon, .{ending}", "MB", 0, 150, 100, is_at_most=True)
            for ending in ("csv", *self._measures)
        }

    @property
    def measures(self) -> list[Measure]:
        return list(self._measures.values())

    @property
    def figures(self) -> list[Figure]:
        return list(self._memory.values())

    def make_files(self) -> None:
        for name, rows in (("small", 100), ("clean", self.rows)):
            plain = self.laboratory.files / f"{name}.csv"
            data.write_csv(plain, rows)
            data.write_jsonl(plain.with_suffix(".jsonl"), rows)
            data.write_json(plain.with_suffix(".json"), rows)
            _pack(plain)

    async def round(self) -> None:
        plain = await self._import("csv")
        for ending, measure in self._measures.items():
            measure.add(await self._import(ending), plain)

    async def _import(self, ending: str) -> float:
        connection = await self.laboratory.connect()
        try:
            with self.laboratory.daemon() as daemon:
                await self.by_jobd(connection, f"small.{ending}", fresh=True)
                seconds = await self.by_jobd(connection, f"clean.{ending}", fresh=True)
                memory = self._memory[ending]
                memory.value = max(memory.value, peak_memory_bytes(daemon) / 1e6)
        finally:
            await connection.close()
        return seconds


def _pack(plain: Path) -> None:
    with plain.open("rb") as source, gzip.open(f"{plain}.gz", "wb", 5) as packed:
        shutil.copyfileobj(source, packed, PIECE_BYTES)
    with plain.open("rb") as source, zstd.open(f"{plain}.zst", "wb") as packed:
        shutil.copyfileobj(source, packed, PIECE_BYTES)
