"""What an error of the database means: which class it is counted under, and what may be done about it."""

from __future__ import annotations

import ssl
from enum import Enum, StrEnum

import asyncpg

from jobd.errors import DatabaseFull, DatabaseUnavailable, ForeignDatabase


class ErrorClass(StrEnum):
    """The values of the label ``class`` of ``jobd_db_errors_total``."""

    CONNECTION = "connection"
    TIMEOUT = "timeout"
    SERIALIZATION = "serialization"
    DEADLOCK = "deadlock"
    LOCK_TIMEOUT = "lock_timeout"
    READ_ONLY = "read_only"
    DISK_FULL = "disk_full"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    CONSTRAINT = "constraint"
    DATA = "data"
    PRIVILEGE = "privilege"
    FENCE = "fence"
    OTHER = "other"


class Advice(Enum):
    """What may help."""

    RETRY = "the same again, on the same connection"
    RECONNECT = "wait, connect anew, see what was committed"
    FAIL = "nothing that can be done here"


_BY_SQLSTATE = {
    "40001": ErrorClass.SERIALIZATION,
    "40P01": ErrorClass.DEADLOCK,
    "55P03": ErrorClass.LOCK_TIMEOUT,
    "25006": ErrorClass.READ_ONLY,
    "53100": ErrorClass.DISK_FULL,
    "53300": ErrorClass.TOO_MANY_CONNECTIONS,
    "57014": ErrorClass.TIMEOUT,
    "25P03": ErrorClass.CONNECTION,
}
_BY_CLASS = {
    "08": ErrorClass.CONNECTION,
    "57": ErrorClass.CONNECTION,
    "53": ErrorClass.OTHER,
    "40": ErrorClass.SERIALIZATION,
    "22": ErrorClass.DATA,
    "23": ErrorClass.CONSTRAINT,
    "42": ErrorClass.OTHER,
    "28": ErrorClass.PRIVILEGE,
    "JB": ErrorClass.FENCE,
}

_REFUSED_LOGINS = {"28P01", "28000"}
_WHY_AWAY = {
    ErrorClass.READ_ONLY: "the database is read-only",
    ErrorClass.TOO_MANY_CONNECTIONS: "the database takes no more connections",
    ErrorClass.DISK_FULL: "the database's disk is full",
    ErrorClass.TIMEOUT: "the database does not answer",
    ErrorClass.SERIALIZATION: "a conflict with another transaction",
    ErrorClass.DEADLOCK: "a deadlock with another transaction",
    ErrorClass.LOCK_TIMEOUT: "somebody holds a lock that is needed",
    ErrorClass.PRIVILEGE: "the database refuses a right that is needed",
}


def sqlstate_of(error: BaseException) -> str | None:
    """The SQLSTATE of a database error, None where it has none."""
    return error.sqlstate if isinstance(error, asyncpg.PostgresError) else None


def error_class(error: BaseException) -> ErrorClass | None:
    """The class an error of the database is counted under; None for what is no error of the database."""
    if isinstance(error, asyncpg.PostgresError):
        sqlstate = error.sqlstate or ""
        if sqlstate == "42501":
            return ErrorClass.PRIVILEGE
        return _BY_SQLSTATE.get(sqlstate) or _BY_CLASS.get(sqlstate[:2], ErrorClass.OTHER)
    if isinstance(error, TimeoutError):
        return ErrorClass.TIMEOUT
    if isinstance(error, OSError | asyncpg.InterfaceError | asyncpg.InternalClientError):
        return ErrorClass.CONNECTION
    return None


def why_away(error: BaseException) -> str:
    """In words for the operator: why the database cannot be worked with just now."""
    if isinstance(error, ForeignDatabase):
        return str(error)
    cause = error.__cause__ if isinstance(error, DatabaseUnavailable) and error.__cause__ is not None else error
    if isinstance(cause, DatabaseUnavailable):
        return str(cause)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {cause.verify_message}"
    if sqlstate_of(cause) in _REFUSED_LOGINS:
        return "the database refuses the login: its password, or what pg_hba.conf says of it"
    known = error_class(cause)
    return "the database is away" if known is None else _WHY_AWAY.get(known, "the database is away")


def is_disk_full(error: BaseException) -> bool:
    """Whether the database had no room for what was to be written: nothing helps but to wait for some."""
    return isinstance(error, DatabaseFull) or error_class(error) is ErrorClass.DISK_FULL


def advice(error: BaseException) -> Advice:
    """Whether trying again can help, and how."""
    sqlstate = sqlstate_of(error)
    if sqlstate is None:
        return Advice.FAIL if error_class(error) is None else Advice.RECONNECT
    if sqlstate[:2] == "40" or sqlstate == "55P03":
        return Advice.RETRY
    # 25P03: the server ended a transaction that was idle too long. 25006: this server has become a standby.
    if sqlstate[:2] in {"08", "53"} or sqlstate[:3] == "57P" or sqlstate in {"25P03", "25006"}:
        return Advice.RECONNECT
    return Advice.FAIL
