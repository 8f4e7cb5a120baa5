"""Small files of a kind are imported together, and nobody can tell: each job has what it would have by itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from jobd.runner import points
from tests.support.daemons import daemon_process, daemon_within, until
from tests.support.small_files import ROWS_EACH, TABLE, ended, submit_all, write_files

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database

# What is a job's own by nature, and what depends on who did it when.
OWN = {
    "id", "created_at", "run_at", "claimed_at", "completed_at", "updated_at", "started_at", "worker_id",
    "lease_token", "ran_seconds", "result",
}  # fmt: skip


@pytest.fixture
async def things(database: Database) -> Database:
    await database.execute(TABLE)
    return database


class Passings:
    """Counts how often a point is passed, and does something the first time."""

    def __init__(self, name: str, act: Any = None) -> None:
        self.count = 0
        self._act = act
        points.register(name, self._pass)

    async def _pass(self) -> None:
        self.count += 1
        if self.count == 1 and self._act is not None:
            await self._act()


async def ids(database: Database) -> list[int]:
    return [row["id"] for row in await database.fetch("select id from public.thing order by id")]


async def test_each_job_has_what_it_would_have_by_itself(things: Database, tmp_path: Path) -> None:
    bundles = Passings("bundle.committed")
    paths = write_files(tmp_path, 40)
    async with daemon_within(things, import_roots=tmp_path, concurrency=1):
        jobs = await submit_all(things, paths)
        rows = await ended(things, jobs)
        assert bundles.count > 0
        together = bundles.count
        [alone] = await submit_all(things, [next(iter(write_files(tmp_path, 1, first=40)))])
        by_itself = (await ended(things, [alone]))[alone]
        assert bundles.count == together
    assert await ids(things) == list(range(41 * ROWS_EACH))
    for path, job_id in zip(paths, jobs, strict=True):
        job = rows[job_id]
        told = {name: value for name, value in job.items() if name not in OWN}
        expected = {name: value for name, value in by_itself.items() if name not in OWN}
        for name in ("source", "filename", "file_hash", "current_file", "cursor", "detected"):
            told.pop(name), expected.pop(name)
        assert told == expected
        assert (job["current_file"], job["items_added"]) == (str(path), ROWS_EACH)
        assert json.loads(job["cursor"]).keys() == json.loads(by_itself["cursor"]).keys()
        assert json.loads(job["detected"])["target"] == json.loads(by_itself["detected"])["target"]
        assert json.loads(job["detected"])["source"] == json.loads(by_itself["detected"])["source"]
    files = await things.fetch("select job_id, file, status, items_added, file_hash from jobd.job_file")
    assert len(files) == len(jobs) + 1
    for file in files:
        job = rows.get(file["job_id"], by_itself)
        assert (file["file"], file["status"], file["items_added"]) == (job["source"], "completed", ROWS_EACH)
        assert file["file_hash"] == job["file_hash"]
    events = "select count(*) from jobd.job_event where job_id = any ($1) and new_status = 'completed'"
    assert await things.fetchval(events, jobs) == len(jobs)
    assert await things.fetchval("select count(*) from jobd.import_ledger") == len(jobs) + 1


async def test_refused_rows_and_missing_files_are_told_and_keep_nobody_up(
    things: Database, tmp_path: Path
) -> None:
    bundles = Passings("bundle.committed")
    paths = write_files(tmp_path, 40)
    paths[20].write_text("id,name\n100,fine\n101,bad\n")  # the target refuses it
    paths[25].write_text("id,name\n125,fine\n126,one,two\n")  # the reader refuses it
    paths[30].unlink()
    async with daemon_within(things, import_roots=tmp_path, concurrency=1):
        jobs = await submit_all(things, paths)
        rows = await ended(things, jobs)
    assert bundles.count > 0
    told = [(rows[job]["status"], rows[job]["items_added"], rows[job]["error_count"]) for job in jobs]
    expected = [("completed", ROWS_EACH, 0)] * 40
    expected[20] = expected[25] = ("completed", 1, 1)
    expected[30] = ("failed", 0, 0)
    assert told == expected
    assert rows[jobs[30]]["error_code"] == "source_missing"
    errors = await things.fetch("select job_id, row_number, code from jobd.job_error order by row_number, code")
    assert {(row["job_id"], row["row_number"]) for row in errors} == {(jobs[20], 2), (jobs[25], 2)}


async def test_content_that_comes_twice_is_imported_once(things: Database, tmp_path: Path) -> None:
    paths = write_files(tmp_path, 20)
    again = []
    for path in paths:
        again.append(path.with_name(f"again-{path.name}"))
        again[-1].write_bytes(path.read_bytes())
    async with daemon_within(things, import_roots=tmp_path, concurrency=1):
        first = await submit_all(things, paths)
        await ended(things, first)
        second = await submit_all(things, again)
        rows = await ended(things, second)
        assert [rows[job]["duplicate_of"] for job in second] == first
        forced = await submit_all(things, again, force=True)
        rows = await ended(things, forced)
    assert [rows[job]["items_unchanged"] for job in forced] == [ROWS_EACH] * 20
    assert {rows[job]["duplicate_of"] for job in forced} == {None}


async def test_rows_of_one_key_in_several_files_are_one_row(things: Database, tmp_path: Path) -> None:
    paths = []
    for number in range(30):
        paths.append(tmp_path / f"{number}.csv")
        paths[-1].write_text(f"id,name\n1,name {number}\n{number + 2},own\n")
    async with daemon_within(things, import_roots=tmp_path, concurrency=1):
        jobs = await submit_all(things, paths, force=True)
        rows = await ended(things, jobs)
    assert await ids(things) == list(range(1, 32))
    assert sum(row["items_added"] for row in rows.values()) == 31
    assert sum(row["items_updated"] for row in rows.values()) == 29
    assert await things.fetchval("select name from public.thing where id = 1") == "name 29"


async def test_a_job_cancelled_among_others_is_cancelled_and_no_other(things: Database, tmp_path: Path) -> None:
    victims: list[UUID] = []

    async def cancel() -> None:
        # The bundle is of the oldest jobs that run; the last of them is hit.
        elsewhere = await things.connect()
        job_id = await elsewhere.fetchval(
            "select id from jobd.job where status = 'running' and total_rows is not null order by id desc limit 1"
        )
        victims.append(job_id)  # first, since the cancel may stop this very code
        await elsewhere.execute("select jobd.cancel($1)", job_id)

    Passings("bundle.inside", cancel)
    async with daemon_within(things, import_roots=tmp_path, concurrency=1):
        jobs = await submit_all(things, write_files(tmp_path, 100))
        rows = await ended(things, jobs)
    assert len(victims) == 1
    assert {job: row["status"] for job, row in rows.items()} == dict.fromkeys(jobs, "completed") | {
        victims[0]: "cancelled"
    }
    assert rows[victims[0]]["processed_rows"] == 0
    assert len(await ids(things)) == 99 * ROWS_EACH


@pytest.mark.parametrize("point", ["bundle.inside", "bundle.commit", "bundle.committed"])
async def test_a_connection_lost_in_the_middle_costs_nobody_a_row(
    things: Database, tmp_path: Path, point: str
) -> None:
    async def cut() -> None:
        await (await things.connect()).execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where application_name like 'jobd:%' and (query ilike 'commit' or query like '%batch_commit%'"
            " or query like '%import_target_signature%')"
        )
        if point == "bundle.committed":
            raise ConnectionResetError("the answer to COMMIT was lost")

    passings = Passings(point, cut)
    async with daemon_within(things, import_roots=tmp_path, concurrency=1):
        jobs = await submit_all(things, write_files(tmp_path, 100))
        rows = await ended(things, jobs)
    assert passings.count > 0
    assert {row["status"] for row in rows.values()} == {"completed"}
    assert {row["items_added"] for row in rows.values()} == {ROWS_EACH}
    assert {(row["retry_count"], row["lease_token"]) for row in rows.values()} == {(0, 1)}
    assert await ids(things) == list(range(100 * ROWS_EACH))


@pytest.mark.parametrize("point", ["bundle.inside", "bundle.commit", "bundle.committed"])
async def test_killed_in_the_middle_every_row_is_imported_once(
    things: Database, tmp_path: Path, point: str
) -> None:
    jobs = await submit_all(things, write_files(tmp_path, 100))
    settings = {"import_roots": tmp_path, "concurrency": 1, "lease_seconds": 3, "heartbeat_seconds": 1}
    with daemon_process(things, tmp_path, test_point=point, **settings) as daemon:
        await daemon.exit_code()
    async with daemon_within(things, **settings):
        rows = await ended(things, jobs, within=60)
    assert {row["status"] for row in rows.values()} == {"completed"}
    assert {row["items_added"] for row in rows.values()} == {ROWS_EACH}
    assert await ids(things) == list(range(100 * ROWS_EACH))


async def test_a_target_altered_between_two_jobs_is_looked_at_anew(things: Database, tmp_path: Path) -> None:
    async def alter() -> None:
        elsewhere = await things.connect()
        await elsewhere.execute("alter table public.thing add column seen_at timestamptz not null default now()")
        await elsewhere.execute("alter table public.thing add check (id <> 151)")

    bundles = Passings("bundle.committed", alter)
    paths = write_files(tmp_path, 60)
    for path in paths[30:]:
        path.write_text(path.read_text().replace("thing", "other"))
    async with daemon_within(things, import_roots=tmp_path, concurrency=1):
        first = await submit_all(things, paths[:30])
        rows = await ended(things, first)
        second = await submit_all(things, paths[30:])
        rows |= await ended(things, second)
    assert bundles.count > 0
    assert {row["status"] for row in rows.values()} == {"completed"}
    refused = await things.fetch("select job_id, row_number, code from jobd.job_error")
    assert [(row["job_id"], row["row_number"]) for row in refused] == [(second[0], 2)]


async def test_jobs_that_ask_for_more_go_by_themselves(things: Database, tmp_path: Path) -> None:
    bundles = Passings("bundle.inside")
    async with daemon_within(things, import_roots=tmp_path, concurrency=1):
        asked: list[dict[str, Any]] = [
            {"atomic": True}, {"track_changes": True}, {"batch_size": 2}, {"changed_only": True},
        ]  # fmt: skip
        for number, options in enumerate(asked):
            jobs = await submit_all(things, write_files(tmp_path, 20, first=number * 20), **options)
            rows = await ended(things, jobs)
            assert {row["items_added"] for row in rows.values()} == {ROWS_EACH}
    assert bundles.count == 0
    assert await ids(things) == list(range(80 * ROWS_EACH))


async def test_what_code_of_a_target_leaves_on_the_connection_is_gone_for_another_target(
    things: Database, tmp_path: Path
) -> None:
    await things.execute(
        "create table public.other"
        " (id bigint primary key, name text, seen text default current_setting('my.mark', true));"
        "create function public.leave() returns trigger language plpgsql as $$ begin"
        " perform set_config('my.mark', 'left', false), pg_advisory_lock(77); return new; end $$;"
        "create trigger leave before insert on public.thing for each row execute function public.leave()"
    )
    paths = write_files(tmp_path, 40)
    async with daemon_within(things, import_roots=tmp_path, concurrency=1):
        for number in range(0, 40, 10):
            await submit_all(things, paths[number : number + 10])
            await things.execute(
                "insert into jobd.job (source, target) select unnest($1::text[]), 'public.other'",
                [str(path) for path in paths[number : number + 10]],
            )
        jobs = [row["id"] for row in await things.fetch("select id from jobd.job")]
        rows = await ended(things, jobs)
        assert {row["status"] for row in rows.values()} == {"completed"}
        marks = await things.fetch("select distinct coalesce(seen, '') as mark from public.other")
        assert [row["mark"] for row in marks] == [""]
        locks = "select count(*) from pg_locks where locktype = 'advisory' and objid = 77"
        await until(lambda: things.fetchval(locks), lambda count: count == 0)
