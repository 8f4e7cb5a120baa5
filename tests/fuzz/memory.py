"""How much memory reading takes, however large the file: `python -m tests.fuzz.memory [megabytes]`.

A file of each kind is made, read to its end by a process of its own, and removed; the peak of that process is
printed. Ends with 1 where one is above the bound.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from jobd.sources import Feed, FeedOptions, Places, ReadOptions, open_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BOUND_BYTES = 150_000_000
_PIECE_BYTES = 8 << 20
_DICE = random.Random(1)  # noqa: S311  nothing secret


def _csv_piece() -> bytes:
    return "".join(
        f'{number},name of {_DICE.randrange(10**9)},"a ""note"", {_DICE.random()}",2024-02-29\n'
        for number in range(_PIECE_BYTES // 60)
    ).encode()


def _json_piece(end: str) -> bytes:
    records = (
        {"id": number, "name": f"name of {_DICE.randrange(10**9)}", "tags": [1, {"a": _DICE.random()}]}
        for number in range(_PIECE_BYTES // 90)
    )
    return "".join(json.dumps(record) + end for record in records).encode()


def _repeated(head: bytes, piece: bytes, size: int, tail: bytes = b"") -> Iterator[bytes]:
    yield head
    for _ in range(-(-size // len(piece))):
        yield piece
    yield tail


def _write(path: Path, pieces: Iterator[bytes]) -> None:
    with path.open("wb") as out:
        out.writelines(pieces)


def _gzip(path: Path, size: int) -> None:
    piece = _csv_piece()
    packed = gzip.compress(piece, 1)
    _write(path, _repeated(gzip.compress(b"id,name,note,day\n"), packed, size * len(packed) // len(piece)))


def _zip(path: Path, size: int) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("a.csv", "w", force_zip64=True) as member,
    ):
        for piece in _repeated(b"id,name,note,day\n", _csv_piece(), size):
            member.write(piece)


def _tar(path: Path, size: int) -> None:
    piece = b"id,name,note,day\n" + _csv_piece()
    with tarfile.open(path, "w") as archive:
        for number in range(-(-size // len(piece))):
            header = tarfile.TarInfo(f"{number:04}.csv")
            header.size = len(piece)
            archive.addfile(header, io.BytesIO(piece))


def _one_line(path: Path, size: int) -> None:
    """A record that is longer than any may be, which is passed over."""
    _write(path, _repeated(b'id,name\n1,"', b"x" * _PIECE_BYTES, size, b'"\n2,y\n'))


KINDS: dict[str, Callable[[Path, int], None]] = {
    "a.csv": lambda path, size: _write(path, _repeated(b"id,name,note,day\n", _csv_piece(), size)),
    "a.jsonl": lambda path, size: _write(path, _repeated(b"", _json_piece("\n"), size)),
    "a.json": lambda path, size: _write(path, _repeated(b"[", _json_piece(",\n"), size, b'{"id": 0}]')),
    "a.txt": lambda path, size: _write(path, _repeated(b"", _csv_piece().replace(b",", b" "), size)),
    "long.csv": _one_line,
    "a.csv.gz": _gzip,
    "a.zip": _zip,
    "a.tar": _tar,
}


def main() -> int:
    """Measure every kind, or those that are named."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    worst = 0
    for name in sys.argv[2:] or KINDS:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory).resolve() / name
            KINDS[name](path, megabytes * 1_000_000)
            began_at = time.monotonic()
            child = subprocess.run(
                [sys.executable, "-c", "from tests.fuzz.memory import read; read()", str(path)],
                stdout=subprocess.PIPE,
                check=True,
            )
            count, refused, peak = map(int, child.stdout.split())
            seconds = time.monotonic() - began_at
            print(
                f"{name:10} {path.stat().st_size / 1e6:6.0f} MB  {count:10,} records  {refused:3} refused  "
                f"{seconds:5.1f} s  peak {peak / 1e6:5.1f} MB",
                flush=True,
            )
            worst = max(worst, peak)
    return int(worst > BOUND_BYTES)


def read() -> None:
    """In the process of its own: read the file to its end, and print what there was and the most memory held."""
    path = Path(sys.argv[1])
    count = refused = 0
    with closing(open_files(str(path), Places(roots=[path.parent]))) as files:
        feed = Feed(files, FeedOptions(reading=ReadOptions(), detected={}))
        first = feed.first()
        assert first is not None
        first.estimate_rows()
        while (batch := feed.read(20_000, 4 << 20)) is not None:
            count += batch.record_count
            refused += len(batch.refused)
        feed.close()
    # What getrusage says begins with the peak of whoever started the process.
    peak = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert peak is not None
    print(count, refused, int(peak[1]) * 1024)


if __name__ == "__main__":
    sys.exit(main())
