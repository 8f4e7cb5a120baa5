from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from typer.testing import CliRunner

from jobd.cli.app import app
from jobd.client import Client
from tests.support.worker import SimulatedWorker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from click.testing import Result

    from jobd.model.job import Job
    from tests.support.database import Database


class Jobd(Protocol):
    """Runs a command against the test's database."""

    async def __call__(self, *arguments: object, exit_code: int = 0) -> Result: ...


@pytest.fixture
def jobd(database: Database) -> Jobd:
    async def run(*arguments: object, exit_code: int = 0) -> Result:
        # In a thread, because each command has an event loop of its own.
        result = await asyncio.to_thread(
            CliRunner().invoke,
            app,
            [str(argument) for argument in arguments],
            env={"JOBD_DATABASE_URL": database.url, "JOBD_LOG_LEVEL": None},
        )
        assert result.exit_code == exit_code, f"{result.output}\n{result.exception!r}"
        return result  # type: ignore[return-value]

    return run


@pytest.fixture
def read(jobd: Jobd) -> Callable[..., Awaitable[Any]]:
    """What a command prints as JSON."""

    async def run(*arguments: object) -> Any:
        return json.loads((await jobd(*arguments, "--json")).stdout)

    return run


@pytest.fixture
async def client(database: Database) -> Client:
    return Client(await database.connect())


@pytest.fixture
async def worker(database: Database) -> SimulatedWorker:
    worker = SimulatedWorker(database)
    await worker.register()
    return worker


@pytest.fixture
async def running(client: Client, worker: SimulatedWorker) -> Job:
    """A job that a worker holds and has not begun to read."""
    job = await client.submit("/srv/in/flights.csv", "public.flights")
    await worker.claim()
    return job
