"""What a database's schema is to this jobd: current, another that it can work with, or one that it cannot.

Daemon and schema are one release apart during every upgrade, and for as long as a rollback lasts. So a daemon
works on the schema of the release before, and on any newer one that still admits it: the schema says which version
a daemon must know at least (``compatible_from``), and only a contract migration raises that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobd.db.queries import query
from jobd.db.schema_text import OLDEST_SUPPORTED

if TYPE_CHECKING:
    from asyncpg import Connection

    from jobd.db.schema_text import SchemaText


@dataclass(frozen=True, slots=True)
class SchemaState:
    """What a database has, compared with what this jobd brings."""

    version: int
    known: int
    is_text_current: bool
    # The least version that a daemon must know; None: the schema does not say.
    compatible_from: int | None = None

    @property
    def is_current(self) -> bool:
        """Whether nothing is left to apply."""
        return self.version == self.known and self.is_text_current

    @property
    def is_newer(self) -> bool:
        """Whether a later release migrated it."""
        return self.version > self.known

    @property
    def is_too_new(self) -> bool:
        """Whether this jobd cannot work with it any more."""
        return self.is_newer and (self.compatible_from is None or self.compatible_from > self.known)

    def obstacle(self) -> str | None:
        """Why this jobd cannot work there, and what to do; None when it can."""
        if self.version == 0:
            return "the database has no jobd schema: run `jobd migrate`"
        if self.version < OLDEST_SUPPORTED:
            return f"the schema is version {self.version}, this jobd needs {self.known}: run `jobd migrate`"
        if self.is_too_new:
            needed = "" if self.compatible_from is None else f", which needs at least {self.compatible_from}"
            return (
                f"the database's schema is version {self.version}{needed}, this jobd knows {self.known}: "
                "upgrade jobd"
            )
        return None

    def complaint(self) -> str | None:
        """What is wrong or left to do, for people; None when nothing is."""
        obstacle = self.obstacle()
        if obstacle is not None or self.is_newer:
            return obstacle
        if self.version < self.known:
            return (
                f"the schema is version {self.version}, this jobd brings {self.known} and works with both: "
                "run `jobd migrate`"
            )
        if not self.is_text_current:
            return "the database's functions are of another release: run `jobd migrate`"
        return None


async def compare(connection: Connection, text: SchemaText) -> SchemaState:
    """Look what is there."""
    if await connection.fetchval("select to_regclass('jobd.schema_version')") is None:
        return SchemaState(0, text.version, is_text_current=False)
    (row,) = await connection.fetch(query("schema_state"))
    return SchemaState(
        row["version"],
        text.version,
        is_text_current=row["sha256"] == text.sha256,
        compatible_from=row["compatible_from"],
    )
