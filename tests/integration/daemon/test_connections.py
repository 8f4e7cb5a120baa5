from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio
import asyncpg
import pytest

from jobd.db.connect import Connector, _without_login
from jobd.db.grants import SubmitterGrant, grant_submitter
from jobd.db.pool import OWN_CONNECTIONS, Pool
from jobd.db.session import Sessions
from jobd.doctor.patient import Patient
from jobd.doctor.server_settings import connections
from jobd.metrics import Metrics
from jobd.settings import Settings
from tests.sql.roles import make_role
from tests.support.daemons import daemon_within, job_row, submit, until, wait_for_status
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


async def test_idle_connections_of_other_logins_make_room_for_one_that_is_needed(database: Database) -> None:
    settings = Settings.load(environment={"JOBD_DATABASE_URL": database.url})
    connector = Connector(settings, Metrics("0"))
    connector.application_name = unique("sessions")
    sessions = Sessions(connector, size=2)
    logins = [await make_role(database, "clerk") for _ in range(4)]
    seen = "select array_agg(usename::text order by usename) from pg_stat_activity where application_name = $1"
    for together in (logins[:2], logins[2:]):
        lent = [await sessions.take(login) for login in together]
        assert (sessions.used_count, sessions.idle_count) == (2, 0)
        await until(partial(database.fetchval, seen, connector.application_name), sorted(together).__eq__)
        for each in lent:
            await sessions.give_back(each)
        assert (sessions.used_count, sessions.idle_count) == (0, 2)
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await sessions.take("nobody of this name")
    assert (sessions.used_count, sessions.idle_count) == (0, 1)
    sessions.expire()


async def test_a_session_waits_until_the_pool_has_given_a_connection_up_for_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = Connector(Settings.load(environment={"JOBD_DATABASE_URL": database.url}), Metrics("0"))
    pool = Pool(connector.open, 4)
    sessions = Sessions(connector, size=2, make_room=pool.shrink)
    pool.has_room = sessions.have_room_for
    async with pool.acquire():
        async with pool.acquire(), pool.acquire():
            assert (pool.count, sessions.count) == (3, 0)
            with anyio.move_on_after(0.1) as waiting:
                await sessions.take(None)
            assert waiting.cancelled_caught
            assert sessions.count == 0
        lent = [await sessions.take(None), await sessions.take(None)]
        assert (pool.count, sessions.count) == (1, 2)
        with anyio.move_on_after(0.1) as waiting:
            async with pool.acquire():
                pass
        assert waiting.cancelled_caught
        for each in lent:
            await sessions.give_back(each)
        assert (pool.count, sessions.count) == (1, 2)
        # What no job has used for a while is closed, for the pool to grow again.
        monkeypatch.setattr("jobd.db.session.IDLE_SECONDS_MIN", 0)
        async with pool.acquire():
            assert (pool.count, sessions.count) == (2, 1)
    pool.terminate()
    sessions.expire()


async def test_a_daemon_has_a_connection_for_each_slot_and_three_for_itself(target: Database) -> None:
    async with daemon_within(target, concurrency=2, sample_seconds=1) as daemon:
        worker = f"jobd:{daemon.worker.id}"
        count = "select count(*) from pg_stat_activity where application_name = $1"
        jobs = [await submit(target, name) for _ in range(60) for name in ("write_rows", "nothing")]
        most = 0
        for job_id in jobs:
            await wait_for_status(target, job_id, "completed")
            # A backend that was told to end may be seen for a moment beside the one that took its place.
            most = max(most, min([await target.fetchval(count, worker), await target.fetchval(count, worker)]))
        patient = Patient(daemon.settings, daemon._parts.connector, await target.connect())
        [finding] = await connections(patient)
    assert OWN_CONNECTIONS < most <= 2 + 3
    assert f"up to {2 + OWN_CONNECTIONS} for this daemon" in finding.message
