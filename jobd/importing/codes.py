"""The stable words for what can be wrong with one record, and which of the database's errors they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.errors import JobFailed, TargetChanged, TargetError
from jobd.importing.objections import SCHEMA, UNREADABLE
from jobd.model.row_error import ErrorType

if TYPE_CHECKING:
    from collections.abc import Mapping

    import asyncpg

# Codes of records that the reader refuses (ragged, undecodable …) are in ``jobd.sources``.
MEANINGS: Mapping[str, str] = {
    "invalid_value": "the value is not one of the column's type, or not written as the options say",
    "out_of_range": "the value is too large or too small for the column's type",
    "too_long": "the text is longer than the column's type allows",
    "null_not_allowed": "the column is NOT NULL and the field is null",
    "key_is_null": "a field of the key is null, so that no row can be told by it",
    "check_violation": "a CHECK constraint, a domain's rule or the lack of a partition refuses the row",
    "schema_violation": "the row does not meet the JSON Schema of option schema",
    "foreign_key_violation": "the row that is referred to does not exist",
    "exclusion_violation": "an EXCLUDE constraint refuses the row beside one that exists",
    "unique_violation": "another row has a value that must be unique",
    "already_exists": "a row with this key exists, and on_conflict is error",
    "row_security": "a row-level security policy refuses the row",
    "undecodable": "the record's bytes are no text in the file's encoding, or none that the database can store",
    "trigger_refused": "a trigger of the target raised an exception",
    "similar": "another row resembles it more than option similar allows",
    "refused": "the database refused the row for another reason; see sqlstate and message",
}

_BY_SQLSTATE: Mapping[str, tuple[ErrorType, str]] = {
    "22001": (ErrorType.VALIDATION, "too_long"),
    "22003": (ErrorType.VALIDATION, "out_of_range"),
    "22008": (ErrorType.VALIDATION, "out_of_range"),
    "22021": (ErrorType.PARSE, "undecodable"),
    "22P05": (ErrorType.PARSE, "undecodable"),
    "23502": (ErrorType.VALIDATION, "null_not_allowed"),
    "23503": (ErrorType.VALIDATION, "foreign_key_violation"),
    "23505": (ErrorType.DUPLICATE, "unique_violation"),
    "23514": (ErrorType.VALIDATION, "check_violation"),
    "23P01": (ErrorType.VALIDATION, "exclusion_violation"),
    "42501": (ErrorType.VALIDATION, "row_security"),
    "44000": (ErrorType.VALIDATION, "check_violation"),
    "exists": (ErrorType.DUPLICATE, "already_exists"),
    "similar": (ErrorType.DUPLICATE, "similar"),
    SCHEMA: (ErrorType.VALIDATION, "schema_violation"),
    UNREADABLE: (ErrorType.VALIDATION, "invalid_value"),
}
_BY_CLASS: Mapping[str, tuple[ErrorType, str]] = {
    "22": (ErrorType.VALIDATION, "invalid_value"),
    "23": (ErrorType.VALIDATION, "check_violation"),
    "P0": (ErrorType.SYSTEM, "trigger_refused"),
}

# Classes of errors that are not a row's fault. 40 and 55 are tried again, 08, 25, 53, 57 and 58 after a pause
# or on a new connection; 26, 28, 3D, 3F and 42 fail the job. ``alone_statements`` names the same ones inside the
# server.
_NOT_OF_A_ROW = frozenset({"08", "25", "26", "28", "3D", "3F", "40", "42", "53", "55", "57", "58", "XX", "JB"})

_FATAL_CLASSES = frozenset({"26", "28", "3D", "3F", "42"})
# What statements that worked for the first batch end in when the table, a column, its type or the key's index is
# another one.
_CHANGED = frozenset({"3F000", "42P01", "42P10", "42703", "42804", "42883"})


def is_about_a_row(error: asyncpg.PostgresError, *, has_row_security: bool) -> bool:
    """Whether one row can be the cause, so that the others can be brought in without it."""
    sqlstate = error.sqlstate or "XX000"
    if sqlstate == "42501":
        return has_row_security and "row-level security" in str(error)
    return sqlstate[:2] not in _NOT_OF_A_ROW


def classify(sqlstate: str) -> tuple[ErrorType, str]:
    """The type and the code of a row error that the database, or a rule of jobd's own, reported."""
    return _BY_SQLSTATE.get(sqlstate) or _BY_CLASS.get(sqlstate[:2]) or (ErrorType.SYSTEM, "refused")


def as_failure(error: asyncpg.PostgresError, target_name: str) -> JobFailed | None:
    """The job's end that an error of the database means; None where trying again may help."""
    sqlstate = error.sqlstate or ""
    if sqlstate == "JB009":
        return TargetError(str(error), code="too_many_changes")
    if sqlstate[:2] not in _FATAL_CLASSES:
        return None
    if sqlstate == "42501":
        return TargetError(f"{target_name}: {error}", code="no_privilege")
    context = getattr(error, "context", None) or ""
    if sqlstate in _CHANGED and (not context or context.startswith("COPY")):
        return TargetChanged(f"{target_name} is not as it was when the job began: {error}")
    return TargetError(f"{target_name}: the database refuses the statement: {error}", code="target_refused")
