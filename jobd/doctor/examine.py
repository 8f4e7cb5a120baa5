"""All questions, in the order in which one would ask them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from jobd.doctor import connection, environment, listener, places, roles, schema, server_settings, upkeep, work
from jobd.doctor.finding import Level, unknown
from jobd.doctor.patient import Patient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from typing import Any

    from jobd.db.connect import Connector
    from jobd.doctor.finding import Finding
    from jobd.settings import Settings

    Question = Callable[[Patient], Awaitable[list[Finding]]]

# Of the server and this host, and what can be asked once the schema is there.
GENERAL: tuple[Question, ...] = (
    connection.server,
    connection.encryption,
    connection.pooler,
    connection.clock,
    listener.listener,
    places.roots,
    server_settings.settings,
    upkeep.transactions,
    upkeep.slots,
    schema.version,
)
OF_SCHEMA: tuple[Question, ...] = (
    environment.belonging,
    schema.parts,
    roles.daemon,
    roles.submitters,
    upkeep.tables,
    server_settings.connections,
    work.workers,
    work.queues,
)


async def examine(
    settings: Settings, connector: Connector, connected: asyncpg.Connection[Any]
) -> AsyncIterator[Finding]:
    """Ask everything that can be asked, one thing after the other; nothing is changed."""
    patient = Patient(settings, connector, connected)
    has_schema = True
    for question in GENERAL:
        async for finding in _answers(question, patient):
            has_schema = has_schema and not (finding.check == "schema" and finding.level is Level.PROBLEM)
            yield finding
    for question in OF_SCHEMA if has_schema else ():
        async for finding in _answers(question, patient):
            yield finding


async def _answers(question: Question, patient: Patient) -> AsyncIterator[Finding]:
    try:
        for finding in await question(patient):
            yield finding
    except asyncpg.InsufficientPrivilegeError as refused:
        check = f"{question.__module__.rpartition('.')[2]}_{question.__name__}"
        yield unknown(check, f"may not be asked: {refused.args[0]}", "run doctor as the daemon's role")
