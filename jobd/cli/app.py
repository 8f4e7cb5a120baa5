"""The commands, put together; and what happens when one of them ends badly."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from jobd.cli import (
    completion,
    control,
    dev,
    doctor,
    drill,
    errors,
    grant,
    install,
    jobs,
    logs,
    migrate,
    operation,
    revert,
    run,
    submit,
    watch,
)
from jobd.cli.exits import ExitCode, complain, exit_code_of_error
from jobd.cli.screen import BAD, BUSY, GOOD, QUIET, WARN
from jobd.errors import ConfigurationError, JobdError
from jobd.settings import Settings

# What help is written in, by the names that typer has for it; its own yellow and cyan vanish on white.
_HELP_STYLES = {
    "STYLE_OPTION": f"bold {BUSY}",
    "STYLE_SWITCH": f"bold {GOOD}",
    "STYLE_NEGATIVE_OPTION": f"bold {WARN}",
    "STYLE_NEGATIVE_SWITCH": f"bold {WARN}",
    "STYLE_TYPES": f"bold {WARN}",
    "STYLE_USAGE": WARN,
    "STYLE_OPTION_ENVVAR": QUIET,
    "STYLE_COMMANDS_TABLE_FIRST_COLUMN": f"bold {BUSY}",
    "STYLE_ERRORS_PANEL_BORDER": BAD,
    "STYLE_REQUIRED_SHORT": BAD,
    "STYLE_REQUIRED_LONG": BAD,
    "STYLE_DEPRECATED": BAD,
    "STYLE_ABORTED": BAD,
}


def _use_own_colours() -> None:
    # Here, since it is only loaded where help is asked for, or where something was typed wrongly.
    from typer import rich_utils  # noqa: PLC0415

    for name, style in _HELP_STYLES.items():
        setattr(rich_utils, name, style)


class Command(TyperCommand):
    """A command whose help can be read on any background."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """As typer does it."""
        _use_own_colours()
        super().format_help(ctx, formatter)


class CommandGroup(TyperGroup):
    """All commands. What one raises becomes a line on standard error and an exit code, never a traceback."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """As typer does it."""
        _use_own_colours()
        super().format_help(ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except JobdError as error:
            complain(str(error), with_traceback=_is_debugging())
            raise typer.Exit(exit_code_of_error(error)) from None
        except KeyboardInterrupt:
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except BrokenPipeError:
            raise  # the reader of a pipe has seen enough (`jobd list | head`); typer ends quietly
        except Exception as bug:
            if type(bug).__module__.partition(".")[0] in {"typer", "click"}:
                raise  # wrong usage, and typer's own ways to exit
            what = " ".join(f"{type(bug).__name__}: {bug}".split())
            complain(
                f"{what}\nThis should not happen. JOBD_LOG_LEVEL=debug shows where it did.",
                with_traceback=_is_debugging(),
            )
            raise typer.Exit(ExitCode.FAILED) from None


def main() -> None:
    """Run the command line."""
    app()


def _is_debugging() -> bool:
    try:
        return Settings.load().log_level == "debug"
    except ConfigurationError:
        return False


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"jobd {version('jobd')}")
        raise typer.Exit


app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done · 1 failed · 2 usage · 3 completed with refused rows (--wait) · "
    "69 database unavailable · 78 configuration.",
)


@app.callback()
def jobd(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Import files into PostgreSQL, exactly once.

    Try it out: jobd dev. The settings are environment variables; jobd run --help lists them.
    """


_JOBS: dict[str, Callable[..., None]] = {
    "submit": submit.submit,
    "list": jobs.list_jobs,
    "show": jobs.show,
    "watch": watch.watch,
    "errors": errors.errors,
    "logs": logs.logs,
    "cancel": control.cancel,
    "pause": control.pause,
    "resume": control.resume,
    "retry": control.retry,
    "priority": control.priority,
    "revert": revert.revert,
}
_OPERATION: dict[str, Callable[..., None]] = {
    "dev": dev.dev,
    "drill": drill.drill,
    "run": run.run,
    "migrate": migrate.migrate,
    "grant": grant.grant,
    "install": install.install,
    "queues": operation.queues,
    "workers": operation.workers,
    "prune": operation.prune,
    "doctor": doctor.doctor,
    "completion": completion.completion,
}


def _help(command: Callable[..., None]) -> str:
    """The docstring with its paragraphs unbroken; they are broken anew to fit the terminal."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


for panel, commands in (("Jobs", _JOBS), ("Operation", _OPERATION)):
    for name, command in commands.items():
        epilog = run.settings_help() if command is run.run else None
        app.command(name, cls=Command, rich_help_panel=panel, help=_help(command), epilog=epilog)(command)
