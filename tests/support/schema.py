"""Schemas of other releases, as far as a daemon can tell."""

from __future__ import annotations

import dataclasses
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


def with_migration(text: schema_text.SchemaText, sql: str) -> schema_text.SchemaText:
    """The schema of a release that brings one migration more."""
    number = text.version + 1
    part = schema_text.Part(f"migrations/{number:04}_later.sql", sql)
    return dataclasses.replace(text, migrations=(*text.migrations, part))
