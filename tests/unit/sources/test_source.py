from __future__ import annotations

import gzip
import hashlib
import os
from functools import partial
from typing import TYPE_CHECKING

import pytest

from jobd.errors import SourceChanged
from jobd.model.cursor import Cursor
from jobd.sources.source import Interrupted, sha256
from tests.bench import data

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jobd.sources import Source

CONTENT = b"id,name\n" + b"".join(b"%d,name of %d\n" % (number, number) for number in range(1, 3001))


def cursor_after(source: Source, rows: int) -> Cursor:
    batch = source.reader().read(rows, 1 << 20)
    assert batch is not None
    return batch.cursor


def test_a_cursor_survives_the_job_row_and_only_advances() -> None:
    cursor = Cursor(byte=10, row=2, line=3, size=99, modified_ns=5, block_bytes=4, block_hash="ab")
    assert Cursor.from_json(cursor.to_json()) == cursor
    assert Cursor.from_json({**cursor.to_json(), "note": "other"}) == cursor
    assert Cursor.from_json({}) == Cursor()
    assert cursor.is_behind(Cursor(byte=11, row=3))
    assert not cursor.is_behind(cursor)


def test_reading_continues_behind_the_cursor(opened: Callable[..., Source]) -> None:
    source = opened(CONTENT)
    cursor = cursor_after(source, 100)
    assert (cursor.row, cursor.line) == (100, 102)
    source.verify(cursor)
    batch = source.reader(cursor).read(3, 1 << 20)
    assert batch is not None
    assert batch.data == b"101,name of 101\n102,name of 102\n103,name of 103\n"
    assert (batch.rows.tolist(), batch.lines.tolist()) == ([101, 102, 103], [102, 103, 104])
    assert batch.bytes_read == len(batch.data)


def test_a_changed_source_is_noticed_before_the_first_row(opened: Callable[..., Source]) -> None:
    cursor = cursor_after(opened(CONTENT), 100)
    with pytest.raises(SourceChanged, match="bytes long and was"):
        opened(CONTENT + b"1,x\n").reader(cursor)
    changed = CONTENT.replace(b"name of 98\n", b"NAME of 98\n")
    with pytest.raises(SourceChanged, match="before byte"):
        opened(changed).verify(cursor)


def test_another_modification_time_alone_changes_nothing(opened: Callable[..., Source]) -> None:
    source = opened(CONTENT)
    cursor = cursor_after(source, 100)
    os.utime(source.name, (1, 1))
    opened(CONTENT).verify(cursor)


def test_a_batch_ends_at_rows_or_bytes_and_holds_at_least_one_record(opened: Callable[..., Source]) -> None:
    source = opened(CONTENT)
    sizes = [len(batch) for batch in source.batches(None, 700, 1 << 20)]
    assert sizes == [700, 700, 700, 700, 200]
    batches = list(source.batches(None, 10_000, 1000))
    assert all(len(batch.data) <= 1000 for batch in batches)
    assert sum(map(len, batches)) == 3000
    assert [len(batch) for batch in source.batches(None, 10, 1)] == [1] * 3000
    reader = source.reader()
    assert [len(reader.read(rows, 1 << 20) or ()) for rows in (1, 2000, 5)] == [1, 2000, 5]


def test_count_and_hash_are_exact_and_can_be_called_off(opened: Callable[..., Source]) -> None:
    source = opened(CONTENT)
    assert source.count_rows() == 3000
    assert sha256(source._file) == hashlib.sha256(CONTENT).hexdigest()
    for work in (source.count_rows, partial(sha256, source._file)):
        with pytest.raises(Interrupted):
            work(lambda: True)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_an_estimate_is_near_without_reading_it_all(
    tmp_path: Path, opened: Callable[..., Source], kind: str
) -> None:
    path = tmp_path / f"rows.{kind}"
    (data.write_csv if kind == "csv" else data.write_jsonl)(path, 30_000)
    source = opened(path.read_bytes(), name=f"again.{kind}")
    assert source.count_rows() == 30_000
    assert abs(source.estimate_rows() - 30_000) < 600
    assert opened(CONTENT).estimate_rows() == 3000
    packed = opened(gzip.compress(path.read_bytes()), name=f"again.{kind}.gz")
    assert abs(packed.estimate_rows() - 30_000) < 1500
    assert len(source.header) == 10


def test_the_bench_file_has_the_faults_it_promises(tmp_path: Path, opened: Callable[..., Source]) -> None:
    data.write_csv(tmp_path / "bad.csv", 8000, bad_share=0.01)
    data.write_csv(tmp_path / "clean.csv", 8000)
    source = opened((tmp_path / "bad.csv").read_bytes())
    refused = [each for batch in source.batches(None, 20_000, 4 << 20) for each in batch.refused]
    assert {each.code for each in refused} == {"too_few_fields", "too_many_fields"}
    assert len(refused) == 20, "a fault of eight kinds on every hundredth row"
    bad, clean = ((tmp_path / name).read_text().split("\n") for name in ("bad.csv", "clean.csv"))
    assert source.count_rows() == 8000
    assert len(bad) <= len(clean)
