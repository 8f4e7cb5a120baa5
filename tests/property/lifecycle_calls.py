"""The calls of workers and applications, each with an answer that can be compared with the model's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.sql.jobs import LEASE_SECONDS, commit_batch
from tests.sql.roles import submit as insert

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    import asyncpg

    from tests.property.lifecycle_state import Batch, Lease

NAMES = ("added", "updated", "unchanged", "skipped", "refused")
# A batch brings rows of its own, which must be there exactly where it is counted. Nobody waits for a lock longer
# than it takes to see that somebody has it.
PREPARE = """
create table public.landed (job_id uuid, lease_token bigint, worker_id uuid, rows bigint);
do $$
declare
    f record;
begin
    for f in select p.oid::regprocedure as name from pg_proc p where p.proconfig @> '{lock_timeout=3s}' loop
        execute format('alter function %s set lock_timeout = ''20ms''', f.name);
    end loop;
end
$$
"""
CLEAR = """
truncate jobd.job, jobd.job_event, jobd.job_error, jobd.job_error_group, jobd.job_file, jobd.worker,
    jobd.import_ledger, public.landed
"""
JOBS = """
select j.id, j.status, j.version, j.lease_token, j.worker_id, j.cancel_requested, j.pause_requested, j.retry_count,
    j.interrupt_count, j.lost_lease_count, j.error_code, j.success_count, j.processed_rows,
    array[j.items_added, j.items_updated, j.items_unchanged, j.items_skipped, j.error_count] as counts,
    jobd.cursor_position(j.cursor) as cursor, (to_jsonb(j) - 'updated_at')::text as everything,
    (select coalesce(sum(l.rows), 0)::bigint from public.landed l where l.job_id = j.id) as landed,
    (select count(*) from jobd.job_error e where e.job_id = j.id) as errors,
    (select json_agg(json_build_array(e.event_type, e.old_status, e.new_status) order by e.id)
        from jobd.job_event e where e.job_id = j.id) as events
