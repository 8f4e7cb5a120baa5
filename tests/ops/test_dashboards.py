"""A real Prometheus is asked everything that the dashboards ask, after real daemons did all that they can do."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from jobd.metrics.labels import OUTCOMES, ROW_ERROR_TYPES, ROW_RESULTS
from tests.grafana.dashboards import dashboards, expressions, filled
from tests.ops.load import Scene, seen, watched

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.database import Database

pytestmark = pytest.mark.skipif(os.environ.get("TEST_OPS") != "1", reason="minutes long: make test-ops")
CHOSEN = {"queue": ".+", "instance": ".+", "job_type": ".+", "__rate_interval": "10s", "__range": "10m"}


@pytest_asyncio.fixture
async def scene(database: Database, tmp_path: Path) -> AsyncIterator[Scene]:
    async with watched(database, tmp_path) as scene:
        yield scene


async def test_no_panel_is_empty_once_all_has_happened(scene: Scene) -> None:
    for label, name, values in (
        ("outcome", "jobd_job_attempts_total", OUTCOMES),
        ("result", "jobd_rows_total", ROW_RESULTS),
        ("error_type", "jobd_row_errors_total", ROW_ERROR_TYPES),
        ("verdict", "jobd_job_objective_total", ("good", "bad")),
        ("job_type", "jobd_read_bytes_total", ("import", "validation")),
    ):
        counted = await scene.series(f"sum by ({label}) ({name}) > 0", is_instant=False)
        assert {each["metric"][label] for each in counted} >= set(values)
    await seen(scene.alarm, 'ALERTS{alertname="JobdQueueStalled",alertstate="firing"}')
    empty = []
    for each in expressions():
        found = await scene.series(filled(each.text, **CHOSEN), is_instant=each.is_instant)
        if not any(_numbers(series) for series in found):
            empty.append(each.place)
        for label in re.findall(r"\{\{(\w+)\}\}", each.legend):
            assert all(label in series["metric"] for series in found), (each.place, label)
    assert empty == [], "\n".join(empty)


async def test_a_choice_of_some_is_kept_to(scene: Scene) -> None:
    """One queue and one daemon, as somebody chooses them, and several, as Grafana writes those."""
    (waits,) = [each for each in expressions() if each.place == "jobd-overview: Waiting jobs A"]
    for chosen, queues in (("mail", {"mail"}), ("(mail|paused)", {"mail", "paused"})):
        found = await scene.series(filled(waits.text, **{**CHOSEN, "queue": chosen}), is_instant=False)
        assert {each["metric"]["queue"] for each in found} == queues


async def test_annotations_and_choices_are_found(scene: Scene) -> None:
    for uid, page in dashboards().items():
        for annotation in page["annotations"].get("list", []):
            found = await scene.series(annotation["expr"], is_instant=False)
            assert found, (uid, annotation["name"])
        for variable in page["templating"]["list"]:
            if variable["type"] == "query" and uid != "jobd-postgresql":
                series, _, label = variable["query"]["query"].removeprefix("label_values(").rpartition(", ")
                values = await scene.alarm.found(f"label/{label.rstrip(')')}/values", **{"match[]": series})
                assert values, (uid, variable["name"])


def _numbers(series: dict[str, Any]) -> list[str]:
    samples = series.get("values") or [series["value"]]
    return [value for _, value in samples if value not in {"NaN", "+Inf", "-Inf"}]
