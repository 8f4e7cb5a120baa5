"""The dashboards keep the rules of dashboards, and name only what there is."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.__main__ import texts
from tests.grafana.dashboards import (
    BY_GRAFANA,
    DURATION,
    FOLDER,
    ROOT,
    dashboards,
    expressions,
    filled,
    panels,
    statements,
)
from tests.prometheus.case import BY_PROMETHEUS, alerts, measured, rules
from tests.prometheus.test_rules import printed_by
from tests.support import programs

if TYPE_CHECKING:
    from pathlib import Path

PROCESS = {
    f"process_{name}"
    for name in ("start_time_seconds", "resident_memory_bytes", "cpu_seconds_total", "open_fds", "max_fds")
}
BY_ALERTS = {"alertname", "alertstate", "severity", "queue", "instance"}
# Read from the database by every daemon alike: the maximum is taken, and it is nobody's own.
SHARED = re.compile(
    r"jobd_(queue_(?!sample_seconds)\w+|jobs_inserted|table_\w+|oldest_transaction\w+|lock_\w+|schema_version\w*)"
)
RECORDED = {rule["record"]: {"queue"} for rule in rules() if "record" in rule}
PAGES = dashboards()


def test_the_files_are_what_their_source_makes() -> None:
    committed = {path.name: path.read_text() for path in (FOLDER / "dashboards").iterdir()}
    assert committed == texts(), "run make dashboards"


@pytest.mark.parametrize("uid", PAGES)
def test_grafana_s_own_types_read_all_of_it(uid: str) -> None:
    """What they do not know they leave out. The words of an annotation are its data source's matter."""
    plugins.register_default_plugins()
    dashboard = json.loads(json.dumps(PAGES[uid]))
    for annotation in dashboard.get("annotations", {}).get("list", []):
        for of_prometheus in ("titleFormat", "textFormat", "step"):
            annotation.pop(of_prometheus)
    again = json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))
    for variable in again["templating"]["list"]:
        for of_an_interval in ("auto", "auto_min", "auto_count"):
            variable.pop(of_an_interval)
    assert again == dashboard


@pytest.mark.parametrize("uid", PAGES)
def test_each_panel_says_what_it_shows_and_in_which_unit(uid: str) -> None:
    for panel in panels(PAGES[uid]):
        assert panel["title"], panel
        assert re.fullmatch(r"[A-Z].{10,}\.", panel["description"]), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]
        assert panel["targets"], panel["title"]
        several = len(panel["targets"]) > 1 and panel["type"] == "timeseries"
        assert not several or all(target["legendFormat"] for target in panel["targets"]), panel["title"]
    titles = Counter(panel["title"] for panel in panels(PAGES[uid]))
    assert titles.most_common(1)[0][1] == 1
    assert PAGES[uid]["description"]


