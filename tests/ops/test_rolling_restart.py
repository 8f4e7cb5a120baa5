"""Three daemons under load are restarted one by one: no job, no row, no count and no scrape is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from jobd.db.embedded import free_port
from tests.ops.alarm import Alarm
from tests.ops.alarm import alarm as alarm_of
from tests.ops.scraper import SCRAPE_SECONDS_MAX, Scraper, scraper
from tests.ops.steady_load import TABLES, SteadyLoad, steady_load
from tests.support import programs
from tests.support.daemons import DaemonProcess, daemon_process, get, until
from tests.support.kept_sockets import KeptSockets

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.support.database import Database

pytestmark = [
    pytest.mark.skipif(os.environ.get("TEST_OPS") != "1", reason="minutes long: make test-ops"),
    pytest.mark.timeout(600),
]

NAMES = ("a", "b", "c")
SLACK_SECONDS = 2.0
# Between the commit of an ending and its counting.
COUNTING_SECONDS = 0.5


class Fleet:
    """Daemons with addresses of their own, and when each was not there."""

    def __init__(self, database: Database, directory: Path, stack: contextlib.ExitStack) -> None:
        self._database = database
        self._directory = directory
        self._stack = stack
        self.ports = {name: free_port() for name in NAMES}
        self._kept = {name: KeptSockets(directory / f"notify-{name}") for name in NAMES}
        for kept in self._kept.values():
            stack.callback(kept.close)
        self._daemons: dict[str, DaemonProcess] = {}
        self.absences: dict[str, list[tuple[float, float]]] = {name: [] for name in NAMES}

    async def start(self, name: str) -> None:
        """Start it and wait until it is ready, as a rolling restart does."""
        address = f"127.0.0.1:{self.ports[name]}"
        daemon: AbstractContextManager[DaemonProcess] = daemon_process(
            self._database, self._directory,
            instance=name, metrics_listen=address, import_roots=self._directory, sample_seconds=1,
            kept=self._kept[name],
        )  # fmt: skip
        self._daemons[name] = self._stack.enter_context(daemon)
        await self._daemons[name].worker_id()

        async def is_ready() -> bool:
            return (await get(self.ports[name], "/readyz"))[0] == 200

        await until(is_ready)

    async def restart(self, name: str) -> None:
        """Stop one and start it again; the others go on."""
        daemon = self._daemons[name]
        daemon.send(signal.SIGTERM)
        assert await daemon.exit_code() == 0
        left_at = time.time()
        await self.start(name)
        self.absences[name].append((left_at, time.time()))


async def counted(database: Database, load: SteadyLoad, seen: Scraper, name: str) -> tuple[float, int, int]:
    """What an instance's counters said last, what it ended by the database, and how much was not to be seen."""
    answers = seen.last_answers(name)
    events = await database.fetch(
        "select extract(epoch from created_at)::float8 as at from jobd.job_event"
        " where job_id = any ($1) and actor = $2 and new_status = 'completed'",
        load.ids,
        name,
    )
    unseen = 0
    for event in events:
        # Of the process that ended it, the first that was asked last after it.
        later = [answer.asked_at for answer in answers if answer.asked_at > event["at"] + COUNTING_SECONDS]
        process = [answer for answer in answers if (answer.process_started_at or 0) <= event["at"]][-1]
        unseen += process.asked_at not in later
    return sum(answer.jobs_ended for answer in answers), len(events), unseen


async def was_always_up(alarm: Alarm, port: int) -> None:
    """As Prometheus saw it, which gives each scrape as long as it does by itself."""
    query = f'min_over_time(up{{instance="127.0.0.1:{port}"}}[10m])'
    (result,) = (await alarm.found("query", query=query))["result"]
    assert result["value"][1] == "1"


async def test_a_rolling_restart_of_three_loses_no_job_no_row_no_count_and_no_scrape(
    database: Database, tmp_path: Path
) -> None:
    await database.execute(TABLES)
    with contextlib.ExitStack() as stack:
        fleet = Fleet(database, tmp_path, stack)
        for name in NAMES:
            await fleet.start(name)
        alarm: Alarm | None = None
        if all(programs.find(program) is not None for program in ("prometheus", "prometheus-alertmanager")):
            alarm = stack.enter_context(alarm_of(tmp_path, interval=f"{SCRAPE_SECONDS_MAX}s"))
            alarm.watch(*fleet.ports.values())
            await alarm.are_up(len(NAMES))
        async with scraper(fleet.ports) as seen:
            async with steady_load(database, tmp_path) as load:
                await load.has_submitted(30)
                for name in (*NAMES, *NAMES):
                    await fleet.restart(name)
                    await load.has_submitted(20)
            await load.is_through()
            ended_at = time.time()

            async def is_seen() -> bool:
                return all(seen.answers[name][-1].asked_at > ended_at + COUNTING_SECONDS for name in NAMES)

            await until(is_seen)
        restarts = {name: max(back - left for left, back in fleet.absences[name]) for name in NAMES}
        if alarm is not None:
            for port in fleet.ports.values():
                await was_always_up(alarm, port)
    await load.is_unharmed()
    longest_restart, longest_wait = max(restarts.values()), await load.longest_wait_seconds()
    gaps = {name: seen.longest_gap_seconds(name) for name in NAMES}
    print(f"\n{len(load.ids)} jobs; longest restart {longest_restart:.2f} s, longest wait {longest_wait:.2f} s")
    print(f"scrapes {sum(map(len, seen.answers.values()))}, longest gap {max(gaps.values()):.2f} s")
    assert longest_wait < longest_restart + SLACK_SECONDS
    total = 0
    for name in NAMES:
        assert gaps[name] < restarts[name] + SCRAPE_SECONDS_MAX
        assert seen.unanswered(name) == []
        shown, ended, unseen = await counted(database, load, seen, name)
        assert ended - unseen <= shown <= ended, name
        assert unseen <= 4 * (len(fleet.absences[name]) + 1)
        total += ended
    assert total == len(load.ids)
