"""Daemons under a load in which everything happens that can: each outcome, each result, each kind of error."""

from __future__ import annotations

import contextlib
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobd.db.embedded import free_port
from tests.ops.alarm import alarm as alarm_of
from tests.support.daemons import DaemonProcess, daemon_process, submit, until, wait_for_status
from tests.support.imports import submit_import

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path
    from uuid import UUID

    from tests.ops.alarm import Alarm
    from tests.support.database import Database

TARGET = "public.people"
TABLES = """
    create table public.written (job_id uuid, number integer);
    create table public.people (
        id integer primary key, name text not null, age integer check (age >= 0), code text unique
    );
    create sequence public.tries;
    create function public.be_odd() returns trigger language plpgsql as $$ begin
        if new.name = 'Nobody' then raise exception 'nobody may be added'; end if;
        if new.name = 'Later' and nextval('public.tries') % 3 <> 0 then raise serialization_failure; end if;
        return new;
    end $$;
    create trigger be_odd before insert on public.people for each row execute function public.be_odd();
    insert into public.people values (0, 'Ada', 36, 'taken');
"""
HEADER = "id,name,age,code\n"
ROWS = 400
SERVED = "default,mail"
ALONE = "alone"  # the queue of the daemon that is killed and stopped


@dataclass
class Load:
    """Submits jobs of all kinds; ``rounds`` tells their files apart."""

    database: Database
    directory: Path
    rounds: int = 0

    async def prepare(self) -> None:
        """Make tables, and queues that nothing is claimed from."""
        await self.database.execute(TABLES)
        await submit(self.database, queue="nobody", run_at=await self._in("-1 hour"))
        await submit(self.database, queue="paused")
        await self.database.execute("select jobd.pause_queue('paused')")
        await self.database.execute("select jobd.set_queue_objective('mail', 300)")

    async def all_that_ends_by_itself(self) -> None:
        """Imports with each result and error, a validation, and processing jobs that fail as they may."""
        self.rounds += 1
        first = self.rounds * 10 * ROWS
        queue = ("default", "mail")[self.rounds % 2]
        new = self._people("new", first, 36)
        await self._done(await submit_import(self.database, new, TARGET, queue=queue))
        await submit_import(self.database, self._people("again", first, 36, changed=3), TARGET, queue=queue)
        await submit_import(self.database, self._people("skip", first, 37), TARGET, {"on_conflict": "skip"})
        await submit_import(
            self.database, self._refused(first + 5 * ROWS), TARGET, {"ragged": "error"}, queue=queue
        )
        await submit_import(self.database, self._file("later", f"{first + 6 * ROWS},Later,1,\n"), TARGET)
        await submit_import(self.database, self.directory / "missing.csv", TARGET, queue=queue)
        await submit_import(
            self.database, self._people("check", first + 7 * ROWS, 1), TARGET, job_type="validation"
        )
        await submit(self.database, "nothing", queue=queue)
        await submit(self.database, "fail", max_retries=0)
        await submit(self.database, "fail", metadata={"times": 1})
        await submit(self.database, "sleep", options={"timeout": 1})

    async def all_that_others_end(self) -> None:
        """A job that is cancelled, one that is paused, and one that is taken from its daemon."""
        sleeping = await self._running("sleep")
        await self.database.execute("select jobd.cancel($1)", sleeping)
        paused = await self._running("write_rows", metadata={"rows": 1000, "pause": 0.1})
        await self.database.execute("select jobd.pause($1)", paused)
        taken = await self._running("write_rows", metadata={"rows": 20, "pause": 0.1})
        await self.database.execute("select jobd.release($1)", taken)

    async def keep_running(self) -> None:
        """A job that tells how much longer it will run, and does for minutes."""
        await self._running("write_rows", metadata={"rows": 3000, "pause": 0.3})

    async def taken_by_the_one_that_is_alone(self, handler: str, **columns: Any) -> UUID:
        """A job of the daemon that is killed and stopped."""
        return await self._running(handler, queue=ALONE, **columns)

    async def _running(self, handler: str, **columns: Any) -> UUID:
        job = await submit(self.database, handler, **columns)
        await wait_for_status(self.database, job, "running", within=60)
        return job

    async def _done(self, job: UUID) -> None:
        await wait_for_status(self.database, job, "completed", within=60)

    async def _in(self, interval: str) -> Any:
        return await self.database.fetchval("select now() + $1::text::interval", interval)

    def _people(self, name: str, first: int, age: int, changed: int = 1) -> Path:
        lines = [f"{number},Ada,{age + number % changed},\n" for number in range(first, first + ROWS)]
        return self._file(name, "".join(lines))

    def _refused(self, first: int) -> Path:
        """A record of each kind of error among good ones."""
        lines = [f"{number},Grace,36,\n" for number in range(first, first + 20)]
        lines += [
            f"{first + 21},ragged\n",
            "x,Ada,36,\n",
            f"{first + 22},Ada,-1,\n",
            f"{first + 23},Ada,36,taken\n",
        ]
        return self._file("refused", "".join([*lines, f"{first + 24},Nobody,36,\n"]))

    def _file(self, name: str, lines: str) -> Path:
        path = self.directory / f"{name}-{self.rounds}.csv"
        path.write_text(HEADER + lines)
        return path


