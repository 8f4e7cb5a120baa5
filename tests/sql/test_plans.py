"""Plans at 1,000,000 waiting jobs in three queues, and 500,000 scheduled for later: generic plans, as daemons get.

Every plan inside jobd's functions is looked at (auto_explain tells it to the client); none may scan the whole
table.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from tests.support.bulk_jobs import unchecked
from tests.support.database import create_database, drop_database
from tests.support.names import unique

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from jobd.db.embedded import EmbeddedServer
    from tests.support.database import Database

pytestmark = pytest.mark.slow

BATCH_ID = "00000000-0000-0000-0000-000000000001"

LOAD = unchecked(f"""
alter table jobd.job set unlogged;
insert into jobd.job (
    source, target, queue, priority, run_at, created_by, batch_id, submitted_role, submitted_role_oid
)
select 's', 'public.t', 'q' || n % 3, (array['low', 'normal', 'normal', 'high'])[n % 4 + 1],
    case when n % 3000 < 2000 then now() - n * interval '1 ms' else now() + n * interval '1 s' end,
    'user' || n % 1000, case when n % 10000 = 0 then '{BATCH_ID}'::uuid end, 'postgres', 10
from generate_series(1, 1500000) n;
update jobd.job set status = 'completed', completed_at = created_at, progress = 100, file_hash = repeat('a', 64),
    job_type = 'export' where id in (select id from jobd.job order by id limit 2000);
update jobd.job set serial_key = 'k' || n % 50, idempotency_key = n::text, is_held = n > 100
    from (select id, row_number() over (order by id desc) as n from jobd.job order by id desc limit 5000) k
    where k.id = job.id;
update jobd.job set after = array[id], is_held = true, status = case when source = 's' then 'pending' end
    where id in (select id from jobd.job where status = 'pending' and serial_key is null order by id limit 500);
update jobd.job set status = 'paused' where id in
    (select id from jobd.job where status = 'pending' and not is_held order by id limit 500);
update jobd.job set status = 'running', worker_id = gen_random_uuid(), claimed_at = now(), lease_token = 1
where id in (
    select id from jobd.job where status = 'pending' and not is_held order by id limit 3000
);
insert into jobd.queue (name) values ('q0'), ('q1'), ('q2');
""")

QUEUE_OF = "job.queue = $1 and job.priority = 'normal' and job.status = 'pending' and not job.is_held"

# Each index, and the query that it is there for.
SERVES = {
    "job_pkey": ("select * from jobd.job where id = $1", "uuid"),
    "job_claim": (
        (
            f"select id from jobd.job where {QUEUE_OF} and run_at <= now()"
            " order by run_at, id limit 10 for no key update"
        ),
        "text",
    ),
    "job_running": ("select id from jobd.job where status = 'running' and worker_id = $1", "uuid"),
    "job_paused": ("select count(*) from jobd.job where status = 'paused' and queue = $1", "text"),
    "job_held": ("select id from jobd.job where is_held order by gate_checked_at nulls first, id limit $1", "int"),
    "job_serial": (
        (
            "select id from jobd.job where submitted_role_oid = 10 and serial_key = $1 and serial_key is not null"
            " and status in ('pending', 'running', 'paused', 'failed') order by created_at, id limit 1"
        ),
        "text",
    ),
    "job_serial_running": (
        (
            "select id from jobd.job where submitted_role_oid = 10 and serial_key = $1 and serial_key is not null"
            " and status = 'running'"
        ),
        "text",
    ),
    "job_after": (
        (
            "select id from jobd.job where after && array[$1] and after is not null"
            " and status in ('pending', 'paused')"
        ),
        "uuid",
    ),
    "job_idempotency_key": (
        (
            "select id from jobd.job where submitted_role_oid = 10 and idempotency_key = $1"
            " and idempotency_key is not null and status not in ('failed', 'cancelled')"
        ),
        "text",
    ),
    "job_batch": ("select status, count(*) from jobd.job where batch_id = $1 group by status", "uuid"),
    "job_status": (
        "select * from jobd.job where status = 'completed' and created_at < $1 order by created_at desc limit 50",
        "timestamptz",
    ),
    "job_created": (
        "select * from jobd.job where created_at < $1 order by created_at desc limit 50",
        "timestamptz",
    ),
    "job_created_by": ("select * from jobd.job where created_by = $1 order by created_at desc limit 50", "text"),
    "job_type": (
        "select * from jobd.job where job_type = 'export' and created_at < $1 order by created_at desc limit 50",
        "timestamptz",
    ),
    "job_file_hash": ("select id from jobd.job where file_hash = $1 and target = 'public.t'", "text"),
    "job_source": (
        """select id from jobd.job
        where md5(source) = md5($1) and source is not null and job_type = 'import' and status = 'completed'
        order by completed_at desc limit 1""",
        "text",
    ),
    "job_completed": (
        "select id from jobd.job where completed_at < $1 order by completed_at limit 10000",
        "timestamptz",
    ),
}


@pytest.fixture(scope="module")
def crowded(server: EmbeddedServer, template: str) -> Iterator[str]:
    name = unique("crowded")

    async def build() -> None:
        await create_database(server, name, template)
        connection = await asyncpg.connect(server.url(name))
        await connection.execute(LOAD)
        await connection.execute("vacuum (analyze) jobd.job")
        await connection.close()

    asyncio.run(build())
    yield name
    asyncio.run(drop_database(server, name))


@pytest.fixture
async def connection(server: EmbeddedServer, crowded: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.url(crowded), statement_cache_size=0)
    await connection.execute("set plan_cache_mode = force_generic_plan")
    yield connection
    await connection.close()


class Plans:
    """The plans of everything that runs on a connection, functions' statements included."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def listen(self, connection: asyncpg.Connection) -> None:
        connection.add_log_listener(lambda _, message: self.texts.append(str(message)))
        await connection.execute(
            "load 'auto_explain'; set auto_explain.log_min_duration = 0; set auto_explain.log_level = notice;"
            "set auto_explain.log_nested_statements = on; set client_min_messages = notice"
        )

    def whole_table_scans(self) -> list[str]:
        return [text for text in self.texts if re.search(r"Seq Scan on (jobd\.)?job\b", text)]


