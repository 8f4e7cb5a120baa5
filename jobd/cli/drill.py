"""``jobd drill``: known data under random faults, and the proof that nothing was lost and nothing came twice."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import anyio
import typer
from anyio import to_thread
from pydantic import SecretStr
from rich.text import Text

from jobd.cli.database import AsJson, DatabaseUrl, load_settings, opened
from jobd.cli.drill_screen import display, proof
from jobd.cli.exits import ExitCode, Misused
from jobd.cli.screen import QUIET, complaints, print_json, screen
from jobd.db import embedded
from jobd.drill.drill import Drill, Plan
from jobd.drill.ground import ServerControl
from jobd.errors import JobdError
from jobd.settings import Settings

if TYPE_CHECKING:
    from jobd.cli.drill_screen import Display
    from jobd.drill.report import Report

SEED_MAX = 1_000_000
LEASE_SECONDS_MIN = 1.0


def drill(  # noqa: PLR0917  typer passes them by name
    seconds: Annotated[
        float,
        typer.Option("--seconds", min=1, metavar="N", help="How long faults strike."),
    ] = 120,
    daemons: Annotated[int, typer.Option("--daemons", min=2, max=32, metavar="N", help="Daemons.")] = 3,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", help="That of an earlier drill, to repeat it.", show_default=False),
    ] = None,
    rows: Annotated[
        int,
        typer.Option("--rows", min=1, metavar="N", help="Records a round; rounds follow one another."),
    ] = 40_000,
    lease: Annotated[
        float,
        typer.Option("--lease", min=LEASE_SECONDS_MIN, max=60, metavar="SECONDS", help="The daemons' lease."),
    ] = 5,
    stop_server: Annotated[
        str | None, typer.Option("--stop-server", metavar="COMMAND", help="Stops the server.", show_default=False)
    ] = None,
    start_server: Annotated[
        str | None,
        typer.Option(
            "--start-server",
            metavar="COMMAND",
            help="Starts it again; with both the server fails, too.",
            show_default=False,
        ),
    ] = None,
    dev: Annotated[bool, typer.Option("--dev", help="On a PostgreSQL of its own, which fails as well.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave tables, files and logs behind, to be looked at.")
    ] = False,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Prove on a scratch database that nothing is lost, and nothing done twice, whatever fails.

    Imports files whose contents are known while daemons are killed, frozen and stopped, connections cut, delayed
    and swallowed, tables locked, jobs paused and cancelled. Then every record, counter and row is held against
    what must have come of it, and what each daemon believed against what the database wrote down. Exit code 1 if
    anything is not as it must be.

    Only on a database of its own: it is refused one that holds jobs.
    """
    control = _commands(stop_server, start_server)
    if dev and (control or database_url or keep):
        raise Misused("--dev brings its own server: it goes with neither a database, nor its commands, nor --keep")
    seed = random.randrange(SEED_MAX) if seed is None else seed  # noqa: S311  to be repeated
    with _server(dev=dev) as server, _directory() as directory, display(as_json=as_json) as shown:
        settings = load_settings(database_url) if server is None else _settings_of(server)
        plan = Plan(
            settings=settings,
            directory=directory.path,
            seconds=seconds,
            daemons=daemons,
            seed=seed,
            rows=rows,
            lease_seconds=lease,
            server=control if server is None else _control_of(server),
        )
        report = anyio.run(_run, plan, shown, keep or dev)
        directory.is_kept = keep or not report.holds
        shown.close()
        if as_json:
            print_json(report.to_json())
        else:
            for part in proof(report):
                screen().print(part)
    if directory.is_kept:
        _say_what_is_kept(directory.path, has_database=not dev)
    raise typer.Exit(ExitCode.DONE if report.holds else ExitCode.FAILED)


async def _run(plan: Plan, shown: Display, is_kept: bool) -> Report:
    """Drill, until it is done or told to stop; what it started goes with it in either case."""
    with anyio.CancelScope() as scope:
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, scope.cancel)
        return await _drill(plan, shown, is_kept)
    raise KeyboardInterrupt


async def _drill(plan: Plan, shown: Display, is_kept: bool) -> Report:
    async with opened(plan.settings):
        pass  # what is wrong with the connection is said in the same words as by every other command
    shown.say("step", f"seed {plan.seed}: {plan.seconds:g} s of faults, {plan.daemons} daemons")
    async with Drill(plan, shown.say, shown.show) as drill:
        await drill.prepare()
        await drill.disturb()
        await drill.settle()
        report = await drill.prove()
        if report.holds and not is_kept:
            await drill.clear()
    return report


class _Directory:
    """Where files and logs are, and whether they are to stay."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_kept = False


@contextmanager
def _directory() -> Iterator[_Directory]:
    directory = _Directory(Path(tempfile.mkdtemp(prefix="jobd-drill-")))
    try:
        yield directory
    finally:
        if not directory.is_kept:
            shutil.rmtree(directory.path, ignore_errors=True)


def _server(*, dev: bool) -> AbstractContextManager[embedded.EmbeddedServer | None]:
    return embedded.running() if dev else nullcontext()


def _settings_of(server: embedded.EmbeddedServer) -> Settings:
    settings = Settings.load()
    url = SecretStr(server.url())
    return settings.model_copy(
        update={"database_url": url, "database_url_file": None, "notify_database_url": None}
    )


def _control_of(server: embedded.EmbeddedServer) -> ServerControl:
    """A crash, from which the server recovers."""

    async def stop() -> None:
        await to_thread.run_sync(server.stop, "immediate")

    async def start() -> None:
        await to_thread.run_sync(server.start)

    return ServerControl(stop, start)


def _commands(stop: str | None, start: str | None) -> ServerControl | None:
    if stop is None and start is None:
        return None
    if stop is None or start is None:
        raise Misused("--stop-server and --start-server go together only")
    return ServerControl(_command(stop), _command(start))


def _command(command: str) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        done = await anyio.run_process(["/bin/sh", "-c", command], check=False)
        if done.returncode != 0:
            raise JobdError(f"'{command}' ended with exit code {done.returncode}\n{done.stderr.decode()[-500:]}")

    return run


def _say_what_is_kept(directory: Path, *, has_database: bool) -> None:
    tables = "tables in the schema jobd_drill, " if has_database else ""
    complaints().print(
        Text(f"Kept: {tables}files and logs in {directory}. The next drill clears the tables.", style=QUIET)
    )
