"""What a daemon waits for before it works: a database, a schema to work with, and the right to."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING

import asyncpg

from jobd import log
from jobd.db import migrate
from jobd.errors import ConfigurationError, SchemaMismatch

if TYPE_CHECKING:
    from jobd.runner.logins import Logins
    from jobd.runner.parts import Parts
    from jobd.services.worker import Worker

# What the first import would wait for otherwise; by name, since services do not know the handlers.
IMPORT_PATH = "jobd.handlers.import_job"
# Batches make and drop objects by the ten thousand, hardly any of them in cycles.
COLLECTED_AFTER_OBJECTS = 20_000

# How long the reader's thread may keep the interpreter while an answer of the database waits to be seen.
SWITCH_SECONDS = 0.0005

_log = log.get("startup")


class Startup:
    """Registers the worker once nothing is in the way any more."""

    def __init__(self, parts: Parts, worker: Worker, logins: Logins) -> None:
        self._pool = parts.pool
        self._queue = parts.queue
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
                # Beside the loops that start now. Whoever needs a module meanwhile waits for its import alone.
                Thread(target=_warm_up, name="jobd-warm-up", daemon=True).start()
                return None
        except (ConfigurationError, SchemaMismatch):
            raise
        except Exception as error:  # noqa: BLE001  whatever keeps the database away: it is waited for
            reason = "waiting for the database"
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
            except asyncpg.InsufficientPrivilegeError:
                return refusal
        if schema.version > schema.required:
            raise SchemaMismatch(schema.complaint())
        if schema.version < schema.required:
            return schema.complaint()
        if not schema.is_text_current:
            # Functions of a release next to this one: daemons of both may work while an upgrade goes on.
            _log.warning("functions of another release", remedy="jobd migrate")
        identity = await self._queue.identity()
        self._logins.own_role_oid = identity["role_oid"]
        return None if identity["may_claim"] else refusal


def _warm_up() -> None:
    """Load the import path, and let the garbage collector look away from what stays until the end anyway."""
    import_module(IMPORT_PATH)
    gc.freeze()
    gc.set_threshold(COLLECTED_AFTER_OBJECTS)
    sys.setswitchinterval(SWITCH_SECONDS)
