"""How many records were refused for which reason: the same table in ``jobd errors`` and ``jobd show``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobd.cli.figures import count
from jobd.cli.listing import cut, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table


def groups_table(groups: Sequence[Mapping[str, Any]], shown_max: int, *, several_files: bool) -> Table:
    """The groups of a job by field and code, the largest first; of many files also in how many of them."""
    last = "Files" if several_files else "First row"
    rows = table("Refused", "Field", "Reason", last, right=("Refused", last))
    for group in groups[:shown_max]:
        where = group["files"] if several_files else group["first_row"]
        rows.add_row(count(group["count"]), group["field"] or "", group["code"], count(where))
    if len(groups) > shown_max:
        rows.add_row("", "", f"and {count(len(groups) - shown_max)} more reasons", "")
    return rows


def groups_by_file_table(groups: Sequence[Mapping[str, Any]]) -> Table:
    """The largest groups of single files."""
    rows = table(
        "File", "Refused", "Field", "Reason", "First row", right=("Refused", "First row"), flexible=("File",)
    )
    for group in groups:
        rows.add_row(
            cut(group["file"] or ""),
            count(group["count"]),
            group["field"] or "",
            group["code"],
            count(group["first_row"]),
        )
    if groups and groups[0]["total"] > len(groups):
        rows.add_row(f"and {count(groups[0]['total'] - len(groups))} more", "", "", "", "")
    return rows
