"""The rules under test are the committed ones in a quicker time, and nothing else of them is changed."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.ops import durations
from tests.ops.durations import quicker, quicker_file, seconds, shorter, tokens
from tests.prometheus.case import FOLDER, RULES, rules
from tests.support import programs

if TYPE_CHECKING:
    from pathlib import Path

FACTOR = 60


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rate(a_total[5m])", "rate(a_total[5s])"),
        ("rate(a_total[1h30m])", "rate(a_total[90s])"),
        ("max_over_time(a[1h:5m] offset 1d)", "max_over_time(a[60s:5s] offset 1440s)"),
        ("queue:a:ratio_rate5m > 14.4 * 0.01", "queue:a:ratio_rate5m > 14.4 * 0.01"),
        ("a{b=\"[5m] 30s\", c=~'1h|2h'} > 300 # for 5m", "a{b=\"[5m] 30s\", c=~'1h|2h'} > 300 # for 5m"),
        ("rate(a[30s]) > 1e3", "rate(a[500ms]) > 1e3"),
        ("max by (queue) (jobd_job_unmoved_seconds) > 900", "max by (queue) (jobd_job_unmoved_seconds) > 15"),
        ("max(jobd_job_unmoved_seconds) + 900 > 60", "max(jobd_job_unmoved_seconds) + 900 > 60"),
        ("max(jobd_queue_oldest_due_age_seconds) > 300", "max(jobd_queue_oldest_due_age_seconds) > 300"),
    ],
)
def test_durations_are_divided_and_what_only_looks_like_one_stays(expression: str, expected: str) -> None:
    assert quicker(expression, FACTOR) == expected


@pytest.mark.parametrize("wrong", ["rate(a[5m]) ~ 3", 'a{b="open}', "a ; b"])
def test_what_is_no_promql_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="no PromQL at"):
        quicker(wrong, FACTOR)


def test_what_is_no_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="'5 minutes' is no duration"):
        shorter("5 minutes", FACTOR)


def test_no_token_of_a_rule_is_lost_and_only_durations_and_ages_differ() -> None:
    thresholds = []
    for rule in rules():
        before, after = list(tokens(rule["expr"])), list(tokens(quicker(rule["expr"], FACTOR)))
        assert "".join(text for _, text in before) == rule["expr"]
        assert len(before) == len(after)
        for (kind, old), (_, new) in zip(before, after, strict=True):
            if kind == "duration":
                assert seconds(new) * FACTOR == seconds(old)
            elif old != new:
                thresholds.append((rule["alert"], old, new))
    assert thresholds == [
        ("JobdQueueStalled", "900", "15"),
        ("JobdJobNotAdvancing", "900", "15"),
        ("JobdOldTransaction", "3600", "60"),
    ]


def test_every_other_part_of_the_files_is_as_it_was() -> None:
    for name in (RULES.name, "alertmanager.yml", "prometheus.yml"):
        content = yaml.safe_load((FOLDER / name).read_text())
        assert quicker_file(content, 1) == _in_seconds(content)
        assert quicker_file(content, FACTOR) != quicker_file(content, 1)
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    assert quicker_file(config, FACTOR, "1s")["global"]["scrape_interval"] == "1s"


def test_prometheus_takes_the_quicker_rules(tmp_path: Path) -> None:
    promtool = programs.need("prometheus").with_name("promtool")
    place = tmp_path / "rules.yml"
    place.write_text(yaml.safe_dump(quicker_file(yaml.safe_load(RULES.read_text()), FACTOR)))
    done = subprocess.run([promtool, "check", "rules", place], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _in_seconds(content: object) -> object:
    """The same with its durations written in seconds: how they are written is no difference."""
    if isinstance(content, list):
        return [_in_seconds(each) for each in content]
    if not isinstance(content, dict):
        return content
    return {
        name: quicker(value, 1)
        if name == "expr"
        else shorter(value, 1)
        if name in durations.DURATIONS
        else _in_seconds(value)
        for name, value in content.items()
    }
