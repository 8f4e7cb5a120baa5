"""Names that no other test uses: roles belong to the whole server, which all tests share."""

from __future__ import annotations

import itertools
import os

_numbers = itertools.count(1)


def unique(prefix: str) -> str:
    """A name that has not been given out before in this run."""
    return f"{prefix}_{os.getpid()}_{next(_numbers)}"
