"""Handlers that have nothing to do: what is left is the queue itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jobd.handlers.registry import handler

if TYPE_CHECKING:
    from jobd.handlers.processing import HandlerContext


@handler("noop")
async def noop(context: HandlerContext) -> None:
    """Return at once."""


@handler("clock")
async def clock(context: HandlerContext) -> dict[str, float]:
    """Say when the first line ran, by the clock that the submitter on the same machine reads too."""
    return {"started_at": time.time()}
