"""Where a drill happens: a database, daemons on it, an alarm that watches them, and somebody who is on call."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobd.db.embedded import free_port
from tests.ops.runbook import Hands, Page
from tests.sql.roles import make_role
from tests.support.daemons import DaemonProcess, daemon_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    import asyncpg
    import pytest

    from tests.ops.alarm import Alarm
    from tests.ops.box import Box
    from tests.support.database import Database

# What somebody who follows a runbook is a member of, as the index of the runbooks says.
OPERATOR_OF = "jobd_admin, pg_monitor, pg_signal_backend"
# What the READMEs of deploy and deploy/prometheus make of the daemon's login; another one migrates.
DAEMON_OF = "jobd_worker, pg_read_all_stats"


@dataclass
class Scene:
    """Daemons are plain processes, whose login has the rights that it is to have and no more."""

    database: Database
    alarm: Alarm
    directory: Path
    login: str
    as_daemon: asyncpg.Connection
    as_operator: asyncpg.Connection
    port: int
    box: Box | None = None
    diagnosed: set[str] = field(default_factory=set)
    _ports: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.database.url_of(self.login)

    @contextlib.contextmanager
    def start(self, **settings: Any) -> Iterator[DaemonProcess]:
        """A daemon, at ``port`` unless said otherwise, that samples as often as it is scraped."""
        port = settings.pop("port", self.port)
        settings = {"database_url": self.url, "sample_seconds": 1, **settings}
        self.watch(port)
        with daemon_process(
            self.database, self.directory, metrics_listen=f"127.0.0.1:{port}", **settings
        ) as daemon:
            yield daemon

    def watch(self, port: int) -> None:
        """Have a daemon scraped, be it there or not."""
        if port not in self._ports:
            self._ports.append(port)
            self.alarm.watch(*self._ports)

    async def submit(self, handler: str = "nothing", by: asyncpg.Connection | None = None, **columns: Any) -> UUID:
        """Insert a processing job, as the daemon's login; ``by``: on this connection."""
        columns = {"job_type": "processing", "handler": handler, **columns}
        values = [json.dumps(value) if isinstance(value, dict) else value for value in columns.values()]
        places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
        job_id: UUID = await (by or self.as_daemon).fetchval(
            f"insert into jobd.job ({', '.join(columns)}) values ({places}) returning id", *values
        )
        return job_id

    async def table(self) -> None:
        """What the handlers write to, the daemon's own."""
        await self.as_daemon.execute("create table written (job_id uuid, number integer)")

    async def application(self, *groups: str) -> asyncpg.Connection:
        """A session of somebody else's, who is no superuser but a member of these."""
        role = await make_role(self.database, "app")
        await self.database.execute(f"grant {', '.join(groups)} to {role}")
        return await self.database.connect(role)

    def page(self, alert: str) -> Page:
        """The runbook's page of an alert."""
        settings = {"JOBD_DATABASE_URL": self.url}
        self.diagnosed.add(alert)
        hands = Hands(self.as_operator, self.database.url, settings, self.directory, self.port, self.box)
        return Page(alert, hands)


async def scene(database: Database, alarm: Alarm, directory: Path, box: Box | None = None) -> Scene:
    """A scene in this database; no daemon is there yet."""
    login = await make_role(database, "daemon")
    operator = await make_role(database, "operator")
    await database.execute(f"grant {DAEMON_OF} to {login}; grant create on schema public to {login}")
    await database.execute(f"grant {OPERATOR_OF} to {operator}")
    as_daemon, as_operator = await database.connect(login), await database.connect(operator)
    return Scene(database, alarm, directory, login, as_daemon, as_operator, free_port(), box)


def assert_complete(request: pytest.FixtureRequest, scene: Scene) -> None:
    """Whatever the test is a drill of was seen to fire, was looked into as its page says, and is over."""
    marker = request.node.get_closest_marker("drills")
    assert marker is not None
    assert set(marker.args) == scene.alarm.over
    assert set(marker.args) <= scene.alarm.seen
    assert set(marker.args) <= scene.diagnosed
