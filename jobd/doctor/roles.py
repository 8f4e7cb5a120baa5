"""Who jobd is for the database, and those who submit to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.doctor.finding import ok, problem, warning

if TYPE_CHECKING:
    from jobd.doctor.finding import Finding
    from jobd.doctor.patient import Patient

SUBMITTERS_MAX = 200
LOGINS_TRIED_MAX = 20


async def daemon(patient: Patient) -> list[Finding]:
    """A login that may work, and may nothing else."""
    row = await patient.row("doctor_role")
    prefix = patient.settings.role_prefix
    name = (await patient.row("doctor_server"))["role"]
    found = []
    if not row["may_claim"]:
        groups = [each["role"] for each in await patient.rows("doctor_groups")]
        remedy = (
            f"somebody took a right away from {prefix}worker; as the schema's owner: jobd migrate --sql | psql"
            if f"{prefix}worker" in groups
            else f"grant {prefix}worker to {name};"
        )
        found.append(problem("role", f"the role {name} may not claim jobs", remedy))
    if row["is_superuser"] or row["bypasses_row_security"]:
        power = "is a superuser" if row["is_superuser"] else "bypasses row-level security"
        found.append(
            warning(
                "role",
                f"the role {name} {power}: whoever takes the daemon over has the whole server",
                f"create role jobd login; grant {prefix}worker to jobd; and let JOBD_DATABASE_URL name it",
            )
        )
    return found or [ok("role", f"{name} may claim jobs, and is no superuser")]


async def submitters(patient: Patient) -> list[Finding]:
    """Everybody who may submit has a login under which imports can run."""
    rows = await patient.rows("doctor_submitters", SUBMITTERS_MAX)
    found = []
    for row in rows:
        again = f"jobd grant {row['role_name']}"
        if not row["has_role"]:
            found.append(
                warning("submitters", f"the role {row['role_name']} is granted to submit, and is gone", again)
            )
        elif not row["has_login"]:
            found.append(
                problem("submitters", f"the login of {row['role_name']} is gone, expired or may not log in", again)
            )
        elif not row["is_member"]:
            found.append(
                problem("submitters", f"{row['login_name']} is no member of {row['role_name']} any more", again)
            )
    # On a managed server the daemon's role cannot do what an administrator can; it can say what that is.
    may_create_roles = (await patient.row("doctor_role"))["may_create_roles"]
    how = "" if may_create_roles else "; `jobd grant ROLE --sql` prints what an administrator runs for others"
    if found or not rows:
        return found or [ok("submitters", f"nobody but jobd's own role submits{how}")]
    for row in rows[:LOGINS_TRIED_MAX]:
        reason = await _refusal(patient, row["login_name"])
        if reason is not None:
            found.append(
                problem(
                    "submitters",
                    f"jobd cannot connect as {row['login_name']}, so imports of {row['role_name']} will not run: "
                    f"{reason}",
                    f"set the JOBD_SUBMITTER_SECRET with which `jobd grant {row['role_name']}` was run, or grant "
                    "again; and look whether pg_hba.conf lets that login in",
                )
            )
    number = f"{len(rows)} role{'s' * (len(rows) > 1)}"
    return found or [ok("submitters", f"{number} may submit, each with its login{how}")]


async def _refusal(patient: Patient, login: str) -> str | None:
    try:
        connection = await patient.connector.open(login, statement_cache_size=0)
    except Exception as error:  # noqa: BLE001  whatever it was, it is what is found
        return str(error).partition("\n")[0] or type(error).__name__
    await connection.close()
    return None
