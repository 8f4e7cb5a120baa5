"""``jobd doctor``: what is wrong with an installation, and how to mend it."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import anyio
import typer
from rich.text import Text

from jobd.cli.database import AsJson, DatabaseUrl, connect, load_settings
from jobd.cli.exits import ExitCode, exit_code_of_error
from jobd.cli.listing import table
from jobd.cli.screen import BAD, GOOD, WARN, print_json, screen
from jobd.db.connect import Connector
from jobd.doctor import Finding, Level, examine
from jobd.errors import ConfigurationError, DatabaseUnavailable
from jobd.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.settings import Settings

SIGNS = {
    Level.OK: ("✓", GOOD),
    Level.WARNING: ("!", WARN),
    Level.PROBLEM: ("✗", f"bold {BAD}"),
    Level.UNKNOWN: ("?", WARN),
}


def doctor(as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """Say what is wrong with this installation, and how to mend it.

    Run it with the settings and as the user of the daemon. It changes nothing. The exit code is 1 where there is a
    problem, 0 where there are warnings at most.
    """
    findings, code = anyio.run(_examined, load_settings(database_url))
    if as_json:
        print_json({"is_well": code == ExitCode.DONE, "findings": [each._asdict() for each in findings]})
    else:
        _show(findings)
    raise typer.Exit(code)


async def _examined(settings: Settings) -> tuple[list[Finding], ExitCode]:
    try:
        connection = await connect(settings)
    except (DatabaseUnavailable, ConfigurationError) as error:
        what, _, remedy = str(error).partition("\n")
        return [Finding("database", Level.PROBLEM, what, remedy or None)], exit_code_of_error(error)
    try:
        connector = Connector(settings, Metrics(version("jobd")))
        connector.application_name = "jobd doctor"
        findings = [finding async for finding in examine(settings, connector, connection)]
    finally:
        with anyio.move_on_after(2, shield=True):
            await connection.close()
    is_bad = any(finding.level is Level.PROBLEM for finding in findings)
    return findings, ExitCode.FAILED if is_bad else ExitCode.DONE


def _show(findings: Sequence[Finding]) -> None:
    listing = table("", "Check", "Finding", flexible=("Finding",))
    for finding in findings:
        sign, style = SIGNS[finding.level]
        words = Text(finding.message)
        if finding.remedy is not None:
            words.append(f"\n→ {finding.remedy}", style="bold")
        listing.add_row(Text(sign, style=style), finding.check, words)
    screen().print(listing)
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    problems, warnings, unknown = (counts[level] for level in (Level.PROBLEM, Level.WARNING, Level.UNKNOWN))
    parts = [
        f"{number} {word}{'s' * (number != 1 and word != 'not known')}"
        for number, word in ((problems, "problem"), (warnings, "warning"), (unknown, "not known"))
        if number
    ]
    screen().print(Text(f"\n{', '.join(parts) or 'All is well'}.", style=GOOD if not parts else ""))
