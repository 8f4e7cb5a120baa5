"""``jobd migrate``: lay the schema, or bring it up to date."""

from __future__ import annotations

import sys
from typing import Annotated

import anyio
import typer

from jobd.cli.database import DatabaseUrl, load_settings, opened
from jobd.cli.exits import ExitCode, Misused
from jobd.cli.screen import screen
from jobd.db import environment, schema_text
from jobd.db import migrate as schema
from jobd.db.schema_state import SchemaState
from jobd.db.schema_text import OLDEST_SUPPORTED
from jobd.errors import ConfigurationError
from jobd.settings import Settings


def migrate(  # noqa: PLR0917  typer passes them by name
    sql: Annotated[bool, typer.Option("--sql", help="Print what would be run, and run nothing.")] = False,
    roles: Annotated[
        bool, typer.Option("--roles", help="With --sql: only the roles, which an administrator must make.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether the schema is current; exit code 78 when it is not.")
    ] = False,
    down_to: Annotated[
        int | None,
        typer.Option("--down-to", metavar="VERSION", help="Take back what was migrated since that version."),
    ] = None,
    adopt: Annotated[
        bool,
        typer.Option("--adopt", help="Let the database, a copy perhaps, belong to JOBD_ENVIRONMENT from now on."),
    ] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Lay jobd's schema, or bring it up to date.

    Safe to repeat, and while daemons run.
    """
    if roles and not sql:
        raise Misused("--roles goes together with --sql only")
    if down_to is not None and (sql or check):
        raise Misused("--down-to goes together with neither --sql nor --check")
    if adopt and (sql or check or down_to is not None):
        raise Misused("--adopt goes together with no other option")
    settings = load_settings(database_url)
    if adopt and settings.environment is None:
        raise ConfigurationError("JOBD_ENVIRONMENT: set it to what the database is to belong to, to adopt it")
    if roles:
        sys.stdout.write(schema_text.load(settings.role_prefix).roles.sql)
    elif sql:
        sys.stdout.write(anyio.run(_pending_sql, settings))
    elif check:
        raise typer.Exit(anyio.run(_check, settings))
    elif down_to is not None:
        anyio.run(_migrate_down, settings, down_to)
    else:
        anyio.run(_migrate, settings, adopt)


async def _pending_sql(settings: Settings) -> str:
    async with opened(settings) as database:
        return await schema.pending_sql(
            database.connection, role_prefix=settings.role_prefix, environment=settings.environment
        )


async def _check(settings: Settings) -> int:
    async with opened(settings) as database:
        state = await schema.check(database.connection, role_prefix=settings.role_prefix)
        foreign = await environment.obstacle(database.connection, settings.environment)
    complaint = "; ".join(each for each in (state.complaint(), foreign) if each)
    screen().print(complaint or _no_complaint(state))
    return ExitCode.CONFIGURATION if complaint else ExitCode.DONE


async def _migrate(settings: Settings, adopt: bool) -> None:
    # What is wrong with the connection is said in the same words as by every other command.
    async with opened(settings) as database:
        before = await schema.check(database.connection, role_prefix=settings.role_prefix)
        applied = await schema.migrate(
            settings.secret("database_url") or "",
            role_prefix=settings.role_prefix,
            environment=settings.environment,
            adopt=adopt,
        )
        foreign = await environment.obstacle(database.connection, settings.environment)
    _say_what_became(before, [name for name in applied if not name.startswith("environment ")])
    if len(applied) and applied[-1].startswith("environment "):
        screen().print(f"The database belongs to the environment {settings.environment} now.")
    if foreign is not None:
        screen().print(f"But {foreign}.")


def _say_what_became(before: SchemaState, applied: list[str]) -> None:
    if not applied:
        screen().print(f"{_no_complaint(before)[:-1]}; nothing to do.")
    elif before.version == 0:
        screen().print(f"The schema is laid (version {before.known}). Next: jobd run")
    elif before.version == before.known:
        screen().print(f"The schema's functions are up to date again (version {before.known}).")
    else:
        screen().print(f"The schema is up to date: version {before.version} became {before.known}.")


async def _migrate_down(settings: Settings, target: int) -> None:
    async with opened(settings) as database:
        before = await schema.check(database.connection, role_prefix=settings.role_prefix)
    url = settings.secret("database_url") or ""
    if await schema.migrate_down(url, target, role_prefix=settings.role_prefix):
        screen().print(
            f"The schema is version {target} again; it was {before.version}. "
            "Next: jobd migrate of the release that goes with it."
        )
        downs = schema_text.load(settings.role_prefix).downs
        for number in range(before.version, target, -1):
            screen().print(f"  {number}: {_lost(downs[number].sql)}")
    else:
        screen().print(f"The schema is version {before.version}; nothing to do.")


def _lost(sql: str) -> str:
    """What a step down says in its first lines that it loses."""
    head = sql.partition("\n\n")[0]
    return " ".join(line.removeprefix("--").strip() for line in head.splitlines())


def _no_complaint(state: SchemaState) -> str:
    if state.is_newer:
        return (
            f"The schema is of a later release (version {state.version}), which admits this jobd ({state.known})."
        )
    return f"The schema is current (version {state.known}; that of the release before is {OLDEST_SUPPORTED})."
