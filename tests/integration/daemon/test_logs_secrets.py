"""Secrets go in by every way there is; none may come out in what the daemon emits."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.daemons import daemon_process, job_row, submit, wait_for_status

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database

MARK = "S3CR3T"
PEOPLE = [
    "id,name,age,mail",
    f"1,{MARK}-taken,10,{MARK}-a@example.com",
    f"2,{MARK}-kept,20,{MARK}-b@example.com",
    f"2,{MARK}-repeated,21,{MARK}-c@example.com",  # on_conflict = error
    f"3,{MARK}-check,-1,{MARK}-d@example.com",  # check constraint
    f"4,{MARK}-type,{MARK}-no-number,{MARK}-e@example.com",  # input of a type
    f"5,{MARK}-unique,40,{MARK}-b@example.com",  # another unique constraint
    f"6,,50,{MARK}-f@example.com",  # not null
    f"7,{MARK}-ragged,60,{MARK}-g@example.com,{MARK}-surplus",  # parse
    f"8,{MARK}-trigger,70,{MARK}-h@example.com",  # raised by a trigger
    f"9,{MARK}-schema-{'x' * 60},80,{MARK}-i@example.com",  # JSON Schema
    f"10,{MARK}\x00nul,90,{MARK}-j@example.com",  # what text cannot hold
]
SCHEMA = f"""
create table public.secrets (
    id int primary key, name text not null, age int check (age >= 0), mail text unique
);
create function public.no_triggers() returns trigger language plpgsql as $$ begin
    if new.name like '%-trigger' then raise exception '{MARK} in the text: %', new; end if;
    return new;
end $$;
create trigger no_triggers before insert on public.secrets for each row execute function public.no_triggers();
"""


@pytest.mark.slow
async def test_nothing_of_what_was_imported_nor_of_the_url_is_emitted(target: Database, tmp_path: Path) -> None:
    await target.execute(SCHEMA)
    (tmp_path / "people.csv").write_text("\n".join(PEOPLE) + "\n")
    (tmp_path / "people.jsonl").write_text(f'{{"id": 1, "name": "{MARK}"\n{{"{MARK}": 1}}\n')
    (tmp_path / "header.csv").write_text(f"{MARK}-column\n1\n")
    url = target.url.replace("postgres@", f"postgres:{MARK}-password@")
    options = {"on_conflict": "error", "schema": {"properties": {"name": {"maxLength": 40}}}}
    with daemon_process(
        target, tmp_path, database_url=url, log_level="debug", import_roots=tmp_path, submitter_secret=f"{MARK}-x"
    ) as daemon:
        jobs = {}
        for name, own in (
            ("people.csv", options), ("people.csv", {**options, "atomic": True, "max_errors": 1}),
            ("people.csv", {**options, "max_errors": 0}), ("people.jsonl", {}), ("header.csv", {}),
            (f"{MARK}-absent.csv", {}),
        ):  # fmt: skip
            job_id = await target.fetchval(
                "insert into jobd.job (source, target, options) values ($1, 'public.secrets', $2) returning id",
                str(tmp_path / name),
                json.dumps(own),
            )
            jobs[job_id] = await wait_for_status(target, job_id, "completed", "failed", within=60)
        crashed = await submit(
            target, "bad_sql", max_retries=0, metadata={"sql": f"select '{MARK}'::int /* {MARK} */"}
        )
        unknown = await submit(target, f"{MARK}-handler", max_retries=0)
        for job_id in (crashed, unknown):
            await wait_for_status(target, job_id, "failed")
        await target.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'jobd:%'"
        )
        await wait_for_status(target, await submit(target), "completed")
        daemon.send(signal.SIGTERM)
        assert await daemon.exit_code() == 0
        emitted = daemon.log_path.read_text()
        ended = [line for line in daemon.log() if line["event"] == "attempt ended"]
    row = await job_row(target, next(iter(jobs)))
    assert row["error_count"] >= 8, "the refusals that this is about took place"
    assert MARK in json.dumps([tuple(map(str, one)) for one in await target.fetch("select * from jobd.job_error")])
    assert len(ended) >= len(jobs) + 2
    assert MARK not in emitted
    assert "Traceback" not in emitted
