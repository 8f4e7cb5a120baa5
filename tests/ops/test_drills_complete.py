"""Every alert has a drill: somebody saw it fire and end."""

from __future__ import annotations

import importlib
from pathlib import Path

from tests.prometheus.case import alerts

# Alerts that cannot be made to fire by a real fault here, each with why. It is to stay empty, or nearly so.
NOT_DRILLED: dict[str, str] = {}


def drilled() -> list[str]:
    """The alerts of all tests that are marked as drills."""
    names: list[str] = []
    for path in sorted(Path(__file__).parent.glob("test_*drill*.py")):
        module = importlib.import_module(f"tests.ops.{path.stem}")
        marks = [mark for value in vars(module).values() for mark in getattr(value, "pytestmark", [])]
        names += [name for mark in marks if mark.name == "drills" for name in mark.args]
    return names


def test_each_alert_is_drilled_or_it_is_said_why_not() -> None:
    assert sorted({*drilled(), *NOT_DRILLED}) == sorted(alerts())
    assert set(NOT_DRILLED).isdisjoint(drilled())
    assert len(NOT_DRILLED) <= 2
