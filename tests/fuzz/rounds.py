"""How long is searched: a few examples that are always the same, or as many as fit into a time."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz.bounds import bounded
from tests.fuzz.case import FAILED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hypothesis import strategies as st

    from tests.fuzz.case import Case

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
_ROUND = 100


def search(strategy: st.SearchStrategy[Any], check: Callable[[Any], object], *, few: int, share: float) -> int:
    """Hold examples against the check, ``few`` of them or for ``share`` of the time; gives how many there were."""
    count = 0

    def counted(example: Any) -> None:
        nonlocal count
        count += 1
        check(example)

    ends_at = time.monotonic() + share * SECONDS
    while True:
        shape = settings(
            max_examples=_ROUND if SECONDS else few,
            deadline=None,
            derandomize=not SECONDS,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink] if SECONDS else [Phase.generate],
        )
        shape(given(strategy)(counted))()
        if time.monotonic() >= ends_at:
            print(f"{count} examples")
            return count


@contextmanager
def kept(case: Case, name: str) -> Iterator[None]:
    """Within the bounds; a case that fails stays written down, the last and smallest one of each search."""
    where = FAILED / name
    case.save(where)
    try:
        with bounded(where / "hung.txt"):
            yield
    except Exception as error:
        error.add_note(f"to see it again: python -m tests.fuzz.replay {where.relative_to(FAILED.parent)}")
        raise
    shutil.rmtree(where)
