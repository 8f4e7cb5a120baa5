"""jobd's schema: its version, and whether everything in it is still there and in use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from jobd.db import migrate, schema_text
from jobd.doctor.finding import ok, problem, warning

if TYPE_CHECKING:
    from jobd.doctor.finding import Finding
    from jobd.doctor.patient import Patient

_MADE = re.compile(
    r"^(?P<statement>CREATE (?:UNIQUE )?INDEX (?P<index>\w+) ON (?P<index_table>jobd\.\w+)[^;]*"
    r"|CREATE TRIGGER (?P<trigger>\w+) [^;]*? ON (?P<trigger_table>jobd\.\w+)[^;]*"
    r"|ALTER TABLE ONLY (?P<key_table>jobd\.\w+)\n    ADD CONSTRAINT (?P<key>\w+) (?:PRIMARY KEY|UNIQUE)[^;]*);",
    re.MULTILINE,
)


class _Part(NamedTuple):
    """An index or a trigger as the schema has it; keys are indexes too."""

    kind: str
    name: str
    table: str
    statement: str


async def version(patient: Patient) -> list[Finding]:
    """The schema that this jobd needs."""
    state = await migrate.check(patient.connection, role_prefix=patient.settings.role_prefix)
    if state.is_newer and not state.is_too_new:
        return [ok("schema", f"version {state.version}, newer than this jobd's {state.known} and fit for it")]
    complaint = state.complaint()
    if complaint is None:
        return [ok("schema", f"version {state.version}, as this jobd needs it")]
    what, _, remedy = complaint.rpartition(": ")
    # Of the release before or after, which daemons can work with, or of none.
    return [(problem if state.obstacle() else warning)("schema", what, remedy)]


async def parts(patient: Patient) -> list[Finding]:
    """Every index and trigger that migrations made."""
    expected = expected_parts()
    present = {(row["kind"], row["name"]): row["is_sound"] for row in await patient.rows("doctor_parts")}
    found: list[Finding] = []
    for part in expected:
        is_sound = present.get((part.kind, part.name))
        what = f"the {part.kind} {part.name} of {part.table}"
        if is_sound is None:
            found.append(problem("schema_parts", f"{what} is missing", f"{part.statement};"))
        elif not is_sound and part.kind == "index":
            found.append(problem("schema_parts", f"{what} is not valid", f"reindex index jobd.{part.name};"))
        elif not is_sound:
            remedy = f"alter table {part.table} enable trigger {part.name};"
            found.append(problem("schema_parts", f"{what} is disabled", remedy))
    return found or [ok("schema_parts", f"all {len(expected)} indexes and triggers are there and in use")]


def expected_parts() -> list[_Part]:
    """All indexes and triggers of the schema, by kind and name."""
    text = (schema_text.directory() / "schema.sql").read_text(encoding="utf-8")
    found = []
    for match in _MADE.finditer(text):
        kind = "trigger" if match["trigger"] else "index"
        name = match["index"] or match["trigger"] or match["key"]
        table = match["index_table"] or match["trigger_table"] or match["key_table"]
        found.append(_Part(kind, name, table, " ".join(match["statement"].split())))
    return sorted(found)
