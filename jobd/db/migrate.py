"""Laying the schema, and keeping it current: ``jobd migrate``.

Structure (``sql/migrations``) is applied once per file, in order; everything else below ``sql/`` is laid anew as a
whole whenever any of its text changed. All of it happens in one transaction under an advisory lock, so that two
migrations at once are safe and a failed one leaves nothing behind. Locks are waited for briefly and the whole is
tried again, so that a migration never queues up in front of a busy application.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import anyio
import asyncpg

from jobd.db import environment as environments
from jobd.db import schema_text
from jobd.db.queries import query
from jobd.db.schema_state import SchemaState, compare
from jobd.errors import ConfigurationError, DatabaseUnavailable, SchemaMismatch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from asyncpg import Connection

# Whoever waits for a lock has all others wait behind it: so it waits briefly, and then lets them be for longer.
LOCK_TIMEOUT_SECONDS = 1
PAUSE_SECONDS_MIN = 0.25
PAUSE_SECONDS_MAX = 6.0
GIVE_UP_SECONDS = 120
ADVISORY_KEY = 0x6A6F6264  # "jobd"


async def migrate(
    url: str,
    *,
    role_prefix: str = schema_text.DEFAULT_ROLE_PREFIX,
    environment: str | None = None,
    adopt: bool = False,
) -> list[str]:
    """Apply what is missing and give the names of what was applied; an empty list when all was current.

    ``environment`` is recorded as what the database belongs to, where nothing is recorded yet or with ``adopt``.
    """
    text = schema_text.load(role_prefix)

    async def apply(connection: Connection) -> list[str]:
        applied = await _apply(connection, text)
        if environment is not None:
            await connection.execute(f"set local role {text.owner}")
            if await environments.record(connection, environment, adopt=adopt):
                applied.append(f"environment {environment}")
        return applied

    return await _patiently(url, apply)


async def migrate_down(url: str, target: int, *, role_prefix: str = schema_text.DEFAULT_ROLE_PREFIX) -> list[str]:
    """Take back what later migrations made, down to that version; gives the names of the steps.

    SchemaMismatch says why that cannot be; nothing is changed then.
    """
    text = schema_text.load(role_prefix)
    return await _patiently(url, lambda connection: _take_back(connection, text, target))


async def _patiently(url: str, change: Callable[[Connection], Awaitable[list[str]]]) -> list[str]:
    """Try until no lock is in the way, each time in a transaction that waits for one only briefly."""
    deadline = time.monotonic() + GIVE_UP_SECONDS
    attempts = 0
    while True:
        try:
            connection = await _connect(url)
            try:
                async with connection.transaction(isolation="read_committed", readonly=False):
                    await connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'")
                    await connection.execute(f"select pg_advisory_xact_lock({ADVISORY_KEY})")
                    return await change(connection)
            finally:
                await connection.close()
        except asyncpg.PostgresError as error:
            if not _passes(error):
                raise _explained(error) from error
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(f"no chance to migrate within {GIVE_UP_SECONDS} s: {error}") from error
            await anyio.sleep(_pause_seconds(attempts))
            attempts += 1


async def check(connection: Connection, *, role_prefix: str = schema_text.DEFAULT_ROLE_PREFIX) -> SchemaState:
    """Compare without changing anything (``--check``, and the daemon at its start)."""
    return await compare(connection, schema_text.load(role_prefix))


async def pending_sql(
    connection: Connection,
    *,
    role_prefix: str = schema_text.DEFAULT_ROLE_PREFIX,
    environment: str | None = None,
) -> str:
    """Write out the script that :func:`migrate` would run on this database (``--sql``)."""
    text = schema_text.load(role_prefix)
    state = await compare(connection, text)
    if state.is_newer:
        raise SchemaMismatch(
            f"the schema is version {state.version}, this jobd knows {state.known}: there is no script"
        )
    return text.script(state.version, environment)


async def _connect(url: str) -> Connection:
    try:
        # No cached statements: their plans would outlive what is changed here, and a pooler may stand between.
        return await asyncpg.connect(url, statement_cache_size=0)
    except (OSError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError) as error:
        raise DatabaseUnavailable(f"the database cannot be reached: {error}") from error


async def _apply(connection: Connection, text: schema_text.SchemaText) -> list[str]:
    state = await compare(connection, text)
    if state.is_too_new:
        raise SchemaMismatch(state.complaint())
    if state.is_current or state.is_newer:
        return []
    return await _run(connection, text.parts(state.version))


async def _take_back(connection: Connection, text: schema_text.SchemaText, target: int) -> list[str]:
    state = await compare(connection, text)
    if state.version <= target:
        return []
    if state.is_newer:
        raise SchemaMismatch(
            f"the schema is version {state.version}, this jobd knows {text.version}: "
            "go down with the release that migrated it"
        )
    if target < schema_text.OLDEST_SUPPORTED:
        raise SchemaMismatch(
            f"there is no way down to version {target}: it leads back to the release before this one, "
            f"which is version {schema_text.OLDEST_SUPPORTED}, and no further; restore a backup"
        )
    for contract in await connection.fetch(query("schema_contract_steps"), target):
        raise SchemaMismatch(
            f"there is no way down to version {target}: {contract['name']} was a contract step, and what it "
            "removed is gone; go on with this release, or restore a backup"
        )
    return await _run(connection, text.parts_down(state.version, target))


async def _run(connection: Connection, parts: Iterable[schema_text.Part]) -> list[str]:
    applied = []
    for part in parts:
        try:
            await connection.execute(part.sql)
        except asyncpg.PostgresError as error:
            error.add_note(f"while applying sql/{part.name}")
            raise
        applied.append(part.name)
    return applied


def _pause_seconds(attempts: int) -> float:
    """Longer each time, and never the same for two migrations that are in each other's way."""
    longest = min(PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN * 2 ** min(attempts, 10))
    return random.uniform(longest / 2, longest)  # noqa: S311


def _passes(error: asyncpg.PostgresError) -> bool:
    """Whether another migration or a busy application is in the way, only for the moment."""
    if isinstance(error, asyncpg.UniqueViolationError):
        # Two databases of one cluster make the same role.
        return (error.constraint_name or "").startswith("pg_")
    if isinstance(error, asyncpg.InternalServerError):
        return "concurrently" in str(error)
    return isinstance(
        error, asyncpg.LockNotAvailableError | asyncpg.DeadlockDetectedError | asyncpg.SerializationError
    )


def _explained(error: asyncpg.PostgresError) -> Exception:
    if isinstance(error, asyncpg.InvalidSchemaNameError):  # which create.sql could not make
        return ConfigurationError(
            "this role may not create a schema in this database: its owner migrates, or an administrator runs "
            "grant create on database … to …"
        )
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        hint = error.hint or "an administrator can do this part: see `jobd migrate --sql --roles`"
        return ConfigurationError(f"{error.args[0]} ({hint})")
    if isinstance(error, asyncpg.ObjectNotInPrerequisiteStateError):
        return SchemaMismatch(f"{error.args[0]} ({error.hint})")
    return error
