"""How numbers look: steps of colour, words for values, columns of tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

GOOD, FAIR, BAD, PLAIN = "green", "orange", "red", "text"
# One colour for each name, wherever it is shown; by the label whose values they are.
COLOURS = {
    "outcome": {
        "completed": GOOD, "failed": BAD, "timeout": "dark-red", "retried": FAIR, "cancelled": "purple",
        "paused": "blue", "interrupted": "light-blue", "lease_lost": "dark-orange",
    },
    "result": {
        "added": GOOD, "updated": "blue", "unchanged": "semi-dark-purple", "skipped": "yellow", "rejected": BAD,
        "full": GOOD, "partial": "yellow", "empty": "blue", "error": BAD,
        "answered": GOOD, "failed": BAD, "declared_dead": "dark-red",
    },
    "error_type": {"parse": FAIR, "validation": BAD, "duplicate": "purple", "system": "dark-red"},
    # Those that are nobody's but the installation's fault in the colours of alarm, the commonest others apart.
    "code": {
        "database_error": "dark-red", "handler_error": BAD, "worker_lost": "dark-orange",
        "source_unavailable": FAIR, "source_missing": "yellow", "timeout": "purple", "all_rows_refused": "blue",
        "too_many_errors": "light-blue",
    },
    "class": {
        "connection": "dark-red", "disk_full": BAD, "too_many_connections": "dark-orange", "timeout": "purple",
        "deadlock": FAIR, "lock_timeout": "light-orange", "serialization": "yellow", "data": "blue",
        "constraint": "light-blue", "fence": "light-purple",
    },
    "level": {"warning": FAIR, "error": BAD},
    "reason": {"lost: fenced": FAIR, "lost: expired": BAD, "lost: declared_dead": "dark-red"},
}  # fmt: skip
OF_DAEMONS = {"up": GOOD, "down": BAD, "ready": "blue", "draining": FAIR}

Steps = tuple[tuple[float, str], ...]
# By what number on it is no longer good: the first of these, or by what number it is at last.
NONE_IS_GOOD: Steps = ((0.5, BAD),)
ONE_IS_GOOD: Steps = ((0, BAD), (1, GOOD))


@dataclass(frozen=True)
class Column:
    """A column of a table, by the name that the query gives it."""

    name: str
    title: str
    unit: str = ""
    width: int | None = None
    decimals: int | None = None
    steps: Steps = ()
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    cell: str = "auto"
    link: tuple[str, str] | None = None
    bounds: tuple[float, float | None] | None = None

    def properties(self) -> list[DynamicConfigValue]:
        """What of it is not as in other columns."""
        found: dict[str, object] = {}
        if self.unit:
            found["unit"] = self.unit
        if self.width is not None:
            found["custom.width"] = self.width
        if self.decimals is not None:
            found["decimals"] = self.decimals
        if self.steps:
            found["thresholds"] = thresholds(self.steps).build()
        if self.words:
            found["mappings"] = mappings(self.words)
        if self.bounds is not None:
            bounds = zip(("min", "max"), self.bounds, strict=True)
            found |= {name: bound for name, bound in bounds if bound is not None}
        if self.link is not None:
            title, url = self.link
            found["links"] = [{"title": title, "url": url, "targetBlank": True}]
        if self.cell == "gauge":
            found["custom.cellOptions"] = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
        elif self.steps or self.words:
            found["custom.cellOptions"] = {"type": "color-text"}
        return [DynamicConfigValue(id_val=key, value=value) for key, value in found.items()]


def thresholds(steps: Steps) -> ThresholdsConfig:
    """Green up to the first step, unless that says what holds from the start."""
    first = [] if steps and steps[0][0] == 0 else [Threshold(value=None, color=GOOD)]
    rest = [Threshold(value=None if value == 0 else value, color=colour) for value, colour in steps]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps([*first, *rest])


def mappings(words: Mapping[str, tuple[str, str]]) -> list[ValueMap]:
    """A word and a colour for each of these values."""
    results = {value: ValueMappingResult(text=text, color=colour) for value, (text, colour) in words.items()}
    return [ValueMap(options=results)]
