from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.db.connect import _without_login
from jobd.db.grants import SubmitterGrant, grant_submitter
from tests.support.daemons import daemon_within, job_row, until, wait_for_status
from tests.support.names import unique

if TYPE_CHECKING:
    from uuid import UUID

    from tests.support.database import Database

SECRET = "what only the daemon and jobd grant know"  # noqa: S105  of a database that is thrown away


async def submit_as(database: Database, role: str) -> UUID:
    """Insert a job with that role's rights."""
    connection = await database.connect()
    await connection.execute(f"set role {role}")
    job_id: UUID = await connection.fetchval(
        "insert into jobd.job (job_type, handler) values ('processing', 'write_rows') returning id"
    )
    return job_id


async def clerk(database: Database, secret: str | None = None) -> tuple[str, str]:
    """A submitter that may write to the table, and its login."""
    role = unique("clerk")
    await database.execute(f"create role {role}")
    login = await grant_submitter(await database.connect(), SubmitterGrant(role=role), secret)
    await database.execute(f"grant select, insert on public.written to {role}")
    return role, login


async def test_a_submitters_login_is_entered_with_the_password_derived_from_the_secret(
    own_target: Database,
) -> None:
    role, login = await clerk(own_target, SECRET)
    rules = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
    (own_target.server.data / "pg_hba.conf").write_text(rules)
    await own_target.execute("select pg_reload_conf()")
    async with daemon_within(own_target, submitter_secret=SECRET):
        job_id = await submit_as(own_target, role)
        seen = "select count(*) from pg_stat_activity where usename = $1 and application_name like 'jobd:%'"
        await until(lambda: own_target.fetchval(seen, login))
        await wait_for_status(own_target, job_id, "completed", "failed")
    assert (await job_row(own_target, job_id))["error_message"] is None
    async with daemon_within(own_target, submitter_secret="another secret"):
        refused = await submit_as(own_target, role)
        await wait_for_status(own_target, refused, "failed")
    assert (await job_row(own_target, refused))["error_code"] == "no_privilege"


async def test_a_url_may_name_several_hosts(target: Database) -> None:
    role, _login = await clerk(target)
    url = target.url.replace("@127.0.0.1:", "@127.0.0.1:1,127.0.0.1:")
    async with daemon_within(target, database_url=url):
        job_id = await submit_as(target, role)
        await wait_for_status(target, job_id, "completed")


async def test_the_password_in_the_url_is_not_tried_for_a_submitters_login() -> None:
    url = "postgresql://jobd:secret@one:1,two:2/queue?password=x&user=y&sslmode=require"
    assert _without_login(url) == "postgresql://one:1,two:2/queue?sslmode=require"
