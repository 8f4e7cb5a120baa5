"""The faults that a drill knows: each strikes once, lasts as long as it lasts, and is undone when it returns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import asyncpg

from jobd.db.queries import query
from jobd.drill.network import Way

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from uuid import UUID

    from jobd.drill.ground import Ground

    Strike = Callable[[Ground, random.Random], Awaitable[None]]

AWAY_SECONDS = (0.1, 1.0)
SHORT_SECONDS = (0.3, 0.6)  # of a lease
BEYOND_LEASE = (1.2, 1.6)
DELAY_SECONDS = (0.02, 0.15)
LOCK_SECONDS = (0.5, 4.5)
RETRIED_SHARE = 0.5
TABLES = ("reading", "entry", "stock", "small")


async def kill(ground: Ground, dice: random.Random) -> None:
    """A daemon is gone without a word, and another is started in its stead after a while."""
    async with ground.one_daemon(dice) as daemon:
        jobs = await ground.jobs_of(daemon.name)
        daemon.kill()
        await ground.struck("daemon killed", daemon.name, jobs, sought="work elsewhere")
        await anyio.sleep(dice.uniform(*AWAY_SECONDS))
        daemon.start()


async def freeze(ground: Ground, dice: random.Random) -> None:
    """A daemon stands still for longer than its lease, and goes on as if nothing had been."""
    async with ground.one_daemon(dice) as daemon:
        jobs = await ground.jobs_of(daemon.name)
        daemon.freeze()
        try:
            fault = await ground.struck("daemon frozen", daemon.name, jobs, sought="work elsewhere")
            await ground.last(fault, ground.lease_seconds * dice.uniform(*BEYOND_LEASE))
        finally:
            daemon.thaw()
        await ground.over(fault)


async def stop(ground: Ground, dice: random.Random) -> None:
    """A daemon is asked to stop, as for a new release, and started again."""
    async with ground.one_daemon(dice) as daemon:
        jobs = await ground.jobs_of(daemon.name)
        fault = await ground.struck("daemon stopped", daemon.name, jobs, sought="work elsewhere")
        await daemon.stop()
        await ground.over(fault)
        daemon.start()


async def end_backends(ground: Ground, dice: random.Random) -> None:
    """Some of the daemons' connections are ended by the server, whatever they are for."""
    backends = await ground.scratch.fetch("drill_backends")
    chosen = dice.sample(backends, min(len(backends), dice.choice((1, 1, 2, 3, 100))))
    names = {str(await ground.scratch.value("drill_worker_name", row["application_name"])) for row in chosen}
    jobs = await ground.jobs_of(*names)
    for row in chosen:
        await ground.scratch.fetch("drill_terminate", row["pid"])
    await ground.struck("backends ended", f"{len(chosen)} of {', '.join(sorted(names)) or 'nobody'}", jobs)


async def reset(ground: Ground, dice: random.Random) -> None:
    """All connections of a daemon are cut, and both sides are told."""
    async with ground.one_daemon(dice) as daemon:
        jobs = await ground.jobs_of(daemon.name)
        daemon.proxy.reset()
        await ground.struck("network reset", daemon.name, jobs)


async def half_open(ground: Ground, dice: random.Random) -> None:
    """All connections of a daemon are cut, and the server is not told."""
    async with ground.one_daemon(dice) as daemon:
        jobs = await ground.jobs_of(daemon.name)
        daemon.proxy.half_open()
        await ground.struck("network half open", daemon.name, jobs)


async def cut(ground: Ground, dice: random.Random) -> None:
    """All connections of a daemon are cut, and new ones are refused for a while."""
    async with ground.one_daemon(dice) as daemon:
        jobs = await ground.jobs_of(daemon.name)
        daemon.proxy.refuse()
        daemon.proxy.reset()
        fault = await ground.struck("network cut", daemon.name, jobs, from_end=True)
        await ground.last(fault, ground.lease_seconds * dice.uniform(*SHORT_SECONDS))
        daemon.proxy.accept()
        await ground.over(fault)


async def swallow(ground: Ground, dice: random.Random) -> None:
    """Nothing of a daemon's arrives for longer than its lease, and all of it afterwards: a host that was lost."""
    async with ground.one_daemon(dice) as daemon:
        jobs = await ground.jobs_of(daemon.name)
        daemon.proxy.hold()
        fault = await ground.struck("black hole", daemon.name, jobs, sought="work elsewhere")
        await ground.last(fault, ground.lease_seconds * dice.uniform(*BEYOND_LEASE))
        daemon.proxy.let_through()
        await ground.over(fault)


async def swallow_briefly(ground: Ground, dice: random.Random) -> None:
    """Nothing arrives for a while, in one direction, perhaps the answer of a commit; then all of it."""
    async with ground.one_daemon(dice) as daemon:
        jobs = await ground.jobs_of(daemon.name)
        way = dice.choice(tuple(Way))
        daemon.proxy.hold(way)
        fault = await ground.struck("brief black hole", daemon.name, jobs, from_end=True)
        await ground.last(fault, ground.lease_seconds * dice.uniform(*SHORT_SECONDS))
        if dice.random() < 0.5:
            daemon.proxy.reset()  # and it is never known whether it had arrived
        daemon.proxy.let_through()
        await ground.over(fault)


