"""A real systemd for the tests of this folder. `make test` runs only what needs none; `make test-ops` runs all."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ops import alarm as alarms
from tests.ops import box as boxes
from tests.ops import scene as scenes
from tests.ops import service
from tests.ops.service import BoxScene
from tests.support.daemons import until
from tests.support.names import unique

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.support.database import Database

IS_ASKED_FOR = os.environ.get("TEST_OPS") == "1"
collect_ignore_glob = [] if IS_ASKED_FOR else ["test_service_*.py", "test_drill_*.py"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "drills(*alerts, factor=60): each of them fires in this test, and ends as its page says"
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not tried, since a skipped test is easily overlooked."""
    reason = boxes.obstacle() if IS_ASKED_FOR else None
    if reason is not None:
        terminalreporter.write_line(f"The unit was NOT run under systemd: {reason}", yellow=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need a box go to few of pytest-xdist's workers, as each of those boots one."""
    for index, item in enumerate(items):
        if item.path.parent == Path(__file__).parent and item.path.name.startswith("test_service_"):
            group = f"drills{index % 2}" if "drills" in item.path.name else "life"
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def box() -> Iterator[boxes.Box]:
    """A systemd with jobd installed."""
    reason = boxes.obstacle()
    if reason is not None:
        pytest.skip(reason)
    with boxes.booted(Path(sysconfig.get_paths()["purelib"])) as box:
        service.install(box)
        yield box


@pytest.fixture
async def alarm(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[alarms.Alarm]:
    """A Prometheus and an Alertmanager that answer, as quick as the drill says."""
    marker = request.node.get_closest_marker("drills")
    factor = alarms.FACTOR if marker is None else marker.kwargs.get("factor", alarms.FACTOR)
    with alarms.alarm(tmp_path, factor=factor) as alarm:
        await until(lambda: alarm.value("vector(1)"))
        await until(lambda: alarm.ask(f"{alarm.alertmanager}/alerts"), lambda seen: seen is not None)
        yield alarm


@pytest.fixture
async def scene(
    request: pytest.FixtureRequest, database: Database, alarm: alarms.Alarm, tmp_path: Path
) -> AsyncIterator[scenes.Scene]:
    """Where a drill happens. Afterwards: whatever it is a drill of was seen to fire, looked into, and over."""
    scene = await scenes.scene(database, alarm, tmp_path)
    yield scene
    scenes.assert_complete(request, scene)


@pytest.fixture
async def box_scene(
    request: pytest.FixtureRequest, box: boxes.Box, database: Database, alarm: alarms.Alarm, tmp_path: Path
) -> AsyncIterator[BoxScene]:
    """The same with a daemon that is a service, ``jobd@main`` as on the pages of the runbooks; not started yet."""
    scene = await scenes.scene(database, alarm, tmp_path, box)
    daemon = service.Service(box, "main")
    daemon.configure(scene.url, metrics_listen=f"127.0.0.1:{scene.port}", sample_seconds=1)
    yield BoxScene(scene, daemon)
    daemon.remove()
    scenes.assert_complete(request, scene)


@pytest.fixture
def daemon(box: boxes.Box) -> Iterator[service.Service]:
    """A daemon of the box that is configured by the test."""
    daemon = service.Service(box, unique("d"))
    yield daemon
    daemon.remove()
