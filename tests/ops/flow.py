"""Jobs that keep coming, as from an application."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from tests.ops.scene import Scene


@contextlib.asynccontextmanager
async def flow(
    scene: Scene, handler: str, every_seconds: float, by: asyncpg.Connection | None = None, **columns: Any
) -> AsyncIterator[None]:
    """Submit such a job every so many seconds, until the end of the block, on a connection of its own."""
    application = await scene.database.connect(scene.login) if by is None else by

    async def submit() -> None:
        while True:
            await scene.submit(handler, application, **columns)
            await anyio.sleep(every_seconds)

    async with anyio.create_task_group() as group:
        group.start_soon(submit)
        yield
        group.cancel_scope.cancel()
