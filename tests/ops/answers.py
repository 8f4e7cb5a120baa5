"""What Prometheus and PostgreSQL answer to the queries of a dashboard, as the page that draws it reads them."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import TYPE_CHECKING, Any

from tests.grafana.dashboards import filled, panels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from tests.ops.load import Scene

CHOSEN = {"queue": ".+", "instance": ".+", "job_type": ".+", "__rate_interval": "10s", "__range": "10m"}


async def answers_to(
    page: dict[str, Any], scene: Scene, monitor: asyncpg.Connection, now: float
) -> dict[str, list[Any]]:
    """The answers to the queries of each panel, by the panel's id, all of one moment."""
    queues = await monitor.fetch("select queue from jobd.queue_stats")
    chosen = ",".join(f"'{row['queue']}'" for row in queues)
    found: dict[str, list[Any]] = {}
    for panel in panels(page):
        found[panel["id"]] = [
            await scene.series(
                filled(target["expr"], **CHOSEN), is_instant=target["instant"], step="1s", until=now
            )
            if "expr" in target
            else await _table(monitor, filled(target["rawSql"], queue=chosen))
            for target in panel["targets"]
        ]
    return found


async def _table(monitor: asyncpg.Connection, statement: str) -> dict[str, Any]:
    prepared = await monitor.prepare(statement)
    rows = await prepared.fetch()
    columns = [(each.name, _type([row[each.name] for row in rows])) for each in prepared.get_attributes()]
    return {"columns": columns, "rows": [[_plain(value) for value in row] for row in rows]}


def _plain(value: object) -> object:
    if isinstance(value, dt.datetime):
        return value.timestamp() * 1000
    return float(value) if isinstance(value, decimal.Decimal) else value


def _type(values: Sequence[object]) -> str:
    first = next((value for value in values if value is not None), "")
    if isinstance(first, dt.datetime):
        return "time"
    return "number" if isinstance(first, int | float | decimal.Decimal) else "string"
