"""Which environment a database belongs to, and that a copy of it is noticed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from jobd.db import environment, migrate, schema_text
from tests.sql.roles import make_member, make_role, submit
from tests.support.database import Database, create_database, drop_database
from tests.support.names import unique

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.each_postgres


async def obstacle(database: Database, name: str | None) -> str | None:
    """What a daemon of that environment, with a worker's rights only, is told."""
    return await environment.obstacle(await make_member(database, "jobd_worker"), name)


@pytest.fixture
async def copy(database: Database) -> AsyncIterator[Database]:
    """A copy of the database, made after it was recorded as production."""
    await migrate.migrate(database.url, environment="production")
    await submit(await database.connect())
    await database.close()
    copy = Database(database.server, unique("copy"))
    await create_database(database.server, copy.name, database.name)
    yield copy
    await copy.close()
    await drop_database(copy.server, copy.name)


async def test_the_first_migrate_that_names_an_environment_records_it_and_no_later_one(database: Database) -> None:
    assert await obstacle(database, None) is None
    assert await obstacle(database, "anything") is None
    assert await migrate.migrate(database.url, environment="production") == ["environment production"]
    assert await migrate.migrate(database.url, environment="staging") == []
    assert await obstacle(database, "production") is None
    assert "belongs to the environment production, this daemon to staging" in str(
        await obstacle(database, "staging")
    )
    assert "this daemon to none" in str(await obstacle(database, None))


async def test_a_copy_is_noticed_by_daemons_of_either_environment_until_it_is_adopted(copy: Database) -> None:
    assert "copy of the one that was recorded as the environment production" in str(
        await obstacle(copy, "production")
    )
    assert "this daemon to staging" in str(await obstacle(copy, "staging"))
    assert await migrate.migrate(copy.url, environment="staging", adopt=True) == ["environment staging"]
    assert await obstacle(copy, "staging") is None
    assert await obstacle(copy, "production") is not None
    assert await copy.fetchval("select count(*) from jobd.job") == 1


async def test_a_database_that_is_renamed_is_the_same(database: Database, copy: Database) -> None:
    await migrate.migrate(copy.url, environment="production", adopt=True)
    renamed = Database(copy.server, unique("renamed"))
    await copy.close()
    await database.execute(f'alter database "{copy.name}" rename to "{renamed.name}"')
    try:
        assert await obstacle(renamed, "production") is None
    finally:
        await renamed.close()
        await drop_database(renamed.server, renamed.name)


async def test_another_cluster_is_another_database(database: Database) -> None:
    await migrate.migrate(database.url, environment="production")
    await database.execute("update jobd.environment set system_identifier = system_identifier + 1")
    assert await obstacle(database, "production") is not None
    # A server that does not say which cluster it is leaves it at the database.
    await database.execute("update jobd.environment set system_identifier = null")
    assert await obstacle(database, "production") is None


async def test_the_owner_alone_records_and_needs_no_superuser(empty_database: Database) -> None:
    prefix = f"{unique('e')}_"
    await empty_database.execute(schema_text.load(prefix).roles.sql)
    role = await make_role(empty_database, "migrator")
    await empty_database.execute(f"grant {prefix}owner to {role}")
    assert await migrate.migrate(empty_database.url_of(role), role_prefix=prefix, environment="production")
    row = await empty_database.fetchrow("select * from jobd.environment")
    assert row is not None
    assert (row["name"], row["recorded_by"]) == ("production", role)
    assert row["system_identifier"] is not None


async def test_no_worker_administrator_or_submitter_adopts(database: Database) -> None:
    for group in ("jobd_worker", "jobd_admin", "jobd_submitter"):
        member = await make_member(database, group)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await environment.record(member, "mine", adopt=True)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await member.execute("update jobd.environment set name = 'mine'")


async def test_the_printed_script_records_it_too(empty_database: Database) -> None:
    script = await migrate.pending_sql(await empty_database.connect(), environment="production")
    await empty_database.close()
    statements = "".join(line for line in script.splitlines(keepends=True) if not line.startswith("\\"))
    await empty_database.execute(statements)
    assert await empty_database.fetchval("select name from jobd.environment") == "production"


async def test_two_migrations_at_once_record_one_environment(database: Database) -> None:
    names = ("production", "staging", "test")
    recorded = await asyncio.gather(*(migrate.migrate(database.url, environment=name) for name in names))
    assert sorted(len(each) for each in recorded) == [0, 0, 1]
