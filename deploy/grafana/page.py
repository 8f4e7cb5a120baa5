"""A dashboard: its rows, variables, annotations and links."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog import builder
from grafana_foundation_sdk.models import dashboard as models

from .panels import RUNBOOKS
from .queries import POSTGRESQL, PROMETHEUS

if TYPE_CHECKING:
    from .panels import Panel

TAG = "jobd"
QUEUES = "label_values(jobd_queue_jobs, queue)"
INSTANCES = 'label_values(up{job="jobd"}, instance)'


@dataclass(frozen=True)
class Row:
    """A question, and the panels that answer it."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Variable:
    """What may be chosen above the dashboard."""

    name: str
    label: str
    description: str
    query: str
    all_value: str | None = ".+"

    def build(self, source: models.DataSourceRef) -> builders.QueryVariable:
        """As Grafana writes it."""
        query: str | dict[str, object] = self.query
        if source is PROMETHEUS:
            query = {"query": self.query, "refId": self.name, "qryType": 1}
        variable = builders.QueryVariable(self.name).label(self.label).description(self.description).query(query)
        variable.datasource(source).multi(multi=True).include_all(include_all=True).sort(
            models.VariableSort.ALPHABETICAL_ASC
        )
        variable.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        variable.current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
        _leave_out_intervals(variable.build())
        return variable if self.all_value is None else variable.all_value(self.all_value)


QUEUE = Variable("queue", "Queue", "Queues that there are.", QUEUES)
INSTANCE = Variable("instance", "Daemon", "Daemons that are scraped.", INSTANCES)


@dataclass(frozen=True)
class Page:
    """A dashboard. ``uid`` is in the links of alerts: it stays as it is."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = (INSTANCE, QUEUE)
    source: models.DataSourceRef = field(default_factory=lambda: PROMETHEUS)
    since: str = "now-6h"
    refresh: str = "30s"

    def build(self) -> models.Dashboard:
        """As Grafana writes it."""
        made = builders.Dashboard(self.title).uid(self.uid).description(self.description).tags([TAG])
        made.time(self.since, "now").refresh(self.refresh).timezone("browser").editable()
        made.tooltip(models.DashboardCursorSync.CROSSHAIR)
        made.with_variable(_chooser(self.source))
        for variable in self.variables:
            made.with_variable(variable.build(self.source))
        if self.source is PROMETHEUS:
            for annotation in ANNOTATIONS:
                made.annotation(annotation)
        for link in _links():
            made.link(link)
        number = 0
        for row in self.rows:
            number += 1
            made.with_row(builders.Row(row.title).id(number))
            for panel in row.panels:
                number += 1
                made.with_panel(panel.build().id(number))
        return made.build()


class Annotation(builder.Builder[models.AnnotationQuery], models.AnnotationQuery):
    """Moments that Prometheus tells; the official type leaves out how they are put into words."""

    def __init__(self, name: str, colour: str, expr: str, text: str) -> None:
        super().__init__(name=name, datasource=PROMETHEUS, enable=True, icon_color=colour, hide=False, expr=expr)
        self._text = text

    def build(self) -> models.AnnotationQuery:
        """Itself."""
        return self

    def to_json(self) -> dict[str, object]:
        """As Grafana writes it."""
        return {**super().to_json(), "titleFormat": self.name, "textFormat": self._text, "step": "60s"}


ANNOTATIONS = (
    # A version that nobody ran an hour ago; a daemon that was merely away for a while brings none.
    Annotation(
        "Deployment",
        "blue",
        "count by (version) (jobd_build_info)"
        " unless on (version) count by (version) (max_over_time(jobd_build_info[1h] offset 5m))",
        "jobd {{version}} begins to run",
    ),
    Annotation("Drain", "orange", "max by (instance) (jobd_draining) == 1", "{{instance}} stops"),
)


def _chooser(source: models.DataSourceRef) -> builders.DatasourceVariable:
    """The variable that panels name as their data source; each kind has its own, since links carry it along."""
    kind, name = ("Prometheus", "datasource") if source is PROMETHEUS else ("PostgreSQL", "database")
    variable = builders.DatasourceVariable(name).label("Data source").description(f"The {kind} to ask.")
    _leave_out_intervals(variable.build())
    return variable.type(source.type_val or "")


def _leave_out_intervals(variable: models.VariableModel) -> None:
    """The builders fill in for each variable what only one that chooses an interval has."""
    variable.auto = variable.auto_min = variable.auto_count = None


def _links() -> list[builders.DashboardLink]:
    others = builders.DashboardLink("jobd").type(models.DashboardLinkType.DASHBOARDS).tags([TAG])
    others.keep_time(keep_time=True).include_vars(include_vars=True).as_dropdown(as_dropdown=False)
    runbooks = builders.DashboardLink("Runbooks").type(models.DashboardLinkType.LINK).icon("doc")
    runbooks.url(f"{RUNBOOKS}/README.md").target_blank(target_blank=True)
    return [others, runbooks]


__all__ = ["INSTANCE", "POSTGRESQL", "PROMETHEUS", "QUEUE", "Page", "Row", "Variable"]
