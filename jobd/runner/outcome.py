"""How an attempt ended, as a value: one function per ending, so that all of them can be read in one place."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from jobd.db.transient import Advice, advice, sqlstate_of
from jobd.errors import DatabaseUnavailable, HostNotReady, JobFailed, SourceUnavailable
from jobd.model.status import Outcome, StopReason

if TYPE_CHECKING:
    from jobd.model.job import Job

RETRY_BASE_SECONDS = 5.0
RETRY_FACTOR = 3
RETRY_SECONDS_MAX = 3600.0
RETRY_JITTER = 0.2
WAITING_SECONDS = 15.0
MESSAGE_CHARACTERS_MAX = 1000

# Errors that say the same however often they are asked: no such table, no privilege, no such login …
_FINAL_SQLSTATES = {
    "42": "statement_invalid",
    "28": "no_privilege",
    "3F": "target_missing",
    "3D": "target_missing",
}
_STOPPED = {
    StopReason.CANCEL: Outcome.CANCELLED,
    StopReason.PAUSE: Outcome.PAUSED,
    StopReason.SHUTDOWN: Outcome.INTERRUPTED,
}


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of an attempt. ``outcome`` None: the lease is lost, and nothing may be written."""

    outcome: Outcome | None
    label: str
    error_code: str | None = None
    error_message: str | None = None
    result: str | None = None
    delay_seconds: float | None = None
    cause: BaseException | None = None


COMPLETED = Ended(Outcome.COMPLETED, "completed")


def completed(result: Any) -> Ended:
    """The handler came to its end."""
    if result is None:
        return COMPLETED
    try:
        return Ended(Outcome.COMPLETED, "completed", result=orjson.dumps(result).decode())
    except TypeError as error:
        return Ended(
            Outcome.FAILED,
            "failed",
            "result_invalid",
            f"the handler's return value is no JSON: {error}",
            cause=error,
        )


def stopped(reason: StopReason, timeout: object = None) -> Ended:
    """The job was asked to stop, and did or was made to."""
    if reason is StopReason.LEASE_LOST:
        return Ended(None, "lease_lost")
    if reason is StopReason.TIMEOUT:
        return Ended(Outcome.FAILED, "timeout", "timeout", f"ran longer than its timeout of {timeout} s")
    outcome = _STOPPED[reason]
    return Ended(outcome, outcome.value)


def raised(error: Exception, job: Job) -> Ended:
    """The handler raised something."""
    if isinstance(error, JobFailed):
        return failed(error)
    if isinstance(error, HostNotReady):
        return waiting(error)
    return broken(error, job)


def failed(error: JobFailed) -> Ended:
    """Trying again cannot help."""
    return Ended(Outcome.FAILED, "failed", error.error_code, _message(str(error)), cause=error)


def waiting(reason: HostNotReady, seconds: float | None = None) -> Ended:
    """The job cannot run here just now; another daemon may take it, or this one later."""
    jitter = random.uniform(1 - RETRY_JITTER, 1 + RETRY_JITTER)  # noqa: S311  no secret
    delay_seconds = (WAITING_SECONDS if seconds is None else seconds) * jitter
    return Ended(
        Outcome.WAITING,
        "interrupted",
        error_message=_message(str(reason)),
        delay_seconds=delay_seconds,
        cause=reason,
    )


def broken(error: BaseException, job: Job) -> Ended:
    """An error that nobody foresaw: tried again later, unless its SQLSTATE says that it would be the same."""
    sqlstate = sqlstate_of(error)
    text = _message(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
    if sqlstate is not None and sqlstate[:2] in _FINAL_SQLSTATES:
        code = "no_privilege" if sqlstate == "42501" else _FINAL_SQLSTATES[sqlstate[:2]]
        code = "target_missing" if sqlstate == "42P01" else code
        return Ended(Outcome.FAILED, "failed", code, _message(f"{error} (SQLSTATE {sqlstate})"), cause=error)
    is_database = (
        isinstance(error, DatabaseUnavailable) or advice(error) is not Advice.FAIL or sqlstate is not None
    )
    code = "database_error" if is_database else "handler_error"
    if isinstance(error, SourceUnavailable):  # a sentence of our own, for the operator
        code, text = "source_unavailable", _message(str(error))
    return Ended(
        Outcome.RETRY, "retried", code, text, delay_seconds=retry_delay_seconds(job.retry_count), cause=error
    )


def retry_delay_seconds(retry_count: int) -> float:
    """5 s, then three times as long each time, at most an hour; not the same for jobs that failed together."""
    seconds = min(RETRY_BASE_SECONDS * RETRY_FACTOR ** min(retry_count, 10), RETRY_SECONDS_MAX)
    jitter = random.uniform(1 - RETRY_JITTER, 1 + RETRY_JITTER)  # noqa: S311  no secret
    return float(seconds * jitter)


def _message(text: str) -> str:
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:MESSAGE_CHARACTERS_MAX]