@pytest.mark.parametrize("uid", PAGES)
def test_panels_lie_beside_each_other_without_a_gap(uid: str) -> None:
    taken: Counter[tuple[int, int]] = Counter()
    for panel in PAGES[uid]["panels"]:
        at = panel["gridPos"]
        taken.update((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"]))
    height = max(y for _, y in taken) + 1
    assert set(taken.values()) == {1}
    assert set(taken) == {(x, y) for x in range(24) for y in range(height)}
    ids = [panel["id"] for panel in PAGES[uid]["panels"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("uid", PAGES)
def test_variables_are_used_where_they_are_declared_and_declared_where_used(uid: str) -> None:
    declared = {variable["name"] for variable in PAGES[uid]["templating"]["list"]}
    text = json.dumps({**PAGES[uid], "links": []})
    used = {one or other for one, other in re.findall(r"\$(?:\{(\w+)[^}]*\}|(\w+))", text)}
    assert used - BY_GRAFANA - {"__value", "__all"} == declared
    (source,) = (each for each in PAGES[uid]["templating"]["list"] if each["type"] == "datasource")
    for panel in panels(PAGES[uid]):
        own = {"type": source["query"], "uid": f"${{{source['name']}}}"}
        assert [panel["datasource"], *(target["datasource"] for target in panel["targets"])] == [own] * (
            1 + len(panel["targets"])
        )


def test_every_metric_and_label_exists() -> None:
    known = {**measured(), **RECORDED, "up": BY_PROMETHEUS, "ALERTS": BY_ALERTS, "ALERTS_FOR_STATE": BY_ALERTS}
    known |= dict.fromkeys(PROCESS, BY_PROMETHEUS)
    asked = [(each.place, each.text) for each in expressions()]
    annotations = [(uid, each) for uid, page in PAGES.items() for each in page["annotations"].get("list", [])]
    asked += [(uid, annotation["expr"]) for uid, annotation in annotations]
    for place, text in asked:
        names = _series(text)
        assert names, place
        for name, matchers in names:
            assert name in known, (place, name)
            assert set(re.findall(r"(\w+)\s*[=!]", matchers)) <= known[name], (place, name)
        there = set().union(*(known[name] for name, _ in names))
        for grouped in re.findall(r"\b(?:by|on|ignoring) \(([^)]*)\)", text):
            assert set(re.findall(r"\w+", grouped)) <= there, (place, grouped)
    for each in expressions():
        for label in re.findall(r"\{\{(\w+)\}\}", each.legend):
            assert re.search(rf"by \([^)]*\b{label}\b", each.text) or ":" in each.text, each.place


def test_every_metric_that_jobd_has_is_on_a_dashboard() -> None:
    shown = {name for each in expressions() for name, _ in _series(each.text)}
    missing = {name.removesuffix("_bucket") for name in measured() if name.startswith("jobd_")} - shown
    histograms = {name.removesuffix("_bucket") for name in shown if name.endswith("_bucket")}
    assert {name for name in missing if re.sub(r"_(sum|count)$", "", name) not in histograms} == set()


def test_what_all_daemons_say_alike_is_never_added_up_nor_anybody_s_own() -> None:
    for each in expressions():
        for name, matchers in _series(each.text):
            if SHARED.fullmatch(name):
                assert "instance" not in matchers, each.place
                assert re.search(rf"max(?: by \(\w+\) )?\((?:rate\()?{name}", each.text), each.place
            elif name.startswith(("jobd_", "process_")) and "objective_total" not in name:
                assert "instance=~" in matchers or re.search(rf"unless[^,]*{name}", each.text), (each.place, name)


def test_rates_go_by_windows_that_hold_some_samples() -> None:
    for each in expressions():
        for window in DURATION.findall(each.text):
            assert window in {"$__rate_interval", "$__range", "10m", "15m", "30d"}, each.place


def test_prometheus_reads_every_expression(tmp_path: Path) -> None:
    promtool = programs.need("prometheus").with_name("promtool")
    values = {"queue": ".+", "instance": ".+", "job_type": ".+", "__rate_interval": "1m", "__range": "6h"}
    texts_ = sorted({filled(each.text, **values) for each in expressions()})
    group = {"name": "all", "rules": [{"record": f"r{n}", "expr": text} for n, text in enumerate(texts_)]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [group]}))
    printed_by(promtool, "check", "rules", tmp_path / "rules.yml")


def test_every_alert_leads_to_a_dashboard_that_takes_what_it_hands_over() -> None:
    shows = {uid: _alerts_of(page) for uid, page in PAGES.items()}
    for name, alert in alerts().items():
        link = alert["annotations"]["dashboard"]
        uid, _, parameters = link.rpartition("/d/")[2].partition("?")
        assert uid in PAGES, link
        declared = {variable["name"] for variable in PAGES[uid]["templating"]["list"]}
        assert set(re.findall(r"var-(\w+)=", parameters)) <= declared, link
        assert name in shows[uid], f"no panel of {uid} leads back to the runbook of {name}"


def test_every_link_to_a_runbook_leads_to_a_page() -> None:
    for uid, page in PAGES.items():
        links = re.findall(r'https://runbooks\.example\.com/jobd/([^"$]+\.md)', json.dumps(page))
        assert links, uid
        assert [each for each in links if not (ROOT / "deploy" / "runbooks" / each).exists()] == []


def test_the_dashboard_of_postgresql_reads_the_public_views_and_nothing_else() -> None:
    views = {"active_jobs", "job_progress", "queue_stats"}
    declared = PAGES["jobd-postgresql"]["templating"]["list"]
    variables = [each["query"] for each in declared if each["type"] == "query"]
    text = " ".join([*(each.text for each in statements()), *variables]).replace("extract(epoch from", "")
    assert set(re.findall(r"\b(?:from|join) (\S+)", text)) - {"lateral"} == {f"jobd.{view}" for view in views}
    assert {each.uid for each in statements()} == {"jobd-postgresql"}


def test_what_is_provisioned_is_there() -> None:
    provider = yaml.safe_load((FOLDER / "provisioning" / "dashboards" / "jobd.yml").read_text())
    sources = yaml.safe_load((FOLDER / "provisioning" / "datasources" / "jobd.yml").read_text())
    (only,) = provider["providers"]
    assert only["options"]["path"].endswith("/jobd")
    asked_for = {
        variable["query"]
        for page in PAGES.values()
        for variable in page["templating"]["list"]
        if variable["type"] == "datasource"
    }
    assert {source["type"] for source in sources["datasources"]} == asked_for


def _series(text: str) -> list[tuple[str, str]]:
    bare = re.sub(r'"[^"]*"', '""', DURATION.sub("", text))
    without_lists = re.sub(r"\b(by|on|ignoring) \([^)]*\)", "", bare)
    names = r"\b(ALERTS(?:_FOR_STATE)?|up|[a-z][a-z0-9_:]*_[a-z0-9_:]+)\b"
    return re.findall(names + r"(?!\s*\()(\{[^}]*\})?", without_lists)


def _alerts_of(page: dict[str, Any]) -> set[str]:
    return {
        link["title"].removeprefix("Runbook of ") for panel in panels(page) for link in panel.get("links") or []
    }
