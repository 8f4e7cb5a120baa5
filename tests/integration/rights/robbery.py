"""What code on a target tries: a function of its owner's that runs every attack and notes what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.sql.roles import make_role

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from tests.integration.rights.scene import Scene
    from tests.sql.roles import Submitter

# What is answered to who may not: no privilege, no such job, the fence, a column of jobd's, no such thing, COPY
# under row-level security, what cannot be run in a function, a server built without XML.
DENIED = frozenset(
    {"42501", "P0002", "JB001", "JB003", "JB005", "42704", "3F000", "42P01", "0A000", "25001", "0LP01"}
)
# Statements that find or change nothing, and say so.
NOTHING = frozenset({"0", "null", "false"})

SECRETS = (
    "select count(*)::text from jobd.job where id = '{victim_job}'",
    "select count(*)::text from jobd.active_jobs where id = '{victim_job}'",
    "select count(*)::text from jobd.job_event where job_id = '{victim_job}'",
    "select count(*)::text from jobd.blob where id = '{victim_blob}'",
    "select what from {victim}.secret",
    "select ts_rewrite('a'::tsquery, 'select what::tsquery, what::tsquery from {victim}.secret')::text",
    "select query_to_xml('select what from {victim}.secret', true, false, '')::text",
    "select table_to_xml('{victim}.secret', true, false, '')::text",
    "select pg_read_file('/etc/passwd')",
    "select pg_ls_dir('.')",
    "select lo_import('/etc/passwd')::text",
    "select rolpassword from pg_authid limit 1",
    "select count(*)::text from pg_stat_activity a where a.usename = 'postgres' and a.query like '%jobd%'",
)
ROLES = (
    "set role postgres", "set role jobd_owner", "set role jobd_worker", "set role jobd_admin", "set role {victim}",
    "set role {victim_login}", "set session authorization postgres", "set session authorization {victim}",
    "select set_config('role', 'postgres', false)", "select set_config('role', '{victim}', true)",
    "select set_config('session_authorization', 'postgres', false)",
    "alter role {victim_login} password 'mine'", "alter role {victim} set search_path = {mine}",
    "alter role postgres password 'mine'", "grant {victim} to {mine}", "grant jobd_worker to {mine}",
    "create role {mine}_more superuser", "alter system set log_statement = 'all'",
    "create extension dblink", "create extension postgres_fdw", "create extension file_fdw", "load 'auto_explain'",
    "create event trigger mine on ddl_command_end execute function {mine}.watch()",
)  # fmt: skip
QUEUE = (
    "select jobd.cancel('{victim_job}')::text", "select jobd.pause('{victim_job}')::text",
    "select jobd.retry('{victim_job}')::text", "select jobd.erase('{victim_job}')::text",
    "select jobd.explain('{victim_job}')", "select jobd.set_priority('{victim_job}', 'low')::text",
    "select jobd.job_errors_json('{victim_job}')::text", "select jobd.release('{victim_job}')::text",
    "select jobd.begin('{victim_job}', {victim_token}, '{{}}')::text",
    "select status from jobd.finish(array['{victim_job}'::uuid], array[{victim_token}::bigint], '{{completed}}')",
    "select lease_token::text from jobd.commit_batch('{victim_job}', {victim_token}, 1, 0, 0, 0, 0, null, 1)",
    "select lease_token::text from jobd.commit_batch('{victim_job}', 0, 1, 0, 0, 0, 0, null, 1)",
    (
        "select job_id::text from jobd.commit_bundle(array['{victim_job}'::uuid], array[{victim_token}::bigint],"
        " '{{1}}', '{{0}}', '{{0}}', '{{0}}', array['{{}}'::jsonb])"
    ),
    (
        "select jobd.begin_bundle(array['{victim_job}'::uuid], array[{victim_token}::bigint],"
        " array['{{}}'::jsonb], '{{1}}', '{{1}}', '{{a}}', '{{a}}', '{{1}}', array[now()])::text"
    ),
    "select count(*)::text from jobd.heartbeat('{worker}', 60)",
    "select count(*)::text from jobd.claim('{worker}', '{{default}}', 10)",
    "select jobd.register_worker(gen_random_uuid(), 'a', 'h', 1, '1', '{{default}}', 4, 60)::text",
    "select jobd.deregister_worker('{worker}')::text",
    "select jobd.log('{victim_job}', 'info', 'x', '{{}}')::text",
    "select count(*)::text from jobd.rescue('{worker}', 10)", "select jobd.prune()::text",
    "select jobd.pause_queue('default')::text", "select nullif(jobd.terminate_backends('{worker}'), 0)::text",
    "with changed as (update jobd.job set priority = 'low' where id = '{victim_job}' returning 1)"  # noqa: ISC004
    " select count(*)::text from changed",
    "update jobd.job set status = 'completed' where target = '{mine}.stock'",
    "update jobd.job set processed_rows = 7 where target = '{mine}.stock'",
    "delete from jobd.job", "truncate jobd.job", "delete from jobd.job_error", "update jobd.worker set slots = 0",
    "update jobd.submitter set import_roots = null", "insert into jobd.queue (name) values ('mine')",
    "insert into jobd.job_error (job_id, error_type, code, message, submitted_role_oid)"  # noqa: ISC004
    " values ('{victim_job}', 'parse', 'x', 'x', 1)",
    "lock table jobd.job in access exclusive mode", "lock table jobd.job in share update exclusive mode",
    "lock table jobd.worker in row exclusive mode", "lock table jobd.queue in exclusive mode",
    "copy jobd.job to '/tmp/jobs'", "copy (select 1) to program 'id'", "copy jobd.job from program 'id'",
    "create function jobd.mine() returns int language sql return 1", "create view jobd.mine as select 1",
    "create trigger mine before insert on jobd.job for each row execute function {mine}.watch()",
    "create table {mine}.linked (id uuid references jobd.job)", "alter table jobd.job disable row level security",
    "create rule mine as on insert to jobd.job do instead nothing", "comment on table jobd.job is 'mine'",
    "select pg_terminate_backend({queue_pid})::text", "select pg_cancel_backend({queue_pid})::text",
    "select pg_reload_conf()::text",
)  # fmt: skip
# Everybody may do these, and nobody but who does them is the worse for it.
HARMLESS = (
    "notify jobd_job, 'default'", "notify jobd_control, '{{\"id\": \"{victim_job}\", \"request\": \"cancel\"}}'",
    "notify jobd_event, 'no json at all'", "listen jobd_event", "deallocate all",
    "prepare mine as select 1", "create temporary table job (id uuid)",
    "create temporary table pg_index (id uuid)",
    "create domain pg_temp.uuid as text", "create type pg_temp.jsonb as enum ('a')",
    "select pg_advisory_lock(n) from generate_series(1, 20) n", "set search_path = {mine}, pg_catalog",
    "set session characteristics as transaction isolation level serializable read only",
    "set datestyle = 'German'", "set client_encoding = 'LATIN1'", "set application_name = 'jobd:{worker}'",
    "set standard_conforming_strings = off", "set row_security = off", "set jobd.notify = off",
    "set client_min_messages = error", "set idle_in_transaction_session_timeout = 0",
    "set statement_timeout = '5min'", "set plan_cache_mode = force_generic_plan",
)  # fmt: skip


@dataclass(frozen=True)
class Victim:
    """Another submitter, with a table, a blob and a running job that are none of the robber's business."""

    submitter: Submitter
    names: Mapping[str, object]
    job_id: UUID


