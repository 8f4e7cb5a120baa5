"""Schemas of other releases, as far as a daemon can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.db import schema_text

if TYPE_CHECKING:
    from tests.support.database import Database


async def later_schema(database: Database, compatible_from: int | None) -> None:
    """A schema one version newer than this jobd's, for daemons that know at least that version."""
    await database.execute("alter table jobd.schema_version add column if not exists compatible_from int")
    await database.execute(
        "insert into jobd.schema_version (version, name, compatible_from) values ($1, 'later', $2)",
        schema_text.load().version + 1,
        compatible_from,
    )
