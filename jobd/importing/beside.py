"""Two things at once: the database is asked, and what needs no database is done in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import anyio
from anyio import to_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
U = TypeVar("U")


async def beside(blocking: Callable[[], T], work: Callable[[], Awaitable[U]]) -> tuple[T, U]:
    """The results of both. An error of ``work`` goes before one of ``blocking``; neither is wrapped in a group."""
    thread = _Outcome[T]()
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(thread.of, blocking)
        try:
            done = await work()
        except Exception as error:  # noqa: BLE001  raised below, outside the group, so that it is not wrapped
            failure = error
    if failure is not None:
        raise failure
    return thread.value(), done


class _Outcome(Generic[T]):
    def __init__(self) -> None:
        self._values: list[T] = []
        self._error: Exception | None = None

    async def of(self, blocking: Callable[[], T]) -> None:
        try:
            self._values.append(await to_thread.run_sync(blocking))
        except Exception as error:  # noqa: BLE001  raised by value(), when its turn comes
            self._error = error

    def value(self) -> T:
        if self._error is not None:
            raise self._error
        return self._values[0]
