"""What the questions are asked of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobd.db.queries import query

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from jobd.db.connect import Connector
    from jobd.settings import Settings


@dataclass(frozen=True, slots=True)
class Patient:
    """A daemon's settings, and a connection like those that it would open."""

    settings: Settings
    connector: Connector
    connection: asyncpg.Connection[Any]

    async def rows(self, name: str, *arguments: object) -> Sequence[Any]:
        """The rows of a named query."""
        rows: Sequence[Any] = await self.connection.fetch(query(name), *arguments)
        return rows

    async def row(self, name: str, *arguments: object) -> Any:
        """The one row of a named query."""
        return (await self.rows(name, *arguments))[0]