async def test_each_index_serves_the_query_it_is_there_for(connection: asyncpg.Connection) -> None:
    indexes = await connection.fetch(
        "select indexname from pg_indexes where schemaname = 'jobd' and tablename = 'job'"
    )
    assert {row[0] for row in indexes} == set(SERVES), "an index without a query, or a query without its index"
    values = {"uuid": f"'{uuid4()}'", "text": "'q1'", "int": "10", "timestamptz": "now()"}
    for index, (query, kind) in SERVES.items():
        await connection.execute(f"prepare asked ({kind}) as {query}")
        lines = await connection.fetch(f"explain execute asked ({values[kind]})")
        plan = "\n".join(line[0] for line in lines)
        await connection.execute("deallocate asked")
        assert re.search(rf"\b{index}\b", plan), f"{index} does not serve {query}:\n{plan}"


@pytest.mark.contrib("auto_explain")
async def test_no_function_of_the_daemon_scans_the_whole_table(connection: asyncpg.Connection) -> None:
    plans = Plans()
    await plans.listen(connection)
    worker_id = uuid4()
    queues = ["q0", "q1", "q2"]
    register = "select jobd.register_worker($1, 'w', 'h', 1, '0.1', $2, 4, 600)"
    await connection.execute(register, worker_id, queues)
    jobs = await connection.fetch("select * from jobd.claim($1, $2, 20)", worker_id, queues)
    assert len(jobs) == 20
    assert jobs[0]["priority"] == "high"
    first = jobs[0]
    await connection.fetch("select * from jobd.heartbeat($1, 600)", worker_id)
    await connection.fetch("select jobd.begin($1, 1, '{}')", first["id"])
    await connection.fetch(
        "select * from jobd.commit_batch($1, 1, 1, 0, 0, 0, 1, $2, 1.0, null, null,"
        " '{1}', '{2}', '{a}', '{x}', '{validation}', '{type}', '{bad}', '{null}', '{null}', '{raw}')",
        first["id"],
        json.dumps({"row": 2}),
    )
    for call in (
        "select jobd.next_due_at($2) from (select $1::uuid) as id",
        "select * from jobd.dead_workers($1) where $2::text[] is not null",
        "select * from jobd.rescue($1, 100) where $2::text[] is not null",
        "select jobd.open_gates(100) from (select $1::uuid, $2::text[]) as ids",
        "select jobd.log($1, 'info', 'x') from (select $2::text[]) as ids",
    ):
        await connection.fetch(call, worker_id, queues)
    await connection.fetch("select * from jobd.sample_queues()")
    await finish(connection, [job["id"] for job in jobs[1:]])
    for call in (
        "select jobd.cancel($1)",
        "select jobd.set_priority($1, 'low')",
        "select jobd.release($1)",
        "select jobd.retry($1)",
        "select jobd.pause($1)",
        "select jobd.resume($1)",
    ):
        await connection.fetch(call, first["id"])
    await connection.fetch("select jobd.submit('s', serial_key => 'k1', idempotency_key => 'new', after => $1)",
                           [first["id"]])  # fmt: skip
    await connection.fetch(f"select jobd.pause_batch('{BATCH_ID}')")
    assert len(plans.texts) > 60
    assert plans.whole_table_scans() == []


