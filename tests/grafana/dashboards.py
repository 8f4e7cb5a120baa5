"""The dashboards as they are committed, taken apart for tests."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "grafana"
DURATION = re.compile(r"\[([^\]:]+)\]")
# What Grafana itself puts in.
BY_GRAFANA = {"__rate_interval", "__range", "__interval"}


@dataclass(frozen=True)
class Asked:
    """A query of a panel."""

    uid: str
    panel: str
    ref_id: str
    text: str
    is_instant: bool
    legend: str

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.uid}: {self.panel} {self.ref_id}"


@cache
def dashboards() -> dict[str, dict[str, Any]]:
    """Each dashboard by its uid."""
    found = [json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))]
    return {each["uid"]: each for each in found}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Its panels without the rows' titles."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


@cache
def expressions() -> list[Asked]:
    """Everything that Prometheus is asked by panels."""
    return _asked("expr")


@cache
def statements() -> list[Asked]:
    """Everything that PostgreSQL is asked by panels."""
    return _asked("rawSql")


def filled(text: str, **values: str) -> str:
    """The text with these values for variables, as Grafana puts them in."""

    def value(found: re.Match[str]) -> str:
        return values[found[1] or found[2]]

    return re.sub(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))", value, text)


def _asked(key: str) -> list[Asked]:
    return [
        Asked(
            uid,
            panel["title"],
            target["refId"],
            target[key],
            target.get("instant", False),
            target.get("legendFormat", ""),
        )
        for uid, dashboard in dashboards().items()
        for panel in panels(dashboard)
        for target in panel["targets"]
        if key in target
    ]
