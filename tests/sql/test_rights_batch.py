"""The wall around a batch: it runs, and is committed, on a connection authenticated as the submitter's login."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.sql.roles import Submitter, make_member, make_role, make_submitter, submit

if TYPE_CHECKING:
    from tests.support.database import Database

pytestmark = pytest.mark.each_postgres

COMMIT = "select * from jobd.commit_batch($1, $2, 1, 0, 0, 0, 0, $3::text::jsonb, 10)"
REFUSED = (asyncpg.InsufficientPrivilegeError, asyncpg.PostgresError)


@dataclass
class Running:
    """A job of a submitter's, held by a worker that is a plain login."""

    submitter: Submitter
    worker: asyncpg.Connection
    worker_id: UUID
    job_id: UUID
    lease_token: int

    async def commit(self, connection: asyncpg.Connection, row: int = 1) -> asyncpg.Record | None:
        return await connection.fetchrow(COMMIT, self.job_id, self.lease_token, f'{{"row": {row}}}')


async def make_running(database: Database) -> Running:
    submitter = await make_submitter(database)
    worker = await make_member(database, "jobd_worker", prefix="daemon")
    worker_id = uuid4()
    await worker.execute("select jobd.register_worker($1, 'a', 'host', 1, '1', '{default}', 4, 60)", worker_id)
    job_id = await submitter.submit()
    claimed = await worker.fetchrow("select id, lease_token from jobd.claim($1, '{default}', 1)", worker_id)
    assert claimed is not None
    assert claimed["id"] == job_id
    return Running(submitter, worker, worker_id, job_id, claimed["lease_token"])


async def processed_rows(database: Database, running: Running) -> int:
    count: int = await database.fetchval("select processed_rows from jobd.job where id = $1", running.job_id)
    return count


async def test_a_batch_is_committed_by_the_submitters_login(database: Database) -> None:
    running = await make_running(database)
    login = await database.connect(running.submitter.login)
    receipt = await running.commit(login)
    assert receipt is not None
    assert (receipt["lease_token"], receipt["processed_rows"]) == (running.lease_token, 1)
    assert await processed_rows(database, running) == 1


