"""Sources of many files whose formats or fields differ."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from jobd.sources import Feed, FeedOptions, Places, ReadOptions, open_files
from tests.support.sources import cells

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jobd.model.cursor import Cursor
    from jobd.sources import RecordBatch


def rows_of(batch: RecordBatch) -> list[Any]:
    rows = [dict(zip(batch.header, cells(batch, index), strict=True)) for index in range(len(batch))]
    return [*rows, *(each.code for each in batch.refused)]


def read(directory: Path, detected: Mapping[int, Any], cursor: Cursor | None, max_rows: int) -> RecordBatch | None:
    """One batch of files opened for it, as after an interruption; ``detected`` learns how they are read."""
    options = FeedOptions(reading=ReadOptions(), detected=detected)
    with closing(open_files(str(directory), Places(roots=[directory]))) as files:
        feed = Feed(files, options, cursor)
        feed.accepts = lambda name: name != "unknown"
        with closing(feed):
            first = feed.first()
            if first is not None and not detected:
                assert isinstance(detected, dict)
                detected[feed.place] = dict(first.detected)
            return feed.read(max_rows, 1 << 20)


def all_rows(directory: Path, max_rows: int) -> list[Any]:
    detected: dict[int, Any] = {}
    rows: list[Any] = []
    cursor = None
    while (batch := read(directory, detected, cursor, max_rows)) is not None:
        rows += rows_of(batch)
        cursor = batch.cursor
        detected |= {span.file: dict(span.detected) for span in batch.spans if span.detected is not None}
    return rows


def test_fields_that_turned_up_in_json_do_not_concern_the_csv_behind_it(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 1}\n' * 101 + '{"id": 2, "late": 3}\n')
    (tmp_path / "b.csv").write_text("id,name\n4,Ann\n")
    (tmp_path / "c.jsonl").write_text('{"late": 5}\n')
    expected = [{"id": "4", "name": "Ann"}, {"id": None, "late": "5"}]
    assert all_rows(tmp_path, 1000)[-2:] == expected
    assert all_rows(tmp_path, 1)[-2:] == expected


def test_after_an_interruption_json_files_still_have_the_first_one_s_fields(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 1, "name": "Ann"}\n')
    (tmp_path / "b.jsonl").write_text('{"id": 2, "unknown": 1}\n')
    (tmp_path / "c.jsonl").write_text('{"id": 3}\n')
    expected = [{"id": "1", "name": "Ann"}, "unknown_field", {"id": "3", "name": None}]
    assert all_rows(tmp_path, 1) == expected


def test_behind_a_first_file_that_is_no_json_each_json_file_has_its_own_fields(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    (tmp_path / "b.json").write_text('{"id": 2}')
    (tmp_path / "c.json").write_text('{"id": 3, "name": "x"}')
    (tmp_path / "d.json").write_text('{"name": "y"}')
    expected = [{"id": "1"}, {"id": "2"}, {"id": "3", "name": "x"}, {"name": "y"}]
    assert all_rows(tmp_path, 1) == expected
    with closing(open_files(str(tmp_path), Places(roots=[tmp_path]))) as files:
        feed = Feed(files, FeedOptions(reading=ReadOptions(), detected={}))
        feed.accepts = lambda _name: True
        rows: list[Any] = []
        while (batch := feed.read(1000, 1 << 20)) is not None:
            rows += rows_of(batch)
        feed.close()
    assert rows == expected
