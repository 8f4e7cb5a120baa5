from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.backends import terminate
from tests.support.daemons import daemon_within, get, job_row, submit, until, wait_for_status
from tests.support.names import unique

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database

RULES = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
SESSIONS = "select count(*) from pg_stat_activity where usename = $1 and application_name like 'jobd%'"


async def role_with_password(database: Database, password: str) -> str:
    """A daemon's login that has to know its password."""
    (database.server.data / "pg_hba.conf").write_text(RULES)
    await database.execute("select pg_reload_conf()")
    role = unique("daemon")
    await database.execute(f"create role {role} login password '{password}'")
    await database.execute(f"grant jobd_worker to {role}; grant insert on public.written to {role}")
    return role


def url_with(database: Database, role: str, password: str) -> str:
    return database.url_of(role).replace(f"{role}@", f"{role}:{password}@")


async def submit_as(database: Database, role: str) -> UUID:
    await database.execute(f"set session authorization {role}")
    job_id = await submit(database, "write_rows", metadata={"rows": 1}, max_retries=0)
    await database.execute("reset session authorization")
    return job_id


async def test_a_password_that_is_changed_costs_no_job_and_the_file_with_the_new_one_is_read_without_a_reload(
    own_target: Database, tmp_path: Path
) -> None:
    role = await role_with_password(own_target, "former")
    place = tmp_path / "url"
    place.write_text(url_with(own_target, role, "former"))
    async with daemon_within(own_target, database_url="", database_url_file=place) as daemon:
        await own_target.execute(f"alter role {role} password 'latter'")
        await terminate(own_target, "state = 'idle'")
        job_id = await submit_as(own_target, role)
        refused = daemon.metrics.database.errors.labels("privilege")
        await until(lambda: _value(refused), lambda seen: seen > 0)
        port = daemon.health.port or 0
        await until(lambda: get(port, "/readyz"), lambda seen: "refuses the login" in seen[1])
        place.write_text(url_with(own_target, role, "latter"))
        await wait_for_status(own_target, job_id, "completed", "failed", within=30)
    row = await job_row(own_target, job_id)
    assert (row["status"], row["retry_count"]) == ("completed", 0)


async def test_a_reload_leaves_no_connection_of_the_former_login(own_target: Database, tmp_path: Path) -> None:
    former, latter = [await role_with_password(own_target, "secret") for _ in range(2)]
    place = tmp_path / "url"
    place.write_text(url_with(own_target, former, "secret"))
    async with daemon_within(own_target, database_url="", database_url_file=place) as daemon:
        await until(lambda: _value(daemon.metrics.daemon.listener_up))
        place.write_text(url_with(own_target, latter, "secret"))
        daemon.reload(lambda: daemon.settings)
        await until(lambda: own_target.fetchval(SESSIONS, former), lambda seen: seen == 0)
        assert await own_target.fetchval(SESSIONS, latter) > 0


async def test_where_new_credentials_are_refused_the_former_connection_keeps_the_lease(
    own_target: Database, tmp_path: Path
) -> None:
    role = await role_with_password(own_target, "right")
    place = tmp_path / "url"
    place.write_text(url_with(own_target, role, "right"))
    async with daemon_within(own_target, database_url="", database_url_file=place) as daemon:
        await until(lambda: _value(daemon.metrics.daemon.beats.labels("answered")))
        place.write_text(url_with(own_target, role, "wrong"))
        daemon.reload(lambda: daemon.settings)
        await until(lambda: _value(daemon.metrics.database.errors.labels("privilege")), lambda seen: seen > 0)
        answered = await _value(daemon.metrics.daemon.beats.labels("answered"))
        await until(
            lambda: _value(daemon.metrics.daemon.beats.labels("answered")), lambda seen: seen > answered + 2
        )
        assert await _value(daemon.metrics.daemon.beats.labels("failed")) == 0


async def _value(child: object) -> float:
    return float(child._value.get())  # type: ignore[attr-defined]
