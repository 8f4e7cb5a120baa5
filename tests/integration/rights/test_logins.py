"""Goal: what code leaves on a connection or on its login reaches no other job; a batch acts as its submitter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sql.roles import Submitter

if TYPE_CHECKING:
    from tests.integration.rights.scene import Scene

pytestmark = pytest.mark.each_postgres

NOTE = """
create table {r}.noted (fact text, value text);
create function {r}.note() returns trigger language plpgsql as $$ begin
    insert into {r}.noted select 'setting ' || name, setting from pg_settings
        where name in ('search_path', 'row_security', 'application_name', 'work_mem', 'role', 'statement_timeout');
    insert into {r}.noted select 'temporary', relname from pg_class
        where relnamespace = pg_my_temp_schema() and relname !~ '^jobd_';
    insert into {r}.noted select 'prepared', name from pg_prepared_statements where name <> '';
    insert into {r}.noted select 'listens', c from pg_listening_channels() c;
    insert into {r}.noted select 'locked', objid::text from pg_locks where locktype = 'advisory';
    insert into {r}.noted select 'cursor', name from pg_cursors where is_holdable;
    insert into {r}.noted values ('backend', pg_backend_pid()::text), ('who', current_user), ('is', session_user);
    return null;
end $$;
create table {r}.after (id int primary key, name text);
create trigger note after insert on {r}.after for each statement execute function {r}.note();
"""
LITTER = """
create function {r}.litter() returns trigger language plpgsql as $$ begin
    create temporary table after (id int);
    execute 'prepare left_over as select 1';
    execute 'declare left_over cursor with hold for select 1';
    execute 'listen left_over';
    perform pg_advisory_lock(4711);
    set search_path = pg_temp;
    set work_mem = '64kB';
    set row_security = off;
    set application_name = 'jobd:left over';
    set statement_timeout = '10min';
    reset role;
    return null;
end $$;
create table {r}.before (id int primary key, name text);
create trigger litter after insert on {r}.before for each statement execute function {r}.litter();
"""
SABOTAGE = {
    "a time-out": "alter role {login} set statement_timeout = '1ms'",
    "another role": "alter role {login} set role = {r}",
    "a library that is none": "alter role {login} set local_preload_libraries = 'nothing'",
    "a search_path": "alter role {login} set search_path = {r}",
    "no writing": "alter role {login} set default_transaction_read_only = on",
    "time-outs when idle": "alter role {login} set idle_in_transaction_session_timeout = '1ms'",
    "a password": "alter role {login} password 'mine'",
}


async def cut_connections(scene: Scene, submitter: Submitter) -> None:
    """End the login's connections, so that the next job opens one."""
    await scene.database.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = $1", submitter.login
    )


async def test_nothing_of_a_job_is_left_for_the_next_of_the_same_submitter(scene: Scene) -> None:
    owner = await scene.submitter()
    await owner.connection.execute((LITTER + NOTE).format(r=owner.role))
    for target in ("before", "after"):
        job = await scene.run(owner, f"{owner.role}.{target}")
        assert (job["status"], job["items_added"]) == ("completed", 2), job["error_message"]
    facts = [tuple(row) for row in await scene.database.fetch(f"select fact, value from {owner.role}.noted")]
    kinds = {fact for fact, _ in facts}
    assert kinds.isdisjoint({"temporary", "prepared", "listens", "locked", "cursor"}), facts
    noted = dict(facts)
    assert noted["setting search_path"] == '"$user", public'
    assert noted["setting row_security"] == "on"
    assert noted["setting statement_timeout"] == "0"
    assert noted["setting application_name"].removeprefix("jobd:") != "left over"


async def test_two_submitters_never_share_a_connection(scene: Scene) -> None:
    backends: set[str] = set()
    for _ in range(2):
        owner = await scene.submitter()
        await owner.connection.execute(NOTE.format(r=owner.role))
        for lines in (["id,name", "1,a"], ["id,name", "2,b"]):
            await scene.run(owner, f"{owner.role}.after", lines)
        rows = await scene.database.fetch(f"select distinct value from {owner.role}.noted where fact = 'backend'")
        assert backends.isdisjoint(row["value"] for row in rows)
        backends |= {row["value"] for row in rows}


