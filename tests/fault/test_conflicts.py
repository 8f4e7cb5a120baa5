"""Goal: let batches meet deadlocks, serialization failures and lock time-outs; no job notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fault.wire import UNDISTURBED, interruptions
from tests.sql.roles import make_role, make_submitter
from tests.support.daemons import daemon_within
from tests.support.imports import completed, create_plain, submit_import

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database

RECORDS = 200
CONFLICTS = {"deadlock": "40P01", "serialization": "40001", "lock_timeout": "55P03"}
WAYS = {"direct": 0, "staged": RECORDS}
# The first tries of a row fail; a sequence remembers how many there were, as it is not rolled back.
FAIL_TWICE = """
create sequence {target}_tries;
grant usage on sequence {target}_tries to public;
create function public.fail_twice() returns trigger language plpgsql as $$
begin
    if nextval('{target}_tries') <= 2 then
        raise exception 'a conflict' using errcode = '{sqlstate}';
    end if;
    return new;
end
$$;
create trigger fail_twice before insert or update on {target} for each row when (new.id = 100)
execute function public.fail_twice();
"""
# Both have taken half of the keys by then, each the half that the other wants next.
WAIT_HALF_WAY = """
create function public.wait_half_way() returns trigger language plpgsql as $$
begin
    perform pg_sleep(0.3);
    return new;
end
$$;
create trigger wait_half_way before insert on {target} for each row when (new.id = {row})
execute function public.wait_half_way();
"""


def write(path: Path, ids: Iterable[int], note: str) -> Path:
    path.write_text("id,note\n" + "".join(f"{number},{note}\n" for number in ids))
    return path


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("conflict", CONFLICTS)
async def test_a_batch_that_meets_a_conflict_is_done_again_and_its_job_does_not_notice(
    database: Database, tmp_path: Path, conflict: str, way: str
) -> None:
    target = await create_plain(database)
    await database.execute(f"insert into {target} select n, 'old' from generate_series(1, $1) n", WAYS[way])
    await database.execute(FAIL_TWICE.format(target=target, sqlstate=CONFLICTS[conflict]))
    path = write(tmp_path / "plain.csv", range(1, RECORDS + 1), "new")
    async with daemon_within(database, import_roots=tmp_path) as daemon:
        job_id = await submit_import(database, path, target, max_retries=0)
        await completed(database, job_id)
        count = daemon.metrics.registry.get_sample_value("jobd_db_errors_total", {"class": conflict})
    assert count == 2
    await assert_all_taken(database, job_id, target, way)


async def assert_all_taken(database: Database, job_id: UUID, target: str, way: str) -> None:
    assert await database.fetchval(f"select count(*) from {target} where note = 'new'") == RECORDS
    job = await database.fetchrow(
        "select items_added, items_updated, error_count from jobd.job where id = $1", job_id
    )
    assert tuple(job or ()) == ((RECORDS, 0, 0) if way == "direct" else (0, RECORDS, 0))
    assert await interruptions(database, job_id) == UNDISTURBED


@pytest.mark.parametrize("way", WAYS)
async def test_a_conflict_under_another_submitters_login_is_met_in_the_same_way(
    database: Database, tmp_path: Path, way: str
) -> None:
    target = await create_plain(database)
    await database.execute(f"insert into {target} select n, 'old' from generate_series(1, $1) n", WAYS[way])
    await database.execute(FAIL_TWICE.format(target=target, sqlstate="40P01"))
    clerk, worker = await make_submitter(database), await make_role(database, "worker")
    await database.execute(f"grant jobd_worker to {worker}")
    await database.execute(f"grant select, insert, update on {target} to {clerk.role}")
    path = write(tmp_path / "plain.csv", range(1, RECORDS + 1), "new")
    async with daemon_within(database, import_roots=tmp_path, database_url=database.url_of(worker)):
        job_id = await clerk.submit(source=str(path), target=target)
        await completed(database, job_id)
    await assert_all_taken(database, job_id, target, way)


async def test_two_imports_of_the_same_keys_in_opposite_order_both_complete(
    database: Database, tmp_path: Path
) -> None:
    target = await create_plain(database)
    await database.execute(WAIT_HALF_WAY.format(target=target, row=RECORDS // 2))
    forth = write(tmp_path / "forth.csv", range(1, RECORDS + 1), "forth")
    back = write(tmp_path / "back.csv", range(RECORDS, 0, -1), "back")
    async with daemon_within(database, import_roots=tmp_path) as daemon:
        jobs = [await submit_import(database, path, target, max_retries=0) for path in (forth, back)]
        for job_id in jobs:
            await completed(database, job_id)
        deadlocks = daemon.metrics.registry.get_sample_value("jobd_db_errors_total", {"class": "deadlock"})
    assert deadlocks == 1
    assert [await interruptions(database, job_id) for job_id in jobs] == [UNDISTURBED] * 2
    fates = await database.fetchrow(
        "select sum(items_added)::int, sum(items_updated)::int, sum(error_count)::int from jobd.job"
    )
    assert tuple(fates or ()) == (RECORDS, RECORDS, 0)
    assert await database.fetchval(f"select count(distinct note) from {target}") == 1