async def delay(ground: Ground, dice: random.Random) -> None:
    """A daemon's network is slow for a while."""
    async with ground.one_daemon(dice) as daemon:
        jobs = await ground.jobs_of(daemon.name)
        daemon.proxy.delay_seconds = dice.uniform(*DELAY_SECONDS)
        fault = await ground.struck("network slow", daemon.name, jobs)
        await ground.last(fault, ground.lease_seconds * dice.uniform(*SHORT_SECONDS))
        daemon.proxy.delay_seconds = 0.0
        await ground.over(fault)


async def lock_table(ground: Ground, dice: random.Random) -> None:
    """Somebody keeps a target locked."""
    table = f"jobd_drill.{dice.choice(TABLES)}"
    await _locked(ground, dice, "target locked", table, f"lock table {table} in access exclusive mode")


async def lock_row(ground: Ground, dice: random.Random) -> None:
    """An application keeps a job's row locked in an open transaction."""
    running = sorted(await ground.running())
    if running:
        job = dice.choice(running)
        await _locked(ground, dice, "job's row locked", _short(job), query("drill_lock_row", "drill"), job)


async def pause(ground: Ground, dice: random.Random) -> None:
    """A job is paused, and resumed after a while."""
    for job in _one_of(dice, await ground.running()):
        if await ground.scratch.value("drill_pause", job):
            fault = await ground.struck("job paused", _short(job), [job], sought="paused")
            await anyio.sleep(dice.uniform(*AWAY_SECONDS))
            await ground.scratch.fetch("drill_resume", job)
            await ground.over(fault)


async def cancel(ground: Ground, dice: random.Random) -> None:
    """A job is cancelled, and perhaps taken up again."""
    for job in _one_of(dice, await ground.running()):
        if await ground.scratch.value("drill_cancel", job):
            fault = await ground.struck("job cancelled", _short(job), [job], sought="ended")
            await anyio.sleep(dice.uniform(*AWAY_SECONDS))
            if dice.random() < RETRIED_SHARE:
                await ground.scratch.fetch("drill_retry", job)
            await ground.over(fault)


async def restart_server(ground: Ground, dice: random.Random) -> None:
    """The server crashes, or stops, and comes back."""
    assert ground.server is not None  # noqa: S101  offered only then
    jobs = await ground.running()
    fault = await ground.struck("server restarted", "everywhere", jobs, from_end=True, hits_all=True)
    began_at = anyio.current_time()
    await ground.server.stop()
    await anyio.sleep(dice.uniform(*AWAY_SECONDS))
    await ground.server.start()
    await ground.over(fault)
    ground.say("end", f"server is back after {anyio.current_time() - began_at:.1f} s")


FAULTS: Mapping[str, Strike] = {
    "daemon killed": kill,
    "daemon frozen": freeze,
    "daemon stopped": stop,
    "backends ended": end_backends,
    "network reset": reset,
    "network half open": half_open,
    "network cut": cut,
    "black hole": swallow,
    "brief black hole": swallow_briefly,
    "network slow": delay,
    "target locked": lock_table,
    "job's row locked": lock_row,
    "job paused": pause,
    "job cancelled": cancel,
    "server restarted": restart_server,
}


async def strike(
    ground: Ground, dice: random.Random, names: Sequence[str], pause_seconds: tuple[float, float], until: float
) -> None:
    """One of these faults after the other until then, each kind as often as every other."""
    deck: list[str] = []
    while True:
        await anyio.sleep(dice.uniform(*pause_seconds))
        if time.monotonic() > until:
            return
        if not deck:
            deck = dice.sample(names, len(names))
        await FAULTS[deck.pop()](ground, dice)


async def _locked(
    ground: Ground, dice: random.Random, kind: str, where: str, statement: str, *arguments: object
) -> None:
    """Hold a lock for a while, on a connection of its own; a server that goes away takes it along."""
    connection = None
    try:
        connection = await ground.scratch.connect()
        await connection.execute("begin")
        await connection.execute("set local lock_timeout = '10s'")
        await connection.fetch(statement, *arguments)
        running = await ground.running()
        jobs = [job for job, (_, target) in running.items() if target == where or job in arguments]
        fault = await ground.struck(kind, where, jobs, from_end=True, hits_all=not arguments)
        await ground.last(fault, dice.uniform(*LOCK_SECONDS))
        await connection.execute("rollback")
        await ground.over(fault)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return
    finally:
        if connection is not None:
            connection.terminate()


def _one_of(dice: random.Random, running: Mapping[UUID, object]) -> list[UUID]:
    return [dice.choice(sorted(running))] if running else []


def _short(job: UUID) -> str:
    return f"job {str(job)[-6:]}"
