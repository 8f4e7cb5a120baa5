"""The way to the database: the server, encryption, a pooler in between, and the clocks of both ends."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING, Any

from jobd.db.connect import is_pooled
from jobd.doctor.finding import ok, problem, warning

if TYPE_CHECKING:
    from jobd.doctor.finding import Finding
    from jobd.doctor.patient import Patient

OLDEST, NEWEST = 15, 18
SKEW_SECONDS_MAX = 2.0
VERIFY = "add sslmode=verify-full and sslrootcert=FILE to JOBD_DATABASE_URL"


async def server(patient: Patient) -> list[Finding]:
    """A server of a supported version that takes writes."""
    row = await patient.row("doctor_server")
    major = row["version_number"] // 10_000
    where = f"PostgreSQL {row['version'].split()[0]}, database {row['database']}, role {row['role']}"
    found = []
    if major < OLDEST:
        found.append(problem("server_version", f"{where}: too old", f"upgrade to PostgreSQL {OLDEST} or newer"))
    elif major > NEWEST:
        found.append(
            warning(
                "server_version", f"{where}: newer than what this jobd was tried with", "look for a newer jobd"
            )
        )
    else:
        found.append(ok("server_version", where))
    if row["is_standby"]:
        found.append(
            problem(
                "server_writes",
                "this server is a standby, which takes no writes",
                "name all hosts in JOBD_DATABASE_URL and add target_session_attrs=read-write",
            )
        )
    elif row["is_read_only"]:
        found.append(
            problem(
                "server_writes",
                "transactions are read-only here",
                "look for default_transaction_read_only: show it, then reset it for the database or the role",
            )
        )
    return found


async def encryption(patient: Patient) -> list[Finding]:
    """A connection that nobody on the way can read or take over."""
    row = await patient.row("doctor_server")
    if not row["is_encrypted"]:
        if row["is_local"]:
            return [ok("tls", "not encrypted, and on this host alone")]
        return [warning("tls", "the connection is not encrypted", VERIFY)]
    if not _is_verified(patient.connection):
        return [warning("tls", "encrypted, but whose server it is was not verified", VERIFY)]
    return [ok("tls", "encrypted, and the server's name and certificate are verified")]


def _is_verified(connection: Any) -> bool:
    transport = getattr(connection, "_transport", None)  # the driver has no public way to it
    wrapped = None if transport is None else transport.get_extra_info("ssl_object")
    if wrapped is None:
        return False
    return bool(wrapped.context.verify_mode == ssl.CERT_REQUIRED and wrapped.context.check_hostname)


async def pooler(patient: Patient) -> list[Finding]:
    """Nothing between jobd and the server that changes what a session is, or settings that fit it."""
    if not await is_pooled(patient.connection):
        return [ok("pooler", "no pooler in between")]
    if patient.settings.notify and patient.settings.secret("notify_database_url") is None:
        return [
            warning(
                "pooler",
                "a pooler is in between, through which no notification is heard",
                "set JOBD_NOTIFY_DATABASE_URL to the server itself; without it jobd polls every second",
            )
        ]
    return [ok("pooler", "a pooler is in between, and the settings fit it")]


async def clock(patient: Patient) -> list[Finding]:
    """Clocks that agree, so that logs of both ends can be read together. Nothing else depends on it."""
    before = time.time()
    row = await patient.row("doctor_server")
    after = time.time()
    skew = max(0.0, row["clock"] - after, before - row["clock"])
    if skew > SKEW_SECONDS_MAX:
        return [
            warning(
                "clock",
                f"this host's clock and the server's are {skew:.0f} s apart; leases and times in the database are "
                "right all the same, logs are not",
                "look after both hosts' NTP: timedatectl",
            )
        ]
    return [ok("clock", "this host's clock and the server's agree")]
