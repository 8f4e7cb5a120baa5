"""``watch`` and ``submit --wait``."""

from __future__ import annotations

import asyncio
import fcntl
import io
import json
import os
import signal
import struct
import termios
from typing import TYPE_CHECKING

from rich.console import Console

from jobd.cli import database as cli_database
from jobd.cli.follow import follow_active
from jobd.cli.progress import Pace, bars
from jobd.client import Client
from jobd.client.connection import session_of
from jobd.db.queries import query
from tests.support.command import start
from tests.support.worker import SimulatedWorker, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from uuid import UUID

    from jobd.cli.progress import Progress
    from jobd.model.job import Job
    from tests.integration.cli.conftest import Jobd
    from tests.support.database import Database


async def claimed(database: Database, worker: SimulatedWorker) -> UUID:
    """The next job, as soon as there is one."""
    async with asyncio.timeout(30):
        arrived = asyncio.Event()
        connection = await database.connect()
        await connection.add_listener("jobd_job", lambda *_: arrived.set())
        while not (jobs := await worker.claim()):
            await arrived.wait()
            arrived.clear()
        return jobs[0]


async def test_waiting_for_a_clean_import_ends_with_0(
    jobd: Jobd, database: Database, worker: SimulatedWorker
) -> None:
    waiting = asyncio.create_task(jobd("submit", "/srv/in/a.csv", "-t", "public.t", "--wait"))
    job_id = await claimed(database, worker)
    await worker.commit(job_id, added=1200, updated=34)
    await worker.finish(job_id)
    text = (await waiting).stdout
    assert "✓ completed  a.csv → public.t" in text
    assert "1,234 rows: 1,200 added, 34 updated" in text


async def test_waiting_for_an_import_with_refused_rows_ends_with_3(
    jobd: Jobd, database: Database, worker: SimulatedWorker
) -> None:
    waiting = asyncio.create_task(jobd("submit", "/srv/in/a.csv", "-t", "public.t", "--wait", exit_code=3))
    job_id = await claimed(database, worker)
    await worker.commit(job_id, added=2, errors=[refusal(1)], rejects=[(1, b"x")])
    await worker.finish(job_id)
    text = (await waiting).stdout
    assert "1 refused" in text
    assert f"jobd errors {str(job_id)[:13]}" in text


async def test_waiting_for_a_job_that_fails_ends_with_1(
    jobd: Jobd, database: Database, worker: SimulatedWorker
) -> None:
    waiting = asyncio.create_task(jobd("submit", "/srv/in/a.csv", "-t", "public.t", "--wait", exit_code=1))
    await worker.finish(await claimed(database, worker), "failed", "source_missing", "no such file: /srv/in/a.csv")
    text = (await waiting).stdout
    assert "source_missing: no such file" in text
    assert "jobd retry" in text


async def test_watching_a_job_that_is_cancelled_ends_with_1(
    jobd: Jobd, client: Client, running: Job, worker: SimulatedWorker
) -> None:
    watching = asyncio.create_task(jobd("watch", running.id, exit_code=1))
    await client.cancel(running.id, "wrong file")
    await worker.finish(running.id, "cancelled")
    assert "wrong file" in (await watching).stdout


async def test_watching_without_a_terminal_prints_a_line_per_change(
    jobd: Jobd, client: Client, worker: SimulatedWorker
) -> None:
    jobs = [await client.submit(f"/srv/in/{name}.csv", "public.t") for name in "ab"]
    for job in jobs:
        await worker.claim()
        await worker.commit(job.id, added=5)
        await worker.finish(job.id)
    lines = (await jobd("watch", *(job.id for job in jobs))).stdout.splitlines()
    assert len(lines) == 6
    assert all("✓ completed" in line for line in (lines[0], lines[1]))


async def test_watching_as_json_prints_an_object_per_change(
    jobd: Jobd, running: Job, worker: SimulatedWorker
) -> None:
    await worker.commit(running.id, added=5, progress=30)
    watching = asyncio.create_task(jobd("watch", running.id, "--json"))
    await worker.finish(running.id)
    last = json.loads((await watching).stdout.splitlines()[-1])
    assert (last["id"], last["status"], last["processed_rows"]) == (str(running.id), "completed", 5)


