"""The one connection that listens. What it hears is a hint, never a fact."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.db.connect import is_pooled
from jobd.db.queries import query
from jobd.db.queue import Presence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncpg import Connection

    from jobd.db.connect import Connector

    Heard = Callable[[str], None]
    Lost = Callable[["ListeningConnection"], None]


class ListeningConnection:
    """LISTENs on some channels and calls back with each payload, and with itself when the connection is gone.

    ``presence`` is None through a pooler, whose backend says nothing about who lives.
    """

    def __init__(self, connection: Connection, presence: Presence | None, on_lost: Lost) -> None:
        self._connection = connection
        self.presence = presence
        connection.add_termination_listener(lambda _connection: on_lost(self))

    @classmethod
    async def open(cls, connector: Connector, on_lost: Lost, channels: Mapping[str, Heard]) -> ListeningConnection:
        """Connect and listen; when this returns, whatever is sent from now on is heard."""
        connection = await connector.open_direct()
        try:
            through_pooler = await is_pooled(connection)
            if not through_pooler:
                await connection.execute(query("session_prepare"))
            for channel, heard in channels.items():
                await connection.add_listener(channel, _payload_only(heard))
            if through_pooler:
                return cls(connection, None, on_lost)
            rows = await connection.fetch(query("daemon_listener_presence"))
            return cls(connection, Presence(rows[0]["pid"], rows[0]["backend_start"]), on_lost)
        except BaseException:
            connection.terminate()
            raise

    def close(self) -> None:
        """Cut the connection."""
        if not self._connection.is_closed():
            self._connection.terminate()


def _payload_only(heard: Heard) -> Callable[..., None]:
    def callback(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        heard(str(payload))

    return callback
