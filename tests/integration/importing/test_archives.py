"""An archive as the source of a job: its members are the job's files."""

from __future__ import annotations

import io
import random
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.support.importing import import_file, write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import asyncpg

    Pack = Callable[[Mapping[str, bytes]], bytes]

MEMBERS = {"b.csv": b"id,n\n3,30\nx,1\n", "a.csv": b"id,n\n1,10\n2,20\n", "d/c.csv": b"n,id\n40,4\n"}


def zipped(members: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def tarred(mode: str) -> Pack:
    def pack(members: Mapping[str, bytes]) -> bytes:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode=f"w:{mode}") as archive:  # type: ignore[call-overload]
            for name, content in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return packed.getvalue()

    return pack


@pytest.fixture
async def target(connection: asyncpg.Connection) -> asyncpg.Connection:
    await connection.execute("create table t (id int primary key, n int)")
    return connection


@pytest.mark.parametrize("size", [1, 20_000])
@pytest.mark.parametrize("pack", [zipped, tarred(""), tarred("gz"), tarred("xz")])
async def test_the_members_of_an_archive_are_one_import_whatever_its_name(
    target: asyncpg.Connection, tmp_path: Path, pack: Pack, size: int
) -> None:
    path = write(tmp_path / "upload.csv", pack(MEMBERS))
    imported = await import_file(target, path, "t", batch_size=size)
    assert imported.failure is None
    assert [tuple(row) for row in await target.fetch("select id, n from t order by id")] == [
        (1, 10), (2, 20), (3, 30), (4, 40),
    ]  # fmt: skip
    assert [entry.name for entry in imported.begun["files"]] == [
        f"{path}!/{name}" for name in ("a.csv", "b.csv", "d/c.csv")
    ]
    assert [(error.file, error.row_number) for error in imported.errors] == [(f"{path}!/b.csv", 2)]


async def test_a_member_whose_name_leads_elsewhere_fails_the_job_and_can_be_skipped(
    target: asyncpg.Connection, tmp_path: Path
) -> None:
    path = write(tmp_path / "slip.zip", zipped({"../../etc/a.csv": b"id,n\n9,9\n", "b.csv": b"id,n\n1,1\n"}))
    refused = await import_file(target, path, "t")
    assert refused.failure is not None
    assert refused.failure.error_code == "source_forbidden"
    skipped = await import_file(target, path, "t", {"on_file_error": "skip"})
    assert skipped.failure is None
    assert skipped.counts == (1, 0, 0, 0, 0)
    assert sorted(skipped.file_statuses.values()) == ["completed", "failed"]


@pytest.mark.parametrize("pack", [tarred(""), tarred("gz")])
async def test_a_truncated_archive_fails_the_job_and_keeps_what_came_before(
    target: asyncpg.Connection, tmp_path: Path, pack: Pack
) -> None:
    noise = random.Random(1)  # noqa: S311  which no compression takes away
    big = b"id,n\n" + b"".join(b"%d,%d\n" % (row, noise.randrange(10**9)) for row in range(10, 30_000))
    packed = pack({"a.csv": b"id,n\n1,1\n", "b.csv": big})
    imported = await import_file(target, write(tmp_path / "a.tar", packed[: len(packed) // 2]), "t")
    assert imported.failure is not None
    assert imported.failure.error_code in {"source_truncated", "source_corrupt"}
    assert 1 < imported.tally.added < 29_991
    assert await target.fetchval("select count(*) from t") == imported.tally.added


async def test_an_archive_that_was_exchanged_is_another_source(target: asyncpg.Connection, tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", zipped({"a.csv": b"id,n\n1,1\n", "b.csv": b"id,n\nx,1\n"}))
    imported = await import_file(target, path, "t", {"max_errors": 0})
    assert imported.failure is not None
    write(path, zipped({"a.csv": b"id,n\n1,1\n", "b.csv": b"id,n\n2,1\n", "c.csv": b"id,n\n"}))
    again = await import_file(target, path, "t", {"max_errors": 0}, continued=imported)
    assert again.failure is not None
    assert again.failure.error_code == "source_changed"


async def test_an_archive_without_files_is_an_empty_source(target: asyncpg.Connection, tmp_path: Path) -> None:
    imported = await import_file(target, write(tmp_path / "a.zip", zipped({})), "t")
    assert imported.failure is not None
    assert imported.failure.error_code == "source_empty"
