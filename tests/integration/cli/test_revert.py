"""``jobd revert``, and the same from the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from jobd.errors import JobNotFound
from tests.support.importing import write
from tests.support.tracked import import_tracked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from uuid import UUID

    from jobd.client import Client
    from tests.integration.cli.conftest import Jobd
    from tests.support.database import Database

    Read = Callable[..., Awaitable[Any]]


@pytest.fixture
async def tracked(database: Database, tmp_path: Path) -> UUID:
    """A job that added three rows and updated one."""
    await database.execute(
        "create table people (id int primary key, name text); insert into people values (1, 'a')"
    )
    path = write(tmp_path / "people.csv", ["id,name", "1,b", "2,c", "3,d", "4,e"])
    return (await import_tracked(database, path, "public.people"))[0]


async def test_an_import_is_undone(jobd: Jobd, database: Database, tracked: UUID) -> None:
    result = await jobd("revert", tracked)
    assert "4 rows undone." in result.stdout
    assert await database.fetchval("select string_agg(name, ',') from people") == "a"
    assert "0 rows undone." in (await jobd("revert", tracked)).stdout


async def test_what_could_not_be_undone_is_listed(jobd: Jobd, database: Database, tracked: UUID) -> None:
    await database.execute("update people set name = 'mine' where id in (1, 3); delete from people where id = 4")
    result = await jobd("revert", tracked, "--limit", "2", exit_code=1)
    assert "1 row undone." in result.stdout
    assert "3 could not be undone" in result.stdout
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ['{"id":', "4}", "added", "gone"] in lines
    assert ['{"id":', "3}", "added", "changed", "since"] in lines
    assert "--limit shows more" in result.stdout
    assert '{"id": 1}' not in result.stdout


async def test_programs_get_the_same_as_json(
    jobd: Jobd, database: Database, tracked: UUID, client: Client
) -> None:
    await database.execute("update people set name = 'mine' where id = 1")
    assert await client.revert(tracked) == 1
    result = await jobd("revert", tracked, "--json", exit_code=1)
    assert '"undone": 0' in result.stdout
    assert '"left": 1' in result.stdout
    assert '"revert_problem": "changed since"' in result.stdout


async def test_a_job_that_tracked_nothing_is_told_why(jobd: Jobd, client: Client) -> None:
    job = await client.submit("/a.csv", "public.t")
    result = await jobd("revert", job.id, exit_code=1)
    assert "did not track changes" in result.stderr
    assert "track_changes" in result.stderr


async def test_the_client_names_a_job_that_is_not_there(client: Client) -> None:
    job_id = uuid4()
    with pytest.raises(JobNotFound) as refused:
        await client.revert(job_id)
    assert refused.value.job_id == job_id
