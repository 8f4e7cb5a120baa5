"""Writes endings: many jobs in one statement, and again until each is confirmed or known to be lost."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

import asyncpg

from jobd import log
from jobd.db.queue import Ending
from jobd.model.status import JobType, Outcome, StopReason
from jobd.runner import outcome
from jobd.runner.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncpg import Record

    from jobd.runner.held import HeldJob
    from jobd.runner.outcome import Ended
    from jobd.runner.parts import Parts

GROUP_MAX = 500
RETRY_SECONDS = 0.1
# While more jobs wait for a slot, endings wait this long for each other, unless there are many already.
LINGER_SECONDS = 0.02
LINGER_GROUP_MAX = 32
# Quick jobs that went well are not worth a line each; `debug` shows them.
QUIET_SECONDS_MAX = 1.0

_log = log.get("finisher")


class Finisher:
    """Collects endings while the last statement is on its way, then writes them together."""

    def __init__(self, parts: Parts) -> None:
        self._queue = parts.queue
        self._running = parts.running
        self._metrics = parts.metrics
        self._waiting: deque[tuple[HeldJob, Ended]] = deque()
        self._written_at = 0.0
        self.is_busy: Callable[[], bool] = lambda: False  # whether more jobs wait for a slot
        self.is_verbose = parts.settings.log_level == "debug"
        self.wakeup = Wakeup()
        self.emptied = Wakeup()

    def add(self, held: HeldJob, ended: Ended) -> None:
        """Have the ending written; the job counts as held until that is confirmed."""
        held.is_over = True
        if ended.outcome is None:
            self._lose(held, ended)
            return
        self._waiting.append((held, ended))
        self.wakeup.set()

    def __len__(self) -> int:
        return len(self._waiting)

    async def step(self) -> float:
        """Write one group; gives the delay until the next."""
        if 0 < len(self._waiting) < LINGER_GROUP_MAX and self.is_busy():
            seconds = self._written_at + LINGER_SECONDS - time.monotonic()
            if seconds > 0:
                return seconds
        group = [self._waiting.popleft() for _ in range(min(GROUP_MAX, len(self._waiting)))]
        if not group:
            self.emptied.set()
            return 60.0
        try:
            open_again = await self._write(group)
        except BaseException:
            self._waiting.extendleft(reversed(group))
            raise
        self._written_at = time.monotonic()
        self._waiting.extend(open_again)
        return RETRY_SECONDS if len(open_again) == len(group) else 0.0

    async def _write(self, group: Sequence[tuple[HeldJob, Ended]]) -> list[tuple[HeldJob, Ended]]:
        group = self._without_superseded(group)
        if not group:
            return []
        try:
            statuses = await self._queue.finish([_ending(held, ended) for held, ended in group])
        except asyncpg.PostgresError as error:
            return await self._write_singly(group, error)
        missing, locked = [], []
        for held, ended in group:
            status = statuses.get(held.job.id)
            if status is None:
                missing.append((held, ended))
            elif status == "locked":
                locked.append((held, ended))
            else:
                self._let_go(held, _label(ended, status), ended)
        return locked + await self._see_about(missing) if missing else locked

    def _without_superseded(self, group: Sequence[tuple[HeldJob, Ended]]) -> Sequence[tuple[HeldJob, Ended]]:
        """Endings of leases that may still be this worker's: of a job that it claimed anew, the former is lost.

        Answers come by job, so that the ending of its later lease would be taken for that of the former, too.
        """
        left = []
        for held, ended in group:
            if self._running.get(held.job.id) in {None, held}:
                left.append((held, ended))
            else:
                self._lose(held, ended)
        return left

    async def _write_singly(
        self, group: Sequence[tuple[HeldJob, Ended]], error: asyncpg.PostgresError
    ) -> list[tuple[HeldJob, Ended]]:
        """One ending that the database refuses must not hold up the others."""
        if len(group) > 1:
            return [open_again for one in group for open_again in await self._write([one])]
        held, ended = group[0]
        _log.error("ending refused by the database", job_id=held.job.id, outcome=ended.outcome, error=error)
        self._running.remove(held)
        plain = Ending(
            held.job.id, held.lease_token, Outcome.FAILED, "result_invalid", "the job's ending could not be stored"
        )
        await self._queue.finish([plain])
        if held.span is not None:
            held.span.end(Outcome.FAILED, plain.error_code)
        return []

    async def _see_about(self, missing: list[tuple[HeldJob, Ended]]) -> list[tuple[HeldJob, Ended]]:
        """Endings without an answer: written by an earlier try, or not ours any more."""
        rows = await self._queue.job_states([held.job.id for held, _ in missing])
        open_again = []
        for held, ended in missing:
            row = rows.get(held.job.id)
            is_running = row is not None and row["status"] == "running"
            if row is None or row["lease_token"] != held.lease_token or (is_running and not held.is_holder(row)):
                self._lose(held, ended)
            elif is_running:
                open_again.append((held, _if_kept(held, ended, row)))
            else:
                self._let_go(held, _label(ended, row["status"]), ended)
        return open_again

    def _lose(self, held: HeldJob, ended: Ended) -> None:
        self._metrics.jobs.leases_lost.labels(held.loss or "fenced").inc()
        self._let_go(held, "lease_lost", ended)

    def _let_go(self, held: HeldJob, label: str, ended: Ended) -> None:
        """The job is not this worker's any more: count it and say so."""
        self._running.remove(held)
        job = held.job
        seconds = time.monotonic() - (held.started_at or held.claimed_at)
        counted = self._metrics.jobs
        # A quick one is nothing to look at, and to name it would cost as much as to count it.
        exemplar = None if seconds < QUIET_SECONDS_MAX else {"job_id": str(job.id)}
        if held.span is not None:
            held.span.end(label, ended.error_code)
            exemplar = exemplar and {**exemplar, "trace_id": held.span.trace_id}
        counted.count_attempt(job.queue, job.job_type, label, seconds, exemplar)
        counted.count_ending(job.queue, job.job_type, label, ended.error_code, held.waited_seconds)
        is_quiet = label == "completed" and seconds < QUIET_SECONDS_MAX and job.job_type is JobType.PROCESSING
        if is_quiet and not self.is_verbose:
            return
        write = _log.debug if is_quiet else _log.warning if ended.cause is not None else _log.info
        write(
            "attempt ended",
            job_id=job.id,
            lease_token=held.lease_token,
            job_type=job.job_type,
            queue=job.queue,
            outcome=label,
            seconds=round(seconds, 3),
            **({} if ended.error_code is None else {"error_code": ended.error_code}),
            **({} if ended.cause is None else {"error": ended.cause}),
        )


def _ending(held: HeldJob, ended: Ended) -> Ending:
    return Ending(
        held.job.id,
        held.lease_token,
        str(ended.outcome),
        ended.error_code,
        ended.error_message,
        ended.result,
        ended.delay_seconds,
        held.processed_rows if ended.outcome is Outcome.COMPLETED else None,
    )


def _if_kept(held: HeldJob, ended: Ended, row: Record) -> Ended:
    """The ending; where a failover lost batches that were committed, the job is handed back to do them again."""
    if ended.outcome is not Outcome.COMPLETED or row["processed_rows"] == held.processed_rows:
        return ended
    _log.warning(
        "the database lost committed batches",
        job_id=held.job.id,
        rows_known=held.processed_rows,
        rows_kept=row["processed_rows"],
    )
    return outcome.stopped(StopReason.SHUTDOWN)


def _label(ended: Ended, status: str) -> str:
    """The outcome as counted: a retry may have been the last one, a cancel may have come first."""
    if status == ended.outcome or (status == "pending" and ended.label in {"retried", "interrupted"}):
        return ended.label
    return "retried" if status == "pending" else status
