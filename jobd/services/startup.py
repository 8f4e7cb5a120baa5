"""What a daemon waits for before it works: a database of its own, a schema to work with, and the right to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from jobd import log
from jobd.db import environment, migrate
from jobd.db.schema_text import OLDEST_SUPPORTED
from jobd.db.transient import why_away
from jobd.errors import ConfigurationError, SchemaMismatch
from jobd.services.tuning import tune

if TYPE_CHECKING:
    from jobd.runner.logins import Logins
    from jobd.runner.parts import Parts
    from jobd.services.worker import Worker

_log = log.get("startup")


class Startup:
    """Registers the worker once nothing is in the way any more."""

    def __init__(self, parts: Parts, worker: Worker, logins: Logins) -> None:
        self._pool = parts.pool
        self._queue = parts.queue
        self._metrics = parts.metrics.database
        self._environment = parts.settings.environment
        self._role_prefix = parts.settings.role_prefix
        self._worker = worker
        self._logins = logins
        self._last_reason = ""

    async def reason_to_wait(self) -> str | None:
        """Try to begin: why that is not possible yet, None when the worker is registered.

        Raises ConfigurationError and SchemaMismatch where waiting would not help.
        """
        try:
            reason = await self._complaint()
            if reason is None:
                await self._worker.register()
                tune()
                return None
        except (ConfigurationError, SchemaMismatch):
            raise
        except Exception as error:  # noqa: BLE001  whatever keeps the database away: it is waited for
            reason = f"waiting for the database: {why_away(error)}"
            if reason != self._last_reason:
                _log.warning("no database yet", error=error)
        else:
            if reason != self._last_reason:
                _log.warning("not ready", reason=reason)
        self._last_reason = reason
        return reason

    async def _complaint(self) -> str | None:
        """Why this daemon cannot work in this database yet."""
        async with self._pool.acquire() as connection:
            role = await connection.fetchval("select current_user")
            refusal = f"the role {role} may not work here: run `grant {self._role_prefix}worker to {role}`"
            try:
                schema = await migrate.check(connection, role_prefix=self._role_prefix)
                foreign = await environment.obstacle(connection, self._environment)
            except asyncpg.InsufficientPrivilegeError:
                return refusal
        self._metrics.schema.set(schema.version)
        self._metrics.schema_required.set(OLDEST_SUPPORTED)
        if schema.is_too_new:
            raise SchemaMismatch(schema.obstacle())
        obstacle = schema.obstacle()
        if obstacle is not None:
            return obstacle
        # Daemons of the release before and of this one work side by side while an upgrade, or a rollback, goes on.
        if schema.is_newer:
            _log.info("a schema of a later release", version=schema.version, known=schema.known)
        elif schema.version < schema.known:
            _log.warning("a schema of the release before", version=schema.version, remedy="jobd migrate")
        elif not schema.is_text_current:
            _log.warning("functions of another release", remedy="jobd migrate")
        if foreign is not None:
            return foreign
        identity = await self._queue.identity()
        self._logins.own_role_oid = identity["role_oid"]
        return None if identity["may_claim"] else refusal
