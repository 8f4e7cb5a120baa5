"""Spans of real daemons, as a real receiver gets them."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from jobd.client import Client
from tests.integration.daemon.test_logs_secrets import MARK, PEOPLE, SCHEMA
from tests.support import command
from tests.support.daemons import daemon_process, job_row, submit, until, wait_for_status
from tests.support.trace_receiver import QUICK, trace_receiver

if TYPE_CHECKING:
    from tests.support.database import Database

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"
CONSUMER = 5


async def test_a_job_is_a_child_of_the_span_that_submitted_it_and_its_batches_are_its_children(
    target: Database, tmp_path: Path
) -> None:
    await target.execute("create table public.number (id int primary key check (id <> 7))")
    (tmp_path / "numbers.csv").write_text("id\n" + "".join(f"{number}\n" for number in range(1, 26)))
    submitter = SpanContext(int(TRACE_ID, 16), int(SPAN_ID, 16), is_remote=False, trace_flags=TraceFlags(1))
    with (
        trace_receiver() as receiver,
        daemon_process(
            target, tmp_path, import_roots=tmp_path, instance="one", variables=receiver.variables
        ) as daemon,
    ):
        connection = await asyncpg.connect(target.url)
        with trace.use_span(NonRecordingSpan(submitter)):
            job = await Client(connection).submit(
                str(tmp_path / "numbers.csv"), "public.number", options={"batch_size": 10}
            )
        await connection.close()
        assert job.metadata == {"traceparent": TRACEPARENT}
        (attempt,) = await receiver.attempts(job.id)
        batches = receiver.batches_of(attempt)
        logged = [line for line in daemon.log() if line.get("trace_id")]
    assert (attempt.trace_id, attempt.parent_id, attempt.kind) == (TRACE_ID, SPAN_ID, CONSUMER)
    assert attempt.links == (f"{TRACE_ID}-{SPAN_ID}",)
    assert attempt.name == "import default"
    assert not attempt.is_error
    told = {name: value for name, value in attempt.attributes.items() if name.startswith("jobd.")}
    assert told == {
        "jobd.job_id": str(job.id),
        "jobd.job_type": "import",
        "jobd.queue": "default",
        "jobd.attempt": 1,
        "jobd.lease_token": 1,
        "jobd.rows.added": 24,
        "jobd.rows.rejected": 1,
        "jobd.outcome": "completed",
    }
    assert attempt.resource["service.name"] == "jobd"
    assert attempt.resource["service.instance.id"] == "one"
    told_rows = [(one.attributes["jobd.from_row"], one.attributes["jobd.to_row"]) for one in batches]
    assert told_rows == [(0, 10), (10, 20), (20, 25)]
    assert [one.attributes["jobd.rows.added"] for one in batches] == [9, 10, 5]
    assert {one.trace_id for one in batches} == {TRACE_ID}
    assert all(attempt.began_at <= one.began_at <= one.ended_at <= attempt.ended_at for one in batches)
    assert {line["trace_id"] for line in logged} <= {TRACE_ID}
    assert receiver.paths[0] == "/v1/traces"


async def test_a_command_that_was_started_in_a_trace_submits_in_it(database: Database, tmp_path: Path) -> None:
    submitting = await command.start(
        "submit", "/srv/in/a.csv", "--target", "public.a",
        cwd=tmp_path, JOBD_DATABASE_URL=database.url, TRACEPARENT=TRACEPARENT,
    )  # fmt: skip
    assert await submitting.wait() == 0
    assert await database.fetchval("select metadata ->> 'traceparent' from jobd.job") == TRACEPARENT


async def test_failed_attempts_are_errors_and_a_malformed_traceparent_costs_no_job(
    target: Database, tmp_path: Path
) -> None:
    with (
        trace_receiver() as receiver,
        daemon_process(target, tmp_path, log_level="debug", variables=receiver.variables) as daemon,
    ):
        failed = await submit(target, "fail", metadata={"for_good": True, "traceparent": TRACEPARENT})
        odd = [
            await submit(target, metadata={"traceparent": value})
            for value in ("00-nonsense", 7, {"a": 1}, f"00-{'0' * 32}-{SPAN_ID}-01", "x" * 100_000)
        ]
        crashed = await submit(target, "bad_sql", metadata={"sql": f"select '{MARK}'::int"}, max_retries=0)
        for job_id in odd:
            assert await wait_for_status(target, job_id, "completed", "failed") == "completed"
            (attempt,) = await receiver.attempts(job_id)
            assert (attempt.parent_id, attempt.links, attempt.is_error) == ("", (), False)
        (ended,) = await receiver.attempts(failed)
        (broken,) = await receiver.attempts(crashed)
        (batch,) = receiver.batches_of(broken)
        passed_over = [line["job_id"] for line in daemon.log() if line["event"] == "traceparent passed over"]
    assert (ended.trace_id, ended.is_error, ended.status_message) == (TRACE_ID, True, "broken_for_good")
    assert ended.attributes["jobd.outcome"] == "failed"
    assert ended.attributes["jobd.error_code"] == "broken_for_good"
    assert sorted(passed_over) == sorted(str(job_id) for job_id in odd)
    assert (batch.is_error, batch.attributes["error.type"]) == (True, "22P02")
    assert batch.attributes["jobd.outcome"] == "rolled_back"
    assert not any(MARK.encode() in body for body in receiver.raw)


async def test_a_batch_that_is_tried_again_says_so_in_its_span(target: Database, tmp_path: Path) -> None:
    with (
        trace_receiver() as receiver,
        daemon_process(target, tmp_path, variables=receiver.variables),
    ):
        job_id = await submit(target, "hold_row", metadata={"pause": 1})

        async def holder() -> int | None:
            pid: int | None = await target.fetchval(
                "select pid from pg_stat_activity where state = 'idle in transaction' "
                "and application_name like 'jobd:%' and query like 'insert into public.written%'"
            )
            return pid

        await target.execute("select pg_terminate_backend($1)", await until(holder))
        (attempt,) = await receiver.attempts(job_id)
        (batch,) = receiver.batches_of(attempt)
    assert attempt.attributes["jobd.outcome"] == "completed"
    assert [name for name, _ in batch.events] == ["tried again"]
    assert batch.events[0][1]["jobd.is_connection_lost"] is True


async def test_a_handler_runs_in_the_spans_and_the_env_file_may_name_the_receiver(
    target: Database, tmp_path: Path
) -> None:
    with trace_receiver() as receiver:
        env_file = tmp_path / "main.env"
        env_file.write_text("".join(f"{name}={value}\n" for name, value in receiver.variables.items()))
        with daemon_process(target, tmp_path, env_file=env_file) as daemon:
            assert (await daemon.logged("traces are sent"))["host"] == "127.0.0.1"
            job_id = await submit(target, "span", metadata={"traceparent": TRACEPARENT})
            (attempt,) = await receiver.attempts(job_id)
            (batch,) = receiver.batches_of(attempt)
            after = await submit(target, "span")
            (alone,) = await receiver.attempts(after)
        result = json.loads((await job_row(target, job_id))["result"])
    assert result == {
        "attempt": f"00-{TRACE_ID}-{attempt.span_id}-01",
        "batch": f"00-{TRACE_ID}-{batch.span_id}-01",
    }
    assert (alone.parent_id, alone.trace_id == TRACE_ID) == ("", False), "nothing of the last job is left"


async def test_small_files_that_are_brought_in_together_have_a_span_each(target: Database, tmp_path: Path) -> None:
    await target.execute("create table public.number (id int primary key)")
    jobs = []
    for number in range(60):
        (tmp_path / f"{number}.csv").write_text(f"id\n{number}\n")
        jobs.append((str(tmp_path / f"{number}.csv"), {"traceparent": f"00-{number + 1:032x}-{SPAN_ID}-01"}))
    for source, metadata in jobs:
        await target.execute(
            "insert into jobd.job (source, target, metadata) values ($1, 'public.number', $2)",
            source, json.dumps(metadata),
        )  # fmt: skip
    with (
        trace_receiver() as receiver,
        daemon_process(target, tmp_path, import_roots=tmp_path, concurrency=1, variables=receiver.variables),
    ):

        async def attempts() -> list[str]:
            return [span.trace_id for span in receiver.spans if "jobd.job_id" in span.attributes]

        traces = await until(attempts, lambda seen: len(seen) >= 60)
        batches = [span for span in receiver.spans if span.name == "batch"]
    assert sorted(traces) == [f"{number + 1:032x}" for number in range(60)]
    assert sorted(span.trace_id for span in batches) == sorted(traces)
    assert all(span.attributes["jobd.rows.added"] == 1 for span in batches)
    assert any(span.attributes.get("jobd.jobs_beside", 0) > 0 for span in batches), "none went in together"


async def test_no_row_no_name_and_no_secret_is_in_any_span(target: Database, tmp_path: Path) -> None:
    await target.execute(SCHEMA)
    (tmp_path / f"{MARK}.csv").write_text("\n".join(PEOPLE) + "\n")
    url = target.url.replace("postgres@", f"postgres:{MARK}-password@")
    options = {"on_conflict": "error", "schema": {"properties": {"name": {"maxLength": 40}}}}
    with (
        trace_receiver() as receiver,
        daemon_process(
            target, tmp_path, database_url=url, import_roots=tmp_path, variables=receiver.variables
        ) as daemon,
    ):
        for own in (options, {**options, "atomic": True, "max_errors": 1}, {"columns": {MARK: "id"}}):
            job_id = await target.fetchval(
                "insert into jobd.job (source, target, options, metadata, created_by) "
                "values ($1, 'public.secrets', $2, $3, $4) returning id",
                str(tmp_path / f"{MARK}.csv"), json.dumps(own), json.dumps({"note": MARK}), MARK,
            )  # fmt: skip
            await wait_for_status(target, job_id, "completed", "failed")
            await receiver.attempts(job_id)
        crashed = await submit(target, f"{MARK}-handler", max_retries=0)
        await receiver.attempts(crashed)
        log = daemon.log_path.read_text()
    assert any(span.attributes.get("jobd.rows.rejected") for span in receiver.spans)
    assert not any(MARK.encode() in body for body in receiver.raw)
    assert MARK not in log


async def test_a_receiver_that_is_away_is_said_once_and_disturbs_no_work(target: Database, tmp_path: Path) -> None:
    with trace_receiver() as once:
        port = once.port
    variables = {**QUICK, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://user:{MARK}@127.0.0.1:{port}"}
    variables["OTEL_EXPORTER_OTLP_TIMEOUT"] = "1"
    with daemon_process(target, tmp_path, variables=variables) as daemon:
        await wait_for_status(target, await submit(target), "completed")
        await daemon.logged("traces are not delivered")
        await asyncio.sleep(1.5)  # in which it is tried, and fails, some more times
        await wait_for_status(target, await submit(target), "completed")
        with trace_receiver(port) as receiver:
            job_id = await submit(target)
            await receiver.attempts(job_id)
            back = await daemon.logged("traces are delivered again")
        daemon.send(signal.SIGTERM)
        assert await daemon.exit_code() == 0
        events = [line["event"] for line in daemon.log()]
        assert MARK not in daemon.log_path.read_text()
    assert events.count("traces are not delivered") == 1
    assert "library message" not in events
    assert back["spans_lost"] >= 1


async def test_a_receiver_that_does_not_answer_holds_up_neither_the_work_nor_the_stop(
    target: Database, tmp_path: Path
) -> None:
    with trace_receiver() as receiver:
        receiver.stalls = True
        with daemon_process(target, tmp_path, variables=receiver.variables) as daemon:
            for _ in range(5):
                await wait_for_status(target, await submit(target), "completed")
            assert await asyncio.to_thread(receiver.asked.wait, 20)
            daemon.send(signal.SIGTERM)
            began_at = time.monotonic()
            assert await daemon.exit_code() == 0
            took = time.monotonic() - began_at
            events = [line["event"] for line in daemon.log()]
    assert took < 8, "the farewell has 5 s"
    assert "traces were left unsent" in events
    assert events[-1] == "stopped"


async def test_what_is_not_sent_yet_is_sent_at_the_stop(target: Database, tmp_path: Path) -> None:
    with trace_receiver() as receiver:
        variables = {**receiver.variables, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
        with daemon_process(target, tmp_path, shutdown_grace_seconds=0.5, variables=variables) as daemon:
            job_id = await submit(target)
            await wait_for_status(target, job_id, "completed")
            held = await submit(target, "hold_row")
            await wait_for_status(target, held, "running")
            assert receiver.spans == []
            daemon.send(signal.SIGTERM)
            assert await daemon.exit_code() == 0
    by_job = {span.attributes.get("jobd.job_id"): span.attributes["jobd.outcome"] for span in receiver.spans}
    assert by_job[str(job_id)] == "completed"
    assert by_job[str(held)] == "interrupted"


async def test_without_the_extra_a_daemon_says_so_and_works(target: Database, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'opentelemetry': raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Blocked())\n"
    )
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[3]}",
    }
    with daemon_process(target, tmp_path, variables=variables) as daemon:
        line = await daemon.logged("traces are not sent")
        job_id = await submit(target, metadata={"traceparent": TRACEPARENT})
        await wait_for_status(target, job_id, "completed")
    assert line["reason"] == "OpenTelemetry is not installed: pip install 'jobd[otel]'"
