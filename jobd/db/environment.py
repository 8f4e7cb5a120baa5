"""The environment that a database belongs to: a daemon works in no other's, and in no copy of its own.

``jobd migrate`` records the first environment that it is told (``JOBD_ENVIRONMENT``), and which database that was.
A clone brings the record along, so a daemon finds that it does not fit, and starts nothing until
``jobd migrate --adopt``. Where nothing was recorded nothing is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.db.queries import query
from jobd.errors import ForeignDatabase

if TYPE_CHECKING:
    from asyncpg import Connection


async def obstacle(connection: Connection, environment: str | None) -> str | None:
    """Why daemons of this environment must not work in this database, and what to do; None when they may."""
    if not await connection.fetchval(query("environment_is_kept")):
        return None
    found: str | None = await connection.fetchval(query("environment_obstacle"), environment)
    if found is None:
        return None
    adopter = f"JOBD_ENVIRONMENT={environment}" if environment else "JOBD_ENVIRONMENT set to what it is to be"
    return f"{found}: nothing is started or sent before `jobd migrate --adopt` with {adopter}"


async def require_own(connection: Connection, environment: str | None) -> None:
    """Raise ForeignDatabase where they must not."""
    found = await obstacle(connection, environment)
    if found is not None:
        raise ForeignDatabase(found)


async def record(connection: Connection, environment: str, *, adopt: bool) -> bool:
    """Record it where nothing is recorded yet, or anew; gives whether that changed anything."""
    changed: bool = await connection.fetchval(query("environment_record"), environment, adopt)
    return changed
