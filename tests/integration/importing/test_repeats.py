"""Content that was imported before is not imported again, unless it is to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.daemons import daemon_within, job_row, wait_for_status
from tests.support.importing import write
from tests.support.imports import submit_import

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database


class Shop:
    """Targets, and a directory to import from."""

    def __init__(self, database: Database, directory: Path) -> None:
        self.database = database
        self.directory = directory

    async def run(self, source: str, target: str = "public.orders", **options: Any) -> Mapping[str, Any]:
        """Import to the end; the job's row."""
        return await self.run_with(source, target, options)

    async def run_with(
        self, source: str, target: str, options: Mapping[str, Any], **columns: Any
    ) -> Mapping[str, Any]:
        job_id = await submit_import(self.database, self.directory / source, target, options, **columns)
        async with daemon_within(self.database, import_roots=self.directory):
            await wait_for_status(self.database, job_id, "completed", "failed")
        return await job_row(self.database, job_id)

    async def statuses(self, job_id: UUID) -> list[str]:
        rows = await self.database.fetch(
            "select status from jobd.job_file where job_id = $1 order by position", job_id
        )
        return [row[0] for row in rows]


@pytest.fixture
async def shop(database: Database, tmp_path: Path) -> Shop:
    await database.execute("create table public.orders (id int primary key, n int)")
    await database.execute("create table public.others (id int primary key, n int)")
    return Shop(database, tmp_path)


async def test_the_same_content_again_completes_before_its_first_row_and_names_the_first_job(shop: Shop) -> None:
    write(shop.directory / "a.csv", "id,n\n1,1\n2,2\n")
    first = await shop.run("a.csv")
    write(shop.directory / "b.csv", "id,n\n1,1\n2,2\n")
    again = await shop.run("b.csv")
    assert (again["status"], again["duplicate_of"]) == ("completed", first["id"])
    assert (again["processed_rows"], again["progress"]) == (0, 100)
    assert again["file_hash"] == first["file_hash"]
    assert await shop.statuses(again["id"]) == ["unchanged"]
    assert (again["files_total"], again["files_done"]) == (1, 1)


async def test_force_imports_the_same_content_again(shop: Shop) -> None:
    write(shop.directory / "a.csv", "id,n\n1,1\n2,2\n")
    await shop.run("a.csv")
    again = await shop.run("a.csv", force=True)
    assert (again["duplicate_of"], again["items_unchanged"]) == (None, 2)


@pytest.mark.parametrize(
    "options", [{"constants": {"n": 5}}, {"columns": {"id": "id"}}, {"key": []}, {"on_conflict": "skip"}]
)
async def test_another_target_key_or_mapping_is_another_import_and_the_same_key_is_not(
    shop: Shop, options: dict[str, Any]
) -> None:
    write(shop.directory / "a.csv", "id\n1\n")
    first = await shop.run("a.csv")
    again = await shop.run("a.csv", **options)
    expected = first["id"] if options == {"on_conflict": "skip"} else None
    assert again["duplicate_of"] == expected
    assert (await shop.run("a.csv", key=["id"]))["duplicate_of"] is not None
    assert (await shop.run("a.csv", "public.others"))["items_added"] == 1


@pytest.mark.parametrize("text", ["id,n\n1,1\nx,2\n", "id,n\n"])
async def test_content_with_refused_rows_or_without_any_is_imported_again(shop: Shop, text: str) -> None:
    write(shop.directory / "a.csv", text)
    await shop.run("a.csv")
    again = await shop.run("a.csv")
    assert again["duplicate_of"] is None


async def test_content_of_the_same_size_is_told_apart_by_its_hash(shop: Shop) -> None:
    write(shop.directory / "a.csv", "id,n\n1,1\n")
    await shop.run("a.csv")
    write(shop.directory / "a.csv", "id,n\n2,2\n")
    assert (await shop.run("a.csv"))["items_added"] == 1


async def test_the_same_directory_again_is_the_same_content_until_a_file_changes(shop: Shop) -> None:
    (shop.directory / "in").mkdir()
    write(shop.directory / "in" / "a.csv", "id,n\n1,1\n")
    write(shop.directory / "in" / "b.csv", "id,n\n2,2\n")
    first = await shop.run("in")
    assert (await shop.run("in"))["duplicate_of"] == first["id"]
    write(shop.directory / "in" / "b.csv", "id,n\n3,3\n")
    assert (await shop.run("in"))["items_added"] == 1


async def test_changed_only_reads_the_files_that_differ_from_the_last_import(shop: Shop) -> None:
    (shop.directory / "in").mkdir()
    for number in (1, 2, 3):
        write(shop.directory / "in" / f"{number}.csv", f"id,n\n{number},{number}\n")
    await shop.run("in")
    write(shop.directory / "in" / "2.csv", "id,n\n2,22\n")
    write(shop.directory / "in" / "4.csv", "id,n\n4,4\n")
    again = await shop.run("in", changed_only=True)
    assert (again["items_added"], again["items_updated"], again["items_unchanged"]) == (1, 1, 0)
    assert await shop.statuses(again["id"]) == ["unchanged", "completed", "unchanged", "completed"]
    assert (again["files_total"], again["files_done"]) == (4, 4)
    write(shop.directory / "in" / "5.csv", "id,n\n5,5\n")
    third = await shop.run("in", changed_only=True)
    assert await shop.statuses(third["id"]) == ["unchanged"] * 4 + ["completed"]


@pytest.mark.parametrize("reverted", [0, 1])
async def test_changed_only_reads_everything_after_a_revert(shop: Shop, reverted: int) -> None:
    (shop.directory / "in").mkdir()
    write(shop.directory / "in" / "1.csv", "id,n\n1,1\n")
    jobs = [await shop.run("in", track_changes=True)]
    write(shop.directory / "in" / "2.csv", "id,n\n2,2\n")
    jobs.append(await shop.run("in", track_changes=True, changed_only=True))
    assert await shop.statuses(jobs[1]["id"]) == ["unchanged", "completed"]
    assert await shop.database.fetchval("select jobd.revert($1)", jobs[reverted]["id"]) == 0
    again = await shop.run("in", changed_only=True)
    assert (again["items_added"], again["items_unchanged"]) == (1, 1)


async def test_changed_only_the_first_time_reads_everything(shop: Shop) -> None:
    write(shop.directory / "a.csv", "id,n\n1,1\n")
    assert (await shop.run("a.csv", changed_only=True))["items_added"] == 1


async def test_a_stated_hash_is_verified_before_the_first_row(shop: Shop) -> None:
    write(shop.directory / "a.csv", "id,n\n1,1\n")
    job = await shop.run_with("a.csv", "public.orders", {}, file_hash="0" * 64)
    assert (job["error_code"], job["processed_rows"]) == ("hash_mismatch", 0)
