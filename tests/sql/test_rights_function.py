"""What every function of jobd's has in common: whose rights, which search_path, and who may call it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import asyncpg
import pytest

from jobd.db import schema_text
from tests.sql.roles import SUBMIT, make_member, make_role, make_submitter

if TYPE_CHECKING:
    from tests.support.database import Database

pytestmark = pytest.mark.each_postgres

GROUPS = ("jobd_submitter", "jobd_worker", "jobd_monitor", "jobd_admin")
# What each group may call; everything else is called by jobd's own functions only.
CONTROL = {
    "submit", "cancel", "pause", "resume", "retry", "set_priority", "erase", "revert", "explain",
    "job_errors_json", "reject_columns", "rejects_csv", "cancel_batch", "pause_batch", "resume_batch",
}  # fmt: skip
PARTS = {
    "uuid7", "submitting_role", "gate", "refuse_value", "refuse_taken_key", "nearest", "column_hint", "lock_job",
    "revert_target", "revert_statements", "explain_stopped", "explain_pending", "explain_workers",
    "explain_running", "is_undone", "reject_null",
}  # fmt: skip
QUEUES = {"pause_queue", "resume_queue", "set_queue_objective", "prune", "prune_ledger"}
GRANTING = {"login_name", "submitter_statements"}
BATCH = {"commit_batch", "commit_bundle", "record_changes", "terminate_backends"}
DAEMON = {
    "register_worker", "heartbeat", "deregister_worker", "claim", "next_due_at", "begin", "begin_bundle", "finish",
    "rescue", "dead_workers", "open_gates", "log", "sample_queues", "target_state", "environment_obstacle",
}  # fmt: skip
MAY_CALL = {
    "jobd_submitter": CONTROL | PARTS | BATCH,
    "jobd_worker": CONTROL | PARTS | BATCH | QUEUES | GRANTING | DAEMON,
    "jobd_monitor": set(),
    "jobd_admin": CONTROL | PARTS | QUEUES | GRANTING | {"release", "grant_submitter", "revoke_submitter"},
}
FUNCTIONS = (
    "select p.proname, p.oid::regprocedure::text as signature, p.prosecdef, p.proconfig,"
    " pg_get_userbyid(p.proowner) as owner, p.prosqlbody is not null as is_bound, p.prosrc"
    " from pg_proc p where p.pronamespace = 'jobd'::regnamespace"
)


async def test_no_function_is_executable_by_everybody(database: Database) -> None:
    nobody = await make_role(database, "nobody")
    open_to_all = await database.fetch(
        f"select signature from ({FUNCTIONS}) f where has_function_privilege('public', signature, 'execute')"
        f" or has_function_privilege('{nobody}', signature, 'execute')"
    )
    assert open_to_all == []


async def test_a_function_made_later_is_not_executable_by_everybody_either(database: Database) -> None:
    await database.execute("set role jobd_owner")
    await database.execute("create function jobd.of_a_later_release() returns int language sql return 1")
    assert not await database.fetchval(
        "select has_function_privilege('public', 'jobd.of_a_later_release()', 'execute')"
    )


@pytest.mark.parametrize("group", GROUPS)
async def test_each_group_may_call_what_it_needs_and_no_more(database: Database, group: str) -> None:
    role = await make_role(database, "one")
    await database.execute(f"grant {group} to {role}")
    rows = await database.fetch(
        f"select proname from ({FUNCTIONS}) f where has_function_privilege('{role}', signature, 'execute')"
    )
    assert {row["proname"] for row in rows} == MAY_CALL[group]


async def test_every_function_has_the_pinned_search_path_and_belongs_to_the_owner(database: Database) -> None:
    for function in await database.fetch(FUNCTIONS):
        assert function["owner"] == "jobd_owner", function["signature"]
        if function["is_bound"]:
            continue  # bound when it was made: no search_path can change what it calls
        assert "search_path=pg_catalog, jobd, pg_temp" in (function["proconfig"] or ()), function["signature"]


async def test_functions_with_the_owners_rights_name_the_schema_of_every_table(database: Database) -> None:
    tables = [
        row["relname"]
        for row in await database.fetch(
            "select relname from pg_class where relnamespace = 'jobd'::regnamespace and relkind in ('r', 'v')"
        )
    ]
    bare = re.compile(
        rf"\b(?:from|join|into|update|using)\s+(?:only\s+)?(?:{'|'.join(tables)})\b(?!\s*\()", re.IGNORECASE
    )
    for function in await database.fetch(f"{FUNCTIONS} and p.prosecdef"):
        text = re.sub(r"--[^\n]*", "", function["prosrc"])
        assert bare.findall(text) == [], function["signature"]


async def test_every_function_says_what_it_is_for(database: Database) -> None:
    silent = await database.fetch(
        f"select signature from ({FUNCTIONS}) f where obj_description(signature::regprocedure, 'pg_proc') is null"
    )
    assert silent == []


async def test_temporary_tables_of_a_submitters_capture_no_function(database: Database) -> None:
    mine, theirs = await make_submitter(database), await make_submitter(database)
    other = await theirs.submit()
    connection = mine.connection
    for table in (
        "job",
        "submitter",
        "job_event",
        "queue",
        "transition",
        "option",
        "worker",
        "blob",
        "pg_roles",
        "pg_proc",
    ):
        await connection.execute(
            f"create temporary table {table} as select * from {'pg_catalog' if 'pg_' in table else 'jobd'}.{table}"
        )
        await connection.execute(f"grant all on {table} to public")
    await connection.execute(
        "create function pg_temp.peek() returns trigger language plpgsql as"
        " $$ begin raise exception 'captured'; end $$"
    )
    for table in ("job", "job_event", "queue", "submitter"):
        await connection.execute(
            f"create trigger captured before insert or update or delete on {table}"
            " for each row execute function pg_temp.peek()"
        )
    await connection.execute("set search_path = pg_temp, jobd, pg_catalog")
    job_id = await connection.fetchval(SUBMIT)
    assert await connection.fetchval("select jobd.cancel($1)", job_id)
    assert await connection.fetchval("select jobd.retry($1)", job_id)
    assert await connection.fetchval("select count(*) from pg_temp.job") == 0
    with pytest.raises(asyncpg.NoDataFoundError):
        await connection.fetchval("select jobd.cancel($1)", other)
    assert await database.fetchval("select status from jobd.job where id = $1", job_id) == "pending"


async def test_functions_and_operators_of_a_submitters_capture_nothing(database: Database) -> None:
    mine = await make_submitter(database)
    schema = mine.role
    await database.execute(f"create schema authorization {schema}")
    await mine.connection.execute(f"""
        create function {schema}.boom(anyelement, anyelement) returns boolean language plpgsql
            as $$ begin raise exception 'captured as %', current_user; end $$;
        create operator {schema}.= (leftarg = anyelement, rightarg = anyelement, function = {schema}.boom);
        create function {schema}.now() returns timestamptz language plpgsql
            as $$ begin raise exception 'captured as %', current_user; end $$;
    """)
    await mine.connection.execute(f"set search_path = {schema}, pg_catalog, jobd")
    job_id = await mine.connection.fetchval(SUBMIT)
    for call in (
        "jobd.pause($1)",
        "jobd.resume($1)",
        "jobd.explain($1)",
        "jobd.cancel($1)",
        "jobd.erase($1)",
        "jobd.job_errors_json($1)",
    ):
        await mine.connection.fetchval(f"select {call}", job_id)


async def test_nobody_but_the_owner_can_make_anything_in_the_schema(database: Database) -> None:
    for group in GROUPS:
        member = await make_member(database, group)
        for statement in (
            "create table jobd.mine ()",
            "create function jobd.mine() returns int language sql return 1",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await member.execute(statement)


async def test_a_submitter_cannot_put_triggers_or_rules_on_tables_of_jobds(database: Database) -> None:
    mine = await make_submitter(database)
    await mine.connection.execute("create temporary table own as select * from jobd.job")
    for statement in (
        "create trigger a before insert on jobd.job for row execute function suppress_redundant_updates_trigger()",
        "create rule mine as on insert to jobd.job do nothing",
        "alter table jobd.job disable row level security",
        "create policy mine on jobd.job using (true)",
        "truncate jobd.job",
        "create trigger t after update on own for each row execute function jobd.erase_traces()",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await mine.connection.execute(statement)


async def test_another_prefix_replaces_the_default_everywhere() -> None:
    text = schema_text.load("imports_")
    everything = "\n".join(part.sql for part in (text.roles, *text.values, *text.migrations, *text.laid_anew))
    assert re.findall(r"\bjobd_(?:owner|worker|submitter|monitor|admin|login)\b", everything) == []
    for name in (
        "imports_owner",
        "imports_worker",
        "imports_submitter",
        "imports_monitor",
        "imports_admin",
        "imports_login",
    ):
        assert name in everything
