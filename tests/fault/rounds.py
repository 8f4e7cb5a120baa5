"""How often a fault is repeated: a few times in each run of the tests, often in `make fault`."""

from __future__ import annotations

import os


def rounds(few: int) -> int:
    """What ``FAULT_ROUNDS`` says; so few where it is not set."""
    return int(os.environ.get("FAULT_ROUNDS") or few)
