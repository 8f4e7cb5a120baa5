"""How a command ends: its exit code, and the one or two lines that say why and what to do."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

from rich.text import Text

from jobd.cli.screen import BAD, complaints
from jobd.errors import ConfigurationError, DatabaseUnavailable, JobdError, SchemaMismatch
from jobd.model.status import JobStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Misused(JobdError):
    """What was typed cannot be meant."""


class ExitCode(IntEnum):
    """What scripts can rely on; 69 and 78 are those of sysexits.h."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED_ROWS = 3
    UNAVAILABLE = 69
    CONFIGURATION = 78
    INTERRUPTED = 130


def exit_code_of_jobs(rows: Iterable[Mapping[str, Any]]) -> ExitCode:
    """What a command that waited for these jobs ends with: the worst that became of one."""
    code = ExitCode.DONE
    for row in rows:
        if row["status"] != JobStatus.COMPLETED:
            return ExitCode.FAILED
        if row["error_count"]:
            code = ExitCode.REFUSED_ROWS
    return code


def exit_code_of_error(error: JobdError) -> ExitCode:
    """What a command ends with that this went wrong in."""
    match error:
        case ConfigurationError() | SchemaMismatch():
            return ExitCode.CONFIGURATION
        case Misused():
            return ExitCode.USAGE
        case DatabaseUnavailable():
            return ExitCode.UNAVAILABLE
        case _:
            return ExitCode.FAILED


def complain(message: str, *, with_traceback: bool = False) -> None:
    """Say what is wrong in one line, and in a second what to do about it."""
    what, _, hint = message.strip().partition("\n")
    console = complaints()
    console.print(Text.assemble(("error: ", f"bold {BAD}"), what))
    if hint:
        console.print(Text(" ".join(hint.split())))
    if with_traceback:
        console.print_exception()
