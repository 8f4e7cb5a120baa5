"""``list``, ``show``, ``errors``, ``logs``, ``queues`` and ``workers``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.worker import SimulatedWorker, refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from jobd.client import Client
    from jobd.model.job import Job
    from tests.integration.cli.conftest import Jobd
    from tests.support.database import Database

    Read = Callable[..., Awaitable[Any]]

NOTHING = dict.fromkeys(("added", "updated", "unchanged", "skipped", "refused"), 0)
CSV = {"source": {"format": "csv", "header": ["id", "dest"], "encoding": "utf-8"}}


async def refuse_two(worker: SimulatedWorker, job: Job) -> None:
    await worker.begin(job.id, CSV, total_rows=10)
    await worker.commit(
        job.id,
        added=8,
        errors=[
            refusal(3, "foreign_key", field="dest", raw_data="BQN", message='"BQN" is not in airports'),
            refusal(5, "too_few_fields", error_type="parse", raw_data="5"),
        ],
        rejects=[(3, b"3,BQN\n"), (5, b"5\n")],
        fields=[
            {"id": "3", "dest": "BQN"},
            {"id": "5", "dest": "", "_jobd_code": "too_few_fields", "_jobd_filled": "1", "_jobd_record": '"5"'},
        ],
    )


async def test_the_list_tells_jobs_apart_at_a_glance(jobd: Jobd, running: Job, worker: SimulatedWorker) -> None:
    await refuse_two(worker, running)
    header, line = (await jobd("list")).stdout.splitlines()
    assert header.split() == ["ID", "Status", "Rows", "Refused", "File", "Target", "Submitted"]
    for part in (str(running.id)[:13], "running 50 %", "10", "2", "flights.csv", "public.flights", "now"):
        assert part in line


async def test_no_line_is_wider_than_100_columns(jobd: Jobd, client: Client, worker: SimulatedWorker) -> None:
    job = await client.submit(f"/srv/in/{'long' * 30}.csv", f"public.{'wide' * 15}")
    await worker.claim()
    await refuse_two(worker, job)
    for command in (["list"], ["show", job.id], ["errors", job.id], ["queues"], ["workers"]):
        lines = (await jobd(*command)).stdout.splitlines()
        assert all(len(line) <= 100 for line in lines if "/srv/in/" not in line and "→" not in line), command


async def test_an_empty_list_says_so(jobd: Jobd) -> None:
    assert (await jobd("list")).stdout == "No jobs.\n"
    assert (await jobd("list", "--status", "failed")).stdout == "No such jobs.\n"
    assert "jobd run" in (await jobd("workers")).stdout


async def test_the_list_is_filtered_and_paged(jobd: Jobd, read: Read, client: Client) -> None:
    jobs = [await client.submit(f"/srv/in/{number}.csv", "public.t", queue="slow") for number in range(3)]
    other = await client.submit("/srv/in/x.csv", "public.t", pause_requested=True)
    assert [job["id"] for job in await read("list", "--queue", "slow", "--limit", 2)] == [
        str(job.id) for job in (jobs[2], jobs[1])
    ]
    assert [job["id"] for job in await read("list", "-q", "slow", "--after", jobs[1].id)] == [str(jobs[0].id)]
    assert [job["id"] for job in await read("list", "--status", "paused")] == [str(other.id)]
    assert "jobd list --after" in (await jobd("list", "-n", 1)).stdout


async def test_ids_are_written_as_short_as_tells_them_apart(jobd: Jobd, database: Database) -> None:
    for last in (1, 2):
        await database.execute(
            "insert into jobd.job (id, source, target) values ($1, '/a', 't')",
            f"01890000-0000-7000-8000-00000000000{last}",
        )
    await database.execute(
        "insert into jobd.job (id, source, target) values ('01990000-0000-7000-8000-000000000001', '/a', 't')"
    )
    ids = [line.split()[0] for line in (await jobd("list")).stdout.splitlines()[1:]]
    assert min(ids) == "01890000-0000-7000-8000-000000000001"
    assert (await jobd("show", "01990000")).stdout
    ambiguous = await jobd("show", "018900000000", exit_code=2)
    assert "give more digits" in ambiguous.stderr
    assert "01890000-0000-7000-8000-000000000002" in ambiguous.stderr


async def test_an_id_that_is_none_is_said_to_be_none(jobd: Jobd) -> None:
    assert "no job's id begins with" in (await jobd("show", "01234567", exit_code=1)).stderr
    assert "is no job's id" in (await jobd("show", "0123", exit_code=2)).stderr
    assert "is no job's id" in (await jobd("logs", "flights.csv", exit_code=2)).stderr
    unknown = "01890000-0000-7000-8000-000000000001"
    for command in ("show", "errors", "logs"):
        assert "error: " in (await jobd(command, unknown, exit_code=1)).stderr


async def test_a_running_job_is_shown_with_its_bar_counters_and_worker(
    jobd: Jobd, running: Job, worker: SimulatedWorker
) -> None:
    await refuse_two(worker, running)
    text = (await jobd("show", running.id)).stdout
    for part in (
        "● running  flights.csv → public.flights",
        "━━━",
        "10 of 10",
        "added",
        str(running.id),
        "foreign_key",
        f"jobd errors {str(running.id)[:13]}",
        "jobd watch",
    ):
        assert part in text


async def test_a_job_that_waits_is_explained(jobd: Jobd, client: Client) -> None:
    job = await client.submit("/srv/in/a.csv", "public.t", options={"key": ["id"]}, priority="high", queue="slow")
    text = (await jobd("show", job.id)).stdout
    assert "high priority" in text
    assert '{"key":["id"]}' in text
    assert "slow" in text.split("options")[1]


async def test_a_failed_job_is_shown_with_its_reason_and_what_to_do(
    jobd: Jobd, running: Job, worker: SimulatedWorker
) -> None:
    await worker.finish(running.id, "failed", "source_missing", "no such file: /srv/in/flights.csv")
    text = (await jobd("show", running.id)).stdout
    assert "source_missing: no such file" in text
    assert "jobd retry" in text


async def test_a_completed_job_is_shown_with_its_rows(
    jobd: Jobd, read: Read, running: Job, worker: SimulatedWorker
) -> None:
    await worker.commit(running.id, added=1_204_331, updated=12)
    await worker.finish(running.id)
    text = (await jobd("show", running.id)).stdout
    assert "1,204,331" in text
    assert "completed" in text
    shown = await read("show", running.id)
    assert (shown["items_added"], shown["items_updated"], shown["status"]) == (1_204_331, 12, "completed")


async def test_errors_are_grouped_and_listed(jobd: Jobd, running: Job, worker: SimulatedWorker) -> None:
    await refuse_two(worker, running)
    text = (await jobd("errors", running.id)).stdout
    assert text.startswith("2 refused of 10 records")
    assert '"BQN" is not in airports' in text
    assert "too_few_fields" in text
    first = (await jobd("errors", running.id, "--limit", 1)).stdout
    assert "row 5 is not good enough" not in first
    assert "--limit shows more" in first


async def test_a_job_without_errors_says_so(jobd: Jobd, running: Job) -> None:
    assert (await jobd("errors", running.id)).stdout == "Nothing was refused.\n"


async def test_errors_as_json_are_the_objects_of_the_contract(
    jobd: Jobd, read: Read, running: Job, worker: SimulatedWorker
) -> None:
    await refuse_two(worker, running)
    first, second = await read("errors", running.id)
    assert set(first) == {"row", "field", "error_type", "message", "raw_data", "timestamp"}
    assert (first["row"], first["field"], first["raw_data"]) == (3, "dest", "BQN")
    assert (second["row"], second["error_type"]) == (5, "parse")
    assert (await jobd("errors", running.id, "--format", "json")).stdout.count('"row"') == 2


async def test_a_job_with_a_past_shows_it(
    jobd: Jobd, client: Client, running: Job, worker: SimulatedWorker
) -> None:
    await worker.commit(running.id, added=1)
    await client.pause(running.id, "lunch")
    await worker.finish(running.id, "paused")
    paused = (await jobd("show", running.id)).stdout
    assert "‖ paused" in paused
    assert "interrupted once" in paused
    assert "jobd resume" in paused
    await client.resume(running.id)
    await worker.claim()
    await worker.finish(running.id, "retry", "handler_failed", "try again later")
    waiting = (await jobd("show", running.id)).stdout
    assert "not before" in waiting
    assert "retried 1 of 3 times" in waiting


async def test_a_job_of_known_content_names_the_job_that_brought_it(
    jobd: Jobd, client: Client, database: Database
) -> None:
    first = await client.submit("/srv/in/a.csv", "public.t")
    again = await client.submit("/srv/in/a.csv", "public.t")
    await client.cancel(again.id)
    await database.execute("set role jobd_owner")
    await database.execute("update jobd.job set duplicate_of = $1 where id = $2", first.id, again.id)
    assert str(first.id) in (await jobd("show", again.id)).stdout
    assert str(first.id) in (await jobd("watch", again.id, exit_code=1)).stdout


async def test_a_jobs_story_is_told_in_order(
    jobd: Jobd, client: Client, running: Job, worker: SimulatedWorker, database: Database
) -> None:
    await database.execute("select jobd.log($1, 'warning', 'slow_batch', '{\"seconds\": 3}')", running.id)
    await client.cancel(running.id, "wrong file")
    await worker.finish(running.id, "cancelled")
    text = (await jobd("logs", running.id)).stdout
    places = [text.index(part) for part in ("submitted", "● running", "slow batch", "wrong file", "⊘ cancelled")]
    assert places == sorted(places)
    assert "seconds=3" in text
    story = json.loads((await jobd("logs", running.id, "--json")).stdout)
    assert [entry["kind"] for entry in story].count("log") == 1


async def test_queues_show_what_waits_and_which_are_paused(jobd: Jobd, read: Read, client: Client) -> None:
    await client.submit("/srv/in/a.csv", "public.t", queue="slow")
    await client.pause_queue("slow")
    assert "‖ paused" in (await jobd("queues")).stdout
    (slow,) = [queue for queue in await read("queues") if queue["queue"] == "slow"]
    assert (slow["pending"], slow["is_paused"]) == (1, True)


async def test_workers_show_who_lives_and_who_is_silent(jobd: Jobd, read: Read, database: Database) -> None:
    await SimulatedWorker(database).register("alive")
    await SimulatedWorker(database).register("gone", lease_seconds=0.001)
    alive, gone = sorted((await jobd("workers")).stdout.splitlines()[1:])
    assert "● alive" in alive
    assert "0 of 4" in alive
    assert "silent for" in gone
    assert {worker["name"]: worker["is_alive"] for worker in await read("workers")} == {
        "alive": True,
        "gone": False,
    }


async def test_a_job_shows_how_its_source_is_read_and_where_its_fields_go(
    jobd: Jobd, running: Job, worker: SimulatedWorker
) -> None:
    shape = {"delimiter": ord("\t"), "quote": ord("'"), "escape": ord("\\"), "newline": 10, "is_crlf": False}
    detected = {
        "source": {
            "format": "csv", "compression": "gzip", "encoding": "cp1252", "shape": shape, "header": ["Id", "Name"],
            "data_line": 4,
        },
        "target": {"fields": [[0, "Id", "id"], [1, "Name", "name"]], "key": ["id"]},
    }  # fmt: skip
    await worker.begin(running.id, detected)
    text = (await jobd("show", running.id)).stdout
    assert "CSV, delimiter tab, quote ', escape \\, CP1252, gzip, first record on line 4" in text
    assert "Id → id, Name → name" in text
    assert any(line.split() == ["key", "id"] for line in text.splitlines())


async def test_a_job_of_many_files_shows_those_first_that_went_wrong(
    jobd: Jobd, database: Database, running: Job
) -> None:
    names = [f"/srv/in/{number}.csv" for number in range(1, 31)]
    await database.execute(
        "select jobd.begin($1, 1, null, p_files_total => 30, p_file => $2, p_file_size => $3,"
        " p_file_modified_at => array_fill(null::timestamptz, array[30]))",
        running.id,
        names,
        [10] * 30,
    )
    await database.execute(
        "select jobd.record_files($1, $2)",
        running.id,
        json.dumps([{"position": 25, "status": "failed", "error_message": "is empty", **NOTHING}]),
    )
    lines = (await jobd("show", running.id)).stdout.splitlines()
    first = next(number for number, line in enumerate(lines) if line.split()[:2] == ["File", "Status"])
    assert lines[first + 1].split()[:2] == ["/srv/in/25.csv", "failed"]
    assert "is empty" in lines[first + 1]
    assert any("and 20 more" in line for line in lines)