async def make_victim(scene: Scene) -> Victim:
    """A submitter whose job is held by a worker of the test's, which does nothing."""
    submitter = await scene.submitter("victim")
    connection = submitter.connection
    await connection.execute(f"create table {submitter.role}.secret as select 'the secret' as what")
    queue = await make_role(scene.database, "daemon")  # only a name that is free: a queue's is no role's
    blob_id = await connection.fetchval("insert into jobd.blob (data) values ('the secret') returning id")
    job_id = await submitter.submit(queue=queue, metadata='{"the": "secret"}')
    worker = await scene.database.connect()
    worker_id = await worker.fetchval("select gen_random_uuid()")
    await worker.execute("select jobd.register_worker($1, 'a', 'h', 1, '1', $2, 4, 3600)", worker_id, [queue])
    token = await worker.fetchval("select lease_token from jobd.claim($1, $2, 1)", worker_id, [queue])
    names = {
        "victim": submitter.role,
        "victim_login": submitter.login,
        "victim_job": job_id,
        "victim_blob": blob_id,
        "victim_token": token,
        "worker": worker_id,
        "queue_pid": await worker.fetchval("select pg_backend_pid()"),
    }
    return Victim(submitter, names, job_id)


async def make_robber(scene: Scene, robber: Submitter, victim: Victim) -> None:
    """Make ``rob()`` in the robber's schema: it runs every attack, and again once it has reset its role."""
    mine = robber.role
    values = {**victim.names, "mine": mine}
    attacks = [attack.format(**values) for attack in (*SECRETS, *ROLES, *QUEUE, "reset role", *SECRETS, *HARMLESS)]
    await scene.database.execute(
        f"create table {mine}.attack (place serial, what text); grant select on {mine}.attack to public"
    )
    await scene.database.fetch(
        f"insert into {mine}.attack (what) select unnest($1::text[]) returning place", attacks
    )
    await robber.connection.execute(f"""
        create table {mine}.loot (what text, got text, who text);
        create function {mine}.watch() returns trigger language plpgsql as 'begin return new; end';
        create function {mine}.rob() returns boolean language plpgsql as $rob$
        declare
            v_try text;
            v_got text;
            v_path text := current_setting('search_path');
        begin
            if exists (select from {mine}.loot) then
                return true;
            end if;
            for v_try in select what from {mine}.attack order by place loop
                begin
                    if v_try ~ '^(select|with) ' then
                        execute v_try into v_got;
                    else
                        execute v_try;
                        v_got := 'done';
                    end if;
                exception when others then
                    v_got := sqlstate;
                end;
                insert into {mine}.loot values (v_try, coalesce(v_got, 'null'), current_user);
            end loop;
            perform set_config('search_path', v_path, false);
            return true;
        end $rob$;
        create function {mine}.rob_at_a_row() returns trigger language plpgsql as
            $rob$ begin perform {mine}.rob(); return new; end $rob$;
        grant usage on schema {mine} to public;
        grant insert, select on {mine}.loot to public;
    """)


async def assert_robbed_nothing(
    scene: Scene, robber: Submitter, victim: Victim, ran_as: Submitter | None = None
) -> None:
    """Every attack was tried, each was refused or found nothing, and the victim's job is as it was."""
    runner = ran_as or robber
    values = {**victim.names, "mine": robber.role}
    loot = [tuple(row) for row in await scene.database.fetch(f"select what, got, who from {robber.role}.loot")]
    harmless = {attack.format(**values) for attack in HARMLESS} | {"reset role"}
    expected = {attack.format(**values) for attack in (*SECRETS, *ROLES, *QUEUE)} | harmless
    assert {what for what, _, _ in loot} == expected
    robbed = [(what, got) for what, got, _ in loot if what not in harmless and got not in DENIED | NOTHING]
    assert robbed == []
    assert {who for _, _, who in loot} <= {runner.role, runner.login}
    row = await scene.database.fetchrow(
        "select status, version, processed_rows, priority from jobd.job where id = $1", victim.job_id
    )
    assert row is not None
    assert tuple(row) == ("running", 2, 0, "normal")
