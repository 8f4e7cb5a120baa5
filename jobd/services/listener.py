"""Hears of work and of stop requests. LISTEN first, then look: nothing sent in between is missed.

A connection can be open and yet deliver nothing (a pooler, a half-open socket), so the listener proves itself by a
notification that another connection sends. While it is deaf the daemon says so and polls faster.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import orjson

from jobd import log
from jobd.db.listen import ListeningConnection
from jobd.runner.wakeup import Wakeup
from jobd.services.loop import jittered

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobd.runner.parts import Parts
    from jobd.services.worker import Worker

TEST_SECONDS = 10.0
ECHO_SECONDS_MAX = 3.0
# Through a pooler nothing will be heard until somebody changes that.
POOLED_SECONDS = 60.0
WITHOUT_URL = "JOBD_DATABASE_URL leads through a pooler, and JOBD_NOTIFY_DATABASE_URL is not set"
WRONG_URL = "JOBD_NOTIFY_DATABASE_URL leads through a pooler, too"

_log = log.get("listener")


class Listener:
    """One step looks after the connection: opens it, or has it prove that it hears."""

    def __init__(
        self, parts: Parts, worker: Worker, *, on_work: Callable[[], None],
        on_request: Callable[[str | None], None], on_change: Callable[[bool], None],
        on_connected: Callable[[], None],
    ) -> None:  # fmt: skip
        self._worker = worker
        self._connector = parts.connector
        self._queue = parts.queue
        self._metrics = parts.metrics
        self._environment = parts.settings.environment
        self._queues = frozenset(parts.settings.queues)
        self._on_work = on_work
        self._on_request = on_request
        self._on_change = on_change
        self._on_connected = on_connected
        self._connection: ListeningConnection | None = None
        self._channel = f"jobd_echo_{secrets.token_hex(6)}"
        self._echo = Wakeup()
        self._last_echo = ""
        self.is_deaf = True
        self._is_told = False
        # Why nothing is heard, where that is known.
        self.obstacle: str | None = None
        self.wakeup = Wakeup()

    async def step(self) -> float:
        """Connect where needed, then test; gives the delay until the next test."""
        if self._worker.is_abroad:
            self.close()
            return jittered(TEST_SECONDS)  # called when the database is this environment's again
        if not self._connector.may_listen:
            return self._give_up(WITHOUT_URL)
        is_pooled = False
        try:
            connection = self._connection or await self._connect()
            is_pooled = connection.presence is None
            await self._prove()
        except Exception as error:
            if is_pooled and isinstance(error, TimeoutError):
                return self._give_up(WRONG_URL)
            self._became(is_deaf=True)
            self.close()
            raise
        self.obstacle = None
        return jittered(TEST_SECONDS)

    def _give_up(self, obstacle: str) -> float:
        """Nothing can be heard: say so once, and seldom look whether that has changed."""
        self.close()
        self._became(is_deaf=True)
        if obstacle != self.obstacle:
            self.obstacle = obstacle
            _log.warning(
                "notifications are not heard through the pooler",
                reason=obstacle,
                remedy="a direct URL in JOBD_NOTIFY_DATABASE_URL",
            )
        return jittered(POOLED_SECONDS)

    def reconnect(self) -> None:
        """Listen on a new connection, which carries the worker's new name."""
        self.close()
        self.wakeup.set()

    def close(self) -> None:
        """Cut the connection."""
        connection, self._connection = self._connection, None
        self._worker.presence = None
        if connection is not None:
            connection.close()

    async def _connect(self) -> ListeningConnection:
        self.close()
        # Where the database was replaced, this may be the first to reach the one that took its place.
        await self._queue.require_own_database(self._environment)
        connection = self._connection = await ListeningConnection.open(
            self._connector,
            self._lost,
            {"jobd_job": self._heard_work, "jobd_control": self._heard_request, self._channel: self._heard_echo},
        )
        self._worker.presence = connection.presence
        self._on_connected()
        _log.info("listening")
        # What was sent before the first LISTEN took effect was not heard.
        self._on_work()
        self._on_request(None)
        return connection

    async def _prove(self) -> None:
        """Have another connection send a notification, and wait for it."""
        nonce = secrets.token_hex(8)
        await self._queue.echo(self._channel, nonce)
        deadline = time.monotonic() + ECHO_SECONDS_MAX
        while self._last_echo != nonce:
            if not await self._echo.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                raise TimeoutError("the listener did not hear its own notification")
        self._became(is_deaf=False)

    def _became(self, *, is_deaf: bool) -> None:
        if is_deaf:
            self._metrics.daemon.listener_up.set(0)
        else:
            self._metrics.daemon.heard()
        if is_deaf != self.is_deaf or not self._is_told:  # also that nothing was ever heard
            self.is_deaf, self._is_told = is_deaf, True
            (_log.warning if is_deaf else _log.info)("notifications", heard=not is_deaf)
            self._on_change(is_deaf)

    def _lost(self, connection: ListeningConnection) -> None:
        """The connection is gone: say so, and open another at once."""
        if connection is self._connection:
            self._became(is_deaf=True)
            self.reconnect()

    def _heard_work(self, payload: str) -> None:
        if payload in self._queues or not payload:
            self._on_work()

    def _heard_request(self, payload: str) -> None:
        """Anybody may send this: it is no more than a reason to look at one job's row."""
        try:
            request = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return
        job_id = request.get("id") if isinstance(request, dict) else None
        self._on_request(job_id if isinstance(job_id, str) else None)

    def _heard_echo(self, payload: str) -> None:
        self._last_echo = payload
        self._echo.set()
