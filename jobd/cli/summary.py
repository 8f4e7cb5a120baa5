"""What became of a job, in a few lines; the same words after ``submit --wait``, ``watch`` and in ``show``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from jobd.cli.figures import count, duration, rate
from jobd.cli.progress import name_of
from jobd.cli.screen import BAD, QUIET, WARN, status_text
from jobd.model.status import JobStatus, JobType

if TYPE_CHECKING:
    from collections.abc import Mapping

# In the order in which people ask: what came in, what changed, what did not, what is missing.
WAYS = ("added", "updated", "unchanged", "skipped")


def headline(row: Mapping[str, Any]) -> Text:
    """✓ completed  flights.csv → public.flights"""  # noqa: D400  the line itself
    text = Text.assemble(status_text(JobStatus(row["status"])), "  ", name_of(row["filename"], row["job_type"]))
    return text.append(f" → {row['target']}") if row["target"] else text


def summary(row: Mapping[str, Any], short_id: str) -> list[Text]:
    """The headline, what was done, and what to look at next."""
    lines = [headline(row)]
    if counts := _counts(row):
        lines.append(Text.assemble("  ", counts))
    if row["duplicate_of"] is not None:
        lines.append(Text(f"  The same content was imported before, by {row['duplicate_of']}."))
        lines.append(next_step("jobd submit --force …", "imports it again"))
    if row["error_message"] or row["error_code"]:
        lines.append(Text("  ").append_text(error_text(row["error_code"], row["error_message"])))
    if row["cancellation_reason"]:
        lines.append(Text(f"  {row['cancellation_reason']}"))
    if row["error_count"]:
        lines.append(next_step(f"jobd errors {short_id}", "says what was refused and why"))
    elif row["status"] == JobStatus.FAILED:
        lines.append(next_step(f"jobd retry {short_id}", "goes on once the cause is mended"))
    return lines


def error_text(code: str | None, message: str | None) -> Text:
    """Why a job failed: the stable word and the sentence."""
    return Text.assemble((f"{code or 'failed'}: ", BAD), message or "no reason given")


def next_step(command: str, why: str) -> Text:
    """A command to run next."""
    return Text.assemble("  ", (command, "bold"), (f"  {why}", QUIET))


def _counts(row: Mapping[str, Any]) -> Text | None:
    if not row["processed_rows"] and row["status"] != JobStatus.COMPLETED:
        return None
    would_be = "would be " if row["job_type"] == JobType.VALIDATION else ""
    text = Text(f"{count(row['processed_rows'])} rows: {would_be}") if row["processed_rows"] else Text("no rows")
    parts = [Text(f"{count(row[f'items_{way}'])} {way}") for way in WAYS if row[f"items_{way}"]]
    if row["error_count"]:
        parts.append(Text(f"{count(row['error_count'])} refused", style=WARN))
    text.append_text(Text(", ").join(parts))
    if row["ran_seconds"]:
        text.append(f", in {duration(row['ran_seconds'])}")
        if row["processed_rows"] and row["ran_seconds"] >= 0.1:
            text.append(f" ({rate(row['processed_rows'] / row['ran_seconds'])})", style=QUIET)
    return text
