"""The image's program with the manifests' settings: unprivileged, on a read-only root, as process 1."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ops.container import container, obstacle, process_1
from tests.support.containers import manifest, of_kind
from tests.support.daemons import get, wait_for_status

if TYPE_CHECKING:
    from tests.support.database import Database


async def test_the_manifests_migrate_a_database_and_run_a_daemon_on_it(empty_database: Database) -> None:
    reason = obstacle()
    if reason is not None:
        pytest.skip(reason)
    with container(manifest("Job"), empty_database.url) as migrating:
        assert await migrating.exit_code() == 0, migrating.log_path.read_text()
    # Loopback only, and a port that nobody has; both are Kubernetes' to give away there.
    deployment = manifest("Deployment")
    with container(deployment, empty_database.url, JOBD_METRICS_LISTEN="127.0.0.1:0") as daemon:
        port = await daemon.port()
        await daemon.logged("worker registered")
        (probes,) = deployment["spec"]["template"]["spec"]["containers"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            status, body = await get(port, probes[probe]["httpGet"]["path"])
            assert status == 200, f"{probe}: {body}"
        inner = process_1(daemon)
        _require_unprivileged(inner)
        spool = Path(f"/proc/{inner}/root/var/lib/jobd/spool")
        (spool / "a.csv").write_text("id\n1\n2\n")
        await empty_database.execute("create table public.number (id int primary key)")
        job_id = await empty_database.fetchval(
            "insert into jobd.job (source, target) "
            "values ('/var/lib/jobd/spool/a.csv', 'public.number') returning id"
        )
        assert await wait_for_status(empty_database, job_id, "completed", "failed") == "completed"
        os.kill(inner, signal.SIGTERM)
        assert await daemon.exit_code() == 0, daemon.log_path.read_text()
        assert daemon.log()[-1]["event"] == "stopped"


def _require_unprivileged(pid: int) -> None:
    status = dict(re.findall(r"^(\w+):\s+(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE))
    user, group = of_kind("USER", 1)[0].split(":")
    assert (status["Uid"].split(), status["Gid"].split()) == ([user] * 4, [group] * 4)
    assert status["NSpid"].split()[-1] == "1"
    assert status["NoNewPrivs"] == "1"
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")} == {0}
    mounts = [line.split() for line in Path(f"/proc/{pid}/mounts").read_text().splitlines()]
    writable = {fields[1] for fields in mounts if "ro" not in fields[3].split(",") and fields[2] != "proc"}
    assert writable == {"/tmp", "/var/lib/jobd/spool"}  # noqa: S108  a path of the pod
