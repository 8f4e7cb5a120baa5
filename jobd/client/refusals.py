"""What the database refuses, as exceptions: one table, for both drivers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

from jobd.errors import (
    DatabaseUnavailable,
    DuplicateSubmission,
    JobCancelled,
    JobdError,
    JobNotFound,
    JobRefused,
    LeaseLost,
    SchemaMismatch,
    StaleVersion,
)

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# By the whole SQLSTATE first, then by its class (the first two characters).
# sql/README.md says of each when it is raised.
EXCEPTIONS: dict[str, type[JobdError]] = {
    "P0002": JobNotFound,
    "40001": StaleVersion,
    "23505": DuplicateSubmission,
    "JB001": LeaseLost,
    "JB002": JobCancelled,
    "JB003": LeaseLost,  # the worker was taken away, and its leases with it
    "JB": JobRefused,
    "22": JobRefused,
    "23": JobRefused,
    "42501": JobRefused,
    "3F000": SchemaMismatch,
    "42P01": SchemaMismatch,
    "42703": SchemaMismatch,
    "42883": SchemaMismatch,
    "08": DatabaseUnavailable,
    "53": DatabaseUnavailable,
    "57": DatabaseUnavailable,
}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What PostgreSQL says about an error, whichever driver passed it on."""

    sqlstate: str
    message: str
    detail: str | None = None
    hint: str | None = None
    raised_by: str | None = None

    @property
    def text(self) -> str:
        """The message and, on a line of its own, what to do."""
        return f"{self.message}\n{self.hint}" if self.hint else self.message


def exception_for(diagnosis: Diagnosis) -> JobdError:
    """The exception that says the same; the driver's own stays reachable as its ``__cause__``."""
    kind = EXCEPTIONS.get(diagnosis.sqlstate) or EXCEPTIONS.get(diagnosis.sqlstate[:2]) or JobdError
    if kind is StaleVersion and not (diagnosis.raised_by == "exec_stmt_raise" and "version" in diagnosis.message):
        # 40001 is also how PostgreSQL says that two transactions got into each other's way.
        return JobdError(f"{diagnosis.text} (SQLSTATE {diagnosis.sqlstate}: repeat the transaction)")
    if kind is SchemaMismatch:
        return SchemaMismatch(f"{diagnosis.message}\nLay or update the schema with: jobd migrate")
    if kind is JobdError:
        return JobdError(f"{diagnosis.text} (SQLSTATE {diagnosis.sqlstate})")
    if kind is DuplicateSubmission:
        return DuplicateSubmission(diagnosis.text, existing_job_id=_named_id(diagnosis))
    return kind(diagnosis.text)


def _named_id(diagnosis: Diagnosis) -> UUID | None:
    for text in (diagnosis.message, diagnosis.detail, diagnosis.hint):
        if text and (found := _UUID.search(text)):
            return UUID(found[0])
    return None
