"""Imports whose way to the server leads through a proxy, and what passes there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fault.gate import build_gate
from tests.support.daemons import get
from tests.support.files import write_readings
from tests.support.imports import create_readings, submit_import

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path
    from uuid import UUID

    from tests.support.daemons import DaemonProcess
    from tests.support.database import Database
    from tests.support.files import Readings

LEASE_SECONDS = 3
SHORT_LEASE = {
    "heartbeat_seconds": 0.5,
    "lease_seconds": LEASE_SECONDS,
    "poll_seconds": 1,
    "connect_timeout_seconds": 2,
}
# For what must not cost a lease: a loaded machine may be slow with a beat or two.
LONG_LEASE = {**SHORT_LEASE, "lease_seconds": 10}

# A batch's last word and the answer to it.
COMMIT = b"commit\0"
COMMITTED = b"C\0\0\0\x0bCOMMIT\0"

RECORDS = 60
BATCH_SIZE = 20
EXISTING = range(1, RECORDS, 3)
UNDISTURBED = (0, 0, 1)
INTERRUPTIONS = "select retry_count, interrupt_count, lease_token from jobd.job where id = $1"


async def readings_job(
    database: Database,
    directory: Path,
    *,
    records: int = RECORDS,
    gate_row: int | None = None,
    existing: Sequence[int] = EXISTING,
    bad_share: float = 0.05,
) -> tuple[Readings, UUID, str]:
    """An import of readings in small batches, some of them there already and some refused."""
    readings = write_readings(directory / "readings.csv", records, seed=5, bad_share=bad_share)
    target = await create_readings(database, "torn", existing=existing)
    if gate_row is not None:
        await build_gate(database, target, gate_row)
    job_id = await submit_import(database, readings.path, target, {"batch_size": BATCH_SIZE})
    return readings, job_id, target


async def interruptions(database: Database, job_id: UUID) -> tuple[int, ...]:
    return tuple(await database.fetchrow(INTERRUPTIONS, job_id) or ())


def said(daemon: DaemonProcess, event: str) -> list[dict[str, Any]]:
    return [line for line in daemon.log() if line["event"] == event]


def ready(daemon: DaemonProcess) -> Callable[[], Awaitable[tuple[int, str]]]:
    """Looks at what the daemon says of itself."""

    async def look() -> tuple[int, str]:
        return await get(await daemon.port(), "/readyz")

    return look