async def test_a_batch_acts_as_the_submitter_on_a_connection_of_its_login(scene: Scene) -> None:
    owner = await scene.submitter()
    await owner.connection.execute(NOTE.format(r=owner.role))
    await scene.run(owner, f"{owner.role}.after")
    rows = await scene.database.fetch(f"select fact, value from {owner.role}.noted")
    noted = {row["fact"]: row["value"] for row in rows}
    assert (noted["who"], noted["is"]) == (owner.role, owner.login)


@pytest.mark.parametrize("how", SABOTAGE)
async def test_what_code_sets_for_its_login_harms_its_submitter_only_and_a_grant_mends_it(
    scene: Scene, how: str
) -> None:
    owner, other = await scene.submitter(), await scene.submitter("other")
    change = SABOTAGE[how].format(r=owner.role, login=owner.login)
    await owner.connection.execute(f"""
        create table {owner.role}.stock (id int primary key, name text);
        create function {owner.role}.sabotage() returns trigger language plpgsql as
            $q$ begin reset role; execute $e${change}$e$; return null; end $q$;
        create trigger sabotage after insert on {owner.role}.stock for each statement
            execute function {owner.role}.sabotage();
    """)
    await other.connection.execute(f"create table {other.role}.stock (id int primary key, name text)")
    assert (await scene.run(owner, f"{owner.role}.stock"))["status"] == "completed"
    await owner.connection.execute(f"drop trigger sabotage on {owner.role}.stock")
    await cut_connections(scene, owner)
    hampered = await scene.submit(owner, f"{owner.role}.stock", ["id,name", "3,cid"])
    assert (await scene.run(other, f"{other.role}.stock"))["status"] == "completed"
    await scene.database.execute("select jobd.cancel($1)", hampered)
    await scene.end_of(hampered)

    await scene.database.execute("select jobd.grant_submitter($1)", owner.role)
    await cut_connections(scene, owner)
    job = await scene.run(owner, f"{owner.role}.stock", ["id,name", "4,dan"])
    assert (job["status"], job["items_added"]) == ("completed", 1), job["error_message"]


async def test_a_submitter_made_anew_under_the_same_name_gets_no_connection_of_the_old_one(scene: Scene) -> None:
    first = await scene.submitter()
    await first.connection.execute(f"create table {first.role}.stock (id int primary key, name text)")
    assert (await scene.run(first, f"{first.role}.stock"))["status"] == "completed"
    await first.connection.close()
    database = scene.database
    assert await database.fetchval("select jobd.revoke_submitter($1)", first.role)
    await database.execute(f"drop owned by {first.role} cascade; drop role {first.role}")
    await database.execute(f"create role {first.role} login; create schema authorization {first.role}")
    login = await database.fetchval("select jobd.grant_submitter($1)", first.role)
    second = Submitter(first.role, login, await database.connect(first.role))
    await second.connection.execute(f"create table {first.role}.stock (id int primary key, name text)")
    job = await scene.run(second, f"{first.role}.stock", ["id,name", "5,eve"])
    assert (job["status"], job["items_added"]) == ("completed", 1), job["error_message"]
    assert await second.connection.fetchval("select count(*) from jobd.job") == 1


async def test_a_member_of_two_submitters_imports_with_the_rights_of_the_one_it_named(scene: Scene) -> None:
    one, two = await scene.submitter(), await scene.submitter()
    for submitter in (one, two):
        await submitter.connection.execute(f"create table {submitter.role}.stock (id int primary key, name text)")
    connection = await scene.database.connect()
    await connection.execute(f"set role {two.role}")
    as_two = Submitter(two.role, two.login, connection)
    assert (await scene.run(as_two, f"{two.role}.stock"))["status"] == "completed"
    job = await scene.run(as_two, f"{one.role}.stock")
    assert (job["status"], job["error_code"]) == ("failed", "no_privilege")


async def test_what_a_trigger_makes_belongs_to_the_submitter(scene: Scene) -> None:
    owner = await scene.submitter()
    r = owner.role
    await owner.connection.execute(f"""
        create table {r}.stock (id int primary key, name text);
        create function {r}.make() returns trigger language plpgsql as
            $q$ begin create table made (id int); return null; end $q$;
        create trigger make after insert on {r}.stock for each statement execute function {r}.make();
    """)
    assert (await scene.run(owner, f"{r}.stock"))["status"] == "completed"
    made = await scene.database.fetchrow(
        "select relowner::regrole::text as owner, relnamespace::regnamespace::text as schema from pg_class"
        " where relname = 'made' and relowner = $1::text::regrole",
        r,
    )
    assert made is not None  # "$user" is the submitter's schema, as in its own sessions
    assert made["schema"] == r
