"""`jobd grant`: what it makes, what it refuses, and what is left when it is taken back."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import asyncpg
import pytest

from jobd.db import grants
from tests.sql.roles import SUBMIT, make_member, make_role, make_submitter
from tests.support.names import unique

if TYPE_CHECKING:
    from tests.support.database import Database

pytestmark = pytest.mark.each_postgres

SECRET = "of the daemon"  # noqa: S105  of a test


async def test_a_grant_makes_a_bare_login_and_can_be_repeated(database: Database) -> None:
    role = await make_role(database, "clerk")
    connection = await database.connect()
    first = await grants.grant_submitter(connection, grants.SubmitterGrant(role=role, import_roots=["/srv/in"]))
    second = await grants.grant_submitter(
        connection, grants.SubmitterGrant(role=role, source_prefixes=["s3://bucket/"])
    )
    assert first == second == f"jobd_login_{role}"
    row = await database.fetchrow("select * from jobd.submitter where role_name = $1", role)
    assert row is not None
    assert (row["login_name"], row["import_roots"], row["source_prefixes"]) == (first, None, ["s3://bucket/"])
    submitter = await database.connect(role)
    assert await submitter.fetchval(SUBMIT) is not None


async def test_the_printed_statements_are_those_that_are_run(database: Database) -> None:
    role = await make_role(database, "clerk")
    connection = await database.connect()
    statements = await grants.grant_statements(
        connection, grants.SubmitterGrant(role=role, import_roots=["/srv/in"]), SECRET
    )
    assert await database.fetchval("select count(*) from jobd.submitter") == 0  # printing changes nothing
    text = "\n".join(statements)
    assert f"create role jobd_login_{role} login;" in text
    assert "SCRAM-SHA-256$" in text
    assert SECRET not in text
    assert grants.login_password(SECRET, f"jobd_login_{role}") not in text
    await connection.execute(text)
    assert await (await database.connect(role)).fetchval(SUBMIT) is not None


async def test_the_password_is_derived_so_that_the_daemon_needs_no_list(database: Database) -> None:
    role = await make_role(database, "clerk")
    login = await grants.grant_submitter(await database.connect(), grants.SubmitterGrant(role=role), SECRET)
    assert grants.login_password(SECRET, login) == grants.login_password(SECRET, login)
    assert grants.login_password("another", login) != grants.login_password(SECRET, login)
    stored = await database.fetchval("select rolpassword from pg_authid where rolname = $1", login)
    assert stored.startswith("SCRAM-SHA-256$4096:")


async def test_the_verifier_is_the_one_that_the_server_would_have_made(database: Database) -> None:
    role = await make_role(database, "clerk", "login password 'of a clerk'")
    stored = await database.fetchval("select rolpassword from pg_authid where rolname = $1", role)
    salt = base64.b64decode(re.split("[:$]", stored)[2])
    assert grants.scram_verifier("of a clerk", salt) == stored


async def test_a_name_too_long_or_in_need_of_quotes_still_gets_a_login_of_its_own(database: Database) -> None:
    stem = unique('Ünïcode "quoted" role, rather long')
    names = [(stem + "x" * 60)[:55] + end for end in ("ab", "ac")]
    logins = []
    for name in names:
        await database.execute(f"create role {await database.fetchval('select quote_ident($1)', name)} login")
        name_kept = await database.fetchval("select rolname from pg_roles where rolname = $1::name", name)
        logins.append(await database.fetchval("select jobd.grant_submitter($1)", name_kept))
    assert len(set(logins)) == 2
    for name, login in zip(names, logins, strict=True):
        assert len(login.encode()) <= 63
        assert await database.fetchval("select pg_has_role($1::name, $2::name, 'usage')", login, name)


async def test_a_grant_refuses_roles_whose_login_would_be_too_powerful(database: Database) -> None:
    worker = await make_role(database, "daemon")
    await database.execute(f"grant jobd_worker to {worker}")
    for role, reason in (
        ("postgres", "superuser"),
        (worker, "jobd's own roles"),
        (await make_role(database, "root", "superuser"), "superuser"),
    ):
        with pytest.raises(asyncpg.InvalidGrantOperationError, match=reason) as refused:
            await database.execute("select jobd.grant_submitter($1)", role)
        assert refused.value.hint
    with pytest.raises(asyncpg.UndefinedObjectError, match="does not exist") as unknown:
        await database.execute("select jobd.grant_submitter('nobody of this name')")
    assert "create role" in (unknown.value.hint or "")


async def test_a_grant_refuses_a_login_that_somebody_else_may_use_for_more(database: Database) -> None:
    for attributes, group in (("login createdb", None), ("login", "pg_monitor"), ("login superuser", None)):
        role = await make_role(database, "clerk")
        await database.execute(f"create role jobd_login_{role} {attributes}")
        if group:
            await database.execute(f"grant {group} to jobd_login_{role}")
        with pytest.raises(asyncpg.InvalidGrantOperationError, match="exists already"):
            await database.execute("select jobd.grant_submitter($1)", role)


async def test_granting_needs_rights_that_a_submitter_and_a_worker_lack(database: Database) -> None:
    mine = await make_submitter(database)
    role = await make_role(database, "clerk")
    worker = await make_member(database, "jobd_worker")
    for connection in (mine.connection, worker):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("select jobd.grant_submitter($1)", role)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("update jobd.submitter set import_roots = null")
    statements = await worker.fetchval("select jobd.submitter_statements($1)", role)
    assert any("create role" in statement for statement in statements)


async def test_an_administrator_without_superuser_can_grant(database: Database) -> None:
    administrator = await make_role(database, "dba", "login createrole")
    await database.execute(f"grant jobd_admin to {administrator}")
    await database.execute(f"grant jobd_submitter to {administrator} with admin option")
    connection = await database.connect(administrator)
    role = unique("clerk")
    await connection.execute(f"create role {role} login")
    await connection.execute("select jobd.grant_submitter($1)", role)
    assert await (await database.connect(role)).fetchval(SUBMIT) is not None
    assert await connection.fetchval("select jobd.revoke_submitter($1)", role)


async def test_a_revoked_submitter_submits_and_sees_nothing_more(database: Database) -> None:
    mine = await make_submitter(database)
    job_id = await mine.submit()
    connection = await database.connect()
    assert await grants.revoke_submitter(connection, mine.role) is True
    assert await grants.revoke_submitter(connection, mine.role) is False
    for statement in (SUBMIT, "select * from jobd.job", "select * from jobd.active_jobs"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await mine.connection.execute(statement)
    assert not await database.fetchval("select exists (select from pg_roles where rolname = $1)", mine.login)
    assert await database.fetchval("select status from jobd.job where id = $1", job_id) == "pending"


async def test_a_login_that_owns_something_is_kept_but_can_log_in_no_more(database: Database) -> None:
    mine = await make_submitter(database)
    await database.execute(f"create schema authorization {mine.login}")
    assert await database.fetchval("select jobd.revoke_submitter($1)", mine.role)
    assert await database.fetchval("select rolcanlogin from pg_roles where rolname = $1", mine.login) is False
    await database.execute("select jobd.grant_submitter($1)", mine.role)
    assert await database.fetchval("select rolcanlogin from pg_roles where rolname = $1", mine.login) is True
