"""A job whose source is a directory or a pattern: its files in the order of their names, as one import."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.support.importing import import_file, write

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from tests.support.importing import Imported

SIZES = [1, 3, 20_000]


@pytest.fixture
async def target(connection: asyncpg.Connection) -> asyncpg.Connection:
    await connection.execute("create table t (id int primary key, n int, source text)")
    return connection


def three(directory: Path) -> Path:
    write(directory / "b.csv", "id,n\n2,20\nx,21\n3,30\n")
    write(directory / "a.csv", "id,n\n1,10\n")
    write(directory / "c.csv", "id,n\n4,40\n5,50,\n")
    return directory


async def rows(connection: asyncpg.Connection) -> list[tuple[int, int]]:
    return [tuple(row) for row in await connection.fetch("select id, n from t order by id")]


@pytest.mark.parametrize("size", SIZES)
async def test_the_files_of_a_directory_are_one_import(
    target: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    imported = await import_file(target, three(tmp_path), "t", batch_size=size)
    assert imported.failure is None
    assert await rows(target) == [(1, 10), (2, 20), (3, 30), (4, 40)]
    assert imported.counts == (4, 0, 0, 0, 2)
    assert [entry.name for entry in imported.begun["files"]] == [str(tmp_path / f"{name}.csv") for name in "abc"]
    assert imported.file_statuses == {1: "completed", 2: "completed", 3: "completed"}
    assert [imported.file_tallies[place].refused for place in (1, 2, 3)] == [0, 1, 1]
    assert [imported.file_tallies[place].added for place in (1, 2, 3)] == [1, 2, 1]


@pytest.mark.parametrize("size", SIZES)
async def test_an_error_names_its_file_and_the_row_within_it(
    target: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    imported = await import_file(target, three(tmp_path), "t", batch_size=size)
    assert [(error.file, error.row_number, error.line_number, error.code) for error in imported.errors] == [
        (str(tmp_path / "b.csv"), 2, 3, "invalid_value"),
        (str(tmp_path / "c.csv"), 2, 3, "too_many_fields"),
    ]
    assert [(reject.file, reject.record) for reject in imported.rejects] == [
        (str(tmp_path / "b.csv"), b"x,21"),
        (str(tmp_path / "c.csv"), b"5,50,"),
    ]


async def test_hidden_files_and_directories_within_are_passed_over(
    target: asyncpg.Connection, tmp_path: Path
) -> None:
    write(tmp_path / ".a.csv", "id,n\n9,9\n")
    (tmp_path / "below").mkdir()
    write(tmp_path / "below" / "a.csv", "id,n\n8,8\n")
    write(tmp_path / "a.csv", "id,n\n1,10\n")
    imported = await import_file(target, tmp_path, "t")
    assert imported.counts == (1, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.csv", [1]),
        ("?.csv", [1]),
        ("[b-z]*", [2]),
        ("*/*.csv", [3]),
        ("**/*.csv", [1, 3, 4]),
        ("**", [1, 2, 3, 4]),
        ("d*/**/c.csv", [4]),
    ],
)
async def test_a_pattern_chooses_files(
    target: asyncpg.Connection, tmp_path: Path, pattern: str, found: list[int]
) -> None:
    (tmp_path / "d" / "e").mkdir(parents=True)
    for number, name in enumerate(("a.csv", "b.txt", "d/b.csv", "d/e/c.csv"), 1):
        write(tmp_path / name, f"id,n\n{number},0\n")
    imported = await import_file(target, tmp_path / pattern, "t", {"header": True}, source_type="csv")
    assert imported.failure is None
    assert [row[0] for row in await rows(target)] == found


async def test_a_file_whose_name_looks_like_a_pattern_is_that_file(
    target: asyncpg.Connection, tmp_path: Path
) -> None:
    write(tmp_path / "a[1].csv", "id,n\n1,1\n")
    write(tmp_path / "a1.csv", "id,n\n2,2\n")
    imported = await import_file(target, tmp_path / "a[1].csv", "t")
    assert imported.counts == (1, 0, 0, 0, 0)
    assert await rows(target) == [(1, 1)]


@pytest.mark.parametrize("pattern", ["*.json", "none/*.csv"])
async def test_a_pattern_that_matches_nothing_fails_the_job(
    target: asyncpg.Connection, tmp_path: Path, pattern: str
) -> None:
    write(tmp_path / "a.csv", "id\n1\n")
    imported = await import_file(target, tmp_path / pattern, "t")
    assert imported.failure is not None
    assert imported.failure.error_code == "source_missing"
    assert pattern in str(imported.failure)


async def test_a_link_that_leaves_the_roots_is_refused_by_name(target: asyncpg.Connection, tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    write(tmp_path / "secret.csv", "id,n\n1,1\n")
    (root / "a.csv").symlink_to(tmp_path / "secret.csv")
    imported = await import_file(target, root, "t", roots=[root])
    assert imported.failure is not None
    assert imported.failure.error_code == "source_forbidden"
    assert await rows(target) == []


@pytest.mark.parametrize("size", SIZES)
async def test_files_may_have_their_columns_in_another_order_and_be_written_otherwise(
    target: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    write(tmp_path / "a.csv", "id,n\n1,10\n")
    write(tmp_path / "b.csv", "n;id\n20;2\nx;3\n")
    write(tmp_path / "c.jsonl", '{"id": 4, "source": "json"}\n{"n": 50, "id": 5}\n')
    write(tmp_path / "d.csv", "id,n\n6,60\n")
    imported = await import_file(target, tmp_path, "t", batch_size=size)
    assert imported.failure is None
    assert await rows(target) == [(1, 10), (2, 20), (4, None), (5, 50), (6, 60)]
    assert [(error.field, error.raw_data) for error in imported.errors] == [("n", "x")]


async def test_a_file_that_does_not_fit_the_target_fails_the_job_behind_those_before_it(
    target: asyncpg.Connection, tmp_path: Path
) -> None:
    write(tmp_path / "a.csv", "id,n\n1,10\n")
    write(tmp_path / "b.csv", "id,colour\n2,red\n")
    write(tmp_path / "c.csv", "id,n\n3,30\n")
    imported = await import_file(target, tmp_path, "t")
    assert imported.failure is not None
    assert imported.failure.error_code == "unknown_column"
    assert await rows(target) == [(1, 10)]
    write(tmp_path / "b.csv", "id,n\n2,200\n")
    os.truncate(tmp_path / "b.csv", 15 - 4)
    continued = await import_file(target, tmp_path, "t", continued=imported)
    assert continued.failure is not None
    assert continued.failure.error_code == "source_changed"


@pytest.mark.parametrize("size", SIZES)
async def test_files_that_cannot_be_read_are_skipped_on_request(
    target: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    write(tmp_path / "a.csv", "")
    write(tmp_path / "b.csv", "id,n\n1,10\n")
    write(tmp_path / "c.csv", "id,colour\n2,red\n")
    write(tmp_path / "d.csv", b"PK\x03\x04 this is no zip")
    write(tmp_path / "e.csv", "id,n\n3,30\n")
    write(tmp_path / "f.csv", "\n\n")
    imported = await import_file(target, tmp_path, "t", {"on_file_error": "skip"}, batch_size=size)
    assert imported.failure is None
    assert await rows(target) == [(1, 10), (3, 30)]
    assert imported.file_statuses == {
        1: "failed", 2: "completed", 3: "failed", 4: "failed", 5: "completed", 6: "failed",
    }  # fmt: skip
    assert imported.file_errors[1] == "source_empty"
    assert imported.file_errors[3] == "unknown_column"


async def test_a_job_all_of_whose_files_are_broken_fails(target: asyncpg.Connection, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "")
    write(tmp_path / "b.csv", "")
    imported = await import_file(target, tmp_path, "t", {"on_file_error": "skip"})
    assert imported.failure is not None
    assert imported.failure.error_code == "source_empty"
    assert "none of 2 files" in str(imported.failure)


async def test_files_with_nothing_but_a_header_complete(target: asyncpg.Connection, tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / f"{name}.csv", "id,n\n")
    imported = await import_file(target, tmp_path, "t")
    assert imported.failure is None
    assert imported.counts == (0, 0, 0, 0, 0)
    assert set(imported.file_statuses.values()) == {"completed"}


class Interruption(Exception):
    pass


async def _interrupted(connection: asyncpg.Connection, source: Path, size: int) -> Imported:
    """An import that breaks off before every batch once, and goes on where it was."""
    stopped_at: set[int] = set()

    async def stop(batch: int) -> None:
        if batch not in stopped_at:
            stopped_at.add(batch)
            raise Interruption

    imported: Imported | None = None
    while True:
        kept: list[Imported] = []
        try:
            return await import_file(
                connection, source, "t", {"on_file_error": "skip"}, continued=imported, before_batch=stop,
                batch_size=size, keep=kept,
            )  # fmt: skip
        except* Interruption:
            imported = kept[0]


@pytest.mark.parametrize("size", SIZES)
async def test_interruptions_between_and_within_files_change_nothing(
    target: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    three(tmp_path)
    write(tmp_path / "aa.csv", "")
    write(tmp_path / "bb.jsonl", '{"id": 7}\n{"id": 8, "n": "z"}\n{"id": 9, "source": "late"}\n')
    write(tmp_path / "d.csv", "")
    imported = await _interrupted(target, tmp_path, size)
    assert imported.failure is None
    assert await rows(target) == [(1, 10), (2, 20), (3, 30), (4, 40), (7, None), (9, None)]
    assert imported.counts == (6, 0, 0, 0, 3)
    assert sorted(imported.file_statuses.items()) == [
        (1, "completed"), (2, "failed"), (3, "completed"), (4, "completed"), (5, "completed"), (6, "failed"),
    ]  # fmt: skip


async def test_max_errors_counts_over_all_files(target: asyncpg.Connection, tmp_path: Path) -> None:
    for name in "abcd":
        write(tmp_path / f"{name}.csv", f"id,n\n{ord(name)},1\nx,1\n")
    imported = await import_file(target, tmp_path, "t", {"max_errors": 2})
    assert imported.failure is not None
    assert imported.failure.error_code == "too_many_errors"
    assert imported.counts == (3, 0, 0, 0, 3)


async def test_the_hash_of_many_files_is_that_of_their_list(target: asyncpg.Connection, tmp_path: Path) -> None:
    three(tmp_path)
    imported = await import_file(target, tmp_path, "t")
    assert len(imported.begun["file_hash"]) == 64
    assert len(set(imported.begun["file_hashes"])) == 3
    again = await import_file(target, tmp_path, "t")
    assert again.begun["file_hash"] == imported.begun["file_hash"]
    assert json.dumps(again.begun["detected"])
