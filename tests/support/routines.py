"""Routines of processing jobs that tests submit; what they do is told by the job's ``metadata``."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from jobd.errors import HostNotReady, JobFailed, SourceUnavailable
from jobd.handlers.registry import handler
from jobd.tracing import traceparent

if TYPE_CHECKING:
    import asyncpg

    from jobd.handlers.processing import HandlerContext


@handler("nothing")
async def nothing(context: HandlerContext) -> None:
    """Return at once."""


@handler("echo")
async def echo(context: HandlerContext) -> dict[str, Any]:
    """Return what the job's metadata says."""
    return context.job.metadata


@handler("write_rows")
async def write_rows(context: HandlerContext) -> dict[str, Any]:
    """Insert ``rows`` rows into public.written, one batch each, pausing ``pause`` seconds inside each batch."""
    rows, pause = context.job.metadata.get("rows", 10), context.job.metadata.get("pause", 0.0)
    start = (context.cursor or {"row": 0})["row"]
    for row in range(start + 1, rows + 1):

        async def write(connection: asyncpg.Connection, row: int = row) -> int:
            await connection.execute(
                "insert into public.written (job_id, number) values ($1, $2)", context.job.id, row
            )
            if pause:
                await asyncio.sleep(pause)
            return 1

        await context.commit(write, cursor={"row": row}, progress=100 * row / rows, total_rows=rows)
    return {"rows": rows}


@handler("hold_row")
async def hold_row(context: HandlerContext) -> None:
    """Insert one row and keep its transaction open for ``pause`` seconds before the commit."""

    async def write(connection: asyncpg.Connection) -> int:
        await connection.execute(
            "insert into public.written (job_id, number) values ($1, 1) on conflict do nothing", context.job.id
        )
        await asyncio.sleep(context.job.metadata.get("pause", 60))
        return 1

    await context.commit(write)


@handler("sleep")
async def sleep(context: HandlerContext) -> None:
    """Sleep so long; obeys at once."""
    await asyncio.sleep(context.job.metadata.get("seconds", 60))


@handler("block")
async def block(context: HandlerContext) -> None:
    """Insert one row; at the first attempt the event loop stands still for ``seconds`` before the commit."""

    async def write(connection: asyncpg.Connection) -> int:
        await connection.execute("insert into public.written (job_id, number) values ($1, 1)", context.job.id)
        if context.job.interrupt_count == 0:
            time.sleep(context.job.metadata["seconds"])  # noqa: ASYNC251  what users do
        return 1

    await context.commit(write)


@handler("disobey")
async def disobey(context: HandlerContext) -> None:
    """Ignore being cancelled, for so many seconds."""
    deadline = time.monotonic() + context.job.metadata.get("seconds", 60)

    async def write(connection: asyncpg.Connection) -> int:
        await connection.execute(
            "insert into public.written (job_id, number) values ($1, 1) on conflict do nothing", context.job.id
        )
        while time.monotonic() < deadline:
            try:
                await asyncio.sleep(deadline - time.monotonic())
            except asyncio.CancelledError:
                continue
        return 1

    await context.commit(write)


@handler("fail")
async def fail(context: HandlerContext) -> None:
    """Fail in the way the metadata asks for."""
    if context.job.metadata.get("for_good"):
        raise JobFailed("cannot work", code="broken_for_good")
    if context.job.metadata.get("is_away"):
        raise SourceUnavailable("https://files.example.com/a.csv cannot be reached")
    if context.job.retry_count < context.job.metadata.get("times", 1000):
        raise RuntimeError("does not work yet")


@handler("span")
async def span(context: HandlerContext) -> dict[str, Any]:
    """Say in which span it runs, and its batch."""
    inside: list[str | None] = []

    async def write(connection: asyncpg.Connection) -> int:
        inside[:] = [traceparent.current()]
        return 1

    await context.commit(write)
    return {"attempt": traceparent.current(), "batch": inside[0]}


@handler("bad_result")
async def bad_result(context: HandlerContext) -> dict[str, Any]:
    """Return what jsonb cannot hold."""
    return {"text": "a\x00b"}


@handler("bad_sql")
async def bad_sql(context: HandlerContext) -> None:
    """Run a statement that says the same however often it is asked."""

    async def write(connection: asyncpg.Connection) -> None:
        await connection.execute(context.job.metadata["sql"])

    await context.commit(write)


@handler("stamp")
async def stamp(context: HandlerContext) -> dict[str, float]:
    """Say when it began."""
    return {"at": time.time()}


@handler("say_something")
async def say_something(context: HandlerContext) -> None:
    """Write to the job's log."""
    await context.log("info", "half way", share=0.5)


@handler("not_here")
async def not_here(context: HandlerContext) -> None:
    """Find that this host is not ready."""
    raise HostNotReady("the directory /mnt/in is not mounted on this host")
