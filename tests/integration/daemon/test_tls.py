"""An encrypted way to the database: only the server that its certificate proves to be the one is believed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import pytest

from jobd.db import embedded, migrate
from jobd.db.grants import SubmitterGrant, grant_submitter
from jobd.doctor import connection as checks
from jobd.doctor.patient import Patient
from tests.support.certificates import DAY, Authority
from tests.support.daemons import daemon_process, daemon_within, get, job_row, submit, until, wait_for_status
from tests.support.database import Database
from tests.support.names import unique
from tests.support.servers import SETTINGS, programs_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta
    from pathlib import Path

    from tests.support.certificates import Issued

# The programs of this version were built with TLS; those that the other tests use were not.
VERSION = 17
RULES = "hostnossl all all 127.0.0.1/32 reject\nhostssl all all 127.0.0.1/32 trust\n"
CONNECTIONS = """
select count(*), count(*) filter (where s.ssl)
from pg_stat_activity a
join pg_stat_ssl s using (pid)
where a.application_name like 'jobd:%' and ($1::text is null or a.usename = $1)
"""


class Wrong(NamedTuple):
    """A certificate that is not the server's, and what is said of it."""

    issuer: str
    address: str
    lasts: timedelta
    reason: str


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def secure(authority: Authority) -> AsyncIterator[Database]:
    """A database whose server takes encrypted connections only."""
    with embedded.running(settings=SETTINGS, programs=programs_of(VERSION)) as server:
        database = Database(server, "postgres")
        await show(database, authority.issue())
        await migrate.migrate(f"{server.url()}?sslmode=require")
        await database.execute("create table public.written (job_id uuid, number int)")
        (server.data / "pg_hba.conf").write_text(RULES)
        await database.execute("select pg_reload_conf()")
        yield database
        await database.close()


async def show(database: Database, issued: Issued) -> None:
    """Have the server show this certificate from now on, as it is done when one is renewed."""
    data = database.server.data
    owner = (data / "PG_VERSION").stat()
    for name, content in (("server.crt", issued.certificate), ("server.key", issued.key)):
        (data / name).write_bytes(content)
        (data / name).chmod(0o600)
        os.chown(data / name, owner.st_uid, owner.st_gid)
    await database.execute("alter system set ssl = on")
    await database.execute("select pg_reload_conf()")


def verified(database: Database, authority: Authority) -> str:
    return f"{database.url}?sslmode=verify-full&sslrootcert={authority.path}"


async def test_with_verify_full_every_connection_is_encrypted_those_of_submitters_too(
    secure: Database, authority: Authority
) -> None:
    role = unique("clerk")
    await secure.execute(f"create role {role}")
    login = await grant_submitter(await secure.connect(), SubmitterGrant(role=role))
    await secure.execute(f"grant select, insert on public.written to {role}")
    async with daemon_within(secure, database_url=verified(secure, authority)) as daemon:
        connection = await secure.connect()
        await connection.execute(f"set role {role}")
        job_id = await connection.fetchval(
            "insert into jobd.job (job_type, handler) values ('processing', 'write_rows') returning id"
        )
        await wait_for_status(secure, job_id, "completed")
        found, encrypted = tuple(await secure.fetchrow(CONNECTIONS, None) or ())
        assert found == encrypted >= 3
        assert tuple(await secure.fetchrow(CONNECTIONS, login) or ()) == (1, 1)
        opened = await daemon._parts.connector.open()
        [finding] = await checks.encryption(Patient(daemon.settings, daemon._parts.connector, opened))
        opened.terminate()
    assert (finding.level, finding.message) == (
        "ok",
        "encrypted, and the server's name and certificate are verified",
    )


async def test_encryption_alone_proves_nothing_and_the_doctor_says_so(secure: Database) -> None:
    async with daemon_within(secure, database_url=f"{secure.url}?sslmode=require") as daemon:
        opened = await daemon._parts.connector.open()
        [finding] = await checks.encryption(Patient(daemon.settings, daemon._parts.connector, opened))
        opened.terminate()
    assert (finding.level, finding.message) == ("warning", "encrypted, but whose server it is was not verified")
    assert "sslmode=verify-full" in (finding.remedy or "")


@pytest.mark.parametrize(
    "wrong",
    [
        Wrong("another authority", "127.0.0.1", DAY, "unable to get local issuer certificate"),
        Wrong("an authority", "127.0.0.2", DAY, "IP address mismatch"),
        Wrong("an authority", "127.0.0.1", -DAY, "certificate has expired"),
    ],
    ids=["of another authority", "of another server", "that has expired"],
)
async def test_a_certificate_is_refused_until_the_right_one_is_shown(
    secure: Database, authority: Authority, tmp_path: Path, wrong: Wrong
) -> None:
    signs = authority if wrong.issuer == "an authority" else Authority(tmp_path, wrong.issuer)
    await show(secure, signs.issue(address=wrong.address, lasts=wrong.lasts))
    job_id = await submit(secure)
    with daemon_process(secure, tmp_path, database_url=verified(secure, authority)) as daemon:
        await daemon.logged("no database yet")
        status, body = await get(await daemon.port(), "/readyz")
        assert status == 503
        assert "the server's certificate is not trusted" in body
        assert wrong.reason in body
        assert (await job_row(secure, job_id))["status"] == "pending"
        await show(secure, authority.issue())
        await wait_for_status(secure, job_id, "completed")


async def test_certificate_and_authority_are_changed_with_work_going_on(
    secure: Database, authority: Authority, tmp_path: Path
) -> None:
    successor = Authority(tmp_path, "the next authority")
    with daemon_process(secure, tmp_path, database_url=verified(secure, authority)) as daemon:
        await wait_for_status(secure, await submit(secure, "write_rows"), "completed")
        # Both are trusted for a while: then it does not matter when the server shows the new one.
        authority.path.write_bytes(authority.certificate + successor.certificate)
        await show(secure, successor.issue())
        worker = f"jobd:{await daemon.worker_id()}"
        ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = $1"
        assert await secure.fetchval(ended, worker) >= 3
        await wait_for_status(secure, await submit(secure, "write_rows"), "completed")
        new = "select count(*) from pg_stat_activity where application_name = $1"
        await until(lambda: secure.fetchval(new, worker), lambda count: count >= 3)
        assert daemon.process.poll() is None


async def test_a_file_of_the_authority_that_is_missing_is_named_and_waited_for(
    secure: Database, authority: Authority, tmp_path: Path
) -> None:
    path = tmp_path / "nowhere.pem"
    job_id = await submit(secure)
    url = f"{secure.url}?sslmode=verify-full&sslrootcert={path}"
    with daemon_process(secure, tmp_path, database_url=url) as daemon:
        await daemon.logged("no database yet")
        status, body = await get(await daemon.port(), "/readyz")
        assert status == 503
        assert f"JOBD_DATABASE_URL names a file that cannot be read here: sslrootcert={path}" in body
        authority.path.rename(path)
        await wait_for_status(secure, job_id, "completed")