from jobd.job j
"""
SHARED_TOKENS = """
select job_id, lease_token from public.landed group by job_id, lease_token having count(distinct worker_id) > 1
"""


async def submit(connection: asyncpg.Connection, *, is_plain: bool, **columns: object) -> UUID:
    if is_plain:
        return await insert(connection, **columns)
    arguments = ", ".join(f"{name} => ${number}" for number, name in enumerate(columns, 1))
    job_id: UUID = await connection.fetchval(f"select jobd.submit({arguments})", *columns.values())
    return job_id


async def claim(connection: asyncpg.Connection, worker_id: UUID, limit: int) -> list[tuple[UUID, int]]:
    rows = await connection.fetch("select id, lease_token from jobd.claim($1, '{default}', $2)", worker_id, limit)
    return [tuple(row) for row in rows]


async def sweep(connection: asyncpg.Connection) -> None:
    """Let go whoever is held by nobody; that it was looked at a moment ago is no reason to wait here."""
    await connection.execute(
        "set local session_replication_role = replica;"
        "update jobd.job set gate_checked_at = null where is_held;"
        "set local session_replication_role = origin;"
        "select jobd.open_gates(1000)"
    )


async def commit(connection: asyncpg.Connection, lease: Lease, batch: Batch) -> tuple[Any, ...]:
    await _land(connection, [lease], batch)
    # Each refused record has one error, whose row no other batch names.
    first = await connection.fetchval("select count(*) + 1 from jobd.job_error where job_id = $1", lease.job_id)
    errors = [
        {"row": first + n, "type": "validation", "code": "invalid_value", "message": "bad"}
        for n in range(batch.counts[4])
    ]
    receipt = await commit_batch(
        connection,
        {"id": lease.job_id, "lease_token": lease.token},
        cursor=_cursor(batch),
        errors=errors,
        **dict(zip(NAMES, batch.counts, strict=True)),
    )
    return tuple(receipt)


async def begin_bundle(connection: asyncpg.Connection, leases: Sequence[Lease]) -> None:
    count = len(leases)
    await connection.execute(
        "select jobd.begin_bundle($1, $2, $3, $4, $4, $5, $6, $4, array_fill(now(), array[$7::int]))",
        [lease.job_id for lease in leases],
        [lease.token for lease in leases],
        ['{"source": {}}'] * count,
        [3] * count,
        ["ab" * 32] * count,
        ["a.csv"] * count,
        count,
    )


async def commit_bundle(
    connection: asyncpg.Connection, leases: Sequence[Lease], batch: Batch
) -> set[tuple[Any, ...]]:
    await _land(connection, leases, batch)
    count = len(leases)
    rows = await connection.fetch(
        "select * from jobd.commit_bundle($1, $2, $3, $4, $5, $6, $7)",
        [lease.job_id for lease in leases],
        [lease.token for lease in leases],
        *([number] * count for number in batch.counts[:4]),
        [json.dumps(_cursor(batch))] * count,
    )
    return {tuple(row) for row in rows}


async def finish(
    connection: asyncpg.Connection, leases: Sequence[Lease], outcome: str, *, is_delayed: bool
) -> set[tuple[Any, ...]]:
    count = len(leases)
    rows = await connection.fetch(
        "select * from jobd.finish($1, $2, $3, $4, $4, '{}', $5)",
        [lease.job_id for lease in leases],
        [lease.token for lease in leases],
        [outcome] * count,
        ["code"] * count,
        [3600.0 if is_delayed else None] * count,
    )
    return {tuple(row) for row in rows}


async def control(connection: asyncpg.Connection, name: str, job_id: UUID, version: int | None) -> bool:
    answer: bool = await connection.fetchval(f"select jobd.{name}($1, expected_version => $2)", job_id, version)
    return answer


async def release(connection: asyncpg.Connection, job_id: UUID) -> bool:
    answer: bool = await connection.fetchval("select jobd.release($1)", job_id)
    return answer


async def set_flag(connection: asyncpg.Connection, flag: str, job_id: UUID, *, value: bool) -> None:
    await connection.execute(f"update jobd.job set {flag} = $2 where id = $1", job_id, value)


async def let_time_pass(connection: asyncpg.Connection) -> None:
    """Make due what was to be tried again later."""
    await connection.execute(
        "set local session_replication_role = replica;"
        "update jobd.job set run_at = now() where run_at > now() and completed_at is null;"
        "set local session_replication_role = origin"
    )


async def register(connection: asyncpg.Connection, worker_id: UUID, *, has_watched: bool) -> None:
    await connection.execute(
        "select jobd.register_worker($1, 'worker', 'host', 1, '0.1', '{default}', 4, $2)",
        worker_id,
        LEASE_SECONDS,
    )
    if has_watched:
        await connection.execute(
            "update jobd.worker set beating_since = now() - interval '1 day' where id = $1", worker_id
        )


async def deregister(connection: asyncpg.Connection, worker_id: UUID) -> None:
    await connection.execute("select jobd.deregister_worker($1)", worker_id)


async def beat(connection: asyncpg.Connection, worker_id: UUID) -> set[tuple[Any, ...]]:
    rows = await connection.fetch("select * from jobd.heartbeat($1, $2)", worker_id, LEASE_SECONDS)
    return {tuple(row) for row in rows}


async def expire(connection: asyncpg.Connection, worker_id: UUID) -> None:
    await connection.execute(
        "update jobd.worker set lease_expires_at = now() - interval '1 s' where id = $1", worker_id
    )


async def miss_a_beat(connection: asyncpg.Connection, worker_id: UUID, *, has_listener: bool) -> None:
    """Of a worker whose listener is here, or gone; on a server that has been up for longer than a lease."""
    await connection.execute(
        "update jobd.worker w set heartbeat_at = now() - interval '1000 s', lease_seconds = 0,"
        " listener_pid = case when $2 then a.pid else 2147483647 end, listener_started_at = a.backend_start"
        " from pg_stat_activity a where w.id = $1 and a.pid = pg_backend_pid()",
        worker_id,
        has_listener,
    )


async def rescue(connection: asyncpg.Connection, worker_id: UUID, limit: int) -> set[tuple[Any, ...]]:
    rows = await connection.fetch(
        "select job_id, former_worker_id, status, reason from jobd.rescue($1, $2)", worker_id, limit
    )
    return {tuple(row) for row in rows}


def _cursor(batch: Batch) -> dict[str, int] | None:
    return None if batch.cursor is None else {"file": batch.cursor[0], "row": batch.cursor[1]}


async def _land(connection: asyncpg.Connection, leases: Sequence[Lease], batch: Batch) -> None:
    for lease in leases:
        await connection.execute(
            "insert into public.landed values ($1, $2, $3, $4)",
            lease.job_id,
            lease.token,
            lease.worker_id,
            sum(batch.counts[:4]),
        )
