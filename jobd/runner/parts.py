"""What the runner and every service of one daemon share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobd.db.connect import Connector
    from jobd.db.pool import Pool
    from jobd.db.queue import Queue
    from jobd.db.session import Sessions
    from jobd.metrics import Metrics
    from jobd.runner.running import RunningSet
    from jobd.settings import Settings
    from jobd.tracing.spans import Tracing


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts that exist once per daemon."""

    settings: Settings
    metrics: Metrics
    connector: Connector
    pool: Pool
    sessions: Sessions
    queue: Queue
    running: RunningSet
    tracing: Tracing | None = None
