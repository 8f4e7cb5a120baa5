"""What stands around the database is found, each with the real thing: a pooler, a forgotten slot, a standby."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from jobd.db import embedded, migrate
from jobd.db.connect import Connector
from jobd.doctor import connection as checks
from jobd.doctor import listener, upkeep
from jobd.doctor.patient import Patient
from jobd.metrics import Metrics
from jobd.settings import Settings
from tests.support.pooler import pooler
from tests.support.server_control import CONTROLLED, ServerControl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from jobd.doctor.finding import Finding
    from tests.support.database import Database

REPLICATING = {**CONTROLLED, "wal_level": "logical"}


@contextlib.asynccontextmanager
async def patient_at(url: str, **settings: str) -> AsyncIterator[Patient]:
    """Somebody whose settings lead there."""
    environment = {f"JOBD_{name.upper()}": value for name, value in {"database_url": url, **settings}.items()}
    given = Settings.load(environment=environment)
    connector = Connector(given, Metrics("0"))
    connection = await connector.open()
    try:
        yield Patient(given, connector, connection)
    finally:
        connection.terminate()


def only(findings: list[Finding]) -> tuple[str, str]:
    [finding] = findings
    return finding.level, finding.message


@pytest.fixture
def primary() -> Iterator[ServerControl]:
    with embedded.running(settings=REPLICATING) as server:
        yield ServerControl(server, REPLICATING)


async def test_a_pooler_is_found_and_that_nothing_is_heard_through_it_until_there_is_a_direct_way(
    database: Database,
) -> None:
    with pooler(database) as between:
        async with patient_at(between.url(database)) as patient:
            level, message = only(await checks.pooler(patient))
            assert (level, "through which no notification is heard" in message) == ("warning", True)
            assert only(await listener.listener(patient)) == (
                "warning", "a notification from a second connection was not heard"
            )  # fmt: skip
        async with patient_at(between.url(database), notify_database_url=database.url) as patient:
            assert only(await checks.pooler(patient)) == ("ok", "a pooler is in between, and the settings fit it")
            assert only(await listener.listener(patient))[0] == "ok"


async def test_a_slot_that_nobody_reads_is_found_and_dropped_by_the_remedy(primary: ServerControl) -> None:
    await migrate.migrate(primary.server.url())
    async with patient_at(primary.server.url()) as patient:
        assert only(await upkeep.slots(patient))[0] == "ok"
        await primary.run("select pg_create_logical_replication_slot('forgotten', 'pgoutput')")
        [finding] = await upkeep.slots(patient)
        assert (finding.level, "nobody reads the logical slot forgotten" in finding.message) == ("warning", True)
        assert finding.remedy is not None
        await primary.run(finding.remedy.partition("or: ")[2])
        assert only(await upkeep.slots(patient))[0] == "ok"


async def test_a_standby_takes_no_writes_and_the_url_of_the_remedy_leads_to_the_primary(
    primary: ServerControl,
) -> None:
    await migrate.migrate(primary.server.url())
    with primary.standby() as standby:
        async with patient_at(standby.server.url()) as patient:
            problem = next(each for each in await checks.server(patient) if each.level == "problem")
        assert problem.message == "this server is a standby, which takes no writes"
        assert "target_session_attrs=read-write" in (problem.remedy or "")
        both = f"127.0.0.1:{standby.server.port},127.0.0.1:{primary.server.port}"
        async with patient_at(f"postgresql://postgres@{both}/postgres?target_session_attrs=read-write") as patient:
            assert {each.level for each in await checks.server(patient)} == {"ok"}
