"""Remote places as sources of jobs: through a real server, within what the daemon allows and the submitter may."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from jobd.db.grants import SubmitterGrant, grant_submitter
from jobd.errors import ConfigurationError
from tests.support.daemons import daemon_within, job_row, until
from tests.support.http_server import Fault, FileServer, running
from tests.support.names import unique

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import asyncpg

    from tests.support.database import Database

LINES = b"id,name\n" + b"".join(b"%d,name %d\n" % (row, row) for row in range(1, 5001))


@pytest.fixture
def web() -> Iterator[FileServer]:
    with running() as web:
        yield web


@pytest.fixture
async def target(database: Database) -> Database:
    await database.execute("create table public.people (id int primary key, name text)")
    return database


async def imported(
    database: Database, source: str, *, connection: asyncpg.Connection | None = None, **settings: Any
) -> Mapping[str, Any]:
    """The row of a job with this source, once it has ended or waits to be tried again."""
    connection = connection or await database.connect()
    job_id = await connection.fetchval(
        "insert into jobd.job (source, target) values ($1, 'public.people') returning id", source
    )
    async with daemon_within(database, remote_private="127.0.0.1", **settings):
        await until(
            lambda: database.fetchval(
                "select status in ('completed', 'failed') or retry_count > 0 from jobd.job where id = $1", job_id
            )
        )
    return await job_row(database, job_id)


async def test_a_file_of_a_server_that_drops_connections_is_imported_whole(
    target: Database, web: FileServer
) -> None:
    web.files["/in/people.csv.gz"] = gzip.compress(LINES)
    web.faults.extend([Fault(drop_after=700), Fault(status=503), Fault(drop_after=10)])
    job = await imported(target, f"{web.url}/in/people.csv.gz", remote_allow=f"{web.url}/in/")
    assert (job["status"], job["items_added"]) == ("completed", 5000)
    assert job["current_file"] == f"{web.url}/in/people.csv.gz"


async def test_no_remote_place_is_read_unless_it_is_allowed(target: Database, web: FileServer) -> None:
    web.files["/in/people.csv"] = LINES
    job = await imported(target, f"{web.url}/in/people.csv")
    assert (job["status"], job["error_code"]) == ("failed", "source_forbidden")
    assert "JOBD_REMOTE_ALLOW" in job["error_message"]
    assert not web.seen


async def test_a_redirect_out_of_what_is_allowed_is_not_followed(target: Database, web: FileServer) -> None:
    web.redirects["/in/people.csv"] = "/secret/people.csv"
    web.files["/secret/people.csv"] = LINES
    job = await imported(target, f"{web.url}/in/people.csv", remote_allow=f"{web.url}/in/")
    assert (job["status"], job["error_code"]) == ("failed", "source_forbidden")
    assert [seen.target for seen in web.seen] == ["/in/people.csv"]


@pytest.mark.parametrize(
    ("path", "code"), [("in/people.csv", None), ("in/../other/people.csv", "source_forbidden")]
)
async def test_a_submitter_is_limited_to_its_prefixes(
    target: Database, web: FileServer, path: str, code: str | None
) -> None:
    web.files["/in/people.csv"] = web.files["/other/people.csv"] = LINES
    role = unique("clerk")
    await target.execute(f"create role {role}")
    await grant_submitter(
        await target.connect(), SubmitterGrant(role=role, source_prefixes=[f"{web.url}/in/"]), None
    )
    await target.execute(f"grant select, insert, update on public.people to {role}")
    connection = await target.connect()
    await connection.execute(f"set role {role}")
    job = await imported(target, f"{web.url}/{path}", connection=connection, remote_allow=web.url)
    assert job["error_code"] == code


async def test_a_submitter_that_is_limited_to_directories_reads_nothing_remote(
    target: Database, web: FileServer
) -> None:
    web.files["/in/people.csv"] = LINES
    role = unique("clerk")
    await target.execute(f"create role {role}")
    await grant_submitter(await target.connect(), SubmitterGrant(role=role, import_roots=["/srv/in"]), None)
    connection = await target.connect()
    await connection.execute(f"set role {role}")
    job = await imported(target, f"{web.url}/in/people.csv", connection=connection, remote_allow=web.url)
    assert job["error_code"] == "source_forbidden"


async def test_the_objects_below_a_prefix_are_one_import(
    target: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    s3.start()
    try:
        host, port = s3.get_host_and_port()
        url = f"http://{host}:{port}"
        for method, path in (("POST", "moto-api/reset"), ("PUT", "bucket")):
            urlopen(Request(f"{url}/{path}", method=method), timeout=10).close()  # noqa: ASYNC210, S310  loopback
        for name, value in (
            ("AWS_ENDPOINT_URL", url), ("AWS_ALLOW_HTTP", "true"), ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_REGION", "us-east-1"),
        ):  # fmt: skip
            monkeypatch.setenv(name, value)
        store = S3Store(
            "bucket", endpoint=url, client_options={"allow_http": True}, access_key_id="key",
            secret_access_key="secret", region="us-east-1",
        )  # fmt: skip
        for name, row in (("in/a.csv", 1), ("in/b.csv", 2), ("other/c.csv", 3)):
            await store.put_async(name, b"id,name\n%d,x\n" % row)
        job = await imported(target, "s3://bucket/in/", remote_allow="s3://bucket")
        single = await imported(target, "s3://bucket/other/c.csv", remote_allow="s3://bucket")
    finally:
        s3.stop()
    assert (job["status"], job["items_added"], job["files_total"]) == ("completed", 2, 2)
    assert (single["status"], single["items_added"]) == ("completed", 1)


async def test_a_file_that_the_server_does_not_have_fails_the_job(target: Database, web: FileServer) -> None:
    job = await imported(target, f"{web.url}/in/people.csv", remote_allow=web.url)
    assert (job["status"], job["error_code"]) == ("failed", "source_missing")


@pytest.mark.parametrize(
    ("name", "value"),
    [("remote_allow", "nonsense"), ("remote_allow", "ftp://host/"), ("remote_private", "10.0.0.0/99")],
)
async def test_a_setting_that_can_mean_no_place_stops_the_start(database: Database, name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"JOBD_{name.upper()}"):
        async with daemon_within(database, **{name: value}):
            pass
