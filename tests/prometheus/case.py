"""What Prometheus scraped for a while, and whether an alert fires upon it; written as promtool reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from jobd.metrics import Metrics

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
RULES = FOLDER / "jobd.rules.yml"
BY_PROMETHEUS = {"job", "instance", "le"}


@dataclass(frozen=True)
class Case:
    """A sample a minute of each series; ``fires``: the labels that the alert then has, none where it is silent."""

    alert: str
    name: str
    series: dict[str, str]
    fires: list[dict[str, str]] = field(default_factory=list)
    minute: int = 20

    def unit(self) -> dict[str, Any]:
        """The case as a group of `promtool test rules`."""
        fixed = {
            "__name__": "ALERTS",
            "alertname": self.alert,
            "alertstate": "firing",
            "severity": alerts()[self.alert]["labels"]["severity"],
        }
        return {
            "name": f"{self.alert}: {self.name}",
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in self.series.items()],
            "promql_expr_test": [
                {
                    "expr": f'ALERTS{{alertname="{self.alert}",alertstate="firing"}}',
                    "eval_time": f"{self.minute}m",
                    "exp_samples": [{"labels": _labels({**fixed, **own}), "value": 1} for own in self.fires],
                }
            ],
        }


@cache
def rules() -> list[dict[str, Any]]:
    """All rules."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


@cache
def alerts() -> dict[str, dict[str, Any]]:
    """The alerts by their names."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


@cache
def measured() -> dict[str, set[str]]:
    """The labels of every sample of jobd's, by its name."""
    metrics = Metrics("1", ["mail"])
    metrics.jobs.count_ending("mail", "import", "completed", None, 1)
    found: dict[str, set[str]] = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set(BY_PROMETHEUS)).update(sample.labels)
    return found


def _labels(labels: dict[str, str]) -> str:
    inside = ", ".join(f'{name}="{value}"' for name, value in labels.items() if name != "__name__")
    return f"{labels['__name__']}{{{inside}}}"
