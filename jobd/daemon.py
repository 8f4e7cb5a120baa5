"""The daemon: builds its parts, runs their loops, and stops them in order.

Two task groups: the outer holds what protects running jobs (heartbeat, listener, rescuer …), the inner the claimer
and the jobs themselves. To stop is to close the inner first: claim no more, let open batches end within the grace,
roll the rest back, hand everything back, and only then leave.
"""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from jobd import log
from jobd.db.connect import Connector
from jobd.db.pool import POOL_SIZE, Pool
from jobd.db.queue import Queue
from jobd.db.session import Sessions
from jobd.errors import SchemaMismatch
from jobd.handlers import registry
from jobd.metrics import JOB_TYPES, Metrics
from jobd.runner.finisher import Finisher
from jobd.runner.lanes import Lanes
from jobd.runner.logins import Logins
from jobd.runner.parts import Parts
from jobd.runner.runner import Runner
from jobd.runner.running import RunningSet
from jobd.runner.wakeup import Wakeup
from jobd.services.claimer import Claimer
from jobd.services.controller import Controller
from jobd.services.drain import Drain
from jobd.services.enforcer import Enforcer
from jobd.services.health import HealthServer, Readiness
from jobd.services.heartbeat import Heartbeat
from jobd.services.lag import Lag
from jobd.services.listener import Listener
from jobd.services.listening import Listening
from jobd.services.loop import BACKOFF_SECONDS_MAX, Pulse, backoff_seconds, run_loop
from jobd.services.places import require_sound_places
from jobd.services.pruner import Pruner
from jobd.services.reloader import Reloader
from jobd.services.reporter import Reporter
from jobd.services.rescuer import Rescuer
from jobd.services.sampler import Sampler
from jobd.services.startup import Startup
from jobd.services.tuning import Trimmer
from jobd.services.worker import Worker
from jobd.systemd import ServiceManager

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from anyio.abc import TaskGroup

    from jobd.settings import Settings
    from jobd.tracing.spans import Tracing

EXIT_DONE = 0
# The others wait for the heartbeat to find the database, so it looks more often than they.
HEARTBEAT_BACKOFF_SECONDS_MAX = 0.5

_log = log.get("daemon")


