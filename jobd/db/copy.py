"""COPY … FROM STDIN with any statement, guarded against a server that goes away in the middle.

asyncpg's public calls know no ``ON_ERROR``, so its private entry is used, here and nowhere else. Two of its habits
matter: bytes are taken for a file's name unless an iterator hands them over, and when the backend dies while the
sender waits for the peer to read, that wait never ends. The second is what the termination listener is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

import anyio
import asyncpg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

PIECE_BYTES = 256 * 1024
SAID_BY_COPY = "copyfromparse.c"
COPY_SECONDS_MAX = 600.0


class _CopyEntry(Protocol):
    async def _copy_in(self, copy_stmt: str, source: AsyncIterator[bytes], seconds: float, /) -> str: ...


async def copy_in(
    connection: asyncpg.Connection,
    statement: str,
    data: Iterable[bytes],
    *,
    notices: list[asyncpg.PostgresLogMessage] | None = None,
) -> int:
    """Send the blocks of ``data`` to a COPY statement and give the number of rows it took.

    The messages in which COPY itself names a line are appended to ``notices``, and no others: triggers may say any
    amount. Raises ConnectionDoesNotExistError when
    the connection is lost, whatever the driver was waiting for.
    """
    scope = anyio.CancelScope()
    is_lost = False

    def notice(_connection: Any, message: asyncpg.PostgresLogMessage) -> None:
        assert notices is not None  # noqa: S101  the listener is added only then
        if getattr(message, "server_source_filename", None) == SAID_BY_COPY:
            notices.append(message)

    def lost(_connection: Any) -> None:
        nonlocal is_lost
        is_lost = True
        scope.cancel()

    status = ""
    connection.add_termination_listener(lost)
    if notices is not None:
        connection.add_log_listener(notice)
    try:
        with scope:
            entry = cast("_CopyEntry", connection)
            status = await entry._copy_in(statement, _pieces(data), COPY_SECONDS_MAX)  # noqa: SLF001  see above
    except Exception as error:
        if is_lost and not isinstance(error, asyncpg.PostgresError):
            raise _connection_lost() from error
        raise
    finally:
        if not connection.is_closed():
            connection.remove_termination_listener(lost)
            if notices is not None:
                connection.remove_log_listener(notice)
    if scope.cancelled_caught:
        raise _connection_lost()
    return int(status.rpartition(" ")[2])


def _connection_lost() -> asyncpg.ConnectionDoesNotExistError:
    return asyncpg.ConnectionDoesNotExistError("the connection was lost in the middle of a COPY")


async def _pieces(data: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Pieces small enough that the sender feels how fast the server reads."""
    for block in data:
        if len(block) <= PIECE_BYTES:
            yield block
        else:
            for start in range(0, len(block), PIECE_BYTES):
                yield block[start : start + PIECE_BYTES]
