"""Small jobs of a kind, brought in by one transaction: what a job costs beside its rows is paid once for all.

Each of them keeps its own lease, counters, cursor and ending; the transaction is fenced by all their leases. It is
only ever tried: where anything is not as it should be with one of the jobs, nothing of the bundle is kept, and the
jobs that are not done are run by themselves, in the usual way, which then tells what was wrong.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import orjson

from jobd import log
from jobd.db.queries import query
from jobd.runner import points
from jobd.runner.row_counts import count_rows

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from uuid import UUID

    import asyncpg

    from jobd.db.queue import BegunJob, SourceLimits
    from jobd.db.session import Session
    from jobd.model.job import Job
    from jobd.runner.context import BatchResult
    from jobd.runner.held import HeldJob
    from jobd.runner.kept import Kept
    from jobd.runner.logins import Logins
    from jobd.runner.parts import Parts
    from jobd.settings import Settings

RESOLVE_SECONDS_MAX = 10.0

_log = log.get("bundle")


class Share(NamedTuple):
    """What the transaction holds of one job. ``result``: what becomes the job's."""

    job: Job
    batch: BatchResult
    result: Mapping[str, Any]


class NotTogether(Exception):
    """The jobs must be run by themselves."""


class Bundle:
    """Jobs of one submitter and target with the same options, none of which has begun. ``done``: their results."""

    def __init__(
        self, members: Sequence[HeldJob], kept: Kept, session: Session, parts: Parts, logins: Logins
    ) -> None:
        self._held = {held.job.id: held for held in members}
        self._kept = kept
        self._session = session
        self._parts = parts
        self._logins = logins
        self.jobs: Sequence[Job] = [held.job for held in members]
        self.done: dict[UUID, Mapping[str, Any]] = {}
        self._began_at = 0

    @property
    def job(self) -> Job:
        """The first of the jobs."""
        return self.jobs[0]

    @property
    def settings(self) -> Settings:
        """The daemon's."""
        return self._parts.settings

    @property
    def memory(self) -> object | None:
        """What the last job in this slot left here."""
        return self._kept.memory

    async def source_limits(self) -> SourceLimits:
        """What the jobs' submitter is limited to."""
        return await self._logins.source_limits_of(self.job)

    async def target_state(self) -> str | None:
        """As :meth:`JobContext.target_state`."""
        return await self._parts.queue.target_state(self.job.target or "", self.job.submitted_role_oid)

    async def hashes_imported(self, target: str, settings: Mapping[str, Any], hashes: Sequence[str]) -> set[str]:
        """Those of the hashes that content had which the submitter imported into the target in the same way."""
        return await self._parts.queue.hashes_imported(self.job.submitted_role_oid, target, settings, hashes)

    async def begin(self, begun: Sequence[BegunJob]) -> None:
        """Write down what was found out about these of the jobs before their first row."""
        await self._parts.queue.begin_bundle(begun)

    async def commit(self, attempt: Callable[[asyncpg.Connection], Awaitable[Sequence[Share]]]) -> None:
        """Bring records in by one transaction; the jobs that it has a share for are done then.

        Raises whatever goes wrong, with nothing kept.
        """
        self._require_going_on(self.jobs)
        self._began_at = time.time_ns()
        connection = await self._session.begin()
        try:
            shares = await attempt(connection)
            self._require_going_on([share.job for share in shares])
            for share in shares:
                _log.debug("batch begun", job_id=share.job.id, lease_token=share.job.lease_token, from_row=0)
            await points.reach("bundle.inside")
            rows = await connection.fetch(query("batch_commit_bundle"), *_arguments(shares))
            _check(rows, shares)
            await points.reach("bundle.commit")
        except BaseException:
            await self._session.roll_back()
            raise
        await self._end(connection, shares)

    async def _end(self, connection: asyncpg.Connection, shares: Sequence[Share]) -> None:
        try:
            await connection.execute("commit")
            await points.reach("bundle.committed")
        except BaseException:
            with anyio.move_on_after(RESOLVE_SECONDS_MAX, shield=True):
                if await self._is_committed(shares):
                    _log.info("the commit whose answer was lost had been done")
                    self._settle(shares)
            raise
        self._settle(shares)

    def _require_going_on(self, jobs: Sequence[Job]) -> None:
        is_stopped = any(self._held[job.id].stop_reason is not None for job in jobs)
        if is_stopped or not self._parts.running.is_trusted:
            raise NotTogether("one of the jobs is to stop")

    async def _is_committed(self, shares: Sequence[Share]) -> bool:
        """Whether a transaction whose end was not heard of is in the database. All of it is, or nothing."""
        self._session.give_up()
        await self._session.connection()  # by which the old backend has ended, whatever it was doing
        share = shares[0]
        row = (await self._parts.queue.job_states([share.job.id])).get(share.job.id)
        cursor = None if row is None or row["cursor"] is None else orjson.loads(row["cursor"])
        return cursor is not None and cursor == orjson.loads(orjson.dumps(share.batch.cursor))

    def _settle(self, shares: Sequence[Share]) -> None:
        for share in shares:
            _log.debug(
                "batch committed",
                job_id=share.job.id,
                lease_token=share.job.lease_token,
                from_row=0,
                to_row=share.batch.tally.processed_rows,
            )
            count_rows(self._parts.metrics, share.job, share.batch)
            held = self._held[share.job.id]
            held.processed_rows = share.batch.tally.processed_rows
            if held.span is not None:
                span = held.span.batch(0, self._began_at, beside=len(shares) - 1)
                span.committed(share.batch.tally, held.processed_rows)
            self.done[share.job.id] = share.result


def _arguments(shares: Sequence[Share]) -> list[object]:
    """As the statement takes them, in the order in which every statement locks jobs."""
    ordered = sorted(shares, key=lambda share: share.job.id)
    tallies = [share.batch.tally for share in ordered]
    return [
        [share.job.id for share in ordered],
        [share.job.lease_token for share in ordered],
        [tally.added for tally in tallies],
        [tally.updated for tally in tallies],
        [tally.unchanged for tally in tallies],
        [tally.skipped for tally in tallies],
        [orjson.dumps(share.batch.cursor).decode() for share in ordered],
    ]


def _check(rows: Sequence[asyncpg.Record], shares: Sequence[Share]) -> None:
    """Code of others' ran on this session: believe only the answer that the fence can have given."""
    expected = {share.job.id: (share.job.lease_token, 0, share.batch.tally.processed_rows) for share in shares}
    found = {row["job_id"]: (row["lease_token"], row["error_count"], row["processed_rows"]) for row in rows}
    if found != expected or len(rows) != len(shares):
        raise NotTogether("the fence did not answer as it should")
