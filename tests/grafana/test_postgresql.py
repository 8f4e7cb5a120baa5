"""The dashboard of PostgreSQL alone, asked as a login that may read jobd's views and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.grafana.dashboards import dashboards, filled, panels, statements
from tests.sql.roles import make_member
from tests.support.daemons import daemon_within, submit, until, wait_for_status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.support.database import Database

PAGE = dashboards()["jobd-postgresql"]
# As Grafana puts in a choice of several, each quoted; and where there is nothing to choose.
CHOSEN, NOTHING = "'default','later','mail'", ""


async def test_every_panel_has_something_to_show(database: Database) -> None:
    await database.execute("create table public.written (job_id uuid, number integer)")
    monitor = await make_member(database, "jobd_monitor")
    async with daemon_within(database, concurrency=2):
        failed = await submit(database, "fail", max_retries=0)
        await wait_for_status(database, failed, "failed")
        await submit(database, "write_rows", metadata={"rows": 1000, "pause": 0.1})
        await submit(database, queue="mail")
        await database.execute("select jobd.pause_queue('mail')")
        await submit(database, queue="later", run_at=await database.fetchval("select now() + interval '1 hour'"))
        speed = next(each.text for each in statements() if each.panel == "Speed")
        await until(lambda: monitor.fetchval(filled(speed, queue=CHOSEN)), lambda seen: seen > 0)
        # What a daemon tells of its memory with its next heartbeat.
        memory = next(each.text for each in statements() if each.panel == "Memory by daemon")

        async def first() -> asyncpg.Record | None:
            return await monitor.fetchrow(filled(memory, queue=CHOSEN))

        await until(first, lambda seen: seen is not None and seen["memory"] is not None)
        shown = {each.panel: await monitor.fetch(filled(each.text, queue=CHOSEN)) for each in statements()}
        choices = await monitor.fetch(_choices())
    assert [panel for panel, rows in shown.items() if not rows] == []
    assert [panel for panel, rows in shown.items() if rows[0][-1] is None and len(rows[0]) == 1] == []
    assert [row["queue"] for row in choices] == ["default", "later", "mail"]
    assert {row["reason"] for row in shown["Why jobs wait"]} == {"for its time (run_at)", "its queue is paused"}
    assert shown["Ended within 5 minutes"][0]["error_code"] == "handler_error"
    _has_the_columns(shown)


def _has_the_columns(shown: Mapping[str, Sequence[asyncpg.Record]]) -> None:
    for panel in panels(PAGE):
        for change in panel.get("transformations") or []:
            if change["id"] == "filterFieldsByName":
                names = change["options"]["include"]["names"]
                assert list(shown[panel["title"]][0].keys()) == names, panel["title"]


async def test_where_no_queue_is_chosen_every_panel_is_empty_and_none_fails(database: Database) -> None:
    monitor = await make_member(database, "jobd_monitor")
    for each in statements():
        rows = await monitor.fetch(filled(each.text, queue=NOTHING))
        assert [value for row in rows for value in row.values() if value] == [], each.place


async def test_who_sees_the_dashboard_can_read_no_table(database: Database) -> None:
    monitor = await make_member(database, "jobd_monitor")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await monitor.fetch("select from jobd.job")


def _choices() -> str:
    (query,) = [each["query"] for each in PAGE["templating"]["list"] if each["type"] == "query"]
    return str(query)
