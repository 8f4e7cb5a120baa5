"""A managed PostgreSQL: no superuser; an administrator who may make roles; a role that owns its database."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from jobd.cli.app import app
from tests.sql.roles import make_role, submit
from tests.support.daemons import daemon_process, job_row, wait_for_status
from tests.support.names import unique

if TYPE_CHECKING:
    import contextlib
    from pathlib import Path

    from tests.support.daemons import DaemonProcess
    from tests.support.database import Database

pytestmark = pytest.mark.each_postgres


@dataclass(frozen=True)
class Managed:
    """``url`` is the plain owner's, by which everything is done here."""

    database: Database
    prefix: str
    plain: str
    admin: str
    directory: Path

    @property
    def url(self) -> str:
        return self.database.url_of(self.plain)

    async def jobd(self, *arguments: object, exit_code: int = 0, user: str | None = None) -> str:
        """What a command says, on both streams."""
        result = await asyncio.to_thread(
            CliRunner().invoke,
            app,
            [str(argument) for argument in arguments],
            env={
                "JOBD_DATABASE_URL": self.database.url_of(user or self.plain),
                "JOBD_ROLE_PREFIX": self.prefix,
                "JOBD_LOG_LEVEL": None,
                "COLUMNS": "200",
            },
        )
        assert result.exit_code == exit_code, f"{result.output}\n{result.exception!r}"
        return result.output

    async def administrate(self, sql: str) -> None:
        await (await self.database.connect(self.admin)).execute(sql)


@pytest.fixture
async def managed(empty_database: Database, tmp_path: Path) -> Managed:
    """Roles as a provider gives them: PUBLIC may do no more than by default, and nobody is a superuser."""
    admin = await make_role(empty_database, "admin", "login createrole createdb")
    plain = await make_role(empty_database, "plain")
    await empty_database.execute(f"alter database {empty_database.name} owner to {plain}")
    powers = await empty_database.fetchrow(
        "select rolsuper or rolcreaterole or rolcreatedb or rolbypassrls or rolreplication as has_power,"
        " exists (select from pg_auth_members m where m.member = r.oid) as is_member"
        " from pg_roles r where rolname = $1",
        plain,
    )
    assert powers is not None
    assert (powers["has_power"], powers["is_member"]) == (False, False)
    return Managed(empty_database, f"{unique('p')}_", plain, admin, tmp_path)


async def _prepared(managed: Managed) -> None:
    """What takes the administrator, once."""
    await managed.administrate(await managed.jobd("migrate", "--sql", "--roles"))
    await managed.administrate(f"grant {managed.prefix}owner, {managed.prefix}worker to {managed.plain}")


async def test_a_plain_owner_is_told_what_takes_an_administrator_and_does_the_rest(managed: Managed) -> None:
    told = await managed.jobd("migrate", exit_code=78)
    assert "may not create roles" in told
    assert "jobd migrate --sql --roles" in told
    assert "may not create a schema" in await managed.jobd("migrate", exit_code=78, user=managed.admin)
    await _prepared(managed)
    # Nothing of the schema yet: that, and the command, is what is said.
    assert "jobd migrate" in await managed.jobd("doctor", exit_code=1)
    assert "laid" in await managed.jobd("migrate")
    owner = await managed.database.fetchval(
        "select nspowner::regrole::text from pg_namespace where nspname = 'jobd'"
    )
    assert owner == f"{managed.prefix}owner"
    told = await managed.jobd("doctor", exit_code=1)  # the tests' server runs without fsync
    assert f"{managed.plain} may claim jobs, and is no superuser" in told
    assert f"grant pg_read_all_stats to {managed.plain};" in told
    assert "jobd grant ROLE --sql" in told
    # As the next release will.
    await (await managed.database.connect(managed.plain)).execute(
        f"set role {managed.prefix}owner; update jobd.schema_text set sha256 = 'of another release'"
    )
    await managed.jobd("migrate", "--check", exit_code=78)
    assert "up to date" in await managed.jobd("migrate")
    assert "nothing to do" in await managed.jobd("migrate")


async def test_a_daemon_of_a_plain_owner_imports_takes_over_and_serves_others(managed: Managed) -> None:
    await _prepared(managed)
    await managed.jobd("migrate")
    plain = await managed.database.connect(managed.plain)
    await plain.execute(
        "create table public.written (job_id uuid, number int, primary key (job_id, number));"
        "create table public.number (id int primary key); create table public.secret (id int primary key)"
    )
    file = managed.directory / "a.csv"
    file.write_text("id\n1\n2\nx\n")
    clerk = unique("clerk")
    await managed.administrate(f"create role {clerk} login")
    refused = await managed.jobd("grant", clerk, exit_code=1)
    assert f"jobd grant {clerk} --sql" in refused
    await managed.administrate(await managed.jobd("grant", clerk, "--sql"))
    await plain.execute(f"grant insert, select on public.number to {clerk}")
    with _daemon(managed, "one") as first:
        await first.logged("listening")
        await managed.jobd("submit", file, "--target", "public.number", "--upload", "--wait", exit_code=3)
        assert await plain.fetchval("select count(*) from public.number") == 2
        held = await plain.fetchval(
            "insert into jobd.job (job_type, handler, metadata) "
            """values ('processing', 'write_rows', '{"rows": 20, "pause": 0.1}') returning id"""
        )
        await wait_for_status(managed.database, held, "running")
        with _daemon(managed, "two") as second:
            await second.logged("listening")
            first.process.kill()
            assert await wait_for_status(managed.database, held, "completed", "failed") == "completed"
            assert await plain.fetchval("select count(*) from public.written where job_id = $1", held) == 20
            assert not [line for line in second.log() if line["event"].startswith("could not end backends")]
            connection = await managed.database.connect(clerk)
            allowed = await submit(connection, source=str(file), target="public.number")
            forbidden = await submit(connection, source=str(file), target="public.secret")
            assert await wait_for_status(managed.database, allowed, "completed", "failed") == "completed"
            assert await wait_for_status(managed.database, forbidden, "completed", "failed") == "failed"
    row = await job_row(managed.database, forbidden)
    assert (row["error_code"], row["submitted_role"]) == ("no_privilege", clerk)
    await managed.jobd("prune", "--older-than", "0d", "--failed")
    assert await plain.fetchval("select count(*) from jobd.job") == 0


def _daemon(managed: Managed, name: str) -> contextlib.AbstractContextManager[DaemonProcess]:
    return daemon_process(
        managed.database, managed.directory,
        database_url=managed.url, role_prefix=managed.prefix, instance=name, import_roots=managed.directory,
    )  # fmt: skip
