"""The roles in tests of rights: made as an administrator would make them, connected to as themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.names import unique

if TYPE_CHECKING:
    from uuid import UUID

    import asyncpg

    from tests.support.database import Database

SUBMIT = "insert into jobd.job (source, target) values ('/srv/in/a.csv', 'public.t') returning id"


@dataclass(frozen=True)
class Submitter:
    """A granted submitter with a connection as its role."""

    role: str
    login: str
    connection: asyncpg.Connection

    async def submit(self, **columns: object) -> UUID:
        """Insert a job as this submitter."""
        return await submit(self.connection, **columns)


async def make_role(database: Database, prefix: str, attributes: str = "login") -> str:
    name = unique(prefix)
    await database.execute(f"create role {name} {attributes}")
    return name


async def make_submitter(database: Database, prefix: str = "clerk") -> Submitter:
    role = await make_role(database, prefix)
    login = await database.fetchval("select jobd.grant_submitter($1)", role)
    return Submitter(role, login, await database.connect(role))


async def make_member(database: Database, *groups: str, prefix: str = "member") -> asyncpg.Connection:
    """Connect as a plain login that is a member of these roles: no superuser, CREATEROLE or BYPASSRLS."""
    role = await make_role(database, prefix)
    for group in groups:
        await database.execute(f"grant {group} to {role}")
    return await database.connect(role)


async def submit(connection: asyncpg.Connection, **columns: object) -> UUID:
    """Insert a job with a plain INSERT."""
    values = {"source": "/srv/in/a.csv", "target": "public.t", **columns}
    names = ", ".join(f'"{name}"' for name in values)
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    job_id: UUID = await connection.fetchval(
        f"insert into jobd.job ({names}) values ({places}) returning id", *values.values()
    )
    return job_id
