"""A real Prometheus is asked everything that the dashboards ask, after real daemons did all that they can do."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import pytest_asyncio

from jobd.metrics.labels import OUTCOMES, ROW_ERROR_TYPES, ROW_RESULTS
from tests.grafana.dashboards import dashboards, expressions, filled, panels
from tests.ops import pictures
from tests.ops.answers import CHOSEN, answers_to
from tests.ops.load import Scene, seen, watched
from tests.sql.roles import make_member
from tests.support.daemons import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from pathlib import Path

    from tests.support.database import Database

pytestmark = pytest.mark.skipif(os.environ.get("TEST_OPS") != "1", reason="minutes long: make test-ops")


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


async def test_prometheus_and_postgresql_tell_the_same_of_queues(scene: Scene, database: Database) -> None:
    columns = ("pending", "paused", "is_paused")

    async def of_prometheus() -> dict[tuple[str, str], float]:
        asked = {each.ref_id: each for each in expressions() if each.place.startswith("jobd-overview: Queues ")}
        return {
            (each["metric"]["queue"], column): float(each["value"][1])
            for ref_id, column in zip("ACG", columns, strict=True)
            for each in await scene.series(filled(asked[ref_id].text, **CHOSEN), is_instant=True)
        }

    async def differences() -> dict[tuple[str, str], object]:
        rows = await database.fetch("select queue, pending, paused, is_paused from jobd.queue_stats")
        here = {(row["queue"], name): float(row[name]) for row in rows for name in columns}
        there = await of_prometheus()
        return {key: (here.get(key), there.get(key)) for key in here | there if here.get(key) != there.get(key)}

    await until(differences, lambda seen: not seen, within=60)
    assert (await of_prometheus())["default", "paused"] > 1


@pytest.fixture
def studio() -> Iterator[pictures.Studio]:
    reason = pictures.obstacle()
    if reason is not None:
        pytest.skip(f"no dashboard was drawn: {reason}")
    with pictures.studio() as studio:
        yield studio


@pytest.mark.xdist_group("drawings")  # of which one lays Grafana's components for all
@pytest.mark.timeout(1200)
async def test_grafana_s_components_draw_every_panel(
    studio: pictures.Studio, scene: Scene, database: Database, tmp_path: Path
) -> None:
    """The pictures are kept in .venv/grafana/pictures, to be looked at."""
    monitor = await make_member(database, "jobd_monitor")
    await seen(scene.alarm, 'ALERTS{alertname="JobdQueueStalled",alertstate="firing"}')
    now = time.time()
    for uid, page in dashboards().items():
        studio.lay(uid, await answers_to(page, scene, monitor, now), scene.since, now)
    for uid, page in dashboards().items():
        report = await anyio.to_thread.run_sync(studio.draw, uid, tmp_path / "profile")
        assert report["errors"] == [], uid
        drawn = {panel["title"]: panel for panel in report["panels"]}
        assert [title for title, panel in drawn.items() if panel["is_empty"]] == [], uid
        assert [title for title, panel in drawn.items() if panel["is_cut"]] == [], uid
        assert set(drawn) == {panel["title"] for panel in panels(page)}
        for panel in panels(page):
            if panel["type"] == "timeseries":
                assert drawn[panel["title"]]["has_canvas"], (uid, panel["title"])
            for change in panel.get("transformations", []):
                if change["id"] == "organize":
                    _has_the_columns(drawn[panel["title"]]["text"], change["options"]["renameByName"].values())


@pytest.mark.xdist_group("drawings")  # of which one lays Grafana's components for all
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("uid", dashboards())
def test_grafana_s_types_have_nothing_against_it(studio: pictures.Studio, uid: str) -> None:
    assert pictures.complaints_of_the_types(uid) == []


def _has_the_columns(text: str, titles: Iterable[str]) -> None:
    assert [title for title in titles if title not in text] == [], text


def _numbers(series: dict[str, Any]) -> list[str]:
    samples = series.get("values") or [series["value"]]
    return [value for _, value in samples if value not in {"NaN", "+Inf", "-Inf"}]