async def finish(connection: asyncpg.Connection, ids: Sequence[object]) -> None:
    rows = await connection.fetch(
        "select * from"
        " jobd.finish($1, array_fill(1::bigint, array[$2::int]), array_fill('completed'::text, array[$2]))",
        ids,
        len(ids),
    )
    assert len(rows) == len(ids)


async def test_a_claim_reads_few_pages_whatever_waits_and_whatever_is_scheduled(
    connection: asyncpg.Connection,
) -> None:
    worker_id = uuid4()
    await connection.execute("select jobd.register_worker($1, 'w', 'h', 1, '0.1', '{q0}', 4, 600)", worker_id)
    for queues in ("{q0}", "{q0,q1,q2}"):
        call = f"select * from jobd.claim('{worker_id}', '{queues}', 10)"
        await connection.fetch(call)
        lines = await connection.fetch(f"explain (analyze, buffers) {call}")
        match = re.search(r"shared hit=(\d+)(?: read=(\d+))?", "\n".join(line[0] for line in lines))
        assert match is not None
        assert int(match[1]) + int(match[2] or 0) < 1500


@pytest.mark.contrib("auto_explain")
async def test_an_ending_is_planned_by_the_primary_key_and_not_through_the_index_of_running_jobs(
    connection: asyncpg.Connection,
) -> None:
    """With statistics from when nothing ran, it would go through all running jobs for each one that ends."""
    plans = Plans()
    worker_id = uuid4()
    await connection.execute("select jobd.register_worker($1, 'w', 'h', 1, '0.1', '{q1}', 4, 600)", worker_id)
    jobs = await connection.fetch("select id from jobd.claim($1, '{q1}', 1000)", worker_id)
    await plans.listen(connection)
    await finish(connection, [job["id"] for job in jobs])
    assert plans.whole_table_scans() == []
    assert not [text for text in plans.texts if "using job_running " in text or "on job_running " in text]


@pytest.mark.contrib("auto_explain")
@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
async def test_ending_many_jobs_compares_none_with_all_others_where_statistics_know_none_that_runs(
    database: Database, mode: str
) -> None:
    worker_id, plans, connection = uuid4(), Plans(), await database.connect()
    await connection.execute(
        "insert into jobd.job (job_type, handler) select 'processing', 'h' from generate_series(1, 20000)"
    )
    await connection.execute("vacuum analyze jobd.job")
    await connection.execute(
        "select jobd.register_worker($1, 'w', 'h', 1, '0.1', array['default'], 400, 600)", worker_id
    )
    jobs = await connection.fetch("select * from jobd.claim($1, array['default'], 400)", worker_id)
    await plans.listen(connection)
    await connection.execute(f"set plan_cache_mode = {mode}; set auto_explain.log_analyze = on")
    ended = await connection.fetch(
        "select * from jobd.finish($1, $2, $3, p_processed_rows => $4)",
        [job["id"] for job in jobs],
        [job["lease_token"] for job in jobs],
        ["completed"] * len(jobs),
        [0] * len(jobs),
    )
    assert len(ended) == 400
    assert len(plans.texts) > 2
    removed = [int(rows) for text in plans.texts for rows in re.findall(r"Removed by Join Filter: (\d+)", text)]
    assert sum(removed) < 10 * len(jobs)
