"""The way back: what the last release migrated is taken back while work goes on, unless a contract step ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobd.db import migrate, schema_dump, schema_text
from jobd.db.schema_text import OLDEST_SUPPORTED
from jobd.errors import SchemaMismatch
from tests.support.schema import later_schema, with_migration
from tests.support.worker import SimulatedWorker

if TYPE_CHECKING:
    from tests.support.database import Database

KNOWN = schema_text.load().version


@pytest.mark.each_postgres
async def test_down_and_up_again_leads_to_the_same_schema_and_loses_no_job(database: Database) -> None:
    worker = SimulatedWorker(database)
    await worker.register()
    await database.execute("insert into jobd.job (job_type, handler) values ('processing', 'nothing')")
    before = schema_dump.dump(database.server, database.name)
    down = await migrate.migrate_down(database.url, OLDEST_SUPPORTED)
    assert [name for name in down if name.startswith("down/")] == [
        f"down/{part.name.removeprefix('migrations/')}"
        for part in reversed(schema_text.load().migrations[OLDEST_SUPPORTED:])
    ]
    state = await migrate.check(await database.connect())
    assert (state.version, state.obstacle(), state.is_current) == (OLDEST_SUPPORTED, None, False)
    assert await worker.claim()
    await migrate.migrate(database.url)
    assert schema_dump.dump(database.server, database.name) == before
    assert await database.fetchval("select status from jobd.job") == "running"


async def test_down_to_where_it_is_already_does_nothing(database: Database) -> None:
    assert await migrate.migrate_down(database.url, KNOWN) == []
    assert (await migrate.check(await database.connect())).is_current


async def test_down_leads_to_the_release_before_and_no_further(database: Database) -> None:
    with pytest.raises(SchemaMismatch, match=f"which is version {OLDEST_SUPPORTED}, and no further"):
        await migrate.migrate_down(database.url, OLDEST_SUPPORTED - 1)


async def test_an_older_release_does_not_take_back_what_it_does_not_know(database: Database) -> None:
    await later_schema(database, compatible_from=KNOWN)
    with pytest.raises(SchemaMismatch, match="go down with the release that migrated it"):
        await migrate.migrate_down(database.url, OLDEST_SUPPORTED)


async def test_after_a_contract_step_there_is_no_way_down_and_nothing_is_changed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = with_migration(
        schema_text.load(), f"-- Contract: for daemons that know schema {KNOWN}.\ndrop view jobd.job_progress;"
    )
    monkeypatch.setattr(schema_text, "load", lambda _prefix: later)
    await migrate.migrate(database.url)
    assert (await migrate.check(await database.connect())).compatible_from == KNOWN
    before = schema_dump.dump(database.server, database.name)
    with pytest.raises(SchemaMismatch, match=r"later\.sql was a contract step"):
        await migrate.migrate_down(database.url, OLDEST_SUPPORTED)
    assert schema_dump.dump(database.server, database.name) == before


async def test_an_expand_step_leaves_whom_the_schema_admits_as_it_was(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = with_migration(schema_text.load(), "-- Expand.\nalter table jobd.job add column later int;")
    monkeypatch.setattr(schema_text, "load", lambda _prefix: later)
    await migrate.migrate(database.url)
    state = await migrate.check(await database.connect())
    assert (state.version, state.compatible_from) == (KNOWN + 1, OLDEST_SUPPORTED)


async def test_a_contract_step_waits_until_no_daemon_needs_what_it_removes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = SimulatedWorker(database)  # registers as the release before does: it does not say what it knows
    await old.register("old-daemon")
    later = with_migration(schema_text.load(), f"-- Contract: for daemons that know schema {KNOWN}.\nselect 1;")
    monkeypatch.setattr(schema_text, "load", lambda _prefix: later)
    with pytest.raises(SchemaMismatch, match=r"old-daemon .*Restart them with this release"):
        await migrate.migrate(database.url)
    assert (await migrate.check(await database.connect())).version == KNOWN
    await database.execute("update jobd.worker set schema_version = $1", KNOWN)
    assert f"migrations/{KNOWN + 1:04}_later.sql" in await migrate.migrate(database.url)
