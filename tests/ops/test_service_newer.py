"""The unit under a newer systemd, with the settings that only such a one knows (10-systemd-254.conf)."""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobd.cli.install import RELOADING_SINCE
from tests.ops import box as boxes
from tests.ops import service
from tests.support.names import unique

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.ops.box import Box
    from tests.support.database import Database

UNPACKED = service.ROOT / ".venv" / "systemd"


@pytest.fixture(scope="module")
def newer_box() -> Iterator[Box]:
    """A box whose systemd is the one that newer_systemd.sh unpacked."""
    reason = boxes.obstacle()
    if reason is not None:
        pytest.skip(reason)
    if not (UNPACKED / ".unpacked").exists():
        pytest.skip("there is no newer systemd here: tests/ops/newer_systemd.sh .venv/systemd")
    with boxes.booted(Path(sysconfig.get_paths()["purelib"]), UNPACKED) as box:
        service.install(box)
        yield box


@pytest.fixture
def daemon(newer_box: Box) -> Iterator[service.Service]:
    daemon = service.Service(newer_box, unique("d"))
    yield daemon
    daemon.remove()


def test_it_is_a_newer_one_which_has_nothing_to_say_against_the_units(newer_box: Box) -> None:
    said = re.match(r"systemd (\d+)", newer_box.run("systemctl", "--version"))
    assert said is not None
    assert int(said[1]) >= RELOADING_SINCE
    assert "notify-reload" in newer_box.run("systemctl", "cat", "jobd@main.service")
    verified = newer_box.tried("systemd-analyze", "verify", "jobd@main.service", "jobd.target", "jobd.slice")
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_a_reload_is_over_when_systemctl_comes_back(daemon: service.Service, database: Database) -> None:
    daemon.configure(database.url)
    daemon.systemctl("start")
    assert daemon.property("Type") == "notify-reload"
    process = daemon.property("MainPID")
    for slots in (3, 5, 2):
        daemon.set(concurrency=slots)
        daemon.systemctl("reload")
        assert f"of {slots} slots" in daemon.property("StatusText")
    daemon.set(concurrency="many")
    daemon.systemctl("reload")
    assert "settings not reloaded: JOBD_CONCURRENCY" in daemon.property("StatusText")
    assert (daemon.property("ActiveState"), daemon.property("MainPID")) == ("active", process)


def test_a_daemon_that_goes_on_failing_is_started_ever_later(daemon: service.Service, database: Database) -> None:
    daemon.configure(database.url, handlers="ops_crash")
    daemon.box.tried("systemctl", "start", daemon.unit)
    daemon.box.until(daemon.unit, "NRestarts", "3")
    # From 0.2 s to 30 s in five steps.
    assert re.search(r"^[1-9]\d*(\.\d+)?s", daemon.property("RestartUSecNext"))
