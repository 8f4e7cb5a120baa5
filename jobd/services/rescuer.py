"""Takes over from dead workers: first their backends are ended, then their jobs are given back to the queue.

In that order, because a backend of a frozen or vanished worker keeps its locks: otherwise the jobs' successors
would wait for the dead. Every daemon does this; the database decides who is dead, and each job is taken once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd import log
from jobd.db.queries import query
from jobd.runner.wakeup import Wakeup
from jobd.services.loop import jittered

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from jobd.runner.parts import Parts
    from jobd.services.worker import Worker

RESCUE_MAX = 1000

_log = log.get("rescuer")


class Rescuer:
    """One step looks for dead workers; the heartbeat calls it as soon as one is to be seen."""

    def __init__(self, parts: Parts, worker: Worker) -> None:
        self._worker = worker
        self._connector = parts.connector
        self._queue = parts.queue
        self._metrics = parts.metrics
        self._settings = parts.settings
        self.wakeup = Wakeup()

    async def step(self) -> float:
        """One round; gives the delay until the next."""
        if self._worker.is_abroad:
            return jittered(self._settings.lease_seconds)
        dead = await self._queue.fetch("daemon_dead_workers", self._worker.id)
        for row in dead:
            await self._terminate_backends(row["worker_id"], row["login_names"] or ())
        if dead:
            await self._rescue()
        return jittered(self._settings.lease_seconds)

    async def _terminate_backends(self, worker_id: UUID, logins: Sequence[str]) -> None:
        """End what the dead worker's connections still do, as the login each belongs to."""
        ended = (await self._queue.fetch("daemon_terminate_backends", worker_id))[0][0]
        for login in logins:
            try:
                connection = await self._connector.open(login, statement_cache_size=0)
                try:
                    ended += await connection.fetchval(query("daemon_terminate_backends"), worker_id)
                finally:
                    connection.terminate()
            except Exception as error:  # noqa: BLE001  a submitter's locked login must not keep others' jobs
                _log.warning("could not end backends of a dead worker", login=login, error=error)
        _log.info("dead worker found", dead_worker_id=worker_id, backends_ended=ended)

    async def _rescue(self) -> None:
        while True:
            rescued = await self._queue.fetch("daemon_rescue", self._worker.id, RESCUE_MAX)
            for row in rescued:
                queue = self._metrics.labels.of(row["queue"] or "")
                self._metrics.jobs.leases_rescued.labels(queue).inc()
                _log.info(
                    "job rescued",
                    job_id=row["job_id"],
                    former_worker_id=row["former_worker_id"],
                    status=row["status"],
                    reason=row["reason"],
                )
            if len(rescued) < RESCUE_MAX:
                return