class Daemon:
    """One worker, from its start to its last word."""

    def __init__(
        self,
        settings: Settings,
        service_manager: ServiceManager | None = None,
        *,
        tracing: Tracing | None = None,
        listening: Sequence[int] = (),
    ) -> None:
        require_sound_places(settings)
        self.settings = settings
        self.metrics = metrics = Metrics(version("jobd"), settings.queues, _job_types(settings))
        self.pulse = Pulse()
        service_manager = service_manager or ServiceManager(None)
        self._reporter = Reporter(service_manager, self.pulse, self._describe)
        connector = Connector(settings, metrics)
        pool = Pool(connector.open, POOL_SIZE, on_waited=metrics.database.acquire.observe)
        sessions = Sessions(connector, settings.concurrency, make_room=pool.shrink)
        pool.has_room = sessions.have_room_for
        self._parts = parts = Parts(
            settings=settings,
            metrics=metrics,
            connector=connector,
            pool=pool,
            sessions=sessions,
            queue=Queue(pool, metrics, settings.command_timeout_seconds),
            running=RunningSet(),
            tracing=tracing,
        )
        self.worker = worker = Worker(parts, version("jobd"))
        self._finisher = finisher = Finisher(parts)
        logins = Logins(parts.queue, parts.sessions)
        self._lanes = lanes = Lanes(
            settings.concurrency, Runner(parts, registry.Handlers(), logins, finisher), finisher
        )
        self._enforcer = Enforcer(parts, lanes)
        self._rescuer = Rescuer(parts, worker)
        self._heartbeat = Heartbeat(
            parts, worker, on_dead_workers=self._rescuer.wakeup.set, on_back=self._database_came_back
        )
        self._claimer = Claimer(
            parts, worker, lanes,
            wake_enforcer=self._enforcer.wakeup.set, on_worker_gone=self._heartbeat.wakeup.set,
        )  # fmt: skip
        self._controller = Controller(parts)
        self._listener = Listener(
            parts,
            worker,
            on_work=self._claimer.heard,
            on_request=self._controller.heard,
            on_change=self._hearing_changed,
            # A beat tells the others by which backend they see that this worker lives.
            on_connected=self._heartbeat.wakeup.set,
        )
        connector.hosts.on_moved = self._database_moved
        self._startup = Startup(parts, worker, logins)
        self._pruner = Pruner(parts, worker)
        self._sampler = Sampler(parts, lanes, on_too_new=self._schema_moved_on)
        self._lag = Lag(parts)
        self._reloader = Reloader(parts, lanes, finisher)
        self._trimmer = Trimmer()
        self.health = HealthServer(metrics, self.pulse, self.readiness, Listening(service_manager, listening))
        metrics.before_scrape.append(self._show)
        self._drain = Drain(parts, worker, lanes=lanes, enforcer=self._enforcer, reporter=self._reporter)
        self._too_old: str | None = None
        self.leave_process: Callable[[int], object] | None = None
        self._phase = "waiting for the database"
        self.is_registered = anyio.Event()

    def stop(self) -> None:
        """Drain and leave; called a second time, roll back and leave at once."""
        self._drain.request()

    def readiness(self) -> Readiness:
        """Whether work can be taken, for /readyz."""
        if self._phase != "running":
            return Readiness((self._phase,))
        if self._heartbeat.trouble is not None or not self._parts.running.is_trusted:
            return Readiness((self._heartbeat.trouble or "the database is away",))
        degraded = (
            ["the database's disk is full: jobs wait for room"] if self.metrics.database.is_disk_full else []
        )
        if not self.settings.notify:
            degraded.append("polling only: JOBD_NOTIFY is off")
        elif self._listener.is_deaf:
            obstacle = self._listener.obstacle
            degraded.append("notifications are not heard" + (f": {obstacle}" if obstacle else ""))
        degraded += sorted({f"jobs wait: {held.waits_for}" for held in self._parts.running if held.waits_for})
        return Readiness((), tuple(degraded))

    def _show(self) -> None:
        """What is measured when somebody looks."""
        self.metrics.daemon.ready.set(not self.readiness().reasons)
        self.metrics.daemon.show_log(log.counts)
        self.metrics.jobs.show_running(self._parts.running.by_queue(self.metrics.labels.of))

    async def run(self) -> int:
        """Live from start to stop; gives the exit code."""
        async with anyio.create_task_group() as outer:
            if self.settings.metrics_listen is not None:
                outer.start_soon(self.health.run, self.settings.metrics_listen)
            outer.start_soon(self._reporter.run)
            if await self._came_up():
                self._start_loops(outer)
                async with anyio.create_task_group() as inner:
                    self._lanes.open(inner)
                    self._start(inner, "claimer", self._claimer.step, self._claimer.wakeup)
                    self._phase = "running"
                    self.is_registered.set()
                    self._reporter.ready()
                    await self._drain.requested.wait(float("inf"))
                    self._phase = "draining"
                    await self._drain.run()
                    if self._lanes.abandoned_count and self.leave_process is not None:
                        await self._farewell()
                        _log.warning("leaving jobs behind that do not end")
                        self.leave_process(EXIT_DONE)
                    inner.cancel_scope.cancel()
                await self._farewell()
            else:
                self._phase = "stopping"
                self._reporter.stopping()
            outer.cancel_scope.cancel()
        if self._too_old is not None:
            raise SchemaMismatch(self._too_old)
        _log.info("stopped")
        return EXIT_DONE

    def reload(self, reread: Callable[[], Settings]) -> None:
        """Read the settings again; what is wrong with them is said, and they stay as they were."""
        with self._reporter.reloading():
            self._reloader.reload(reread)
        # Secrets that stand in files may be new ones; what the pools keep is thrown away by the reloader.
        if self._reloader.complaint is None:
            self._heartbeat.renew_connection()
            if self.settings.notify:
                self._listener.reconnect()

    def _describe(self) -> str:
        """What goes on, in one line for people."""
        jobs = f"jobs held: {len(self._parts.running)}"
        if self._phase == "draining":
            return f"draining, {jobs}"
        if self._phase != "running":
            return self._phase
        oldest = round(self._sampler.oldest_due_seconds)
        parts = [
            f"running, {self._lanes.used} of {self._lanes.slots} slots in use, {jobs}, oldest due job: {oldest} s",
            *(f"not ready: {reason}" for reason in self.readiness().reasons),
            *self.readiness().degraded,
            *([self._reloader.complaint] if self._reloader.complaint else []),
        ]
        return "; ".join(parts)

    async def _came_up(self) -> bool:
        """Wait until this daemon may work; False when it was told to stop meanwhile."""
        failures = 0
        # An attempt connects, and asks a few things.
        attempt_seconds = self.settings.connect_timeout_seconds + 6 * self.settings.command_timeout_seconds
        while not self._drain.is_requested:
            self._reporter.wait_up_to(attempt_seconds)
            reason = await self._startup.reason_to_wait()
            if reason is None:
                return True
            self._phase = reason
            failures += 1
            await self._drain.requested.wait(backoff_seconds(failures))
        return False

    def _database_came_back(self) -> None:
        """The heartbeat looks most often; when it is answered again all that waits is called."""
        self._parts.running.database_came_back()
        for loop in (self._claimer, self._controller, self._listener, self._finisher):
            loop.wakeup.set()

    def _hearing_changed(self, is_deaf: bool) -> None:
        self._claimer.hearing_changed(is_deaf)
        self._reporter.changed()

    def _schema_moved_on(self, obstacle: str) -> None:
        """A contract migration removed what this daemon uses: leave before it fails anybody's job."""
        if self._too_old is None:
            _log.error("the schema admits this daemon no longer", reason=obstacle)
            self._too_old = obstacle
            self.stop()

    def _database_moved(self) -> None:
        """Another host is the one that is wanted: give up what leads to the former, which may never answer."""
        _log.warning("the database is on another host now", jobs=len(self._parts.running))
        self._parts.pool.expire()
        self._parts.sessions.expire()
        for held in self._parts.running.unfinished():
            if held.session is not None:
                held.session.give_up()
        self._listener.reconnect()

    def _start(
        self, group: TaskGroup, name: str, step: Callable[[], Awaitable[float]], wakeup: Wakeup | None = None, *,
        backoff_max: float = BACKOFF_SECONDS_MAX,
    ) -> None:  # fmt: skip
        loop = partial(run_loop, backoff_max=backoff_max)
        group.start_soon(loop, name, step, wakeup or Wakeup(), self.pulse, name=name)

    def _start_loops(self, outer: TaskGroup) -> None:
        self._start(
            outer, "heartbeat", self._heartbeat.step, self._heartbeat.wakeup,
            backoff_max=HEARTBEAT_BACKOFF_SECONDS_MAX,
        )  # fmt: skip
        self._start(outer, "trust", self._heartbeat.watch_trust)
        self._start(outer, "finisher", self._finisher.step, self._finisher.wakeup)
        self._start(outer, "controller", self._controller.step, self._controller.wakeup)
        self._start(outer, "enforcer", self._enforcer.step, self._enforcer.wakeup)
        self._start(outer, "rescuer", self._rescuer.step, self._rescuer.wakeup)
        self._start(outer, "pruner", self._pruner.step, self._pruner.wakeup)
        self._start(outer, "sampler", self._sampler.step, self._sampler.wakeup)
        self._start(outer, "lag", self._lag.step, self._lag.wakeup)
        self._start(outer, "trimmer", self._trimmer.step, self._trimmer.wakeup)
        if self.settings.notify:
            self._start(outer, "listener", self._listener.step, self._listener.wakeup)
            self.worker.on_renamed = self._listener.reconnect

    async def _farewell(self) -> None:
        for close in (self._heartbeat.close, self._listener.close):
            close()
        await self._drain.farewell()


def _job_types(settings: Settings) -> tuple[str, ...]:
    """Those that this daemon can run, whose series begin at zero."""
    return tuple(each for each in JOB_TYPES if each != "processing" or settings.handlers)
