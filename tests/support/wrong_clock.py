"""Loaded by a daemon like a module of handlers: from then on its clock is an hour ahead of the world's."""

from __future__ import annotations

import time

WRONG_BY_SECONDS = 3600.0

_right = time.time


def _wrong() -> float:
    return _right() + WRONG_BY_SECONDS


time.time = _wrong
