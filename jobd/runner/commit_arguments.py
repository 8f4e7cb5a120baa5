"""A batch's result as the parameters of ``jobd.commit_batch``."""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING, TypeVar

import orjson

from jobd.model.row_error import STORED_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.runner.context import BatchResult
    from jobd.runner.held import HeldJob

T = TypeVar("T")
LAID_OUT_MIN = 1000


def commit_arguments(held: HeldJob, result: BatchResult, error_count: int) -> list[object]:
    """The parameters of jobd.commit_batch, in its order.

    What will not be stored is not sent: of errors beyond the limit the groups alone.
    """
    tally, errors = result.tally, result.errors
    room = max(0, STORED_MAX - error_count)
    rejects = result.rejects[:room]
    stored = len(errors)
    if stored > room:
        records = list(dict.fromkeys((error.file, error.row_number) for error in errors))
        beyond = set(records[room:])
        stored = sum((error.file, error.row_number) not in beyond for error in errors)
    rows, lines, types, codes, messages, fields, files, sqlstates, constraints, raws = (
        zip(*errors, strict=True) if errors else ((),) * 10
    )
    reject_rows, records_, reject_files, reject_fields = zip(*rejects, strict=True) if rejects else ((),) * 4
    return [
        held.job.id,
        held.lease_token,
        tally.added,
        tally.updated,
        tally.unchanged,
        tally.skipped,
        tally.refused,
        orjson.dumps(result.cursor).decode(),
        result.progress,
        result.total_rows,
        result.current_file,
        _laid_out(rows),
        _laid_out(lines[:stored]),
        _laid_out(_of_all(files)),
        _laid_out(fields),
        _laid_out(types[:stored]),
        _laid_out(codes),
        _laid_out(messages[:stored]),
        _laid_out(sqlstates[:stored]),
        _laid_out(constraints[:stored]) if any(constraints) else (),
        _laid_out(raws[:stored]),
        _laid_out(reject_rows),
        _laid_out(_of_all(reject_files)),
        _laid_out(records_),
        orjson.dumps(result.files).decode() if result.files else None,
        _laid_out(reject_fields),
    ]


def _of_all(files: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """One file for all, where it is one."""
    return files[:1] if len(set(files)) == 1 else files


def _laid_out(values: tuple[T, ...]) -> Sequence[T] | Sequence[Sequence[T]]:
    """The same values in lines of one length, where their number has such a divisor; ``unnest`` gives them alike.

    asyncpg asks each element whether it is an array itself, which costs as much as to write it; of lines it asks
    the first one's only.
    """
    count = len(values)
    if count < LAID_OUT_MIN:
        return values
    length = next((each for each in range(isqrt(count), 1, -1) if count % each == 0), 1)
    return [list(values[start : start + length]) for start in range(0, count, length)] if length > 1 else values
