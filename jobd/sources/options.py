"""What a job may state about its source; what it does not state is detected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORD_BYTES_MAX = 16 * 1024 * 1024
RAW_BYTES_MAX = 64 * 1024
COLUMNS_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Options of reading, in the words of the contract's section 4; None: detect it.

    ``fields`` and ``ignore_unknown`` are for JSON Lines: the keys that become columns, in this order (None: those
    of the first records in order of appearance), and whether a key that is not among them is passed over instead
    of refusing its record.
    """

    source_type: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    escape: str | None = None
    encoding: str | None = None
    header: bool | int = True
    fields: Sequence[str] | None = None
    ignore_unknown: bool = False
    record_bytes_max: int = RECORD_BYTES_MAX
