"""Nobody is refused while the service restarts: its sockets are kept, and the next process goes on with them."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from jobd.db.embedded import free_port
from tests.support.daemons import daemon_process, get, until
from tests.support.kept_sockets import KeptSockets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.daemons import DaemonProcess
    from tests.support.database import Database

TAKEN_OVER = "metrics and health go on where the process before served them"


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[KeptSockets]:
    kept = KeptSockets(tmp_path / "notify")
    yield kept
    kept.close()


async def stopped(daemon: DaemonProcess) -> None:
    daemon.send(signal.SIGTERM)
    assert await daemon.exit_code() == 0


async def test_who_asks_while_the_service_restarts_waits_and_is_answered(
    target: Database, tmp_path: Path, kept: KeptSockets
) -> None:
    port = free_port()
    address = f"127.0.0.1:{port}"
    with daemon_process(target, tmp_path, metrics_listen=address, kept=kept) as daemon:
        await daemon.worker_id()
        await stopped(daemon)
    with daemon_process(target, tmp_path, metrics_listen=address, kept=kept) as daemon:
        assert len(kept.descriptors) == 1
        asked = asyncio.create_task(get(port, "/healthz"))  # nobody accepts yet
        await daemon.logged(TAKEN_OVER)
        assert (await asked)[0] == 200
        await stopped(daemon)
    # A process that nobody asked of in between keeps what it found, and hands on no second one.
    kept.hear()
    assert len(kept.descriptors) == 1


async def test_any_port_is_the_one_of_before(target: Database, tmp_path: Path, kept: KeptSockets) -> None:
    ports = []
    for _ in range(2):
        with daemon_process(target, tmp_path, kept=kept) as daemon:
            ports.append(await daemon.port())
            await daemon.worker_id()
            await stopped(daemon)
    assert ports[0] == ports[1]


async def test_another_address_is_listened_on_anew_and_the_former_let_go(
    target: Database, tmp_path: Path, kept: KeptSockets
) -> None:
    former, later = free_port(), free_port()
    for port in (former, later):
        with daemon_process(target, tmp_path, metrics_listen=f"127.0.0.1:{port}", kept=kept) as daemon:
            await daemon.worker_id()
            assert (await get(port, "/readyz"))[0] == 200
            await stopped(daemon)

    async def refused() -> bool:
        kept.hear()
        try:
            await get(former, "/readyz")
        except OSError:
            return True
        return False

    await until(refused)
    assert len(kept.descriptors) == 1
    assert any(said.startswith("FDSTOREREMOVE=1") for said in kept.said)


async def test_without_a_service_manager_nothing_is_kept(target: Database, tmp_path: Path) -> None:
    with daemon_process(target, tmp_path) as daemon:
        port = await daemon.port()
        await daemon.worker_id()
        await stopped(daemon)
    with pytest.raises(OSError, match="refused"):
        await get(port, "/healthz")
