"""What keeps the server from cleaning up behind itself, until queue tables grow and slow down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.doctor.finding import ok, problem, unknown, warning

if TYPE_CHECKING:
    from jobd.doctor.finding import Finding
    from jobd.doctor.patient import Patient

TRANSACTION_SECONDS_MAX = 1800.0
IDLE_SECONDS_MAX = 300.0
PREPARED_SECONDS_MAX = 300.0
KEPT_BYTES_MAX = 10e9
DEAD_MIN = 50_000
AGE_MAX = 1_000_000_000


async def transactions(patient: Patient) -> list[Finding]:
    """No transaction that is open for long."""
    if not (await patient.row("doctor_role"))["sees_activity"]:
        name = (await patient.row("doctor_server"))["role"]
        return [
            unknown("transactions", "this role does not see other sessions", f"grant pg_read_all_stats to {name};")
        ]
    found = []
    for row in await patient.rows("doctor_transactions"):
        is_idle = row["state"].startswith("idle in transaction")
        if row["seconds"] > (IDLE_SECONDS_MAX if is_idle else TRANSACTION_SECONDS_MAX):
            whose = f"process {row['pid']} of {row['role']} ({row['application'] or 'no name'}, {row['state']})"
            found.append(
                warning(
                    "transactions",
                    f"a transaction has been open for {row['seconds'] / 60:.0f} min: {whose}; meanwhile no dead "
                    "row is removed anywhere",
                    f"end it in its application, or: select pg_terminate_backend({row['pid']});",
                )
            )
    found += [
        problem(
            "transactions",
            f"the prepared transaction {row['gid']!r} of {row['owner']} was never ended; no dead row is removed",
            f"rollback prepared '{row['gid']}'; or commit it",
        )
        for row in await patient.rows("doctor_prepared")
        if row["seconds"] > PREPARED_SECONDS_MAX
    ]
    return found or [ok("transactions", "no transaction is open for long")]


async def slots(patient: Patient) -> list[Finding]:
    """No replication slot that is kept for nobody."""
    found = []
    for row in await patient.rows("doctor_slots"):
        kept = row["kept_bytes"] or 0.0
        if row["holds_back_vacuum"] or kept > KEPT_BYTES_MAX:
            found.append(
                warning(
                    "replication_slots",
                    f"nobody reads the {row['slot_type']} slot {row['slot_name']}, for which {kept / 1e9:.1f} GB "
                    "of WAL, and dead rows, are kept",
                    f"bring its reader back, or: select pg_drop_replication_slot('{row['slot_name']}');",
                )
            )
    return found or [ok("replication_slots", "no replication slot is kept for nobody")]


async def tables(patient: Patient) -> list[Finding]:
    """Tables that are vacuumed."""
    found = []
    for row in await patient.rows("doctor_tables"):
        if not row["is_vacuumed"]:
            remedy = f"alter table jobd.{row['name']} reset (autovacuum_enabled);"
            found.append(problem("tables", f"autovacuum is off for jobd.{row['name']}", remedy))
        if row["dead"] > max(DEAD_MIN, row["live"]):
            found.append(
                warning(
                    "tables",
                    f"jobd.{row['name']} has {row['dead']:,} dead rows beside {row['live']:,} living ones",
                    f"find what holds vacuum back (above), then: vacuum (analyze) jobd.{row['name']};",
                )
            )
    age = (await patient.row("doctor_age"))["transactions"]
    if age > AGE_MAX:
        found.append(
            problem(
                "tables",
                f"the database's oldest transaction id is {age:,} old; the server stops before 2,100,000,000",
                "find what holds vacuum back (above), then: vacuum freeze",
            )
        )
    return found or [ok("tables", "jobd's tables are vacuumed")]
