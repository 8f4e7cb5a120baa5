from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobd.db.grants import SubmitterGrant, grant_submitter
from tests.support.daemons import daemon_within, job_row, wait_for_status
from tests.support.names import unique

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from tests.support.database import Database


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    """A root with a directory for each of two submitters, and a link from one to the other."""
    for name in ("shop", "bank"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "people.csv").write_text("id\n1\n")
    (tmp_path / "shop" / "link.csv").symlink_to(tmp_path / "bank" / "people.csv")
    return tmp_path


async def imported(database: Database, roots: Path, source: Path, **limits: Any) -> Mapping[str, Any]:
    """The row of a job that a submitter with these limits inserted, once it has ended."""
    role = unique("clerk")
    await database.execute(f"create role {role}")
    await grant_submitter(await database.connect(), SubmitterGrant(role=role, **limits), None)
    await database.execute("create table public.people (id int primary key)")
    await database.execute(f"grant select, insert, update on public.people to {role}")
    connection = await database.connect()
    await connection.execute(f"set role {role}")
    async with daemon_within(database, import_roots=roots):
        job_id = await connection.fetchval(
            "insert into jobd.job (source, target) values ($1, 'public.people') returning id", str(source)
        )
        await wait_for_status(database, job_id, "completed", "failed")
    return await job_row(database, job_id)


async def test_a_submitter_imports_from_the_directory_it_is_limited_to(database: Database, roots: Path) -> None:
    job = await imported(database, roots, roots / "shop" / "people.csv", import_roots=[str(roots / "shop")])
    assert (job["status"], job["items_added"]) == ("completed", 1)


@pytest.mark.parametrize("name", ["bank/people.csv", "shop/../bank/people.csv", "shop/link.csv"])
async def test_a_submitter_cannot_leave_the_directory_it_is_limited_to(
    database: Database, roots: Path, name: str
) -> None:
    job = await imported(database, roots, roots / name, import_roots=[str(roots / "shop")])
    assert (job["status"], job["error_code"]) == ("failed", "source_forbidden")
    assert "jobd grant" in job["error_message"]
    assert await database.fetchval("select count(*) from public.people") == 0


async def test_a_submitter_that_is_limited_to_remote_places_reads_no_local_file(
    database: Database, roots: Path
) -> None:
    job = await imported(database, roots, roots / "shop" / "people.csv", source_prefixes=["s3://shop/"])
    assert job["error_code"] == "source_forbidden"


async def test_a_submitter_without_limits_reads_what_the_daemon_may_read(database: Database, roots: Path) -> None:
    job = await imported(database, roots, roots / "bank" / "people.csv")
    assert job["status"] == "completed"
