"""What a job may state about its source, and the bounds that a daemon sets; what is not stated is detected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORD_BYTES_MAX = 16 * 1024 * 1024
RAW_BYTES_MAX = 64 * 1024
COLUMNS_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds against hostile or broken sources. Each is a setting, named in the message of what exceeds it.

    ``expansion_ratio`` bounds unpacked bytes per packed byte, once there are more than 64 MiB of them;
    ``expanded_bytes`` the unpacked bytes of one file; ``workbook_bytes`` a workbook, which is held in memory.
    """

    record_bytes: int = RECORD_BYTES_MAX
    columns: int = COLUMNS_MAX
    nesting_depth: int = 200
    expansion_ratio: int = 1000
    expanded_bytes: int = 1 << 40
    files: int = 100_000
    workbook_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Options of reading, in the words of the contract's section 4; None: detect it.

    ``fields`` and ``ignore_unknown`` are for JSON: the keys that become columns, in this order (None: those of the
    first records in order of appearance), and whether a key that is not among them is passed over instead of
    refusing its record. ``collects_rest``: surplus values of long CSV records become one more field, the last, a
    JSON array (null where there are none).
    """

    source_type: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    escape: str | None = None
    encoding: str | None = None
    header: bool | int = True
    comment: str | None = None
    skip_rows: int = 0
    ragged: Literal["error", "pad", "truncate"] = "error"
    collects_rest: bool = False
    records_path: str | None = None
    pattern: str | None = None
    separator: str | None = None
    fields: Sequence[str] | None = None
    ignore_unknown: bool = False
    limits: Limits = field(default_factory=Limits)
