"""Settings of the server that are off, and the room for connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.db.pool import OWN_CONNECTIONS
from jobd.doctor.finding import ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobd.doctor.finding import Finding
    from jobd.doctor.patient import Patient

ON = {
    "fsync": "a crash of the host may damage the whole database",
    "full_page_writes": "a crash of the host may damage the whole database",
    "autovacuum": "queue tables grow for ever",
    "track_counts": "autovacuum does not know where to work",
}
OTHERS = ("synchronous_commit", "statement_timeout", "idle_in_transaction_session_timeout", "server_encoding")
MILLISECONDS_MIN = 60_000


async def settings(patient: Patient) -> list[Finding]:
    """Settings under which imports are safe and run to their end."""
    values: Mapping[str, str] = {
        row["name"]: row["setting"] for row in await patient.rows("doctor_settings", [*ON, *OTHERS])
    }
    found = [
        problem("server_settings", f"{name} is off: {consequence}", f"alter system set {name} = on;")
        for name, consequence in ON.items()
        if values.get(name) == "off"
    ]
    if values.get("synchronous_commit") == "off":
        found.append(
            warning(
                "server_settings",
                "synchronous_commit is off: after a crash of the server the last moments are imported again, and "
                "jobs that an application believes submitted may be gone",
                "alter system set synchronous_commit = on;",
            )
        )
    if values.get("server_encoding") == "SQL_ASCII":
        found.append(
            warning(
                "server_settings",
                "the database's encoding is SQL_ASCII: it does not know what its texts mean",
                "move to a database in UTF8",
            )
        )
    name = "statement_timeout"
    if 0 < int(values.get(name, 0)) < MILLISECONDS_MIN:
        found.append(
            warning(
                "server_settings",
                f"{name} is {int(values[name]) / 1000:g} s for this role; migrations and pruning may take longer",
                f"alter role {(await patient.row('doctor_server'))['login']} set {name} = 0;",
            )
        )
    return found or [ok("server_settings", "nothing that jobd relies on is off")]


async def connections(patient: Patient) -> list[Finding]:
    """Room for all connections that the daemons may open."""
    row = await patient.row("doctor_connections", OWN_CONNECTIONS)
    own = patient.settings.concurrency + OWN_CONNECTIONS
    wanted = max(own, row["by_daemons"])
    limit = row["allowed"] if row["of_login"] < 0 else min(row["allowed"], row["of_login"])
    if wanted > limit:
        return [
            problem(
                "connections",
                f"the daemons may need {wanted} connections, and {limit} are allowed",
                "lower JOBD_CONCURRENCY, raise max_connections (or the role's limit), or put a pooler in between",
            )
        ]
    if row["used"] + own > row["allowed"]:
        return [
            warning(
                "connections",
                f"{row['used']} of {row['allowed']} connections are in use, and this daemon may need {own}",
                "raise max_connections, or put a pooler in between",
            )
        ]
    return [
        ok("connections", f"{row['used']} of {row['allowed']} connections are in use; up to {own} for this daemon")
    ]
