"""target_state: a digest that changes with everything that an import looks up about its target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sql.roles import make_role

if TYPE_CHECKING:
    from tests.support.database import Database

pytestmark = pytest.mark.each_postgres

TARGET = """
create schema s;
create domain s.short as text check (length(value) < 10);
create type s.mood as enum ('good', 'bad');
create table s.parent (id int primary key);
create table s.t (id int primary key, name s.short, mood s.mood, parent int references s.parent, n int);
create function s.f() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger here before insert on s.t for each row execute function s.f();
create policy only_mine on s.t using (true);
grant usage on schema s to {role}, {other};
grant select, insert on s.t to {role};
"""
CHANGES = [
    "alter table s.t add column more text",
    "alter table s.t drop column n",
    "alter table s.t rename column n to m",
    "alter table s.t alter column n type bigint",
    "alter table s.t alter column n set not null",
    "alter table s.t alter column n set default 1",
    "alter table s.t add check (n > 0)",
    "alter table s.t add check (n > 0) not valid",
    "alter table s.t drop constraint t_pkey",
    "alter table s.t add unique (n)",
    "create unique index on s.t (n)",
    "create unique index on s.t (n) where n > 0",
    "alter table s.t add foreign key (n) references s.parent",
    "alter table s.t alter constraint t_parent_fkey deferrable",
    "alter table s.t disable trigger here",
    "drop trigger here on s.t",
    "create trigger there before update on s.t for each row execute function s.f()",
    "create rule nothing as on insert to s.t do instead nothing",
    "alter table s.t enable row level security",
    "alter table s.t force row level security",
    "alter policy only_mine on s.t using (false)",
    "create policy another on s.t using (true)",
    "drop table s.t cascade",
    "alter table s.t rename to u",
    "alter table s.t rename to u; create table s.t (like s.u including all)",
    "alter schema s rename to z",
    "create table s.child () inherits (s.t)",
    "alter domain s.short add check (value <> 'no')",
    "alter domain s.short set not null",
    "alter domain s.short set default 'x'",
    "alter table s.parent enable row level security",
    "grant select on s.parent to {role}",
    "grant update on s.t to {role}",
    "grant update (n) on s.t to {role}",
    "revoke insert on s.t from {role}",
    "revoke usage on schema s from {role}",
    "grant {other} to {role}; grant update on s.t to {other}",
    "alter role {role} bypassrls",
    "alter table s.t owner to {role}",
]
NO_CHANGES = ["insert into s.t (id) values (1)", "analyze s.t", "create table s.unrelated (id int)", "select 1"]


async def state(database: Database, role: str, target: str = "s.t") -> str | None:
    found: str | None = await database.fetchval("select jobd.target_state($1, $2::regrole)", target, role)
    return found


async def test_the_state_changes_with_all_that_is_looked_up(database: Database) -> None:
    role, other = await make_role(database, "submitter"), await make_role(database, "group")
    unnoticed = []
    for change in CHANGES:
        connection = await database.connect()
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(TARGET.format(role=role, other=other))
        query = "select jobd.target_state('s.t', $1::regrole)"
        before = await connection.fetchval(query, role)
        assert before is not None
        async with connection.transaction():  # whose id is in the rows that it writes
            await connection.execute(change.format(role=role, other=other))
        if await connection.fetchval(query, role) == before:
            unnoticed.append(change)
        await transaction.rollback()
        await connection.close()
    assert unnoticed == []


async def test_the_state_stays_while_nothing_is_changed_that_matters(database: Database) -> None:
    role, other = await make_role(database, "submitter"), await make_role(database, "group")
    await database.execute(TARGET.format(role=role, other=other))
    before = await state(database, role)
    for no_change in NO_CHANGES:
        await database.execute(no_change)
        assert await state(database, role) == before, no_change
    assert await state(database, other) != before


async def test_names_are_found_as_imports_find_them(database: Database) -> None:
    role = await make_role(database, "submitter")
    await database.execute(
        """create table public."Odd ""Name" (id int); create table public.plain (id int); create schema q"""
    )
    assert await state(database, role, '"Odd ""Name"') is not None
    assert await state(database, role, "Plain") == await state(database, role, "public.plain")
    assert await state(database, role, "q.plain") is None
    assert await state(database, role, "a.b.c") is None


async def test_what_would_need_more_looks_has_no_state(database: Database) -> None:
    role = await make_role(database, "submitter")
    await database.execute(
        "create table public.parted (id int) partition by list (id);"
        "create table public.part partition of public.parted for values in (1);"
        "create table public.parent (id int); create table public.child () inherits (public.parent);"
        "create view public.seen as select 1 as id;"
        "create domain public.a as int; create domain public.b as public.a; create table public.deep (id public.b)"
    )
    for name in ("parted", "part", "parent", "child", "seen", "deep"):
        assert await state(database, role, name) is None, name
