"""The two drivers' connections, spoken to in one way.

Nothing is opened, committed or closed here: the connection and its transaction are the caller's.
psycopg is no dependency of jobd; it is imported only when the caller hands over one of its connections.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import anyio
import asyncpg

from jobd.client.refusals import Diagnosis, exception_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    import psycopg
    from asyncpg.pool import PoolConnectionProxy

    CallersConnection: TypeAlias = (
        asyncpg.Connection[Any] | PoolConnectionProxy[Any] | psycopg.AsyncConnection[Any]
    )
    NextPayload: TypeAlias = Callable[[float], Awaitable[str | None]]


class Session(Protocol):
    """What the client needs of a connection. Statements number their parameters ``$1``, ``$2``."""

    async def fetch(self, statement: str, *arguments: object) -> Sequence[Mapping[str, Any]]:
        """Run a statement in the caller's transaction and give its rows; refusals are jobd's exceptions."""
        ...

    def is_in_transaction(self) -> bool:
        """Whether the caller has a transaction open."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """A transaction that ends with its block."""
        ...

    def listening(self, channel: str) -> AbstractAsyncContextManager[NextPayload]:
        """Listen for the time of a block; gives a function that waits for a payload, so many seconds at most."""
        ...


def session_of(connection: CallersConnection) -> Session:
    """The session that speaks to this connection."""
    if isinstance(connection, asyncpg.Connection):  # what a pool lends out passes this too
        return AsyncpgSession(connection)
    if type(connection).__module__.partition(".")[0] == "psycopg":
        import psycopg  # noqa: PLC0415  only there when the caller uses it

        if isinstance(connection, psycopg.AsyncConnection):
            return PsycopgSession(connection)
    raise TypeError(
        "jobd.client works on an asyncpg.Connection or a psycopg.AsyncConnection, not on a "
        f"{type(connection).__module__}.{type(connection).__qualname__}"
    )


class AsyncpgSession:
    """A connection of asyncpg, or one that its pool lends out."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self._connection = connection

    async def fetch(self, statement: str, *arguments: object) -> Sequence[Mapping[str, Any]]:
        """See Session."""
        try:
            return await self._connection.fetch(statement, *arguments)
        except asyncpg.PostgresError as error:
            raise exception_for(diagnosis_of(error)) from error
        except asyncpg.InterfaceError as error:
            if self._connection.is_closed():
                raise exception_for(Diagnosis("08003", "the connection is closed")) from error
            raise

    def is_in_transaction(self) -> bool:
        """See Session."""
        return self._connection.is_in_transaction()

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """See Session."""
        return self._connection.transaction()

    @asynccontextmanager
    async def listening(self, channel: str) -> AsyncIterator[NextPayload]:
        """See Session."""
        send, receive = anyio.create_memory_object_stream[str](max_buffer_size=1000)

        def heard(_connection: object, _pid: int, _channel: str, payload: object) -> None:
            # A full buffer means that a look at the job is due anyway; what does not fit says nothing more.
            if send.statistics().current_buffer_used < 1000:
                send.send_nowait(str(payload))

        async def next_payload(seconds: float) -> str | None:
            with anyio.move_on_after(seconds):
                return await receive.receive()
            return None

        await self._connection.add_listener(channel, heard)
        try:
            with send, receive:
                yield next_payload
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(5):
                await self._connection.remove_listener(channel, heard)


class PsycopgSession:
    """An asynchronous connection of psycopg, with or without autocommit."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection

    async def fetch(self, statement: str, *arguments: object) -> Sequence[Mapping[str, Any]]:
        """See Session."""
        import psycopg  # noqa: PLC0415  only there when the caller uses it
        from psycopg.rows import dict_row  # noqa: PLC0415  the same

        try:
            # The raw cursor takes PostgreSQL's own $1, and the rows' shape is not the caller's row factory's.
            async with psycopg.AsyncRawCursor(self._connection, row_factory=dict_row) as cursor:
                await cursor.execute(statement.encode(), arguments)
                return await cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            sqlstate = error.sqlstate or ("08003" if self._connection.closed else None)
            if sqlstate is None:
                raise
            diag = error.diag
            diagnosis = Diagnosis(
                sqlstate,
                diag.message_primary or str(error),
                detail=diag.message_detail,
                hint=diag.message_hint,
                raised_by=diag.source_function,
            )
            raise exception_for(diagnosis) from error

    def is_in_transaction(self) -> bool:
        """See Session."""
        from psycopg.pq import TransactionStatus  # noqa: PLC0415  only there when the caller uses it

        return self._connection.info.transaction_status != TransactionStatus.IDLE

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """See Session."""
        return self._connection.transaction()

    @asynccontextmanager
    async def listening(self, channel: str) -> AsyncIterator[NextPayload]:
        """See Session."""

        async def next_payload(seconds: float) -> str | None:
            async with aclosing(self._connection.notifies(timeout=seconds, stop_after=1)) as notifications:
                async for notification in notifications:
                    if notification.channel == channel:
                        return notification.payload
            return None

        # The caller may listen for purposes of its own; then it must still do so afterwards.
        already = await self.fetch("select 1 from pg_listening_channels() as channel where channel = $1", channel)
        async with self.transaction():
            await self.fetch(f"listen {channel}")
        try:
            yield next_payload
        finally:
            if not already and not self._connection.closed:
                with anyio.CancelScope(shield=True), anyio.move_on_after(5):
                    async with self.transaction():
                        await self.fetch(f"unlisten {channel}")


def diagnosis_of(error: asyncpg.PostgresError) -> Diagnosis:
    """What the database said, as asyncpg passes it on."""
    fields = error.as_dict()
    return Diagnosis(
        fields.get("sqlstate") or "XX000",
        fields.get("message") or str(error),
        detail=fields.get("detail"),
        hint=fields.get("hint"),
        raised_by=fields.get("server_source_function"),
    )
