"""Keeps the worker's lease, on a connection of its own, and brings back what its jobs are asked to do.

A job that the database does not name any more is lost and is stopped at once; one that it names and nobody here
knows (the claim's answer was lost) is handed back. When no beat is answered in time the jobs are stopped before
the lease can have expired for anybody else.
"""

from __future__ import annotations

import resource
import time
from typing import TYPE_CHECKING, NamedTuple

import anyio

from jobd import log
from jobd.db import environment
from jobd.db.queries import query
from jobd.db.transient import ErrorClass, error_class, sqlstate_of, why_away
from jobd.errors import ForeignDatabase
from jobd.model.status import Outcome, StopReason
from jobd.runner.fence import WORKER_GONE
from jobd.runner.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from asyncpg import Connection, Record

    from jobd.runner.parts import Parts
    from jobd.services.worker import Worker

_log = log.get("heartbeat")


class Beat(NamedTuple):
    """An answered beat: when it was sent, how many claims had no answer then, and what it brought back."""

    sent_at: float
    claims_in_flight: int
    rows: Sequence[Record]


class Heartbeat:
    """One step is one beat."""

    def __init__(
        self, parts: Parts, worker: Worker, *, on_dead_workers: Callable[[], None], on_back: Callable[[], None]
    ) -> None:
        self._worker = worker
        self._on_dead_workers = on_dead_workers
        self._on_back = on_back
        self._connector = parts.connector
        self._queue = parts.queue
        self._running = parts.running
        self._metrics = parts.metrics
        self._settings = parts.settings
        self._connection: Connection | None = None
        self._strangers: frozenset[tuple[UUID, int]] = frozenset()
        self.trouble: str | None = None
        self._is_worn = False
        self.wakeup = Wakeup()

    async def step(self) -> float:
        """Beat once; gives the delay until the next."""
        if self._worker.has_left:
            return self._settings.heartbeat_seconds
        try:
            sent_at, claims_in_flight, rows = await self._beat()
        except Exception as error:
            if self._worker.has_left:
                return self._settings.heartbeat_seconds
            await self._failed(error)
            raise
        self._renewed(sent_at)
        named = [row for row in rows if row["job_id"] is not None]
        self._obey(named, sent_at)
        if claims_in_flight == 0 and self._running.claims_in_flight == 0:
            await self._hand_back_strangers(named)
        if rows[0]["is_any_dead"]:
            self._on_dead_workers()
        return max(0.0, self._settings.heartbeat_seconds - (time.monotonic() - sent_at))

    async def watch_trust(self) -> float:
        """Stop the jobs when the lease can be trusted no longer; a loop of its own, since a beat may hang."""
        remaining = self._remaining()
        if remaining > 0:
            return remaining
        untold = [held for held in self._running.unfinished() if held.stop_reason is not StopReason.LEASE_LOST]
        if untold:
            _log.warning("lease not renewed in time; its jobs are stopped", jobs=len(untold))
            for held in untold:
                held.lose("expired")
        return self._settings.heartbeat_seconds

    def renew_connection(self) -> None:
        """Beat on a new connection from now on, since credentials were read again."""
        self._is_worn = True
        self.wakeup.set()

    def close(self) -> None:
        """Give the connection up."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _beat(self) -> Beat:
        """One statement; on a new connection where the last one is found lost, which says little of the server."""
        kept = self._connection
        try:
            return await self._send()
        except Exception as error:
            if kept is None or error_class(error) is not ErrorClass.CONNECTION:
                raise
            self._metrics.database.count_error(ErrorClass.CONNECTION)
            self.close()
        return await self._send()

    async def _send(self) -> Beat:
        if self._is_worn and self._connection is not None:
            await self._replace(self._connection)
        if self._connection is None or self._connection.is_closed():
            with anyio.fail_after(self._settings.connect_timeout_seconds):
                self._connection = await self._connector.open()
                # Whatever takes a database's place takes the connections to it first.
                await environment.require_own(self._connection, self._settings.environment)
        presence = self._worker.presence
        claims_in_flight = self._running.claims_in_flight
        sent_at = time.monotonic()
        with anyio.fail_after(self._settings.lease_seconds / 3):
            rows = await self._connection.fetch(
                query("daemon_beat"),
                self._worker.id,
                self._settings.lease_seconds,
                None if presence is None else presence.pid,
                None if presence is None else presence.started_at,
                resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                self._worker.is_draining,
            )
        self._metrics.database.count_statement("daemon_beat", time.monotonic() - sent_at)
        return Beat(sent_at, claims_in_flight, rows)

    async def _replace(self, former: Connection) -> None:
        """Where no new connection is to be had, the lease is worth more than the new credentials."""
        self._is_worn = False
        try:
            with anyio.fail_after(self._settings.lease_seconds / 3):
                self._connection = await self._connector.open()
        except Exception as error:  # noqa: BLE001  whatever it is, the former connection still renews the lease
            _log.warning("the former connection is kept", error=error)
        else:
            former.terminate()

    def _renewed(self, sent_at: float) -> None:
        """The lease goes on; where that was in doubt, whoever waits for the database need not any longer."""
        was_away = self.trouble is not None or not self._running.is_trusted
        self.trouble = None
        self._worker.is_abroad = False
        self._running.is_read_only = False
        self._running.renewed(sent_at, self._settings.lease_seconds)
        self._metrics.database.up.set(1)
        self._metrics.daemon.beats.labels("answered").inc()
        self._metrics.daemon.lease_remaining.set(self._remaining())
        if was_away:
            self._on_back()

    async def _failed(self, error: Exception) -> None:
        self.trouble = why_away(error)
        if isinstance(error, ForeignDatabase):
            self._went_abroad()
        self._running.is_read_only = error_class(error) is ErrorClass.READ_ONLY
        self._running.not_renewed()
        self._metrics.database.count_error(error_class(error))
        self._metrics.database.up.set(0)
        self._metrics.daemon.beats.labels("declared_dead" if sqlstate_of(error) == WORKER_GONE else "failed").inc()
        self._metrics.daemon.lease_remaining.set(max(0.0, self._remaining()))
        self.close()
        if sqlstate_of(error) == WORKER_GONE:
            await self._worker.was_declared_dead()

    def _went_abroad(self) -> None:
        """The jobs that are held belong to a database that is not there any more: stop them at once."""
        if not self._worker.is_abroad:
            _log.error("the database is not this environment's", reason=self.trouble)
        self._worker.is_abroad = True
        self._running.trust_deadline = time.monotonic()
        for held in self._running.unfinished():
            held.lose("fenced")

    def _remaining(self) -> float:
        return self._running.trust_deadline - time.monotonic()

    def _obey(self, rows: Sequence[Record], sent_at: float) -> None:
        """Carry the stop flags to the jobs, and stop those that the database does not name any more."""
        named = {row["job_id"]: row for row in rows}
        for held in self._running.unfinished():
            row = named.get(held.job.id)
            if row is None or row["lease_token"] != held.lease_token:
                if held.claimed_at < sent_at:
                    held.lose("fenced")
            elif row["cancel_requested"]:
                held.stop(StopReason.CANCEL)
            elif row["pause_requested"]:
                held.stop(StopReason.PAUSE)
            else:
                held.withdraw_pause()

    async def _hand_back_strangers(self, rows: Sequence[Record]) -> None:
        """Jobs that are this worker's by the database, in two beats running, and unknown here."""
        strangers = frozenset(
            (row["job_id"], row["lease_token"]) for row in rows if self._running.get(row["job_id"]) is None
        )
        proven = strangers & self._strangers
        self._strangers = strangers
        if proven:
            _log.warning("jobs claimed without an answer are handed back", jobs=len(proven))
            for job_id, lease_token in proven:
                _log.debug("job handed back", job_id=job_id, lease_token=lease_token)
            await self._queue.hand_back(list(proven), Outcome.INTERRUPTED)
