"""A real Alertmanager with the example's configuration: who is told of what, and what is kept back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from jobd.db.embedded import free_port
from tests.prometheus.case import FOLDER, alerts
from tests.support import programs
from tests.support.daemons import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Where Alertmanager takes alerts and shows them."""
    program = programs.need("prometheus-alertmanager")
    port = free_port()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={FOLDER / 'alertmanager.yml'}",
                f"--storage.path={tmp_path}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield f"http://127.0.0.1:{port}/api/v2/alerts"
    finally:
        process.terminate()
        process.wait()


def told(url: str, alert: list[dict[str, Any]] | None = None) -> Any:
    """Send alerts, or look at them; None while it does not answer yet."""
    body = None if alert is None else json.dumps(alert).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310  loopback
    with contextlib.suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(request) as answer:  # noqa: S310
        return json.loads(answer.read() or b"[]")
    return None


@pytest.mark.parametrize(
    ("fires", "kept_back"),
    [
        ([("JobdQueueStalled", "mail"), ("JobdQueueFallingBehind", "mail")], {"JobdQueueFallingBehind"}),
        ([("JobdQueueStalled", "mail"), ("JobdQueueFallingBehind", "slow")], set()),
        ([("JobdQueueStalled", "mail"), ("JobdLockContention", "")], set()),
        (
            [("JobdDatabaseUnreachable", ""), ("JobdQueueStalled", "mail"), ("JobdClaimsFail", "")],
            {"JobdQueueStalled", "JobdClaimsFail"},
        ),
        ([("JobdAbsent", ""), ("JobdSampleStale", "")], {"JobdSampleStale"}),
        (
            [("JobdSchemaMismatch", ""), ("JobdDatabaseUnreachable", ""), ("JobdSampleStale", "")],
            {"JobdDatabaseUnreachable", "JobdSampleStale"},
        ),
    ],
)
async def test_whoever_is_paged_is_not_told_of_what_follows_from_it(
    url: str, fires: list[tuple[str, str]], kept_back: set[str]
) -> None:
    def look() -> Any:
        return told(url)

    await until(lambda: asyncio.to_thread(look), lambda seen: seen is not None)
    sent = [
        {"labels": {"alertname": name, "severity": alerts()[name]["labels"]["severity"], "queue": queue}}
        for name, queue in fires
    ]
    assert await asyncio.to_thread(told, url, sent) == []
    shown = await until(
        lambda: asyncio.to_thread(look), lambda seen: len(seen) == len(fires) and _kept_back(seen) == kept_back
    )
    assert {each["labels"]["alertname"] for each in shown} == {name for name, _ in fires}


def _kept_back(shown: list[dict[str, Any]]) -> set[str]:
    return {each["labels"]["alertname"] for each in shown if each["status"]["inhibitedBy"]}
