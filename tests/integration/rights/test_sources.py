"""Goal: a job reads what its submitter is limited to, whatever its source says, and tells nothing of the rest."""

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.rights.scene import Scene
    from tests.sql.roles import Submitter


async def make_shop(scene: Scene) -> tuple[Submitter, Path, Path]:
    """A submitter that is limited to a directory, the directory, and another's beside it."""
    name = f"shop{len(list(scene.place.root.iterdir()))}"
    shop, bank = scene.place.root / name, scene.place.root / f"{name}-bank"
    for directory in (shop, bank):
        directory.mkdir()
        scene.file(["id,name", "1,ann"], f"{directory.name}/a.csv")
        scene.file(["id,name", "2,bob"], f"{directory.name}/b.csv")
    submitter = await scene.submitter(import_roots=[str(shop)])
    await submitter.connection.execute(f"create table {submitter.role}.t (id int primary key, name text)")
    return submitter, shop, bank


@pytest.mark.parametrize(
    "source", ["{shop}", "{shop}/*.csv", "{shop}/**", "{shop}/?.csv", "file://{shop}/[ab].csv"]
)
async def test_directories_and_patterns_inside_the_limit_are_read(scene: Scene, source: str) -> None:
    submitter, shop, _ = await make_shop(scene)
    job = await scene.run(submitter, f"{submitter.role}.t", source.format(shop=shop))
    assert (job["status"], job["items_added"], job["files_total"]) == ("completed", 2, 2), job["error_message"]


@pytest.mark.parametrize(
    "source",
    [
        "{bank}", "{bank}/a.csv", "{bank}/*", "{shop}/../{bank.name}/a.csv", "{shop}*/a.csv",
        "{shop.parent}/*/*.csv",        "{shop.parent}/**", "{shop.parent}", "{shop}/../*/a.csv", "file://{bank}/a.csv",
        "file://{shop}/%2e%2e/{bank.name}/a.csv", "{shop}/./.././{bank.name}",
        "/proc/self/environ", "/proc/self/fd/0", "/dev/stdin", "/dev/fd/0", "/etc/passwd", "/etc/pass*",
        "/proc/*/environ", "//etc/passwd", "relative.csv", "../a.csv",
    ],
)  # fmt: skip
async def test_nothing_outside_the_limit_is_read(scene: Scene, source: str) -> None:
    submitter, shop, bank = await make_shop(scene)
    job = await scene.run(submitter, f"{submitter.role}.t", source.format(shop=shop, bank=bank))
    assert (job["status"], job["error_code"], job["items_added"]) == ("failed", "source_forbidden", 0)
    assert await scene.database.fetchval("select count(*) from jobd.job_file where job_id = $1", job["id"]) == 0


@pytest.mark.parametrize("source", ["{shop}/link.csv", "{shop}", "{shop}/*", "{shop}/link/a.csv", "{shop}/link"])
async def test_links_lead_nowhere(scene: Scene, source: str) -> None:
    submitter, shop, bank = await make_shop(scene)
    (shop / "link.csv").symlink_to(bank / "a.csv")
    (shop / "link").symlink_to(bank)
    job = await scene.run(submitter, f"{submitter.role}.t", source.format(shop=shop))
    assert (job["status"], job["error_code"], job["items_added"]) == ("failed", "source_forbidden", 0)
    assert await scene.database.fetchval("select count(*) from jobd.job_file where job_id = $1", job["id"]) == 0


async def test_where_links_of_others_lead_is_not_told(scene: Scene) -> None:
    submitter, _, bank = await make_shop(scene)
    (bank / "link.csv").symlink_to(bank / "vault.csv")
    messages = []
    for name in ("link.csv", "nothing.csv", "a.csv"):
        job = await scene.run(submitter, f"{submitter.role}.t", bank / name)
        messages.append(job["error_message"].replace(name, "…"))
    assert len(set(messages)) == 1, messages


async def test_what_is_no_file_is_not_read(scene: Scene) -> None:
    submitter, shop, _ = await make_shop(scene)
    os.mkfifo(shop / "pipe.csv")
    job = await scene.run(submitter, f"{submitter.role}.t", shop / "pipe.csv")
    assert (job["status"], job["error_code"]) == ("failed", "source_unreadable")
    job = await scene.run(submitter, f"{submitter.role}.t", shop)  # of a directory only its files count
    assert (job["status"], job["files_total"]) == ("completed", 2)


async def test_own_bytes_are_no_path_and_others_bytes_are_not_there(scene: Scene) -> None:
    submitter, _, _ = await make_shop(scene)
    other = await scene.submitter()
    ids = [
        await each.connection.fetchval(
            "insert into jobd.blob (data) values ($1) returning id", gzip.compress(b"id,name\n7,eve\n")
        )
        for each in (submitter, other)
    ]
    own = await scene.run(submitter, f"{submitter.role}.t", f"blob:{ids[0]}")
    assert (own["status"], own["items_added"]) == ("completed", 1), own["error_message"]
    for source in (f"blob:{ids[1]}", f"BLOB:{ids[1]}", f"blob:{ids[1]} "):
        job = await scene.run(submitter, f"{submitter.role}.t", source)
        assert (job["status"], job["items_added"]) == ("failed", 0), source
        assert job["error_code"] in {
            "source_missing",
            "source_unreadable",
            "source_forbidden",
            "source_unsupported",
        }


async def test_a_limit_outside_the_daemons_own_roots_gives_nothing(scene: Scene, tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text("id,name\n1,ann\n")
    submitter = await scene.submitter(import_roots=[str(tmp_path), "/"])
    await submitter.connection.execute(f"create table {submitter.role}.t (id int primary key, name text)")
    job = await scene.run(submitter, f"{submitter.role}.t", outside)
    assert (job["status"], job["error_code"]) == ("failed", "source_forbidden")
    assert "JOBD_IMPORT_ROOTS" in job["error_message"]
    inside = await scene.run(submitter, f"{submitter.role}.t")
    assert inside["status"] == "completed"  # all that the daemon may read is within "/"


async def test_an_empty_limit_gives_nothing(scene: Scene) -> None:
    submitter = await scene.submitter(import_roots=[])
    await submitter.connection.execute(f"create table {submitter.role}.t (id int primary key, name text)")
    job = await scene.run(submitter, f"{submitter.role}.t")
    assert (job["status"], job["error_code"]) == ("failed", "source_forbidden")