class Recorded:
    """A display that keeps what it was shown, and tells when."""

    def __init__(self) -> None:
        self.looks: list[Sequence[Progress]] = []
        self.shown = asyncio.Event()

    def show(self, jobs: Sequence[Progress], ids: Mapping[UUID, str]) -> None:
        assert set(ids) >= {job.id for job in jobs}
        self.looks.append(jobs)
        self.shown.set()

    async def until(self, names: dict[str, str]) -> None:
        async with asyncio.timeout(30):
            while {job.name: job.status.value for job in self.looks[-1]} != names if self.looks else True:
                self.shown.clear()
                await self.shown.wait()


async def test_on_a_terminal_bars_move_until_ctrl_c(
    database: Database, client: Client, worker: SimulatedWorker, tmp_path: Path
) -> None:
    terminal, end = os.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    watching = await start("watch", cwd=tmp_path, stdout=end, JOBD_DATABASE_URL=database.url, TERM="xterm")
    os.close(end)
    seen = b""

    async def until(*parts: str) -> None:
        nonlocal seen
        async with asyncio.timeout(30):
            while not all(part.encode() in seen for part in parts):
                seen += await asyncio.to_thread(os.read, terminal, 10_000)
        seen = b""

    await until("Nothing waits or runs")
    job = await client.submit("/srv/in/a.csv", "public.t")
    await until("a.csv", "waiting")
    await worker.claim()
    await worker.begin(job.id, total_rows=100)
    await worker.commit(job.id, added=42, progress=42)
    await until("42 %", "42 rows", "left")
    await worker.finish(job.id)
    await until("100 %", "✓")
    watching.send_signal(signal.SIGINT)
    assert await watching.wait() == 0
    os.close(terminal)


async def test_active_jobs_come_move_and_stay_in_sight_when_they_end(
    database: Database, client: Client, worker: SimulatedWorker
) -> None:
    connection = await database.connect()
    recorded = Recorded()
    watching = asyncio.create_task(
        follow_active(cli_database.Database(connection, Client(connection), session_of(connection)), recorded)
    )
    await recorded.until({})
    job = await client.submit("/srv/in/a.csv", "public.t")
    await recorded.until({"a.csv": "pending"})
    await worker.claim()
    await recorded.until({"a.csv": "running"})
    await worker.finish(job.id)
    await recorded.until({"a.csv": "completed"})
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_bars_fit_a_terminal_of_100_columns(
    database: Database, client: Client, worker: SimulatedWorker
) -> None:
    jobs = [await client.submit(f"/srv/in/{'long' * 20}-{number}.csv", "public.t") for number in range(3)]
    await worker.claim(2)
    await worker.begin(jobs[0].id, total_rows=10_000_000)
    await worker.commit(jobs[0].id, added=1_234_567, progress=12, errors=[refusal(1)], rejects=[(1, b"x")])
    await client.cancel(jobs[1].id)
    rows = await database.fetch(query("cli_progress"), [job.id for job in jobs])
    looks = [Pace().look(dict(row), 0) for row in rows]
    ids = {job.id: str(job.id)[:13] for job in jobs}
    console = Console(width=100, file=io.StringIO(), force_terminal=True, color_system=None)
    console.print(bars(looks, ids, is_wide=False))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 3
    assert all(len(line) <= 100 for line in lines)
    for part in ("12 %", "1,234,568 rows", "1 refused", "left", "-0.csv"):
        assert part in lines[0]
    assert "cancelling" in lines[1]
    assert "waiting" in lines[2]


def test_speed_is_that_of_the_last_seconds() -> None:
    row = {"id": None, "status": "running", "processed_rows": 0, "progress": 0.0, "ran_seconds": 100.0}
    pace = Pace()
    for second in range(20):
        look = pace.look({**row, "processed_rows": 1000 * second, "progress": 2.0 * second}, float(second))
    assert look.rows_per_second == 1000
    assert look.remaining_seconds == (100 - 38) / 2
