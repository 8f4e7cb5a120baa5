"""migrate: idempotent, safe when two run at once, patient with locks, and never backwards."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from jobd.db import migrate, schema_dump, schema_text
from jobd.errors import ConfigurationError, DatabaseUnavailable, SchemaMismatch
from tests.sql.roles import make_role, submit
from tests.support.names import unique
from tests.support.schema import later_schema

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database


async def test_migrating_twice_applies_nothing_the_second_time(empty_database: Database) -> None:
    applied = await migrate.migrate(empty_database.url)
    assert "migrations/0002_create_job.sql" in applied
    assert await migrate.migrate(empty_database.url) == []
    state = await migrate.check(await empty_database.connect())
    assert state.is_current
    assert state.complaint() is None


async def test_five_migrations_at_once_lay_the_schema_once(empty_database: Database) -> None:
    applied = await asyncio.gather(*(migrate.migrate(empty_database.url) for _ in range(5)))
    assert sorted(bool(names) for names in applied) == [False] * 4 + [True]
    versions = await empty_database.fetchval("select array_agg(version order by version) from jobd.schema_version")
    assert versions == list(range(1, schema_text.load().version + 1))


async def test_two_databases_of_one_cluster_may_make_the_same_roles_at_once(
    empty_database: Database, database: Database
) -> None:
    prefix = f"{unique('x')}_"
    await database.execute("drop schema jobd cascade")
    await asyncio.gather(
        *(migrate.migrate(one.url, role_prefix=prefix) for one in (empty_database, database)),
    )
    owner = "select nspowner::regrole::text from pg_namespace where nspname = 'jobd'"
    assert await empty_database.fetchval(owner) == await database.fetchval(owner) == f"{prefix}owner"
    await submit(await database.connect())
    await database.execute(f"set role {prefix}owner")
    await database.execute("update jobd.job set waiting_reason = 'the owner of this prefix may'")


async def test_an_unusual_role_prefix_is_refused(database: Database) -> None:
    with pytest.raises(ConfigurationError, match="JOBD_ROLE_PREFIX"):
        await migrate.migrate(database.url, role_prefix="Jobd-")


async def test_a_schema_that_is_newer_is_refused_and_left_alone(database: Database) -> None:
    await database.execute("insert into jobd.schema_version values (9999, 'from the future', now(), 'them', 9999)")
    with pytest.raises(SchemaMismatch, match="upgrade jobd"):
        await migrate.migrate(database.url)
    state = await migrate.check(await database.connect())
    assert not state.is_current
    assert "9999" in (state.complaint() or "")


async def test_a_newer_schema_that_admits_this_release_is_left_alone(database: Database) -> None:
    await later_schema(database, compatible_from=schema_text.load().version)
    before = schema_dump.dump(database.server, database.name)
    assert await migrate.migrate(database.url) == []
    assert schema_dump.dump(database.server, database.name) == before
    connection = await database.connect()
    state = await migrate.check(connection)
    assert (state.is_newer, state.is_too_new, state.complaint()) == (True, False, None)
    with pytest.raises(SchemaMismatch, match="no script"):
        await migrate.pending_sql(connection)


async def test_a_newer_schema_after_a_contract_step_is_refused(database: Database) -> None:
    known = schema_text.load().version
    await later_schema(database, compatible_from=known + 1)
    with pytest.raises(SchemaMismatch, match=f"needs at least {known + 1}, this jobd knows {known}"):
        await migrate.migrate(database.url)


async def test_check_says_what_is_missing(empty_database: Database, database: Database) -> None:
    state = await migrate.check(await empty_database.connect())
    assert (state.version, state.complaint()) == (0, "the database has no jobd schema: run `jobd migrate`")
    connection = await database.connect()
    await connection.execute("update jobd.schema_text set sha256 = 'older'")
    state = await migrate.check(connection)
    assert "functions are of another release" in (state.complaint() or "")
    oldest = schema_text.OLDEST_SUPPORTED
    await connection.execute("delete from jobd.schema_version where version >= $1", oldest)
    state = await migrate.check(connection)
    assert f"version {oldest - 1}, this jobd needs" in (state.obstacle() or "")
    assert state.complaint() == state.obstacle()


async def test_functions_are_laid_anew_when_their_text_changed(database: Database) -> None:
    await database.execute("create or replace function jobd.uuid7() returns uuid language sql return null::uuid")
    await database.execute("update jobd.schema_text set sha256 = 'older'")
    applied = await migrate.migrate(database.url)
    assert "values/uuid7.sql" in applied
    assert not [name for name in applied if name.startswith("migrations/")]
    assert await database.fetchval("select jobd.uuid7()") is not None


async def test_a_busy_table_is_waited_for_briefly_and_again(database: Database) -> None:
    application = await database.connect()
    transaction = application.transaction()
    await transaction.start()
    await submit(application)
    await database.execute("update jobd.schema_text set sha256 = 'older'")
    migrating = asyncio.create_task(migrate.migrate(database.url))
    waiting = "select count(*) from pg_locks where not granted and relation = 'jobd.job'::regclass"
    while not await database.fetchval(waiting):
        pass
    while await database.fetchval(waiting):
        pass  # until it gives up and lets others pass
    await transaction.commit()
    assert "triggers/job.sql" in await migrating


async def test_it_gives_up_in_the_end(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "GIVE_UP_SECONDS", 0)
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT_SECONDS", 0.05)
    application = await database.connect()
    async with application.transaction():
        await application.execute("lock table jobd.schema_text")
        with pytest.raises(DatabaseUnavailable, match="no chance to migrate"):
            await migrate.migrate(database.url)


async def test_a_database_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
        await migrate.migrate("postgresql://postgres@127.0.0.1:1/x")


async def test_a_role_without_rights_is_told_what_an_administrator_must_run(empty_database: Database) -> None:
    role = await make_role(empty_database, "nobody")
    with pytest.raises(ConfigurationError, match="jobd migrate --sql --roles"):
        await migrate.migrate(empty_database.url_of(role), role_prefix=f"{unique('y')}_")


async def test_after_the_administrators_part_no_superuser_is_needed(empty_database: Database) -> None:
    prefix = f"{unique('z')}_"
    role = await make_role(empty_database, "migrator")
    await empty_database.execute(schema_text.load(prefix).roles.sql)
    await empty_database.execute(f"grant {prefix}owner to {role}")
    assert await migrate.migrate(empty_database.url_of(role), role_prefix=prefix)
    assert (await migrate.check(await empty_database.connect(), role_prefix=prefix)).is_current


async def test_the_printed_script_makes_the_same_schema_and_only_where_it_fits(
    empty_database: Database, database: Database, tmp_path: Path
) -> None:
    script = tmp_path / "jobd.sql"
    script.write_text(await migrate.pending_sql(await empty_database.connect()), encoding="utf-8")
    psql = ("psql", "-X", "-q", f"--file={script}")
    await asyncio.to_thread(empty_database.server.run, *psql, empty_database.url)
    assert schema_dump.dump(empty_database.server, empty_database.name) == schema_dump.dump(
        database.server, database.name
    )
    assert await migrate.migrate(empty_database.url) == []
    with pytest.raises(DatabaseUnavailable, match="this script is for version 0"):
        empty_database.server.run(*psql, empty_database.url)


async def test_every_function_is_valid_and_not_only_accepted(database: Database) -> None:
    """They are laid with check_function_bodies off, because some name others that come later."""
    await database.execute("set role jobd_owner")
    for part in schema_text.load().laid_anew:
        if part.name.startswith("functions/"):
            await database.execute(part.sql)


async def test_what_fails_names_its_file(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    text = schema_text.load()
    broken = schema_text.SchemaText(
        text.roles, (schema_text.Part("values/broken.sql", "selec 1"),), text.migrations, (), text.owner
    )
    monkeypatch.setattr(schema_text, "load", lambda _prefix: broken)
    with pytest.raises(asyncpg.PostgresSyntaxError) as failure:
        await migrate.migrate(empty_database.url)
    assert failure.value.__notes__ == ["while applying sql/values/broken.sql"]
