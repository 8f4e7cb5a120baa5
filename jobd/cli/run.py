"""``jobd run``: the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from jobd.cli.database import DatabaseUrl, load_settings
from jobd.settings import ENV_FILE_VARIABLE, PREFIX, Settings, adopt_trace_variables


def settings_help() -> str:
    """Every setting with what it means, for ``--help``."""
    lines = [
        f"{PREFIX}{name.upper()}: {field.description}{_default(field.default)}"
        for name, field in Settings.model_fields.items()
        if not name.endswith("_file") and name != "test_point"  # of no use to anybody but jobd's own tests
    ]
    return "\n\n".join(["Settings, from the environment or the env file:", *lines])


def _default(value: object) -> str:
    """The default, where it says something that the description does not."""
    if not value or isinstance(value, SecretStr):
        return ""
    shown = ",".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()
    return f" Default: {shown}."


def run(
    env_file: Annotated[
        Path | None,
        typer.Option("--env-file", metavar="FILE", help=f"Read settings from here too [{ENV_FILE_VARIABLE}]."),
    ] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Run the daemon: it claims jobs and does them.

    SIGTERM or Ctrl-C ends it: it finishes or rolls back its open batches and hands the jobs back, to be continued
    anywhere. A second one makes it leave at once. SIGHUP reloads what can be reloaded.
    """
    from jobd import process  # noqa: PLC0415  numpy and all handlers, which no other command needs

    def read() -> Settings:
        return load_settings(database_url, env_file)

    settings = read()
    adopt_trace_variables(env_file)
    raise typer.Exit(process.run(settings, read))