@dataclass
class Scene:
    """What was watched, since when, and the daemon that somebody may stop."""

    alarm: Alarm
    load: Load
    since: float

    async def series(
        self, expression: str, *, is_instant: bool, step: str = "2s", until: float | None = None
    ) -> list[dict[str, Any]]:
        """What Prometheus answers."""
        now = until or time.time()
        if is_instant:
            answer = await self.alarm.found("query", query=expression, time=str(now))
        else:
            span = {"start": str(self.since), "end": str(now), "step": step}
            answer = await self.alarm.found("query_range", query=expression, **span)
        assert answer is not None, f"Prometheus refuses {expression}"
        return list(answer["result"])


@contextlib.asynccontextmanager
async def watched(database: Database, directory: Path, rounds: int = 3) -> AsyncIterator[Scene]:
    """All of it has happened to three daemons, which go on working, and Prometheus has seen it."""
    ports = [free_port() for _ in range(3)]
    load = Load(database, directory)
    await load.prepare()
    with contextlib.ExitStack() as stack:
        alarm = stack.enter_context(alarm_of(directory))
        alarm.watch(*ports)
        one, _ = (stack.enter_context(_daemon(load, port, queues=SERVED)) for port in ports[:2])
        scene = Scene(alarm, load, time.time())
        await one.port()
        one.send(signal.SIGHUP)
        await scraped(alarm, daemons=2)  # a counter is seen to rise only from what it was before
        await load.keep_running()
        for _ in range(rounds):
            await load.all_that_ends_by_itself()
            await load.all_that_others_end()
            await scraped(alarm, daemons=2)
        await _killed_and_stopped(load, alarm, ports[2])
        await load.all_that_ends_by_itself()
        await scraped(alarm, daemons=2)
        with _daemon(load, ports[2], queues=ALONE):
            await scraped(alarm, daemons=3)
            yield scene


async def _killed_and_stopped(load: Load, alarm: Alarm, port: int) -> None:
    """A daemon dies and its job is rescued; the next one is stopped, and drains for some seconds."""
    with _daemon(load, port, queues=ALONE) as daemon:
        await load.taken_by_the_one_that_is_alone("sleep", metadata={"seconds": 1})
        await scraped(alarm, daemons=3)
        rescued = await load.taken_by_the_one_that_is_alone("write_rows", metadata={"rows": 1000, "pause": 0.1})
        daemon.send(signal.SIGKILL)
        await wait_for_status(load.database, rescued, "pending", within=60)
    await seen(alarm, "jobd_leases_rescued_total > 0")
    with _daemon(load, port, queues=ALONE) as daemon:
        await load.taken_by_the_one_that_is_alone("disobey", metadata={"seconds": 4})
        await load.taken_by_the_one_that_is_alone("sleep")
        await scraped(alarm, daemons=3)
        daemon.send(signal.SIGTERM)
        await seen(alarm, "jobd_draining == 1")
        await seen(alarm, 'jobd_job_attempts_total{outcome="interrupted"} > 0')
        await daemon.exit_code(within=60)


async def seen(alarm: Alarm, expression: str, at_least: int = 1) -> None:
    """Wait until Prometheus has so many series of it."""

    async def look() -> list[Any]:
        answer = await alarm.found("query", query=expression)
        return [] if answer is None else list(answer["result"])

    await until(look, lambda found: len(found) >= at_least, within=60)


async def scraped(alarm: Alarm, daemons: int) -> None:
    """Wait until so many daemons were scraped after now."""
    await seen(alarm, f"timestamp(jobd_ready) > {time.time()}", at_least=daemons)


@contextlib.contextmanager
def _daemon(load: Load, port: int, queues: str) -> Iterator[DaemonProcess]:
    settings = {"import_roots": load.directory, "sample_seconds": 1, "heartbeat_seconds": 0.5, "lease_seconds": 3}
    with daemon_process(
        load.database, load.directory, metrics_listen=f"127.0.0.1:{port}", queues=queues, **settings
    ) as daemon:
        yield daemon
