"""Goal: import what is far larger than a daemon's memory may be, freely and held up, and watch the memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fault.gate import build_gate, gate_closed, someone_waits_at_gate
from tests.fault.relay import relay
from tests.support.daemons import DaemonProcess, until
from tests.support.files import write_plain
from tests.support.imports import completed, create_plain, submit_import

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database

ROWS, WIDTH = 200_000, 1_000
MEMORY_BYTES_MAX = 200 * 1024 * 1024
BATCH_BYTES_MAX = 4 * 1024 * 1024
BEATEN_SECONDS = "select extract(epoch from heartbeat_at - $1)::float8 from jobd.worker"


def memory_bytes(daemon: DaemonProcess) -> int:
    """The most that the process ever held."""
    with open(f"/proc/{daemon.pid}/status") as status:  # noqa: PTH123  no disk behind it
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def read_bytes(daemon: DaemonProcess) -> int:
    """What the process has read so far, of files and connections."""
    with open(f"/proc/{daemon.pid}/io") as io:  # noqa: PTH123  no disk behind it
        return int(next(line for line in io if line.startswith("rchar")).split()[1])


async def test_memory_stays_bounded_whatever_the_files_size_also_while_a_batch_is_held_up(
    database: Database, tmp_path: Path
) -> None:
    path = write_plain(tmp_path / "plain.csv", ROWS, width=WIDTH)
    assert path.stat().st_size > MEMORY_BYTES_MAX - 10 * 1024 * 1024
    target = await create_plain(database)
    await build_gate(database, target, row=50_000)
    with relay(database, tmp_path, size=1, heartbeat_seconds=0.2) as daemons:
        async with gate_closed(database):
            job_id = await submit_import(database, path, target, {"batch_size": ROWS})
            await someone_waits_at_gate(database)
            # Counting and hashing go over the whole file beside the import.
            await until(lambda: database.fetchval("select file_hash from jobd.job where id = $1", job_id))
            at, since = read_bytes(daemons.daemons[0]), await database.fetchval("select clock_timestamp()")
            await until(lambda: database.fetchval(BEATEN_SECONDS, since), lambda beaten: beaten > 1)
            # Somebody who read on would have read the rest of the file by now.
            assert read_bytes(daemons.daemons[0]) - at < BATCH_BYTES_MAX
        await completed(database, job_id)
        memory = memory_bytes(daemons.daemons[0])
    print(f"{memory / 1024 / 1024:.0f} MiB")
    assert memory < MEMORY_BYTES_MAX
    assert await database.fetchval(f"select count(*) from {target}") == ROWS
