"""What is asked of Prometheus and of PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.builders.prometheus import Dataquery as PrometheusQuery
from grafana_foundation_sdk.cog import builder, variants
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="${datasource}")
POSTGRESQL = DataSourceRef(type_val="grafana-postgresql-datasource", uid="${database}")

# What is read from the database is the same from every daemon and has no matcher of instances: max, never sum.
QUEUE = 'queue=~"$queue"'
INSTANCE = 'instance=~"$instance"'
BOTH = f"{QUEUE},{INSTANCE}"
JOB_TYPES = f'{BOTH},job_type=~"$job_type"'
PROCESS = f'job="jobd",{INSTANCE}'

Target = builder.Builder[variants.Dataquery]


@dataclass(frozen=True)
class Query:
    """An expression over time; ``legend`` names its series."""

    expr: str
    legend: str = ""

    def target(self, ref_id: str) -> Target:
        """As Grafana writes it."""
        return _prometheus(self.expr, ref_id).range().legend_format(self.legend)


@dataclass(frozen=True)
class Now:
    """An expression at the end of the time that is shown."""

    expr: str
    legend: str = ""

    def target(self, ref_id: str) -> Target:
        """As Grafana writes it."""
        return _prometheus(self.expr, ref_id).instant().legend_format(self.legend)


@dataclass(frozen=True)
class Rows:
    """An expression at the end of the time that is shown, each series a row of a table."""

    expr: str

    def target(self, ref_id: str) -> Target:
        """As Grafana writes it."""
        return _prometheus(self.expr, ref_id).instant().format(PromQueryFormat.TABLE)


@dataclass(frozen=True)
class Sql:
    """A statement."""

    text: str

    def target(self, ref_id: str) -> Target:
        """As Grafana writes it."""
        return _Statement(self.text, ref_id)


AnyQuery = Query | Now | Rows | Sql


def _prometheus(expr: str, ref_id: str) -> PrometheusQuery:
    query = PrometheusQuery().expr(expr).ref_id(ref_id).datasource(PROMETHEUS)
    return query.editor_mode(QueryEditorMode.CODE)


class _Statement(builder.Builder[variants.Dataquery], variants.Dataquery):
    """The official types have none for PostgreSQL: this is what its data source reads."""

    def __init__(self, text: str, ref_id: str) -> None:
        self._text = text
        self._ref_id = ref_id

    def build(self) -> variants.Dataquery:
        return self

    def to_json(self) -> dict[str, object]:
        return {
            "refId": self._ref_id,
            "datasource": POSTGRESQL,
            "rawSql": self._text,
            "rawQuery": True,
            "format": "table",
            "editorMode": "code",
        }
