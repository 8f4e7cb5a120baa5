"""This daemon as the database knows it: one registered worker, and a new one when it was declared dead."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from structlog.contextvars import bind_contextvars

from jobd import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobd.db.queue import Presence
    from jobd.runner.parts import Parts

_log = log.get("worker")


class _LoggedId:
    """The id as it is now: tasks that began under an earlier one log it too."""

    def __init__(self, worker_id: UUID) -> None:
        self.id = worker_id

    def __str__(self) -> str:
        return str(self.id)

    __repr__ = __str__


class Worker:
    """The worker's identity; everything that names it asks here."""

    def __init__(self, parts: Parts, version: str) -> None:
        self.id: UUID = uuid4()
        self._logged = _LoggedId(self.id)
        self.is_draining = False
        # Struck off by its own wish: that a beat under way finds no row is no reason to come back.
        self.has_left = False
        # Another environment's database, or a copy, took the place of its own: it starts and sends nothing there.
        self.is_abroad = False
        self.presence: Presence | None = None
        self.on_renamed: Callable[[], None] = lambda: None
        self._version = version
        self._settings = parts.settings
        self._queue = parts.queue
        self._running = parts.running
        self._connector = parts.connector
        self._pool = parts.pool
        self._sessions = parts.sessions
        self._metrics = parts.metrics

    async def register(self) -> None:
        """Enter this worker, under a new id each time."""
        self.id = uuid4()
        self._logged.id = self.id
        bind_contextvars(worker_id=self._logged)
        self._connector.name_after(self.id)
        # Connections that carry an older id would be taken for a dead worker's, and terminated.
        self._pool.expire()
        self._sessions.expire()
        sent_at = time.monotonic()
        await self._queue.register(self.id, self._settings, self._version)
        self._running.renewed(sent_at, self._settings.lease_seconds)
        _log.info("worker registered", name=self._settings.instance, queues=self._settings.queues)

    async def leave(self) -> None:
        """Strike this worker off, for good."""
        self.has_left = True
        await self._queue.deregister(self.id)

    async def was_declared_dead(self) -> None:
        """Others took this worker's jobs: stop them, and begin again as a new worker."""
        _log.warning("declared dead by another daemon; registering anew", jobs=len(self._running))
        for held in self._running.unfinished():
            held.lose("declared_dead")
        await self.register()
        self.on_renamed()
