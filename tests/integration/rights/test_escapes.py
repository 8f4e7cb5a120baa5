"""Goal: code on a target, wherever it hangs, reaches nothing that the job's submitter could not reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.rights.robbery import assert_robbed_nothing, make_robber, make_victim

if TYPE_CHECKING:
    from tests.integration.rights.scene import Scene

pytestmark = pytest.mark.each_postgres

TABLE = "create table {r}.stock (id int primary key, name text)"
TRIGGER = "create {kind} rob {when} on {r}.stock {also} execute function {r}.rob_at_a_row()"
# Where code can hang on a table: what the owner runs, after TABLE unless it makes the table itself.
CARRIERS = {
    "a trigger before the row": TRIGGER.format(r="{r}", kind="trigger", when="before insert", also="for each row"),
    "a trigger after the row": TRIGGER.format(r="{r}", kind="trigger", when="after insert", also="for each row"),
    "a trigger of the statement": TRIGGER.format(
        r="{r}", kind="trigger", when="before insert", also="for each statement"
    ),
    "a trigger with a transition table": TRIGGER.format(
        r="{r}", kind="trigger", when="after insert", also="referencing new table as n for each statement"
    ),
    "a constraint trigger at the commit": TRIGGER.format(
        r="{r}",
        kind="constraint trigger",
        when="after insert",
        also="deferrable initially deferred for each row",
    ),
    "a trigger that defers another to the commit": """
        create function {r}.defer() returns trigger language plpgsql as
            $d$ begin set constraints all deferred; insert into {r}.later values (1); return new; end $d$;
        create table {r}.later (n int);
        create constraint trigger later after insert on {r}.later deferrable initially deferred
            for each row execute function {r}.rob_at_a_row();
        create constraint trigger rob after insert on {r}.stock deferrable initially immediate
            for each row execute function {r}.defer();
    """,
    "a cursor that outlives the commit": """
        create function {r}.hold() returns trigger language plpgsql as $h$ begin
            execute 'declare held cursor with hold for select {r}.rob()'; return new; end $h$;
        create constraint trigger hold after insert on {r}.stock for each row
            when (new.id = 1) execute function {r}.hold();
    """,
    "a cursor declared while committing": """
        create function {r}.hold() returns trigger language plpgsql as $h$ begin
            execute 'declare held cursor with hold for select {r}.rob()'; return new; end $h$;
        create constraint trigger hold after insert on {r}.stock deferrable initially deferred for each row
            when (new.id = 1) execute function {r}.hold();
    """,
    "a default": "alter table {r}.stock add robbed boolean default {r}.rob()",
    "a check": "alter table {r}.stock add check ({r}.rob())",
    "a generated column": """
        create function {r}.quietly(int) returns boolean language sql immutable as 'select {r}.rob()';
        alter table {r}.stock add robbed boolean generated always as ({r}.quietly(id)) stored;
    """,
    "an index's expression": """
        create function {r}.quietly(int) returns boolean language plpgsql immutable as
            $q$ begin return {r}.rob(); end $q$;
        create index on {r}.stock ({r}.quietly(id)) where {r}.quietly(id);
    """,
    "a constraint that is checked at the commit": """
        create function {r}.quietly(int) returns int language plpgsql immutable as
            $q$ begin perform {r}.rob(); return $1; end $q$;
        alter table {r}.stock add exclude using btree ({r}.quietly(id) with =) deferrable initially deferred;
    """,
    "a domain": """
        create domain {r}.named as text check ({r}.rob());
        alter table {r}.stock alter name type {r}.named;
    """,
    "a range": """
        create function {r}.apart(int, int) returns float8 language plpgsql immutable as
            $q$ begin perform {r}.rob(); return $1 - $2; end $q$;
        create function {r}.canonical_text(text) returns boolean language plpgsql as
            $q$ begin return {r}.rob(); end $q$;
        create type {r}.span as range (subtype = int4, subtype_diff = {r}.apart);
        alter table {r}.stock add span {r}.span default '[1,2)', add check ({r}.canonical_text(span::text));
        create index on {r}.stock using gist (span);
    """,
    "an operator of a type": """
        create type {r}.pair as (a int, b text);
        create function {r}.same({r}.pair, {r}.pair) returns boolean language plpgsql as
            $q$ begin return {r}.rob(); end $q$;
        create operator {r}.= (leftarg = {r}.pair, rightarg = {r}.pair, function = {r}.same);
        alter table {r}.stock add pair {r}.pair default '(1,a)', add check (pair operator({r}.=) pair);
    """,
    "a cast": """
        create function {r}.of_text(text) returns {r}.stock language plpgsql as
            $q$ begin perform {r}.rob(); return null; end $q$;
        create cast (text as {r}.stock) with function {r}.of_text(text) as implicit;
        alter table {r}.stock add check ((name::{r}.stock) is null);
    """,
    "a policy": """
        alter table {r}.stock enable row level security, force row level security;
        create policy rob on {r}.stock using ({r}.rob()) with check ({r}.rob());
    """,
    "a partition": """
        alter table {r}.stock rename to old_stock;
        create table {r}.stock (id int primary key, name text) partition by range (id);
        create table {r}.part partition of {r}.stock for values from (0) to (100);
        create trigger rob before insert on {r}.part for each row execute function {r}.rob_at_a_row();
    """,
    "a foreign key's action": """
        create table {r}.parent (id int primary key);
        insert into {r}.parent values (1), (2);
        alter table {r}.stock add foreign key (id) references {r}.parent deferrable initially deferred;
        alter table {r}.parent add check ({r}.rob()) not valid;
        create function {r}.touch() returns trigger language plpgsql as
            $q$ begin update {r}.parent set id = id; return new; end $q$;
        create trigger touch after insert on {r}.stock for each row execute function {r}.touch();
    """,
    "a function that swaps whose rights it has": """
        create function {r}.swap() returns trigger language plpgsql security definer as $q$ begin
            execute 'alter function {r}.rob_at_a_row() security definer';
            execute 'alter function {r}.rob() security definer';
            execute 'alter function {r}.swap() security invoker';
            return new; end $q$;
        create trigger a_swap before insert on {r}.stock for each row execute function {r}.swap();
        create trigger b_rob before insert on {r}.stock for each row execute function {r}.rob_at_a_row();
    """,
}


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_the_owners_own_job_reaches_nobody_else(scene: Scene, carrier: str) -> None:
    robber, victim = await scene.submitter(), await make_victim(scene)
    await make_robber(scene, robber, victim)
    await robber.connection.execute(TABLE.format(r=robber.role))
    await robber.connection.execute(CARRIERS[carrier].format(r=robber.role))
    job = await scene.run(robber, f"{robber.role}.stock")
    assert (job["status"], job["items_added"]) == ("completed", 2), job["error_message"]
    await assert_robbed_nothing(scene, robber, victim)


@pytest.mark.parametrize("way", ["insert", "update"])
async def test_a_job_of_somebody_else_reaches_what_that_one_may_and_no_more(scene: Scene, way: str) -> None:
    robber, guest, victim = await scene.submitter(), await scene.submitter("guest"), await make_victim(scene)
    await make_robber(scene, robber, victim)
    await robber.connection.execute(TABLE.format(r=robber.role))
    await robber.connection.execute(f"""
        insert into {robber.role}.stock select 1, 'old' where '{way}' = 'update';
        create trigger rob before {way} on {robber.role}.stock for each row
            execute function {robber.role}.rob_at_a_row();
        grant select, insert, update on {robber.role}.stock to {guest.role};
    """)
    job = await scene.run(guest, f"{robber.role}.stock")
    assert (job["status"], job["processed_rows"]) == ("completed", 2), job["error_message"]
    await assert_robbed_nothing(scene, robber, victim, ran_as=guest)
