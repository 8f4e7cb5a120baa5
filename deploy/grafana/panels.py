"""One panel of each kind, all of them drawn by Grafana's own components."""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import DashboardLink, FieldColor
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    FieldTextAlignment,
    GraphDrawStyle,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
)

from .look import COLOURS, OF_DAEMONS, PLAIN, Column, Steps, mappings, thresholds
from .queries import POSTGRESQL, PROMETHEUS, AnyQuery, Query, Sql

if TYPE_CHECKING:
    from collections.abc import Mapping

RUNBOOKS = "https://runbooks.example.com/jobd"
ALL_IS_WELL = "none"
_FULL = 24

AnyBuilder = timeseries.Panel | stat.Panel | table.Panel | bargauge.Panel
B = TypeVar("B", timeseries.Panel, stat.Panel, table.Panel, bargauge.Panel)


@dataclass(frozen=True, kw_only=True)
class Panel:
    """What every panel says. ``alerts``: whose runbooks it links to."""

    title: str
    description: str
    unit: str
    queries: tuple[AnyQuery, ...]
    width: int = 8
    height: int = 8
    alerts: tuple[str, ...] = ()
    steps: Steps = ()
    empty: str = "no data"

    def build(self) -> AnyBuilder:
        """As Grafana writes it."""
        raise NotImplementedError

    def _filled(self, panel: B) -> B:
        source = POSTGRESQL if isinstance(self.queries[0], Sql) else PROMETHEUS
        panel.title(self.title).description(self.description).unit(self.unit).datasource(source)
        panel.span(self.width).height(self.height).no_value(self.empty)
        panel.targets(
            [query.target(name) for name, query in zip(string.ascii_uppercase, self.queries, strict=False)]
        )
        panel.links([_runbook(alert) for alert in self.alerts])
        panel.thresholds(thresholds(self.steps))
        return panel


@dataclass(frozen=True, kw_only=True)
class Lines(Panel):
    """Numbers over time. ``as_bars``: how much of something came in each interval."""

    height: int = 7
    stacked: bool = False
    as_bars: bool = False
    maximum: float | None = None
    decimals: int | None = None
    dashed: str = ""
    steps_as_lines: bool = True

    def build(self) -> timeseries.Panel:
        """As Grafana writes it."""
        panel = self._filled(timeseries.Panel()).axis_soft_min(0).line_width(1).show_points(VisibilityMode.NEVER)
        legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST)
        panel.legend(legend.placement(LegendPlacement.BOTTOM).show_legend(show_legend=True))
        tooltip = common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI)
        panel.tooltip(tooltip.sort(SortOrder.DESCENDING))
        panel.color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
        panel.fill_opacity(80 if self.as_bars else 25 if self.stacked else 5)
        if self.as_bars:
            panel.draw_style(GraphDrawStyle.BARS).interval("1m")  # windows of a minute hardly overlap
        if self.stacked or self.as_bars:
            panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
        if self.maximum is not None:
            panel.min(0).max(self.maximum)
        if self.decimals is not None:
            panel.decimals(self.decimals)
        if self.decimals == 0:
            panel.axis_soft_max(1)  # Grafana gives a line at 0 an axis up to 100
        if self.steps and self.steps_as_lines:
            panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
        self._coloured(panel)
        if self.dashed:
            style = {"custom.lineStyle": {"fill": "dash", "dash": [6, 6]}, "custom.fillOpacity": 0}
            properties = [DynamicConfigValue(id_val=name, value=value) for name, value in style.items()]
            panel.override_by_regexp(self.dashed, properties)
        return panel

    def _coloured(self, panel: timeseries.Panel) -> None:
        legends = {query.legend for query in self.queries if isinstance(query, Query)}
        found = {name: colour for name, colour in OF_DAEMONS.items() if name in legends}
        for label, colours in COLOURS.items():
            if any(f"{{{{{label}}}}}" in legend for legend in legends):
                found |= colours
        for name, shade in found.items():
            colour = {"mode": "fixed", "fixedColor": shade}
            panel.override_by_name(name, [DynamicConfigValue(id_val="color", value=colour)])


@dataclass(frozen=True, kw_only=True)
class Number(Panel):
    """One number, to be read from across the room. ``by_name``: the series' names are the answer."""

    width: int = 3
    height: int = 4
    decimals: int | None = None
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    by_name: bool = False
    with_history: bool = True

    def build(self) -> stat.Panel:
        """As Grafana writes it."""
        panel = self._filled(stat.Panel()).orientation(VizOrientation.AUTO)
        panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False))
        panel.text_mode(BigValueTextMode.NAME if self.by_name else BigValueTextMode.VALUE)
        panel.graph_mode(BigValueGraphMode.AREA if self.with_history else BigValueGraphMode.NONE)
        panel.color_mode(BigValueColorMode.VALUE)
        panel.mappings(list(mappings(self.words)) if self.words else [])
        if self.steps:
            panel.color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        else:
            panel.color_scheme(FieldColor().mode(FieldColorModeId.FIXED).fixed_color(PLAIN))
        if self.decimals is not None:
            panel.decimals(self.decimals)
        return panel


@dataclass(frozen=True, kw_only=True)
class Bars(Panel):
    """A bar for each series or row, between these bounds. ``by_row``: the first column names it."""

    height: int = 7
    bounds: tuple[float, float | None] = (0, None)
    decimals: int | None = None
    by_row: bool = False

    def build(self) -> bargauge.Panel:
        """As Grafana writes it."""
        panel = self._filled(bargauge.Panel()).orientation(VizOrientation.HORIZONTAL)
        panel.display_mode(BarGaugeDisplayMode.BASIC).show_unfilled(show_unfilled=True)
        panel.text(common.VizTextDisplayOptions().title_size(13).value_size(18))
        panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=self.by_row))
        if self.steps:
            panel.color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        else:
            panel.color_scheme(FieldColor().mode(FieldColorModeId.FIXED).fixed_color("blue"))
        least, most = self.bounds
        panel.min(least)
        if most is not None:
            panel.max(most)
        if self.decimals is not None:
            panel.decimals(self.decimals)
        return panel


@dataclass(frozen=True, kw_only=True)
class Table(Panel):
    """Rows. Those of several queries are one where they have the same labels; only ``columns`` are shown."""

    unit: str = "none"
    columns: tuple[Column, ...]
    width: int = _FULL
    height: int = 7
    empty: str = "-"  # stands in empty cells, too
    sort: tuple[str, bool] | None = None

    def build(self) -> table.Panel:
        """As Grafana writes it."""
        panel = self._filled(table.Panel()).show_header(show_header=True)
        panel.align(FieldTextAlignment.AUTO).inspect(inspect=False).min_width(60)
        for column in self.columns:
            panel.override_by_name(column.title, column.properties())
        names = [column.name for column in self.columns]
        shown = DataTransformerConfig(id_val="filterFieldsByName", options={"include": {"names": names}})
        panel.with_transformation(shown)
        if not isinstance(self.queries[0], Sql):
            panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
        places = {
            "indexByName": {name: position for position, name in enumerate(names)},
            "renameByName": {column.name: column.title for column in self.columns},
            "excludeByName": {},
        }
        panel.with_transformation(DataTransformerConfig(id_val="organize", options=places))
        if self.sort is not None:
            name, falling = self.sort
            panel.sort_by([common.TableSortByFieldState().display_name(name).desc(desc=falling)])
        return panel


def _runbook(alert: str) -> DashboardLink:
    link = DashboardLink(f"Runbook of {alert}").type(DashboardLinkType.LINK).url(f"{RUNBOOKS}/{alert}.md")
    return link.target_blank(target_blank=True)
