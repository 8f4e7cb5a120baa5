"""How fast reading is by itself: rows per second of cutting, counting and converting.

python -m tests.bench.bench_sources [--rows 2000000] [--directory DIR]
"""

from __future__ import annotations

import argparse
import gzip
import resource
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from jobd.sources import ReadOptions, open_source
from jobd.sources.source import sha256
from tests.bench import data

if TYPE_CHECKING:
    from collections.abc import Callable


def measure(name: str, rows: int, size: int, work: Callable[[], object]) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{name:28s} {rows / wall / 1000:8.0f} k rows/s {size / wall / 1e6:7.0f} MB/s "
        f"{wall:6.2f} s wall {cpu:6.2f} s CPU  peak {peak:4.0f} MB  {result}"
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=2_000_000)
    arguments.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()) / "jobd-bench")
    arguments.add_argument("--only")
    chosen = arguments.parse_args()
    chosen.directory.mkdir(parents=True, exist_ok=True)
    for kind in ("csv", "bad", "jsonl", "json", "gzip"):
        if chosen.only in {None, kind}:
            read(chosen.directory, kind, chosen.rows)


def make(directory: Path, kind: str, rows: int) -> Path:
    path = directory / f"{kind}-{rows}.{kind if kind in {'json', 'jsonl'} else 'csv'}"
    if kind == "jsonl":
        data.write_jsonl(path, rows)
    elif kind == "json":
        data.write_json(path, rows)
    elif kind == "gzip":
        plain, path = make(directory, "csv", rows), path.with_suffix(".csv.gz")
        if not path.exists():
            with plain.open("rb") as source, gzip.open(path, "wb", compresslevel=6) as target:
                shutil.copyfileobj(source, target, 1 << 20)
    else:
        data.write_csv(path, rows, bad_share=0.01 if kind == "bad" else 0.0)
    return path


def read(directory: Path, kind: str, rows: int) -> None:
    path = make(directory, kind, rows)
    with open_source(str(path), roots=[directory], options=ReadOptions()) as source:
        size = source.size_bytes

        def batches() -> str:
            taken = refused = 0
            for batch in source.batches(None, 20_000, 4 << 20):
                taken += len(batch)
                refused += len(batch.refused)
            return f"{taken} taken, {refused} refused"

        measure(f"{kind}: batches", rows, size, batches)
        measure(f"{kind}: count", rows, size, source.count_rows)
        measure(f"{kind}: estimate", rows, size, source.estimate_rows)
        measure(f"{kind}: sha256", rows, size, lambda: sha256(source._file)[:8])


if __name__ == "__main__":
    main()
