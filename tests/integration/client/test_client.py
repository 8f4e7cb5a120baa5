from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import psycopg
import pytest

from jobd.client import Client
from jobd.errors import (
    DatabaseUnavailable,
    DuplicateError,
    DuplicateSubmission,
    JobError,
    JobNotFound,
    JobRefused,
    ParseError,
    SchemaMismatch,
    StaleVersion,
    ValidationError,
)
from jobd.model.status import JobStatus, Priority
from tests.support.worker import SimulatedWorker, refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.database import Database


@pytest.fixture(params=["asyncpg", "psycopg", "psycopg autocommit"])
async def connection(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[Any]:
    """A connection as an application has one, of either driver."""
    if request.param == "asyncpg":
        yield await database.connect()
        return
    async with await psycopg.AsyncConnection.connect(
        database.url, autocommit=request.param == "psycopg autocommit"
    ) as connection:
        yield connection


@pytest.fixture
def client(connection: Any) -> Client:
    return Client(connection)


@pytest.fixture
async def worker(database: Database) -> SimulatedWorker:
    worker = SimulatedWorker(database)
    await worker.register()
    return worker


async def commit(connection: Any) -> None:
    """psycopg begins a transaction by itself unless autocommit is on."""
    if isinstance(connection, psycopg.AsyncConnection):
        await connection.commit()


async def test_a_submitted_job_is_given_back_with_the_database_defaults(client: Client) -> None:
    job = await client.submit("/in/a.csv", "public.t")
    assert (job.status, job.queue, job.priority, job.max_retries) == (JobStatus.PENDING, "default", "normal", 3)
    assert (job.filename, job.options, job.metadata, job.version) == ("a.csv", {}, {}, 1)
    assert await client.get(job.id) == job


async def test_uploaded_bytes_are_a_source(client: Client, database: Database, connection: Any) -> None:
    source = await client.upload(b"id\n1\n", "a.csv", created_by="ann")
    job = await client.submit(source, "public.t", filename="a.csv")
    await commit(connection)
    row = await database.fetchrow("select data, filename, created_by from jobd.blob")
    assert row is not None
    assert tuple(row) == (b"id\n1\n", "a.csv", "ann")
    assert job.source == source


async def test_every_settable_column_arrives(client: Client) -> None:
    first = await client.submit("/in/a.csv", "public.t")
    dataset, batch = uuid4(), uuid4()
    job = await client.submit(
        "/in/b.csv",
        "public.t",
        options={"key": ["id"], "null_values": ["NA"]},
        queue="slow",
        priority=Priority.HIGH,
        serial_key="t",
        source_type="csv",
        filename="B",
        file_hash="0" * 64,
        metadata={"who": "Ångström"},
        created_by="ada",
        tenant="acme",
        related_dataset_id=dataset,
        idempotency_key="b",
        estimated_rows=12,
        max_retries=0,
        batch_id=batch,
        after=[first.id],
        pause_requested=True,
    )
    assert job.options == {"key": ["id"], "null_values": ["NA"]}
    assert job.metadata == {"who": "Ångström"}
    assert (job.queue, job.priority, job.serial_key, job.source_type) == ("slow", "high", "t", "csv")
    assert (job.filename, job.file_hash, job.created_by, job.tenant) == ("B", "0" * 64, "ada", "acme")
    assert (job.related_dataset_id, job.idempotency_key, job.batch_id) == (dataset, "b", batch)
    assert (job.estimated_rows, job.max_retries, job.after) == (12, 0, [first.id])
    assert job.status is JobStatus.PAUSED


async def test_a_job_submitted_in_a_transaction_that_rolls_back_never_existed(
    connection: Any, client: Client, database: Database
) -> None:
    class Regret(Exception):
        pass

    async def regretted() -> None:
        async with connection.transaction():
            job = await client.submit("/in/a.csv", "public.t")
            assert await client.get(job.id) is not None
            raise Regret

    with pytest.raises(Regret):
        await regretted()
    assert await database.fetchval("select count(*) from jobd.job") == 0


async def test_one_idempotency_key_is_one_job(client: Client) -> None:
    job = await client.submit("/in/a.csv", "public.t", idempotency_key="monday")
    again = await client.submit("/in/other.csv", "public.t", idempotency_key="monday")
    assert again == job


async def test_five_submissions_at_once_with_one_key_all_get_the_same_job(database: Database) -> None:
    clients = [Client(await database.connect()) for _ in range(5)]
    jobs = await asyncio.gather(
        *(client.submit("/in/a.csv", "public.t", idempotency_key="monday") for client in clients)
    )
    assert len({job.id for job in jobs}) == 1
    assert await database.fetchval("select count(*) from jobd.job") == 1


async def test_what_does_not_exist_is_none(client: Client) -> None:
    assert await client.get(uuid4()) is None


async def test_a_refused_value_says_what_to_do(client: Client) -> None:
    with pytest.raises(JobRefused, match="on_conflict"):
        await client.submit("/in/a.csv", "public.t", options={"on_conflikt": "skip"})


async def test_pages_of_jobs_follow_one_another_newest_first(connection: Any, client: Client) -> None:
    submitted = []
    for number in range(5):
        submitted.append((await client.submit(f"/in/{number}.csv", "public.t")).id)
        await commit(connection)  # jobs of one transaction are of one moment
    first = await client.list(limit=3)
    second = await client.list(limit=3, after=first[-1])
    assert [job.id for job in (*first, *second)] == submitted[::-1]
    assert await client.list(after=second[-1]) == []


async def test_jobs_are_listed_by_status_queue_type_and_batch(client: Client) -> None:
    batch = uuid4()
    pending = await client.submit("/in/a.csv", "public.t", queue="slow")
    paused = await client.submit("/in/b.csv", "public.t", pause_requested=True, batch_id=batch)
    cancelled = await client.submit("/in/c.csv", "public.t", job_type="validation")
    await client.cancel(cancelled.id)

    async def ids(*arguments: Any, **values: Any) -> set[Any]:
        return {job.id for job in await client.list(*arguments, **values)}

    assert await ids() == {pending.id, paused.id, cancelled.id}
    assert await ids(JobStatus.PENDING) == {pending.id}
    assert await ids("cancelled") == {cancelled.id}
    assert await ids(["paused", JobStatus.CANCELLED]) == {paused.id, cancelled.id}
    assert await ids(queue="slow") == {pending.id}
    assert await ids(job_type="validation") == {cancelled.id}
    assert await ids(batch_id=batch) == {paused.id}


async def test_a_job_is_paused_resumed_reordered_cancelled_and_retried(client: Client) -> None:
    job = await client.submit("/in/a.csv", "public.t")

    async def status() -> JobStatus:
        found = await client.get(job.id)
        assert found is not None
        return found.status

    assert await client.pause(job.id, "later")
    assert await status() is JobStatus.PAUSED
    assert await client.resume(job.id)
    assert await status() is JobStatus.PENDING
    assert await client.set_priority(job.id, Priority.HIGH)
    assert await client.cancel(job.id, "never mind")
    assert await status() is JobStatus.CANCELLED
    assert not await client.cancel(job.id)
    assert not await client.resume(job.id)
    assert await client.retry(job.id)
    assert await status() is JobStatus.PENDING
    assert not await client.retry(job.id)


async def test_a_stale_version_changes_nothing(connection: Any, client: Client) -> None:
    job = await client.submit("/in/a.csv", "public.t")
    await client.set_priority(job.id, "high", expected_version=job.version)
    await commit(connection)
    with pytest.raises(StaleVersion) as stale:
        async with connection.transaction():
            await client.cancel(job.id, expected_version=job.version)
    assert stale.value.job_id == job.id
    found = await client.get(job.id)
    assert found is not None
    assert found.status is JobStatus.PENDING


@pytest.mark.parametrize("call", ["cancel", "pause", "resume", "retry", "explain", "errors", "wait"])
async def test_an_unknown_id_is_said_to_be_unknown(client: Client, call: str) -> None:
    job_id = uuid4()
    with pytest.raises(JobNotFound, match=str(job_id)) as unknown:
        await getattr(client, call)(job_id)
    assert unknown.value.job_id == job_id


async def test_a_retry_whose_key_was_taken_names_the_job_that_holds_it(connection: Any, client: Client) -> None:
    job = await client.submit("/in/a.csv", "public.t", idempotency_key="monday")
    await client.cancel(job.id)
    holder = await client.submit("/in/a.csv", "public.t", idempotency_key="monday")
    await commit(connection)
    with pytest.raises(DuplicateSubmission) as duplicate:
        await client.retry(job.id)
    assert duplicate.value.existing_job_id == holder.id
    assert duplicate.value.job_id == job.id


async def test_a_batch_is_controlled_as_one(client: Client) -> None:
    batch = uuid4()
    for name in "ab":
        await client.submit(f"/in/{name}.csv", "public.t", batch_id=batch)
    assert await client.pause_batch(batch) == 2
    assert await client.resume_batch(batch) == 2
    assert await client.cancel_batch(batch, "wrong month") == 2
    assert await client.cancel_batch(batch) == 0


async def test_a_queue_is_paused_and_resumed(client: Client, database: Database, connection: Any) -> None:
    await client.pause_queue("slow")
    await commit(connection)
    assert await database.fetchval("select is_paused from jobd.queue where name = 'slow'")
    await client.resume_queue("slow")
    await commit(connection)
    assert not await database.fetchval("select is_paused from jobd.queue where name = 'slow'")


async def test_what_a_job_waits_for_is_explained(client: Client) -> None:
    job = await client.submit("/in/a.csv", "public.t")
    assert "daemon" in await client.explain(job.id) or "worker" in await client.explain(job.id)


async def test_refused_records_are_exceptions_of_their_kind(
    connection: Any, client: Client, worker: SimulatedWorker
) -> None:
    job = await client.submit("/in/a.csv", "public.t")
    await commit(connection)
    await worker.claim()
    await worker.commit(
        job.id,
        added=2,
        errors=[
            refusal(1, "too_few_fields", error_type="parse", raw_data="1,2"),
            refusal(2, "foreign_key", field="dest", raw_data="BQN"),
            refusal(3, "unique", error_type="duplicate", field="id", raw_data="7"),
        ],
        rejects=[(1, b"1,2"), (2, b"x"), (3, b"7")],
    )
    parse, validation, duplicate = await client.errors(job.id)
    assert isinstance(parse, ParseError)
    assert (parse.row, parse.line, parse.raw_data, parse.error_code) == (1, 2, "1,2", "too_few_fields")
    assert isinstance(validation, ValidationError)
    assert (validation.row, validation.field, validation.raw_data) == (2, "dest", "BQN")
    assert isinstance(duplicate, DuplicateError)
    assert (duplicate.row, duplicate.existing_key, duplicate.similarity) == (3, {"id": "7"}, None)
    assert [error.row for error in await client.errors(job.id, limit=1, offset=1)] == [2]


async def test_waiting_ends_when_the_job_does(connection: Any, client: Client, worker: SimulatedWorker) -> None:
    job = await client.submit("/in/a.csv", "public.t")
    await commit(connection)
    waiting = asyncio.create_task(client.wait(job.id, timeout=30))
    await worker.claim()
    await worker.commit(job.id, added=3)
    await worker.finish(job.id)
    ended = await waiting
    assert (ended.status, ended.items_added) == (JobStatus.COMPLETED, 3)
    assert not await Client(connection).cancel(job.id)  # the connection is as it was


async def test_waiting_works_without_notifications(
    connection: Any, client: Client, worker: SimulatedWorker, database: Database
) -> None:
    await database.execute("set jobd.notify = off")
    job = await client.submit("/in/a.csv", "public.t")
    await commit(connection)
    waiting = asyncio.create_task(client.wait(job.id, timeout=30))
    await worker.claim()
    await worker.finish(job.id, "failed", "source_missing", "no such file")
    assert (await waiting).error_code == "source_missing"


async def test_waiting_too_long_is_a_timeout(connection: Any, client: Client) -> None:
    job = await client.submit("/in/a.csv", "public.t")
    await commit(connection)
    with pytest.raises(TimeoutError, match=r"still pending after 0\.2 s"):
        await client.wait(job.id, timeout=0.2)
    assert await client.get(job.id) is not None


async def test_waiting_inside_a_transaction_is_refused(connection: Any, client: Client) -> None:
    job = await client.submit("/in/a.csv", "public.t")
    await commit(connection)
    async with connection.transaction():
        with pytest.raises(JobError, match="commit it first"):
            await client.wait(job.id)


async def test_waiting_leaves_the_applications_own_listening_alone(database: Database) -> None:
    async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as connection:
        await connection.execute("listen jobd_event")
        job = await Client(connection).submit("/in/a.csv", "public.t")
        await Client(connection).cancel(job.id)
        await Client(connection).wait(job.id)
        cursor = await connection.execute("select pg_listening_channels()")
        assert await cursor.fetchall() == [("jobd_event",)]


async def test_a_connection_from_a_pool_will_do(database: Database) -> None:
    async with asyncpg.create_pool(database.url, min_size=1, max_size=1) as pool, pool.acquire() as connection:
        job = await Client(connection).submit("/in/a.csv", "public.t")
        await Client(connection).cancel(job.id)
        assert (await Client(connection).wait(job.id)).status is JobStatus.CANCELLED


async def test_an_applications_own_json_codec_makes_no_difference(database: Database) -> None:
    connection = await database.connect()
    await connection.set_type_codec("jsonb", encoder=repr, decoder=repr, schema="pg_catalog")
    job = await Client(connection).submit("/in/a.csv", "public.t", options={"key": ["id"]}, metadata={"a": 1})
    assert (job.options, job.metadata) == ({"key": ["id"]}, {"a": 1})


async def test_a_database_without_the_schema_is_told_apart(empty_database: Database) -> None:
    with pytest.raises(SchemaMismatch, match="jobd migrate"):
        await Client(await empty_database.connect()).get(uuid4())


async def test_a_connection_that_is_closed_says_so(connection: Any, client: Client) -> None:
    await connection.close()
    with pytest.raises(DatabaseUnavailable):
        await client.get(uuid4())


async def test_jobs_of_others_are_taken_away_and_erased_by_administrators(
    connection: Any, client: Client, worker: SimulatedWorker
) -> None:
    job = await client.submit("/in/a.csv", "public.t", metadata={"name": "Ada"})
    await commit(connection)
    await worker.claim()
    assert await client.release(job.id)
    await client.cancel(job.id)
    assert await client.erase(job.id)
    found = await client.get(job.id)
    assert found is not None
    assert (found.status, found.metadata) == (JobStatus.CANCELLED, {})


async def test_a_connection_of_another_kind_is_refused(database: Database) -> None:
    with (
        psycopg.connect(database.url) as connection,
        pytest.raises(TypeError, match=r"not on a psycopg\.Connection"),
    ):
        Client(connection)  # type: ignore[arg-type]


async def test_old_jobs_are_pruned(client: Client) -> None:
    assert await client.prune(timedelta(days=90)) == 0
