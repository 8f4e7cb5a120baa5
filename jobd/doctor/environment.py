"""Whose database it is: the environment that was recorded, and the one that these settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.db import environment
from jobd.db.queries import query
from jobd.doctor.finding import ok, problem, warning

if TYPE_CHECKING:
    from jobd.doctor.finding import Finding
    from jobd.doctor.patient import Patient


async def belonging(patient: Patient) -> list[Finding]:
    """The environment of the database."""
    own = patient.settings.environment
    foreign = await environment.obstacle(patient.connection, own)
    if foreign is not None:
        what, _, remedy = foreign.partition(": ")
        return [problem("environment", what, remedy)]
    if not await patient.connection.fetchval(query("environment_is_kept")):
        return []
    recorded = await patient.rows("environment_recorded")
    if recorded:
        return [ok("environment", f"the database belongs to {recorded[0]['name']}, and so does this daemon")]
    if own is None:
        return [ok("environment", "none is recorded: daemons start in any copy of the database, too")]
    return [warning("environment", f"{own} is not recorded in the database yet", "run `jobd migrate`")]
