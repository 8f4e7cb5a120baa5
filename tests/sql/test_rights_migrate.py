"""Who may lay the schema: an administrator makes the roles once, and nothing after that needs one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from jobd.db import migrate, schema_text
from jobd.errors import ConfigurationError
from tests.sql.roles import SUBMIT, make_member, make_role
from tests.support.names import unique

if TYPE_CHECKING:
    from tests.support.database import Database

pytestmark = pytest.mark.each_postgres

GROUPS = ("owner", "worker", "submitter", "monitor", "admin")


async def test_a_role_that_may_create_roles_lays_everything_itself(empty_database: Database) -> None:
    prefix = f"{unique('p')}_"
    role = await make_role(empty_database, "migrator", "login createrole")
    await empty_database.execute(f"grant create on database {empty_database.name} to {role}")
    assert await migrate.migrate(empty_database.url_of(role), role_prefix=prefix)
    assert await migrate.migrate(empty_database.url_of(role), role_prefix=prefix) == []
    made = await empty_database.fetch(
        "select rolname, rolcanlogin from pg_roles where starts_with(rolname, $1)", prefix
    )
    assert {(row["rolname"], row["rolcanlogin"]) for row in made} == {
        (f"{prefix}{group}", False) for group in GROUPS
    }
    owners = await empty_database.fetch(
        "select distinct relowner::regrole::text as name from pg_class where relnamespace = 'jobd'::regnamespace"
    )
    assert [row["name"] for row in owners] == [f"{prefix}owner"]


async def test_a_role_that_may_not_is_told_what_an_administrator_runs(empty_database: Database) -> None:
    role = await make_role(empty_database, "migrator")
    await empty_database.execute(f"grant create on database {empty_database.name} to {role}")
    with pytest.raises(ConfigurationError, match=r"jobd migrate --sql --roles"):
        await migrate.migrate(empty_database.url_of(role), role_prefix=f"{unique('p')}_")


async def test_after_the_roles_are_made_a_plain_member_of_the_owner_migrates(empty_database: Database) -> None:
    prefix = f"{unique('p')}_"
    await empty_database.execute(schema_text.load(prefix).roles.sql)
    role = await make_role(empty_database, "migrator")
    await empty_database.execute(f"grant {prefix}owner to {role}")
    assert await migrate.migrate(empty_database.url_of(role), role_prefix=prefix)
    assert await migrate.migrate(empty_database.url_of(role), role_prefix=prefix) == []
    # Laying everything anew, as the next release will, needs no more.
    await empty_database.execute("update jobd.schema_text set sha256 = 'of another release'")
    assert await migrate.migrate(empty_database.url_of(role), role_prefix=prefix)


async def test_two_prefixes_in_one_cluster_do_not_meet(empty_database: Database, database: Database) -> None:
    prefix = f"{unique('p')}_"
    await migrate.migrate(empty_database.url, role_prefix=prefix)
    worker = await make_member(database, "jobd_worker")
    elsewhere = await empty_database.connect(await worker.fetchval("select current_user"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await elsewhere.execute("select * from jobd.job")
    role = await make_role(empty_database, "clerk")
    login = await empty_database.fetchval("select jobd.grant_submitter($1)", role)
    assert login == f"{prefix}login_{role}"
    assert await (await empty_database.connect(role)).fetchval(SUBMIT) is not None


async def test_laying_the_rights_again_locks_nobody_out(database: Database) -> None:
    reader = await database.connect()
    rights = next(part.sql for part in schema_text.load().laid_anew if part.name == "roles/row_security.sql")
    async with reader.transaction():
        await reader.fetch("select * from jobd.job")
        await database.execute("set role jobd_owner; set lock_timeout = '1s'")
        await database.execute(rights)


async def test_every_table_with_rows_of_submitters_has_row_level_security(database: Database) -> None:
    with_owner = "exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = any ($1))"
    open_tables = await database.fetch(
        "select c.relname from pg_class c where c.relnamespace = 'jobd'::regnamespace and c.relkind = 'r'"
        f" and not c.relrowsecurity and has_table_privilege('jobd_submitter', c.oid, 'select') and {with_owner}",
        ["submitted_role_oid", "role_oid"],
    )
    assert open_tables == []
