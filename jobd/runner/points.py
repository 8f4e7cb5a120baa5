"""Named points of a batch at which a fault test can kill, freeze or watch; they cost nothing otherwise.

The points of a batch, in order: ``batch.begin``, ``batch.inside`` (rows written, not yet fenced), ``batch.commit``
(fenced, COMMIT not yet sent), ``batch.committed`` (COMMIT answered), ``batch.acknowledged`` (counted in memory);
and of an attempt: ``job.start``, ``job.ended`` (its outcome decided, not yet written).
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_hooks: dict[str, Callable[[], Awaitable[None]]] = {}
_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


async def reach(name: str) -> None:
    """Pass the point; somebody may be waiting there."""
    if _hooks:
        hook = _hooks.get(name)
        if hook is not None:
            await hook()


def register(name: str, hook: Callable[[], Awaitable[None]]) -> None:
    """Run ``hook`` at each passing of the point."""
    _hooks[name] = hook


def clear() -> None:
    """Forget all hooks."""
    _hooks.clear()


def arm(specification: str) -> None:
    """Send this process a signal at a point: ``name``, ``name:nth`` or ``name:nth=stop``."""
    place, _, action = specification.partition("=")
    name, _, nth = place.partition(":")
    passings: Counter[str] = Counter()

    async def strike() -> None:
        passings[name] += 1
        if passings[name] == int(nth or 1):
            os.kill(os.getpid(), _SIGNALS[action or "kill"])

    register(name, strike)
