"""``jobd grant``: let a role submit jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

import anyio
import asyncpg
import typer

from jobd.cli.database import DatabaseUrl, load_settings, opened
from jobd.cli.exits import Misused
from jobd.cli.screen import QUIET, screen
from jobd.client.connection import diagnosis_of
from jobd.db import grants
from jobd.errors import JobdError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from jobd.settings import Settings

T = TypeVar("T")


def grant(
    *,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="The database role.", show_default=False)],
    import_root: Annotated[
        list[str] | None,
        typer.Option("--import-root", metavar="DIR", help="Limit its imports to this directory; may be repeated."),
    ] = None,
    export_root: Annotated[
        list[str] | None,
        typer.Option("--export-root", metavar="DIR", help="Limit its exports to this directory; may be repeated."),
    ] = None,
    source_prefix: Annotated[
        list[str] | None,
        typer.Option("--source-prefix", metavar="URI", help="Limit its sources to these; may be repeated."),
    ] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take the right to submit away again.")] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print what would be run, and run nothing.")] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Let a role submit jobs.

    They run with its rights and no others, on connections of a login of its own that is a member of ROLE only.
    With JOBD_SUBMITTER_SECRET set, here and for the daemon, that login gets a password derived from it; else
    pg_hba.conf decides how it connects.
    """
    # Here, since every command is loaded with the others, and sources bring numpy, which `jobd run` need not keep.
    from jobd.sources.places.uri import parse_prefix  # noqa: PLC0415

    for prefix in source_prefix or ():
        try:
            parse_prefix(prefix)
        except ValueError as error:
            raise Misused(f"--source-prefix {prefix}: {error}") from None
    settings = load_settings(database_url)
    wanted = grants.SubmitterGrant(
        role=role, import_roots=import_root, export_roots=export_root, source_prefixes=source_prefix
    )
    if revoke:
        anyio.run(_revoke, settings, role)
    elif sql:
        anyio.run(_print, settings, wanted)
    else:
        anyio.run(_grant, settings, wanted)


async def _grant(settings: Settings, wanted: grants.SubmitterGrant) -> None:
    async with opened(settings) as database:
        secret = settings.secret("submitter_secret")
        login = await _said(
            grants.grant_submitter(database.connection, wanted, secret), remedy=f"jobd grant {wanted.role} --sql"
        )
    screen().print(f"{wanted.role} may submit jobs; its imports run as the login {login}.")
    if secret is None:
        screen().print(
            f"  No password was set: let pg_hba.conf admit {login} from the daemon's host, or set "
            "JOBD_SUBMITTER_SECRET for both and repeat this.",
            style=QUIET,
        )


async def _print(settings: Settings, wanted: grants.SubmitterGrant) -> None:
    async with opened(settings) as database:
        secret = settings.secret("submitter_secret")
        for statement in await _said(grants.grant_statements(database.connection, wanted, secret)):
            typer.echo(statement)


async def _revoke(settings: Settings, role: str) -> None:
    async with opened(settings) as database:
        was_submitter = await _said(grants.revoke_submitter(database.connection, role))
    screen().print(f"{role} may {'no longer submit' if was_submitter else 'not submit anyway'}.")


async def _said(work: Awaitable[T], remedy: str | None = None) -> T:
    """What the database refuses here concerns roles, not jobs; its own words and hint say it best.

    ``remedy``: the command that prints what an administrator runs instead.
    """
    try:
        return await work
    except asyncpg.PostgresError as error:
        text = diagnosis_of(error).text
        if remedy is not None and isinstance(error, asyncpg.InsufficientPrivilegeError):
            text += f"\nTo set submitters up takes an administrator, who runs what this prints: {remedy}"
        raise JobdError(text) from error
