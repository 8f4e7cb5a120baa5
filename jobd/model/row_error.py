"""What is kept of a record that could not be taken."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

RAW_DATA_CHARACTERS_MAX = 500
REJECT_BYTES_MAX = 64 * 1024
# Refused records of a job of which more is kept than their number.
STORED_MAX = 100_000


class ErrorType(StrEnum):
    """Whose refusal it was: the reader's, a rule's, an existing row's, or anything else."""

    PARSE = "parse"
    VALIDATION = "validation"
    DUPLICATE = "duplicate"
    SYSTEM = "system"


class RowError(NamedTuple):
    """One reason why one record was refused; a record may have several.

    A tuple, because a batch may have tens of thousands.
    """

    row_number: int
    line_number: int | None
    error_type: ErrorType
    code: str
    message: str
    field: str | None = None
    file: str | None = None
    sqlstate: str | None = None
    constraint_name: str | None = None
    raw_data: str | None = None


class RejectedRecord(NamedTuple):
    """The refused record itself, as its bytes stood in the file, so that it can be mended and imported.

    ``fields``: the same by its columns, a JSON object of values as CSV has them.
    """

    row_number: int
    record: bytes
    file: str | None = None
    fields: str | None = None
