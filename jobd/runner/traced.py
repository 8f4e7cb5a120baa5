"""What the spans of attempts and batches are told, where traces are sent."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from jobd.db.transient import sqlstate_of, why_away
from jobd.errors import JobCancelled, JobFailed, LeaseLost, Stopped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobd.runner.held import HeldJob
    from jobd.tracing.spans import AttemptSpan, BatchSpan


@contextlib.contextmanager
def span_of_batch(held: HeldJob) -> Iterator[BatchSpan | None]:
    """A span around one batch, however often it is tried; to be told when the batch is committed."""
    if held.span is None:
        yield None
        return
    span = held.span.batch(held.processed_rows)
    with span.current():
        try:
            yield span
        except BaseException as error:
            span.rolled_back(_error_type(error))
            raise


def tell_tried_again(span: AttemptSpan, error: Exception, *, is_lost: bool) -> None:
    """An event for a passing error: of it only what the database's names for it are."""
    told: dict[str, str | bool] = {"jobd.reason": why_away(error), "jobd.is_connection_lost": is_lost}
    sqlstate = sqlstate_of(error)
    if sqlstate is not None:
        told["db.response.status_code"] = sqlstate
    span.tried_again(told)


def _error_type(error: BaseException) -> str | None:
    """What a span may say of an error: a code of ours, the SQLSTATE, the class; None for a stop, which is none."""
    if isinstance(error, Stopped | JobCancelled | LeaseLost) or not isinstance(error, Exception):
        return None
    code = error.error_code if isinstance(error, JobFailed) else sqlstate_of(error)
    return code or type(error).__name__
