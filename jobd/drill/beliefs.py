"""What daemons believed, read from their logs (``JOBD_LOG_LEVEL=debug``, JSON)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import orjson

from jobd.drill.history import Belief, What

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_KNOWN = {what.value: what for what in What}


def read(directory: Path) -> list[Belief]:
    """All that the daemons whose logs are there believed."""
    return [belief for path in sorted(directory.glob("*.log")) for belief in of_log(path)]


def of_log(path: Path) -> Iterator[Belief]:
    """What one daemon believed. A killed one may have left half a line: that was not acknowledged yet."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                said = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            what = _KNOWN.get(said.get("event", "")) if isinstance(said, dict) else None
            if what is not None:
                yield Belief(
                    process=path.stem,
                    number=number,
                    what=what,
                    job_id=UUID(said["job_id"]),
                    lease_token=said["lease_token"],
                    from_row=said.get("from_row", 0),
                    to_row=said.get("to_row", 0),
                    outcome=said.get("outcome"),
                )
