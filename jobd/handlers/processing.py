"""Processing jobs: routines of the application, with batches under the same fence as an import's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobd.handlers.registry import routine
from jobd.model.tally import Tally
from jobd.runner.context import BatchResult, Handler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import asyncpg

    from jobd.model.job import Job
    from jobd.runner.context import BatchReceipt, JobContext

PROGRESS_MAX = 99.9  # 100 is the job's end, and the database's to say


class ProcessingHandler(Handler):
    """Finds the job's routine and calls it."""

    async def run(self, context: JobContext) -> Any:
        """Return what the routine returns."""
        return await routine(context.job.handler)(HandlerContext(context))


class HandlerContext:
    """What a routine is given: its job, and ``commit``, its one way to write with it."""

    __slots__ = ("_context", "_position")

    def __init__(self, context: JobContext) -> None:
        self._context = context
        cursor = context.last_cursor
        self._position: int = (cursor or {}).get("row", 0)

    @property
    def job(self) -> Job:
        """The job as it was claimed, with its options and metadata."""
        return self._context.job

    @property
    def cursor(self) -> dict[str, Any] | None:
        """What the last commit was given as ``cursor``, also that of an earlier attempt; None at the beginning."""
        cursor = self._context.last_cursor
        return None if cursor is None else cursor.get("position")

    async def commit(
        self,
        write: Callable[[asyncpg.Connection], Awaitable[Tally | int | None]],
        *,
        cursor: dict[str, Any] | None = None,
        progress: float | None = None,
        total_rows: int | None = None,
    ) -> BatchReceipt:
        """Run ``write(connection)`` and commit it with the cursor, exactly once, if the lease still holds.

        ``write`` returns how many rows it changed (counted as updated), a Tally, or None for none. It is called
        again when the transaction must be repeated. Stops that are asked for are raised from here.
        """
        position = self._position + 1

        async def attempt(connection: asyncpg.Connection) -> BatchResult:
            written = await write(connection)
            return BatchResult(
                tally=written if isinstance(written, Tally) else Tally(updated=written or 0),
                cursor={"row": position, "position": cursor},
                progress=min(progress if progress is not None else self.job.progress, PROGRESS_MAX),
                total_rows=total_rows,
            )

        receipt = await self._context.run_batch(attempt)
        self._position = position
        return receipt

    def raise_if_stopped(self) -> None:
        """For long work between commits: ends the routine here when the job is to stop."""
        self._context.raise_if_stopped()

    async def log(self, level: str, event: str, **values: Any) -> None:
        """Append to the job's own log, which `jobd logs ID` shows."""
        await self._context.log(level, event, **values)
