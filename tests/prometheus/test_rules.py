"""Alerts fire when they should and are silent when not; and what the rules name exists."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.prometheus.case import BY_PROMETHEUS, FOLDER, RULES, alerts, measured, rules
from tests.prometheus.cases_daemons import DAEMONS, DATABASE
from tests.prometheus.cases_jobs import CASES as JOBS
from tests.support import programs

if TYPE_CHECKING:
    from pathlib import Path

CASES = (*DAEMONS, *DATABASE, *JOBS)
# A name of its own, or with an underscore, that is no function's; and what stands in braces after it.
SERIES = re.compile(r"\b([a-z][a-z0-9_:]*_[a-z0-9_:]+|up)\b(?!\s*\()(\{[^}]*\})?")
OF_OTHERS = {"up": BY_PROMETHEUS, "process_start_time_seconds": BY_PROMETHEUS}


def printed_by(*command: object) -> str:
    """What a check of the programs' own prints, which is to find nothing."""
    done = subprocess.run([str(part) for part in command], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_case_comes_out_as_it_says(tmp_path: Path) -> None:
    promtool = programs.need("prometheus").with_name("promtool")
    units = tmp_path / "units.yml"
    tests = [case.unit() for case in CASES]
    units.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    printed_by(promtool, "test", "rules", units)


def test_promtool_finds_nothing_wrong_with_the_rules_and_the_example() -> None:
    promtool = programs.need("prometheus").with_name("promtool")
    printed_by(promtool, "check", "rules", "--lint=all", "--lint-fatal", RULES)
    printed_by(promtool, "check", "config", "prometheus.yml")


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [("severity=page alertname=JobdAbsent", "on-call"), ("severity=ticket queue=mail", "tickets")],
)
def test_pages_go_to_whoever_is_on_call_and_tickets_do_not(labels: str, receiver: str) -> None:
    amtool = programs.need("prometheus-alertmanager").with_name("amtool")
    printed_by(amtool, "check-config", "alertmanager.yml")
    routes = (amtool, "config", "routes", "test", "--config.file", "alertmanager.yml")
    assert printed_by(*routes, *labels.split()).split() == [receiver]


def test_each_alert_is_tried_in_a_case_where_it_fires_and_in_one_where_it_is_silent() -> None:
    assert {case.alert for case in CASES if case.fires} == set(alerts())
    assert {case.alert for case in CASES if not case.fires} == set(alerts())


@pytest.mark.parametrize("name", alerts())
def test_each_alert_says_what_somebody_who_is_woken_needs(name: str) -> None:
    alert = alerts()[name]
    notes = alert["annotations"]
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert set(notes) == {"summary", "description", "dashboard", "runbook_url"}
    assert "$value" in notes["description"]
    assert "/d/jobd-" in notes["dashboard"]
    assert notes["runbook_url"].endswith(f"/{name}.md")


def test_every_metric_and_label_of_the_rules_exists() -> None:
    known = measured() | OF_OTHERS
    everywhere = set().union(*known.values())
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        expression = re.sub(r'"[^"]*"', '""', rule["expr"])
        for name, matchers in re.findall(
            r"\b([a-z][a-z0-9_:]*_[a-z0-9_:]+|up)\b(?!\s*\()(\{[^}]*\})?", expression
        ):
            if name in recorded or name in {"group_left", "histogram_quantile"}:
                continue
            assert name in known, rule
            assert set(re.findall(r"(\w+)\s*[=!]", matchers)) <= known[name], (name, matchers)
        for grouped in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
            assert set(re.findall(r"\w+", grouped)) <= everywhere, rule
        used = {
            label
            for text in rule.get("annotations", {}).values()
            for label in re.findall(r"\$labels\.(\w+)", text)
        }
        assert all(re.search(rf"\b{label}\b", expression) or label == "instance" for label in used), rule
