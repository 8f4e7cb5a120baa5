"""A real systemd for the tests of this folder. `make test` runs only what needs none; `make test-ops` runs all."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ops import box as boxes
from tests.ops import service
from tests.support.names import unique

if TYPE_CHECKING:
    from collections.abc import Iterator

IS_ASKED_FOR = os.environ.get("TEST_OPS") == "1"
collect_ignore_glob = [] if IS_ASKED_FOR else ["test_service_*.py"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not tried, since a skipped test is easily overlooked."""
    reason = boxes.obstacle() if IS_ASKED_FOR else None
    if reason is not None:
        terminalreporter.write_line(f"The unit was NOT run under systemd: {reason}", yellow=True)


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
def daemon(box: boxes.Box) -> Iterator[service.Service]:
    """A daemon of the box that is configured by the test."""
    daemon = service.Service(box, unique("d"))
    yield daemon
    daemon.remove()