async def test_a_batch_is_refused_from_every_other_session(database: Database) -> None:
    running = await make_running(database)
    other = await make_submitter(database)
    others_login = await database.connect(other.login)
    superuser_as_login = await database.connect()
    await superuser_as_login.execute(f"set role {running.submitter.login}")
    for connection in (
        running.submitter.connection,  # the submitter itself: what a job counts is the daemon's to say
        running.worker,  # the queue's own login executes nobody's code
        other.connection,
        others_login,
        superuser_as_login,  # SET ROLE is not authentication
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await running.commit(connection)
    assert await processed_rows(database, running) == 0


async def test_a_batch_with_another_token_or_for_another_job_is_refused(database: Database) -> None:
    running = await make_running(database)
    login = await database.connect(running.submitter.login)
    other = await make_submitter(database)
    others_job = await other.submit()
    for job_id, token in (
        (running.job_id, running.lease_token + 1),
        (running.job_id, running.lease_token - 1),
        (others_job, running.lease_token),
        (uuid4(), running.lease_token),
    ):
        with pytest.raises(asyncpg.PostgresError) as refused:
            await login.fetchrow(COMMIT, job_id, token, '{"row": 1}')
        assert refused.value.sqlstate in {"JB001", "42501"}


async def test_the_login_can_do_nothing_that_its_submitter_cannot(database: Database) -> None:
    running = await make_running(database)
    other = await make_submitter(database)
    await other.submit()
    login = await database.connect(running.submitter.login)
    assert [row["id"] for row in await login.fetch("select id from jobd.job")] == [running.job_id]
    for statement in (
        "set role jobd_worker",
        "set role jobd_owner",
        f"set role {other.role}",
        f"set session authorization {other.role}",
        "select jobd.claim(gen_random_uuid(), '{default}', 1)",
        "select * from jobd.finish('{}', '{}', '{}')",
        "select jobd.prune()",
        "select jobd.pause_queue('default')",
        "delete from jobd.job",
        "update jobd.job_error set message = ''",
        "insert into jobd.job_log (job_id, level, event, submitted_role_oid) values (null, 'info', 'x', 1)",
        "create role mine",
        "select pg_read_file('/etc/passwd')",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await login.execute(statement)
    attributes = await database.fetchrow(
        "select rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls from pg_roles"
        " where rolname = $1",
        running.submitter.login,
    )
    assert not any(attributes or [True])
    groups = await database.fetch(
        "select roleid::regrole::text as name from pg_auth_members where member = $1::text::regrole",
        running.submitter.login,
    )
    assert [group["name"] for group in groups] == [running.submitter.role]


async def test_a_targets_trigger_reaches_in_the_batchs_session_no_more_than_the_submitter(
    database: Database,
) -> None:
    running = await make_running(database)
    other = await make_submitter(database)
    others_job = await other.submit()
    owner = running.submitter
    await database.execute(f"create schema authorization {owner.role}")
    await owner.connection.execute(f"""
        create table {owner.role}.stock (n int);
        create table {owner.role}.loot (what text, got text);
        create function {owner.role}.rob() returns trigger language plpgsql as $$
        declare
            v_try text;
            v_got text;
        begin
            reset role;
            foreach v_try in array array[
                'select count(*)::text from jobd.job where id = ''{others_job}''',
                'select jobd.cancel(''{others_job}'')::text',
                'update jobd.job set status = ''completed'' where id = ''{running.job_id}'' returning ''changed''',
                'insert into jobd.job_error (job_id, error_type, code, message, submitted_role_oid)'
                ' values (''{running.job_id}'', ''parse'', ''x'', ''x'', 1) returning ''written''',
                'set role jobd_worker', 'set role jobd_owner', 'set role postgres',
                'set session authorization postgres',
                'select count(*)::text from jobd.claim(gen_random_uuid(), ''{{default}}'', 1)',
                'select lease_token::text from jobd.commit_batch(''{others_job}'', 0, 1, 0, 0, 0, 0, null, 1)'
            ] loop
                begin
                    execute v_try into v_got;
                exception when others then
                    v_got := sqlstate;
                end;
                insert into {owner.role}.loot values (v_try, v_got || ' as ' || current_user);
            end loop;
            return new;
        end $$;
        create trigger rob before insert on {owner.role}.stock for each row execute function {owner.role}.rob();
    """)
    login = await database.connect(owner.login)
    async with login.transaction():
        await login.execute(f"insert into {owner.role}.stock values (1)")
        assert await running.commit(login) is not None
    loot = {row["what"]: row["got"] for row in await database.fetch(f"select * from {owner.role}.loot")}
    mine = f" as {owner.login}"
    assert {got.removesuffix(mine) for what, got in loot.items() if "count(*)::text from jobd.job " in what} == {
        "0"
    }
    assert {got.removesuffix(mine) for what, got in loot.items() if "jobd.job " not in what} <= {
        "42501",
        "P0002",
        "JB001",
    }
    assert any("JB00" in got for what, got in loot.items() if "set status" in what)
    assert all(got.endswith(mine) for got in loot.values())
    assert await database.fetchval("select status from jobd.job where id = $1", others_job) == "pending"


async def test_a_job_of_jobds_own_role_is_committed_on_that_roles_own_connection(database: Database) -> None:
    everything = await make_member(database, "jobd_worker", prefix="application")
    worker_id = uuid4()
    await everything.execute("select jobd.register_worker($1, 'a', 'host', 1, '1', '{default}', 4, 60)", worker_id)
    job_id = await submit(everything)
    token = await everything.fetchval("select lease_token from jobd.claim($1, '{default}', 1)", worker_id)
    receipt = await everything.fetchrow(COMMIT, job_id, token, '{"row": 1}')
    assert receipt is not None
    assert receipt["processed_rows"] == 1
    another_worker = await make_member(database, "jobd_worker", prefix="daemon")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await another_worker.fetchrow(COMMIT, job_id, token, '{"row": 2}')


async def test_a_plain_login_that_is_a_worker_can_run_everything_the_daemon_calls(database: Database) -> None:
    role = await make_role(database, "daemon")
    await database.execute(f"grant jobd_worker to {role}")
    attributes = await database.fetchrow(
        "select rolsuper, rolcreaterole, rolbypassrls from pg_roles where rolname = $1", role
    )
    assert not any(attributes or [True])
    running = await make_running(database)
    worker, worker_id, job_id, token = running.worker, running.worker_id, running.job_id, running.lease_token
    for call, arguments in (
        ("jobd.heartbeat($1, 60)", [worker_id]),
        ("jobd.next_due_at('{default}')", []),
        ("jobd.begin($1, $2, '{}'::jsonb, 10)", [job_id, token]),
        ("jobd.log($1, 'info', 'opened', '{}'::jsonb)", [job_id]),
        ("jobd.dead_workers($1)", [worker_id]),
        ("jobd.terminate_backends($1)", [uuid4()]),
        ("jobd.rescue($1, 10)", [worker_id]),
        ("jobd.open_gates(100)", []),
        ("jobd.sample_queues()", []),
        ("jobd.prune()", []),
    ):
        await worker.fetch(f"select * from {call}", *arguments)
    ended = await worker.fetchrow(
        "select * from jobd.finish(array[$1::uuid], array[$2::bigint], '{completed}')",
        job_id,
        token,
    )
    assert ended is not None
    assert ended["status"] == "completed"
    await worker.execute("select jobd.deregister_worker($1)", worker_id)
    for table in (
        "job",
        "job_event",
        "job_error",
        "worker",
        "queue",
        "submitter",
        "option",
        "transition",
        "schema_version",
    ):
        await worker.fetch(f"select * from jobd.{table}")


async def test_a_live_worker_is_not_taken_for_dead_by_a_role_that_cannot_see_its_backend(
    database: Database,
) -> None:
    running = await make_running(database)
    listener = await running.worker.fetchrow(
        "select pid, backend_start from pg_stat_activity where pid = pg_backend_pid()"
    )
    assert listener is not None
    await running.worker.execute(
        "select jobd.heartbeat($1, 60, $2, $3)", running.worker_id, listener["pid"], listener["backend_start"]
    )
    await database.execute("update jobd.worker set heartbeat_at = now() - interval '50 seconds'")
    other = await make_member(database, "jobd_worker", prefix="daemon")
    other_id = uuid4()
    await other.execute("select jobd.register_worker($1, 'b', 'host', 1, '1', '{default}', 4, 60)", other_id)
    assert await other.fetch("select * from jobd.dead_workers($1)", other_id) == []
    assert await other.fetch("select * from jobd.rescue($1, 10)", other_id) == []
